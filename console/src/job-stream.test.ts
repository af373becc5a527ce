import { expect, test } from "vitest";

import type { JobEvent } from "@client/gen";
import { follow, type Source, type Watched } from "./job-stream";

const line = (number: number) => ({ log_line: { number, time: null, source: "etl", text: `line ${number}` } }) as JobEvent;
const empty: Watched = { job: undefined, lines: [], connection: "live", error: null };

async function watch(source: Source): Promise<{ watched: Watched; connections: string[] }> {
  let watched = empty;
  const connections: string[] = [];
  await follow(source, new AbortController().signal, (step) => {
    watched = step(watched);
    if (connections.at(-1) !== watched.connection) connections.push(watched.connection);
  }, 1);
  return { watched, connections };
}

test("an interrupted stream goes on after the last line, and no line is lost or shown twice", async () => {
  const asked: number[] = [];
  const { watched, connections } = await watch(async function* (after) {
    asked.push(after);
    for (let number = after + 1; number <= 4; number++) {
      yield line(number);
      if (number === 2 && after < 2) throw new TypeError("network error");
    }
  });
  expect(asked).toEqual([0, 2]);
  expect(watched.lines.map(({ number }) => number)).toEqual([1, 2, 3, 4]);
  expect(connections).toEqual(["live", "lost", "live", "ended"]);
});

test("a job that does not exist is asked for once", async () => {
  const error = { code: 5, message: "no such job", details: [{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "JOB_NOT_FOUND" }] };
  let calls = 0;
  const { watched } = await watch(async function* () {
    calls += 1;
    throw error;
  });
  expect([calls, watched.connection, watched.error]).toEqual([1, "ended", error]);
});
