import { Group, SegmentedControl, Select, SimpleGrid, Stack, Table, Text } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { lazy, type ReactNode, Suspense, useState } from "react";

import { forecasterServiceExplainForecastOptions, forecasterServiceForecastSalesOptions, forecasterServiceListForecastSeriesOptions } from "@client/gen/@tanstack/react-query.gen";
import type { ForecastSalesResponse, SeriesLevel } from "@client/gen";
import { Card, Empty, Loaded, Loading, Page } from "../components/page";
import { Waterfall } from "../components/waterfall";
import { amount, day, money } from "../format";

// Loaded when it is needed.
const SalesChart = lazy(() => import("../components/sales-chart"));

const LEVELS = [
  { value: "shop", label: "Shop" },
  { value: "category", label: "Category" },
  { value: "country", label: "Country" },
  { value: "product", label: "Product" },
];
const HISTORY_DAYS = { day: 90, week: 365, month: 730 };

export function ForecastsPage() {
  const { level = "shop", key, by = "week", metric = "units", days = "56" } = useSearch({ from: "/forecasts" });
  const navigate = useNavigate({ from: "/forecasts" });
  const chosen = level === "shop" || key;
  return (
    <Page title="Forecasts" about="What was sold, what will sell, and how sure that is.">
      <Group gap="sm" align="flex-end">
        <Choice name="Level" data={LEVELS} value={level} onChange={(value) => void navigate({ search: (now) => ({ ...now, level: value as typeof level, key: undefined }) })} />
        {level !== "shop" && <Series level={level} value={key} onChange={(value) => void navigate({ search: (now) => ({ ...now, key: value }) })} />}
        <Choice
          name="Period"
          data={[{ value: "day", label: "Day" }, { value: "week", label: "Week" }, { value: "month", label: "Month" }]}
          value={by}
          onChange={(value) => void navigate({ search: (now) => ({ ...now, by: value as typeof by }) })}
        />
        <Choice
          name="Measure"
          data={[{ value: "units", label: "Units" }, { value: "revenue", label: "Revenue" }]}
          value={metric}
          onChange={(value) => void navigate({ search: (now) => ({ ...now, metric: value as typeof metric }) })}
        />
        <Select
          aria-label="Horizon"
          allowDeselect={false}
          data={[{ value: "14", label: "2 weeks" }, { value: "28", label: "4 weeks" }, { value: "56", label: "8 weeks" }, { value: "91", label: "13 weeks" }, { value: "182", label: "26 weeks" }]}
          value={days}
          onChange={(value) => void navigate({ search: (now) => ({ ...now, days: value ?? undefined }) })}
          w={120}
        />
      </Group>
      {chosen ? (
        <Forecast series={level === "shop" ? {} : { [level === "product" ? "product_id" : level]: key! }} title={key ?? "The whole shop"} by={by} metric={metric} days={Number(days)} />
      ) : (
        <Card>
          <Empty title={`Choose a ${level}`}>Its history and forecast appear here.</Empty>
        </Card>
      )}
    </Page>
  );
}

function Choice({ name, data, value, onChange }: { name: string; data: Array<{ value: string; label: string }>; value: string; onChange: (value: string) => void }) {
  return <SegmentedControl aria-label={name} data={data} value={value} onChange={onChange} withItemsBorders={false} />;
}

function Series({ level, value, onChange }: { level: string; value: string | undefined; onChange: (value: string | undefined) => void }) {
  const [typed, setTyped] = useState("");
  const [prefix] = useDebouncedValue(typed === value ? "" : typed.split(" · ")[0]!, 200);
  const series = useQuery({
    ...forecasterServiceListForecastSeriesOptions({ query: { level: `SERIES_LEVEL_${level.toUpperCase()}` as SeriesLevel, page_size: 100, ...(prefix && { prefix }) } }),
    placeholderData: keepPreviousData,
  });
  const options = series.data?.series.map(({ key, name }) => ({ value: key, label: name && name !== key ? `${key} · ${name}` : key })) ?? [];
  const known = value && !options.some((option) => option.value === value) ? [{ value, label: value }, ...options] : options;
  return (
    <Select
      aria-label={`The ${level}`}
      placeholder={level === "product" ? "Type the beginning of an id" : "Choose or type"}
      searchable
      clearable
      data={known}
      value={value ?? null}
      onSearchChange={setTyped}
      filter={({ options: all }) => all}
      onChange={(next) => onChange(next ?? undefined)}
      nothingFoundMessage={series.isPending ? "Loading…" : "No such series"}
      w={{ base: "100%", xs: 280 }}
    />
  );
}

interface Asked {
  series: { product_id?: string; category?: string; country?: string };
  title: string;
  by: "day" | "week" | "month";
  metric: "units" | "revenue";
  days: number;
}

