/**
 * A walk through the services, which prints what came of each step as one JSON document.
 *
 * HASHIRAMART_EMAIL, HASHIRAMART_PASSWORD: a member of staff.
 * HASHIRAMART_AUTH, ..._CATALOG, ..._RECOMMENDER, ..._FORECASTER, ..._JOBS: addresses, by default 127.0.0.1:50051 to 50055.
 * HASHIRAMART_TLS_CA, HASHIRAMART_TLS_CERTIFICATE, HASHIRAMART_TLS_KEY: for TLS, the authority and the client's own certificate.
 */
import { randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import { connect, outcome, reasonOf, retry, type Step } from "./connection.js";
import { AuthService } from "./gen/hashiramart/auth/v1/auth_pb.js";
import { CatalogService, type ImportProductsRequestSchema } from "./gen/hashiramart/catalog/v1/catalog_pb.js";
import { ForecasterService } from "./gen/hashiramart/forecaster/v1/forecaster_pb.js";
import { JobsService } from "./gen/hashiramart/jobs/v1/jobs_pb.js";
import { RecommenderService } from "./gen/hashiramart/recommender/v1/recommender_pb.js";

const address = (name: string, port: number) => process.env[`HASHIRAMART_${name}`] || `127.0.0.1:${port}`;

async function main() {
  const auth = createClient(AuthService, connect(address("AUTH", 50051)));
  const { HASHIRAMART_EMAIL: username = "", HASHIRAMART_PASSWORD: password = "" } = process.env;
  const { accessToken } = await auth.issueToken({ grantType: "password", username, password });

  const catalog = createClient(CatalogService, connect(address("CATALOG", 50052), accessToken));
  const recommender = createClient(RecommenderService, connect(address("RECOMMENDER", 50053), accessToken));
  const forecaster = createClient(ForecasterService, connect(address("FORECASTER", 50054), accessToken));
  const jobs = createClient(JobsService, connect(address("JOBS", 50055), accessToken));
  const steps = {
    sign_in: { signed_in: accessToken !== "" },
    import: await outcome(() => importThree(catalog)),
    products: await outcome(() => listProducts(catalog)),
    recommendations: await outcome(() => recommend(recommender)),
    forecast: await outcome(() => forecast(forecaster)),
    job: await outcome(() => runJob(jobs)),
    error: await outcome(() => getProduct(catalog, "no-such-product")),
    invalid: await outcome(() => getProduct(catalog, "no such product")),
    deadline: await outcome(() => listInTime(catalog, 0.001)),
  };
  console.log(JSON.stringify(steps, null, 2));
}

/** Imports three products, one message each. The same products can be imported again. */
async function importThree(catalog: Client<typeof CatalogService>): Promise<Step> {
  async function* rows(): AsyncIterable<MessageInitShape<typeof ImportProductsRequestSchema>> {
    for (const number of [1, 2, 3]) {
      const product = { id: `conformance-${number}`, name: `Conformance ${number}`, priceCents: 100 * number, stock: 5 };
      yield { row: { case: "product", value: product } };
    }
  }
  const response = await catalog.importProducts(rows(), { timeoutMs: 60_000 });
  return { row_count: Number(response.rowCount), failed_count: Number(response.failedCount) };
}

/** Lists all pages of a search, in order. */
async function listProducts(catalog: Client<typeof CatalogService>): Promise<Step> {
  const ids: string[] = [];
  let pageToken = "";
  do {
    const request = { search: "conformance", orderBy: "id", pageSize: 2, pageToken };
    const page = await retry(() => catalog.listProducts(request));
    ids.push(...page.products.map((product) => product.id));
    pageToken = page.nextPageToken;
  } while (pageToken);
  return { ids };
}

async function recommend(recommender: Client<typeof RecommenderService>): Promise<Step> {
  const page = await retry(() => recommender.listRecommendations({ pageSize: 3 }));
  return { count: page.recommendations.length };
}

async function forecast(forecaster: Client<typeof ForecasterService>): Promise<Step> {
  const response = await retry(() => forecaster.forecastSales({ horizonDays: 7 }));
  return { days: response.points.length };
}

/** Submits a job, retries that as after a lost response, follows the job, cancels it, and follows it to its end. */
async function runJob(jobs: Client<typeof JobsService>): Promise<Step> {
  const request = { requestId: randomUUID() };
  let job = await retry(() => jobs.submitEtlJob(request));
  const repeated = await retry(() => jobs.submitEtlJob(request));
  let cancelled: boolean | undefined;
  for await (const { event } of jobs.watchJob({ id: job.id }, { timeoutMs: 120_000 })) {
    if (event.case === "job") job = event.value;
    cancelled ??= await cancel(jobs, job.id);
  }
  return { submitted_once: repeated.id === job.id, cancelled, ended: job.endTime !== undefined };
}

/** Cancels a job; true also if it has ended already. */
async function cancel(jobs: Client<typeof JobsService>, id: string): Promise<boolean> {
  try {
    await jobs.cancelJob({ id });
    return true;
  } catch (error) {
    return reasonOf(error) === "JOB_ENDED";
  }
}

async function getProduct(catalog: Client<typeof CatalogService>, id: string): Promise<Step> {
  const product = await catalog.getProduct({ id });
  return { product: product.id };
}

async function listInTime(catalog: Client<typeof CatalogService>, timeoutMs: number): Promise<Step> {
  const page = await catalog.listProducts({}, { timeoutMs });
  return { products: page.products.length };
}

await main();
