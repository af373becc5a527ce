// Responses that arrive message by message.
import { EventSourceParserStream } from "eventsource-parser/stream";

import { client } from "@client/gen/client.gen";

// The gateway sends something every 15 seconds, if only a comment.
const SILENCE_MS = 45_000;

interface Request {
  url: string;
  path?: Record<string, unknown>;
  query?: Record<string, unknown>;
  signal?: AbortSignal;
}

/** The messages of a streaming call, as they arrive. Throws the status of an error, and a TimeoutError if the connection is dead. */
export async function* stream<T>(request: Request): AsyncGenerator<T> {
  const { data } = await client.get({
    ...request,
    headers: { Accept: "text/event-stream" },
    parseAs: "stream",
    security: [{ scheme: "bearer", type: "http" }],
    throwOnError: true,
  });
  yield* messages<T>(data as unknown as ReadableStream<Uint8Array<ArrayBuffer>>);
}

/** The messages of a body of server-sent events. */
export async function* messages<T>(body: ReadableStream<Uint8Array<ArrayBuffer>>, silence = SILENCE_MS): AsyncGenerator<T> {
  const events = body.pipeThrough(failInSilence(silence)).pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
  const reader = events.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      const message = JSON.parse(next.value.data);
      if (next.value.event === "error") throw message.error;
      yield message;
    }
  } finally {
    // If the reader stops early, this closes the connection.
    await reader.cancel().catch(() => undefined);
  }
}

/** Passes bytes on. A connection whose other end has gone without a word, as with a machine that slept, is an error, not a long wait. */
function failInSilence(silence: number): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const wait = (controller: TransformStreamDefaultController) => {
    clearTimeout(timer);
    timer = setTimeout(() => controller.error(new DOMException("nothing has arrived for too long", "TimeoutError")), silence);
  };
  return new TransformStream({
    start: wait,
    transform(chunk, controller) {
      wait(controller);
      controller.enqueue(chunk);
    },
    flush: () => clearTimeout(timer),
  });
}
