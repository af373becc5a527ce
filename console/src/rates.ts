// How requests fare, from the counts that the gateway has kept since it started: two readings make a rate.
import type { MeshStatus } from "@client/gen";

export interface Reading {
  /** In milliseconds. */
  at: number;
  status: MeshStatus;
}

export interface Rate {
  perSecond: number;
  /** The share of requests that ended with a server's error; undefined if there were no requests. */
  errorShare: number | undefined;
  /** The mean, in milliseconds; undefined if there were no requests. */
  latency: number | undefined;
}

const WINDOW_MS = 60_000;

/** The readings with one more, without those before the last minute. */
export function withReading(readings: Reading[], next: Reading): Reading[] {
  return [...readings.filter(({ at }) => at >= next.at - WINDOW_MS && at < next.at), next];
}

/** The requests to each service between the first and the last reading; none if there is only one, or the gateway was started between them. */
export function ratesOf(readings: Reading[]): Map<string, Rate> {
  const [first, last] = [readings[0], readings.at(-1)];
  if (!first || !last || first === last) return new Map();
  const earlier = new Map(first.status.services.map(({ name, requests }) => [name, requests]));
  return new Map(
    last.status.services.flatMap(({ name, requests }): Array<[string, Rate]> => {
      const before = earlier.get(name);
      if (!before || before.request_count > requests.request_count) return [];
      const count = requests.request_count - before.request_count;
      const mean = (total: number) => (count ? total / count : undefined);
      return [[name, { perSecond: (1000 * count) / (last.at - first.at), errorShare: mean(requests.error_count - before.error_count), latency: mean(1000 * (requests.seconds - before.seconds)) }]];
    }),
  );
}
