// The calls of a shop's front end: sign-in, products, recommendations, forecasts, jobs.
import {
  authServiceIssueToken,
  catalogServiceGetProduct,
  catalogServiceImportProducts,
  catalogServiceListProducts,
  forecasterServiceForecastSales,
  type ForecastPoint,
  type JobEvent,
  type JobsServiceWatchJobErrors,
  type JobsServiceWatchJobResponses,
  jobsServiceSubmitEtlJob,
  type Product,
  type ProductInput,
  recommenderServiceListRecommendations,
} from "./gen/index.js";
import { client } from "./gen/client.gen.js";
import { infoOf } from "./errors.js";
import { lines, messages } from "./streams.js";

/** Signs in at a shop, such as `https://api.example.com/v1`; all calls that follow are made as this user. */
export async function signIn(shop: string, username: string, password: string): Promise<void> {
  client.setConfig({ baseUrl: shop });
  const { data } = await authServiceIssueToken({ body: { grant_type: "password", username, password }, throwOnError: true });
  client.setConfig({ auth: () => data.access_token });
}

/** All products that a search finds, page by page. */
export async function* findProducts(search: string): AsyncGenerator<Product, void, undefined> {
  for (let page_token = ""; ; ) {
    const { data } = await catalogServiceListProducts({ query: { search, page_token }, throwOnError: true });
    yield* data.products;
    page_token = data.next_page_token;
    if (!page_token) return;
  }
}

/** A product, or undefined if there is none. */
export async function findProduct(id: string): Promise<Product | undefined> {
  const { data, error } = await catalogServiceGetProduct({ path: { id } });
  if (!error) return data;
  const info = infoOf(error);
  switch (info?.reason) {
    case "PRODUCT_NOT_FOUND":
      return undefined;
    default:
      throw new Error(`${info?.reason}: ${error.message}`);
  }
}

/** Imports products; returns how many rows were not accepted. */
export async function importProducts(rows: ProductInput[]): Promise<number> {
  const { data } = await catalogServiceImportProducts({ body: rows, bodySerializer: lines, throwOnError: true });
  return Number(data.failed_count);
}

/** What to show to the user, best first. */
export async function recommend(count: number): Promise<Array<{ name: string; why: string }>> {
  const { data } = await recommenderServiceListRecommendations({ query: { page_size: count }, throwOnError: true });
  return data.recommendations.map(({ product, reason }) => ({ name: product?.name ?? "", why: reason?.text ?? "" }));
}

/** The expected sales of a product in the next four weeks. */
export async function forecast(product_id: string): Promise<ForecastPoint[]> {
  const query = { product_id, horizon_days: 28, levels: [80] };
  const { data } = await forecasterServiceForecastSales({ query, throwOnError: true });
  return data.points;
}

/** Cleans the sales, and reports each change and each line of the log as it comes. */
export async function* runEtl(signal?: AbortSignal): AsyncGenerator<JobEvent, void, undefined> {
  const headers = { "Idempotency-Key": crypto.randomUUID() };
  const { data: job } = await jobsServiceSubmitEtlJob({ body: {}, headers, throwOnError: true });
  yield* watchJob(job.id, signal);
}

/** The changes and the log of a job until it ends. */
export async function* watchJob(id: string, signal?: AbortSignal): AsyncGenerator<JobEvent, void, undefined> {
  const { data } = await client.get<JobsServiceWatchJobResponses, JobsServiceWatchJobErrors, true>({
    url: "/jobs/{id}:watch",
    path: { id },
    headers: { Accept: "application/x-ndjson" },
    parseAs: "stream",
    security: [{ scheme: "bearer", type: "http" }],
    signal: signal ?? null,
    throwOnError: true,
  });
  yield* messages<JobEvent>(data as unknown as ReadableStream<Uint8Array>);
}

/** A line of text for an event of a job. */
export function describe(event: JobEvent): string {
  return "job" in event ? event.job.state : event.log_line.text;
}
