// Sales over time: history, forecast and its intervals, with a cursor that reads the values.
import "uplot/dist/uPlot.min.css";

import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import uPlot from "uplot";

import type { ForecastSalesResponse } from "@client/gen";
import { amount, compact, day } from "../format";

const HEIGHT_PX = 340;
const SECONDS = (date: string) => Date.parse(`${date}T00:00:00Z`) / 1000;

type Line = Array<number | null>;

export default function SalesChart({ sales, name }: { sales: ForecastSalesResponse; name: string }) {
  const place = useRef<HTMLDivElement>(null);
  const scheme = useComputedColorScheme("light");
  useEffect(() => {
    const node = place.current!;
    const chart = new uPlot(options(node, sales), columns(sales), node);
    const observer = new ResizeObserver(() => chart.setSize({ width: node.clientWidth, height: HEIGHT_PX }));
    observer.observe(node);
    return () => {
      observer.disconnect();
      chart.destroy();
    };
  }, [sales, scheme]);
  return <div ref={place} role="img" aria-label={name} style={{ width: "100%", minHeight: HEIGHT_PX }} />;
}

function levels(sales: ForecastSalesResponse): number[] {
  return (sales.points[0]?.bands.map(({ level }) => level) ?? []).sort((a, b) => b - a);
}

function columns({ history, points, ...sales }: ForecastSalesResponse): uPlot.AlignedData {
  const before: Line = history.map(() => null);
  const after: Line = points.map(() => null);
  // The forecast begins at the last day of the history, so that the line has no gap.
  const joint = history.at(-1)?.date === points[0]?.date ? undefined : history.at(-1)?.value;
  if (before.length && joint !== undefined) before[before.length - 1] = joint;
  const bands = levels({ history, points, ...sales }).flatMap((level) => {
    const of = (end: "lower" | "upper"): Line => [...before, ...points.map(({ bands }) => bands.find((band) => band.level === level)?.[end] ?? null)];
    return [of("upper"), of("lower")];
  });
  return [[...history.map(({ date }) => SECONDS(date)), ...points.map(({ date }) => SECONDS(date))], [...history.map(({ value }) => value), ...after], [...before, ...points.map(({ mean }) => mean)], ...bands];
}

function options(node: HTMLElement, sales: ForecastSalesResponse): uPlot.Options {
  const style = getComputedStyle(node);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const text = colour("--mantine-color-dimmed");
  const axis = { stroke: text, grid: { stroke: colour("--chart-grid"), width: 1 }, ticks: { show: false }, font: `12px ${style.fontFamily}` };
  const known = levels(sales);
  const value = (_: uPlot, number: number | null) => (number === null ? "–" : amount(number));
  return {
    width: node.clientWidth,
    height: HEIGHT_PX,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
    cursor: { y: false, points: { size: 7 } },
    scales: { y: { range: (_, low, high) => [Math.min(0, low), high * 1.06 || 1] } },
    axes: [axis, { ...axis, size: 56, values: (_, ticks) => ticks.map((tick) => compact(tick)) }],
    series: [
      { label: "Day", value: (_, seconds) => (seconds === null ? "–" : day(new Date(seconds * 1000).toISOString().slice(0, 10))) },
      { label: "Sold", stroke: colour("--chart-history"), width: 1.6, points: { show: false }, value },
      { label: "Forecast", stroke: colour("--chart-mean"), width: 2.2, points: { show: false }, value },
      ...known.flatMap((level): uPlot.Series[] => [
        { label: `${level} % up to`, stroke: "transparent", points: { show: false }, value },
        { label: "from", stroke: "transparent", points: { show: false }, value },
      ]),
    ],
    bands: known.map((_, index) => ({ series: [3 + 2 * index, 4 + 2 * index], fill: colour("--chart-band") })),
  };
}
