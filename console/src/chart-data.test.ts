import { expect, test } from "vitest";

import type { ForecastSalesResponse } from "@client/gen";
import { forecastChart, wholeDays } from "./chart-data";

const point = (date: string, day_count: number, mean: number) => ({ date, day_count, mean, median: mean, bands: [{ level: 80, lower: mean - 1, upper: mean + 1 }] });

function sales(given: Partial<ForecastSalesResponse>): ForecastSalesResponse {
  return { granularity: "GRANULARITY_WEEK", history: [], points: [], scenario: null, ...given } as ForecastSalesResponse;
}

test("a week that has begun is what was sold of it and what is to come", () => {
  const chart = forecastChart(
    sales({
      history: [{ date: "2011-11-28", day_count: 7, value: 70 }, { date: "2011-12-05", day_count: 5, value: 50 }],
      points: [point("2011-12-05", 2, 20), point("2011-12-12", 7, 75)],
    }),
  );
  expect(chart.dates).toEqual(["2011-11-28", "2011-12-05", "2011-12-12"]);
  expect(chart.lines.map(({ values }) => values)).toEqual([[70, null, null], [70, 70, 75]]);
  expect(chart.bands).toEqual([{ level: 80, lower: [70, 69, 74], upper: [70, 71, 76] }]);
});

test("periods that the horizon or the history cuts off are left out", () => {
  const chart = forecastChart(
    sales({
      history: [{ date: "2011-11-21", day_count: 3, value: 30 }, { date: "2011-11-28", day_count: 7, value: 70 }],
      points: [point("2011-12-05", 7, 75), point("2011-12-12", 1, 9)],
    }),
  );
  expect(chart.dates).toEqual(["2011-11-28", "2011-12-05"]);
});

test("the forecast begins where the history ends", () => {
  const chart = forecastChart(sales({ granularity: "GRANULARITY_DAY", history: [{ date: "2011-12-09", day_count: 1, value: 8 }], points: [point("2011-12-10", 1, 9)] }));
  expect(chart.lines[1]?.values).toEqual([8, 9]);
  expect(chart.bands[0]?.upper).toEqual([8, 10]);
});

test("a scenario is a line of its own", () => {
  const scenario = { points: [point("2011-12-12", 7, 90)] } as ForecastSalesResponse["scenario"];
  expect(forecastChart(sales({ points: [point("2011-12-12", 7, 75)], scenario })).lines.at(-1)).toMatchObject({ name: "What if", values: [90] });
});

test("a month has its own number of days", () => {
  expect([wholeDays("2012-02-01", "GRANULARITY_MONTH"), wholeDays("2011-12-01", "GRANULARITY_MONTH"), wholeDays("2011-12-05", "GRANULARITY_DAY")]).toEqual([29, 31, 1]);
});
