// Responses that arrive message by message.
import { client } from "@client/gen/client.gen";
import { messages } from "@client/streams.js";

interface Request {
  url: string;
  path?: Record<string, unknown>;
  query?: Record<string, unknown>;
  signal?: AbortSignal;
}

/** The messages of a streaming call, as they arrive. Throws the status of an error. */
export async function* stream<T>(request: Request): AsyncGenerator<T> {
  const { data } = await client.get({
    ...request,
    headers: { Accept: "application/x-ndjson" },
    parseAs: "stream",
    security: [{ scheme: "bearer", type: "http" }],
    throwOnError: true,
  });
  yield* messages<T>(data as unknown as ReadableStream<Uint8Array>);
}
