import { expect, test } from "vitest";

import { messages } from "./stream";

function body(...chunks: string[]): { bytes: ReadableStream<Uint8Array<ArrayBuffer>>; cancelled: () => boolean } {
  let cancelled = false;
  const bytes = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start: (controller) => chunks.forEach((chunk) => controller.enqueue(new TextEncoder().encode(chunk))),
    cancel: () => void (cancelled = true),
  });
  return { bytes, cancelled: () => cancelled };
}

async function read(bytes: ReadableStream<Uint8Array<ArrayBuffer>>, silence: number): Promise<unknown[]> {
  const found: unknown[] = [];
  try {
    for await (const message of messages(bytes, silence)) found.push(message);
  } catch (error) {
    found.push(error instanceof DOMException ? error.name : error);
  }
  return found;
}

test("messages arrive whole, however the bytes are cut, and comments are none", async () => {
  const { bytes, cancelled } = body('data: {"n":', "1}\n\n:\n\nda", 'ta: {"n":2}\n\n');
  expect(await read(bytes, 50)).toEqual([{ n: 1 }, { n: 2 }, "TimeoutError"]);
  expect(cancelled()).toBe(true);
});

test("an error that the service sends later has its status", async () => {
  const status = { code: 16, message: "expired", details: [] };
  expect(await read(body(`data: {"n":1}\n\nevent: error\ndata: ${JSON.stringify({ error: status })}\n\n`).bytes, 1000)).toEqual([{ n: 1 }, status]);
});
