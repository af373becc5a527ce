// A job as it goes: its state and its log by a stream, which goes on where it was after an interruption.
import { useEffect, useState } from "react";

import type { Job, JobEvent, LogLine } from "@client/gen";
import { reasonOf } from "./errors";
import { stream } from "./stream";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
// The page keeps the newest lines; a long log is read over the API.
const KEPT_LINES = 5_000;
// After these, trying again changes nothing.
const FINAL = new Set(["JOB_NOT_FOUND", "ROLE_NOT_ALLOWED", "LOG_EXPIRED"]);

export interface Watched {
  job: Job | undefined;
  lines: LogLine[];
  connection: "live" | "lost" | "ended";
  error: unknown;
}

export type Source = (after: number, signal: AbortSignal) => AsyncIterable<JobEvent>;

/** The events of a job after a line of its log. */
export function jobEvents(id: string): Source {
  return (after, signal) => stream<JobEvent>({ url: "/jobs/{id}:watch", path: { id }, query: { after_number: after }, signal });
}

/** Follows a job until it ends. An interrupted stream is resumed after the last line that arrived, ever more slowly while it fails. */
export async function follow(source: Source, signal: AbortSignal, change: (step: (now: Watched) => Watched) => void, first = FIRST_WAIT_MS): Promise<void> {
  let after = 0;
  for (let wait = first; !signal.aborted; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
    try {
      for await (const event of source(after, signal)) {
        wait = first;
        if ("log_line" in event) {
          after = event.log_line.number;
          change((now) => ({ ...now, connection: "live", error: null, lines: [...now.lines, event.log_line].slice(-KEPT_LINES) }));
        } else change((now) => ({ ...now, connection: "live", error: null, job: event.job }));
      }
      change((now) => ({ ...now, connection: "ended" }));
      return;
    } catch (error) {
      if (signal.aborted) return;
      const final = FINAL.has(reasonOf(error));
      change((now) => ({ ...now, connection: final ? "ended" : "lost", error }));
      if (final) return;
    }
    await new Promise((resume) => setTimeout(resume, wait));
  }
}

export function useJob(id: string): Watched {
  const [watched, setWatched] = useState<Watched>({ job: undefined, lines: [], connection: "live", error: null });
  useEffect(() => {
    const leave = new AbortController();
    setWatched({ job: undefined, lines: [], connection: "live", error: null });
    void follow(jobEvents(id), leave.signal, setWatched);
    return () => leave.abort();
  }, [id]);
  return watched;
}
