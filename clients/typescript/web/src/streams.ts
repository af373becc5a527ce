// Streams of messages, as lines of JSON. The generated reader of server-sent events takes an error for a message.
import type { Status } from "./gen/index.js";

/** A stream that ended with an error. */
export class StreamError extends Error {
  constructor(readonly status: Status) {
    super(status.message);
  }
}

/** The messages of a response, each as soon as it arrives. Throws StreamError. */
export async function* messages<T>(body: ReadableStream<Uint8Array>): AsyncGenerator<T, void, undefined> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (let end = false; !end; ) {
      const { value, done } = await reader.read();
      const lines = (rest + decoder.decode(value, { stream: !done })).split("\n");
      rest = done ? "" : (lines.pop() ?? "");
      for (const line of lines.filter((text) => text.trim())) yield message<T>(line);
      end = done;
    }
  } finally {
    // If the reader stops early, this closes the connection.
    await reader.cancel();
  }
}

/** Rows as the body of an import: `bodySerializer: lines`. */
export const lines = (rows: unknown): string => (rows as unknown[]).map((row) => JSON.stringify(row)).join("\n");

function message<T>(line: string): T {
  const value: T | { error: Status } = JSON.parse(line);
  if (typeof value === "object" && value !== null && "error" in value) throw new StreamError(value.error as Status);
  return value as T;
}
