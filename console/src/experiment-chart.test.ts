import { expect, test } from "vitest";

import type { ExperimentReport, Estimate } from "@client/gen";
import { liftChart, reportTimes } from "./experiment-chart";

const START = "2027-03-01T00:00:00.000Z";
const report = (through_time: string, lift: Estimate | null): ExperimentReport => ({
  experiment_id: "test", through_time, control: null, treatment: null, mixed_shopper_count: 0, sample_ratio_p_value: 1, sample_ratio_mismatch: false, champion_changed: false,
  conversion: { difference: null, lift, verdict: "EXPERIMENT_VERDICT_UNDECIDED" }, revenue: null,
});

test("times lie between the start and now, and stay as time goes on", () => {
  const times = reportTimes(START, "2027-03-04T13:00:00Z");
  expect(times.slice(0, 2)).toEqual(["2027-03-01T06:00:00.000Z", "2027-03-01T12:00:00.000Z"]);
  expect(times.at(-1)).toBe("2027-03-04T12:00:00.000Z");
  expect(reportTimes(START, "2027-03-04T17:00:00Z")).toEqual(times);
  expect(reportTimes(START, START)).toEqual([]);
  expect(reportTimes(START, "2029-03-01T00:00:00Z").length).toBeLessThanOrEqual(16);
});

test("the chart has the lifts that are known, and room for the latest interval and for none", () => {
  const chart = liftChart([report(START, null), report("2027-03-02T00:00:00Z", { value: 0.4, lower: -3, upper: 4 }), report("2027-03-03T00:00:00Z", { value: 0.2, lower: 0.1, upper: 0.3 })], "conversion");
  expect(chart?.dates).toEqual(["2027-03-02T00:00:00Z", "2027-03-03T00:00:00Z"]);
  expect(chart?.bands[0]?.lower).toEqual([-3, 0.1]);
  expect(chart?.range?.[0]).toBeCloseTo(-0.225);
  expect(chart?.range?.[1]).toBeCloseTo(0.525);
});

test("without an interval there is no chart", () => {
  expect(liftChart([report(START, { value: 0.4 })], "conversion")).toBeUndefined();
  expect(liftChart([report(START, { value: 0.4, lower: 0, upper: 1 })], "revenue")).toBeUndefined();
});
