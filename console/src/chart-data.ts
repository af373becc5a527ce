// What the charts of sales show: lines and bands over days.
import { t } from "@lingui/core/macro";

import type { Band, BacktestPoint, ForecastSalesResponse, Granularity } from "@client/gen";

export type Values = Array<number | null>;

export interface ChartLine {
  name: string;
  /** A colour of the style sheet, such as `--chart-mean`. */
  colour: string;
  values: Values;
  dashed?: boolean;
}

export interface ChartBand {
  /** The share of periods that are expected in it, in percent. */
  level: number;
  lower: Values;
  upper: Values;
}

export interface ChartData {
  /** The first day of each period, `2011-12-05`, or instants. */
  dates: string[];
  lines: ChartLine[];
  bands: ChartBand[];
  /** How values are written; amounts if it is not given. */
  format?: (value: number) => string;
  /** The least and the greatest value that is drawn; all if it is not given. */
  range?: [number, number];
}

interface Period {
  date: string;
  day_count: number;
}

interface Forecast extends Period {
  mean: number;
  bands: Band[];
}

const HISTORY = { name: t`Sold`, colour: "--chart-history" };
const FORECAST = { name: t`Forecast`, colour: "--chart-mean" };

/** History and forecast by whole periods: one that has begun is what was sold of it and what is to come. */
export function forecastChart(sales: ForecastSalesResponse): ChartData {
  const { history, points } = parts(sales);
  const start = history.at(-1)?.value;
  const places = [...history.map(() => null), ...points.map(() => null)] as Values;
  const at = (values: number[]): Values => {
    const line = [...places];
    // The forecast starts from the last value of the history, so that the line has no gap.
    if (start !== undefined) line[history.length - 1] = start;
    values.forEach((value, index) => (line[history.length + index] = value));
    return line;
  };
  const scenario = sales.scenario && parts({ ...sales, points: sales.scenario.points }).points;
  return {
    dates: [...history, ...points].map(({ date }) => date),
    lines: [
      { ...HISTORY, values: [...history.map(({ value }) => value), ...points.map(() => null)] },
      { ...FORECAST, values: at(points.map(({ mean }) => mean)) },
      ...(scenario ? [{ name: t`What if`, colour: "--chart-scenario", values: at(scenario.map(({ mean }) => mean)), dashed: true }] : []),
    ],
    bands: bandsOf(points).map(({ level, lower, upper }) => ({ level, lower: at(lower), upper: at(upper) })),
  };
}

/** What was sold beside what had been forecast for those days. */
export function backtestChart(points: BacktestPoint[]): ChartData {
  return {
    dates: points.map(({ date }) => date),
    lines: [
      { ...HISTORY, values: points.map(({ actual }) => actual) },
      { ...FORECAST, values: points.map(({ mean }) => mean) },
    ],
    bands: bandsOf(points),
  };
}

/** The number of days of the period that begins on a day. */
export function wholeDays(date: string, granularity: Granularity): number {
  if (granularity === "GRANULARITY_WEEK") return 7;
  if (granularity !== "GRANULARITY_MONTH") return 1;
  const [year = 0, month = 0] = date.split("-").map(Number);
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}

function parts({ history, points, granularity }: ForecastSalesResponse) {
  const whole = ({ date, day_count }: Period) => day_count === wholeDays(date, granularity);
  const last = history.at(-1);
  const first = points[0];
  // Of an end of the horizon within a period there is too little to be shown beside the others.
  if (!last || !first || last.date !== first.date) return { history: history.filter(whole), points: points.filter(whole) };
  return { history: history.slice(0, -1).filter(whole), points: [sum(last.value, last.day_count, first), ...points.slice(1)].filter(whole) };
}

function sum(sold: number, days: number, { date, day_count, mean, bands }: Forecast): Forecast {
  return { date, day_count: day_count + days, mean: mean + sold, bands: bands.map(({ level, lower, upper }) => ({ level, lower: lower + sold, upper: upper + sold })) };
}

/** The bands of all points, the widest first, so that the narrower ones are drawn on it. */
function bandsOf(points: Array<{ bands: Band[] }>) {
  const levels = (points[0]?.bands ?? []).map(({ level }) => level).sort((a, b) => b - a);
  return levels.map((level) => {
    const found = points.map(({ bands }) => bands.find((band) => band.level === level));
    return { level, lower: found.map((band) => band?.lower ?? 0), upper: found.map((band) => band?.upper ?? 0) };
  });
}