function Forecast({ series, title, by, metric, days }: Asked) {
  const asked = { ...series, metric: metric === "units" ? "METRIC_UNITS" : "METRIC_REVENUE", horizon_days: days } as const;
  const granularity = { day: "GRANULARITY_DAY", week: "GRANULARITY_WEEK", month: "GRANULARITY_MONTH" } as const;
  const sales = useQuery({
    ...forecasterServiceForecastSalesOptions({ query: { ...asked, granularity: granularity[by], history_days: HISTORY_DAYS[by], levels: [80, 95] } }),
    placeholderData: keepPreviousData,
  });
  return (
    <Loaded query={sales} rows={9}>
      {(data) => (
        <Stack gap="lg">
          <Figures sales={data} metric={metric} />
          <Card title={title} aside={<Legend />}>
            <Suspense fallback={<Loading rows={9} />}>
              <SalesChart sales={data} name={`${title}: sales and forecast by ${by}; the values are in the table below`} />
            </Suspense>
            <Text fz="xs" c="dimmed" mt="xs">
              Sales until {day(data.data_through_date)}; model version {data.model_version}; days in {data.time_zone}.
            </Text>
          </Card>
          <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="lg" style={{ alignItems: "start" }}>
            <Explanation asked={asked} metric={metric} currency={data.currency_code} />
            <Values sales={data} />
          </SimpleGrid>
        </Stack>
      )}
    </Loaded>
  );
}

function Legend() {
  const swatch = (colour: string, height: number) => <span aria-hidden style={{ display: "inline-block", width: 16, height, borderRadius: 2, background: colour }} />;
  const entries: Array<[string, ReactNode]> = [["Sold", swatch("var(--chart-history)", 3)], ["Forecast", swatch("var(--chart-mean)", 3)], ["80 and 95 % intervals", swatch("var(--chart-band)", 12)]];
  return (
    <Group gap="md">
      {entries.map(([text, mark]) => (
        <Group key={text} gap={6}>
          {mark}
          <Text fz="xs" c="dimmed">
            {text}
          </Text>
        </Group>
      ))}
    </Group>
  );
}

function Figures({ sales, metric }: { sales: ForecastSalesResponse; metric: string }) {
  const total = sales.points.reduce((sum, { mean }) => sum + mean, 0);
  const dayCount = sales.points.reduce((sum, { day_count }) => sum + day_count, 0);
  const past = sales.history.reduce((sum, { value }) => sum + value, 0) / Math.max(1, sales.history.reduce((sum, { day_count }) => sum + day_count, 0));
  const shown = (value: number) => (metric === "revenue" ? money(value * 100, sales.currency_code) : amount(value));
  const figures = [
    [`Expected in ${dayCount} days`, shown(total)],
    ["Expected a day", shown(total / Math.max(1, dayCount))],
    ["Sold a day, in the history shown", shown(past)],
  ] as const;
  return (
    <SimpleGrid cols={{ base: 1, xs: 3 }} spacing="md">
      {figures.map(([name, value]) => (
        <div key={name} className="card" style={{ padding: "12px 16px" }}>
          <Text fz="xs" c="dimmed">
            {name}
          </Text>
          <Text fz={22} fw={650} style={{ fontVariantNumeric: "tabular-nums" }}>
            {value}
          </Text>
        </div>
      ))}
    </SimpleGrid>
  );
}

function Explanation({ asked, metric, currency }: { asked: { horizon_days: number; metric: "METRIC_UNITS" | "METRIC_REVENUE" }; metric: string; currency: string }) {
  const query = useQuery(forecasterServiceExplainForecastOptions({ query: asked }));
  const [date, setDate] = useState<string | null>(null);
  return (
    <Card title="Why this much on a day">
      <Loaded query={query}>
        {({ explanations }) => {
          const shown = explanations.find((one) => one.date === date) ?? explanations[0];
          return shown ? (
            <Stack>
              <Select
                label="Day"
                allowDeselect={false}
                searchable
                data={explanations.map((one) => ({ value: one.date, label: `${day(one.date)} · ${amount(one.mean)}` }))}
                value={shown.date}
                onChange={setDate}
                maw={280}
              />
              <Waterfall explanation={shown} />
              <Text fz="xs" c="dimmed">
                In {metric === "revenue" ? currency : "units"}, from the baseline to the mean.
              </Text>
            </Stack>
          ) : (
            <Empty title="There is nothing to explain" />
          );
        }}
      </Loaded>
    </Card>
  );
}

function Values({ sales }: { sales: ForecastSalesResponse }) {
  return (
    <Card title="The forecast in numbers" flush>
      <Table.ScrollContainer minWidth={380} mah={420} type="native" tabIndex={0} role="region" aria-label="The forecast in numbers">
        <Table verticalSpacing="xs" horizontalSpacing="md" stickyHeader>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>From</Table.Th>
              <Table.Th className="number">Mean</Table.Th>
              {sales.points[0]?.bands.map(({ level }) => (
                <Table.Th key={level} className="number">
                  {level} %
                </Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {sales.points.map(({ date, mean, bands }) => (
              <Table.Tr key={date}>
                <Table.Td>{day(date)}</Table.Td>
                <Table.Td className="number">{amount(mean)}</Table.Td>
                {bands.map(({ level, lower, upper }) => (
                  <Table.Td key={level} className="number" c="dimmed">
                    {amount(lower)} – {amount(upper)}
                  </Table.Td>
                ))}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Card>
  );
}
