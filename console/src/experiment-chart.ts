// What the chart of an experiment shows: the lift of a metric, as it was known at times since the start.
import { t } from "@lingui/core/macro";

import type { ExperimentReport } from "@client/gen";
import type { ChartData, Values } from "./chart-data";
import { shortPercent } from "./format";

export type Metric = "conversion" | "revenue";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [10 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY];
const MOST_POINTS = 16;
// Of the interval at first, so much beside the latest one is drawn: it begins many times as wide as it ends.
const ROOM = 2.5;

/** Times between the start and now, at most sixteen; those that were chosen before stay as time goes on, until the steps get longer. */
export function reportTimes(start: string, through: string): string[] {
  const [from, to] = [Date.parse(start), Date.parse(through)];
  const step = STEPS.find((each) => (to - from) / each <= MOST_POINTS) ?? Math.ceil((to - from) / MOST_POINTS / DAY) * DAY;
  const count = Math.max(0, Math.ceil((to - from) / step) - 1);
  return Array.from({ length: count }, (_, index) => new Date(from + (index + 1) * step).toISOString());
}

/** The lift of a metric over time; undefined while too little is known for one. */
export function liftChart(reports: ExperimentReport[], metric: Metric): ChartData | undefined {
  const known = reports.flatMap((report) => {
    const lift = report[metric]?.lift;
    return report.through_time && lift?.lower !== undefined && lift.upper !== undefined ? [{ time: report.through_time, value: lift.value, lower: lift.lower, upper: lift.upper }] : [];
  });
  const last = known.at(-1);
  if (!last) return undefined;
  const of = (name: "value" | "lower" | "upper"): Values => known.map((point) => point[name]);
  const [low, high] = [Math.min(0, last.lower), Math.max(0, last.upper)];
  const room = ((high - low) * (ROOM - 1)) / 2;
  return {
    dates: known.map(({ time }) => time),
    lines: [
      { name: t`Lift`, colour: "--chart-mean", values: of("value") },
      { name: t`No difference`, colour: "--chart-history", values: known.map(() => 0), dashed: true },
    ],
    bands: [{ level: 95, lower: of("lower"), upper: of("upper") }],
    format: shortPercent,
    range: [Math.max(-1, low - room), high + room],
  };
}
