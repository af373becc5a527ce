// Values over days or instants: lines and bands.
import "uplot/dist/uPlot.min.css";

import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import uPlot from "uplot";

import type { ChartData } from "../chart-data";
import { clock, compact, dayOf, month, shortDay } from "../format";

const HEIGHT_PX = 320;
const isDay = (date: string | undefined) => date?.length === "2011-12-05".length;
const SECONDS = (date: string) => Date.parse(isDay(date) ? `${date}T00:00:00Z` : date) / 1000;
const date = (seconds: number) => new Date(seconds * 1000).toISOString().slice(0, 10);
const DAY_SECONDS = 86_400;
const MONTH_SECONDS = 28 * DAY_SECONDS;
// Between ticks of instants lie whole minutes, hours or days.
const STEPS = [...[1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720].map((minutes) => 60 * minutes), ...[1, 2, 3, 7, 14, 28, 56].map((each) => each * DAY_SECONDS)];
// The edges of a band are not drawn, but what is between them.
const EDGE = { stroke: "transparent", points: { show: false } };

/** Calls `onPoint` with the index of the period below the cursor, or null. */
export default function SalesChart({ data, name, onPoint }: { data: ChartData; name: string; onPoint: (index: number | null) => void }) {
  const place = useRef<HTMLDivElement>(null);
  const scheme = useComputedColorScheme("light");
  useEffect(() => {
    const node = place.current!;
    const chart = new uPlot(options(node, data, onPoint), columns(data), node);
    const observer = new ResizeObserver(() => chart.setSize({ width: node.clientWidth, height: HEIGHT_PX }));
    observer.observe(node);
    return () => {
      observer.disconnect();
      chart.destroy();
    };
  }, [data, scheme, onPoint]);
  return <div ref={place} role="img" aria-label={name} className="chart" />;
}

function columns({ dates, lines, bands }: ChartData): uPlot.AlignedData {
  return [dates.map(SECONDS), ...lines.map(({ values }) => values), ...bands.flatMap(({ lower, upper }) => [upper, lower])];
}

/** The text of a tick of the axis of time, where ticks are `step` seconds apart. */
function tickText(seconds: number, step: number, days: boolean): string {
  if (days) return step < MONTH_SECONDS ? shortDay(date(seconds)) : month(date(seconds));
  return (step < DAY_SECONDS ? clock : dayOf)(new Date(seconds * 1000));
}

function options(node: HTMLElement, { dates, lines, bands, format = compact, range }: ChartData, onPoint: (index: number | null) => void): uPlot.Options {
  const style = getComputedStyle(node);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const axis = { stroke: colour("--mantine-color-dimmed"), grid: { stroke: colour("--chart-grid"), width: 1 }, ticks: { show: false }, font: `12px ${style.fontFamily}` };
  const first = lines.length + 1;
  const days = isDay(dates[0]);
  // A line of one value would not be seen.
  const points = { show: dates.length === 1, size: 9 };
  return {
    width: node.clientWidth,
    height: HEIGHT_PX,
    ...(days && { tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC") }),
    cursor: { y: false, points: { size: 7 } },
    scales: { y: { range: range ?? ((_, low, high) => [Math.min(0, low), high * 1.06 || 1]) } },
    legend: { show: false },
    hooks: { setCursor: [({ cursor }) => onPoint(cursor.idx ?? null)] },
    axes: [{ ...axis, size: 32, space: 80, ...(!days && { incrs: STEPS }), values: (_, ticks, __, ___, step) => ticks.map((tick) => tickText(tick, step, days)) }, { ...axis, size: 56, values: (_, ticks) => ticks.map(format) }],
    series: [
      {},
      ...lines.map(({ colour: line, dashed }): uPlot.Series => ({ stroke: colour(line), width: 2, points, ...(dashed && { dash: [6, 4] }) })),
      ...bands.flatMap((): uPlot.Series[] => [EDGE, EDGE]),
    ],
    bands: bands.map((_, index) => ({ series: [first + 2 * index, first + 2 * index + 1], fill: colour("--chart-band") })),
  };
}
