import { expect, test } from "vitest";

import type { Job } from "@client/gen";
import { alarmsOf } from "./alarms";
import { type Reading, ratesOf, withReading } from "./rates";

const reading = (at: number, request_count: number, error_count = 0, seconds = 0, up = true): Reading => ({ at, status: { version: "1", services: [{ name: "catalog", up, version: "1", requests: { request_count, error_count, seconds } }], engines: [] } });
const job = (given: Partial<Job>): Job => ({ id: "1", etl_spec: { full: false, through_date: "" }, training_spec: undefined, state: "JOB_STATE_SUCCEEDED", end_time: "2027-01-01T00:00:00Z", failure: null, ...given }) as Job;

test("two readings make a rate, and those of a minute are kept", () => {
  const rate = ratesOf([reading(0, 100, 1, 5), reading(10_000, 300, 3, 6)]).get("catalog");
  expect(rate).toEqual({ perSecond: 20, errorShare: 0.01, latency: 5 });
  expect([0, 30_000, 61_000].map((at) => reading(at, 0)).reduce(withReading, [])).toHaveLength(2);
});

test("without requests, and after the gateway was started again, there is nothing to say", () => {
  expect(ratesOf([reading(0, 5), reading(5000, 5)]).get("catalog")).toEqual({ perSecond: 0, errorShare: undefined, latency: undefined });
  expect([ratesOf([reading(0, 5)]).size, ratesOf([reading(0, 5), reading(5000, 1)]).size]).toEqual([0, 0]);
});

test("alarms name what is down, what fails, and kinds of jobs whose latest one has failed", () => {
  const failed = job({ id: "2", state: "JOB_STATE_FAILED", failure: { reason: "NO_RAW_DATA", message: "no raw data" } as Job["failure"] });
  const away = { ...reading(0, 0).status, engines: [{ name: "hdfs", up: false, used_by: ["jobs"], not_reached_by: ["jobs"] }, { name: "yarn", up: true, used_by: ["jobs"], not_reached_by: [] }] };
  expect(alarmsOf(away, new Map(), []).map(({ title }) => title)).toEqual(["HDFS is not reached by jobs"]);
  const fails = [reading(0, 100), reading(5000, 200, 20)];
  expect(alarmsOf(reading(0, 0, 0, 0, false).status, new Map(), [failed, job({})]).map(({ key }) => key)).toEqual(["down-catalog", "2"]);
  expect(alarmsOf(fails[1]!.status, ratesOf(fails), [job({ id: "3", state: "JOB_STATE_RUNNING", end_time: null }), job({}), failed]).map(({ key }) => key)).toEqual(["failing-catalog"]);
});
