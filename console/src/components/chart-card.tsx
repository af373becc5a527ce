// A chart in its card, with a legend that names what it shows and has the values below the cursor.
import { t } from "@lingui/core/macro";
import { Group, Text } from "@mantine/core";
import { lazy, type ReactNode, Suspense, useState } from "react";

import type { ChartData } from "../chart-data";
import { amount, day, time } from "../format";
import { Card, Loading } from "./page";

// Charts are loaded when the first one is needed.
const SalesChart = lazy(() => import("./sales-chart"));

// A narrower band is drawn on a wider one.
const NARROW = "linear-gradient(var(--chart-band), var(--chart-band)), var(--chart-band)";

export function ChartCard({ title, aside, data, name, children }: { title: string; aside?: ReactNode; data: ChartData; name: string; children?: ReactNode }) {
  const [index, setIndex] = useState<number | null>(null);
  return (
    <Card title={title} aside={aside}>
      <Legend data={data} index={index} />
      <Suspense fallback={<Loading rows={9} />}>
        <SalesChart data={data} name={name} onPoint={setIndex} />
      </Suspense>
      {children && (
        <Text fz="xs" c="dimmed" mt="xs">
          {children}
        </Text>
      )}
    </Card>
  );
}

function Legend({ data: { dates, lines, bands, format = amount }, index }: { data: ChartData; index: number | null }) {
  const date = index === null ? undefined : dates[index];
  const at = (values: Array<number | null>) => (index === null ? null : (values[index] ?? null));
  return (
    <Group gap="md" mb="xs" mih={22}>
      {lines.map(({ name, colour, dashed, values }) => {
        const value = at(values);
        return <Entry key={name} name={name} value={value === null ? "" : format(value)} mark={{ height: 0, borderTop: `3px ${dashed ? "dashed" : "solid"} var(${colour})` }} />;
      })}
      {[...bands].reverse().map(({ level, lower, upper }, place) => {
        const [from, to] = [at(lower), at(upper)];
        return <Entry key={level} name={t`${level} % interval`} value={from === null || to === null ? "" : `${format(from)} – ${format(to)}`} mark={{ height: 12, background: place < bands.length - 1 ? NARROW : "var(--chart-band)" }} />;
      })}
      {date && (
        <Text fz="xs" fw={600}>
          {date.length > "2011-12-05".length ? time(date) : day(date)}
        </Text>
      )}
    </Group>
  );
}

function Entry({ name, value, mark }: { name: string; value: string; mark: object }) {
  return (
    <Group gap={6} wrap="nowrap">
      <span aria-hidden style={{ display: "inline-block", width: 18, borderRadius: 2, ...mark }} />
      <Text fz="xs" c="dimmed">
        {name} {value && <Text span inherit c="var(--mantine-color-text)" style={{ fontVariantNumeric: "tabular-nums" }}>{value}</Text>}
      </Text>
    </Group>
  );
}
