import { plural, t } from "@lingui/core/macro";
import { Plural, Trans } from "@lingui/react/macro";
import { Group, Select, SimpleGrid, Stack, Table, Text } from "@mantine/core";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo, useState } from "react";

import { forecasterServiceExplainForecastOptions, forecasterServiceForecastSalesOptions } from "@client/gen/@tanstack/react-query.gen";
import type { ForecastSalesResponse } from "@client/gen";
import { forecastChart, wholeDays } from "../chart-data";
import { ChartCard } from "../components/chart-card";
import { Card, Empty, Figures, Loaded } from "../components/page";
import { Waterfall } from "../components/waterfall";
import { amount, count, day, units } from "../format";
import { type Asked, Choice } from "./forecasts";

const HISTORY_DAYS = { day: 90, week: 371, month: 730 };
const GRANULARITIES = { day: "GRANULARITY_DAY", week: "GRANULARITY_WEEK", month: "GRANULARITY_MONTH" } as const;
const PERIODS = [
  { value: "day", label: t`Day` },
  { value: "week", label: t`Week` },
  { value: "month", label: t`Month` },
];
const NAMED_CLOSURES = 4;
const HORIZONS = [
  { value: "14", label: t`2 weeks ahead` },
  { value: "28", label: t`4 weeks ahead` },
  { value: "56", label: t`8 weeks ahead` },
  { value: "91", label: t`13 weeks ahead` },
  { value: "182", label: t`26 weeks ahead` },
];

export function Forecast({ asked, title }: { asked: Asked; title: string }) {
  const { by = "week", days = "91" } = useSearch({ from: "/forecasts" });
  const sales = useQuery({
    ...forecasterServiceForecastSalesOptions({
      query: { ...asked, horizon_days: Number(days), granularity: GRANULARITIES[by], history_days: HISTORY_DAYS[by], levels: [80, 95] },
    }),
    placeholderData: keepPreviousData,
  });
  return (
    <Loaded query={sales} rows={9}>
      {(data) => (
        <Stack gap="lg">
          <Expected sales={data} />
          <Chart sales={data} title={title} />
          <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="lg" style={{ alignItems: "start" }}>
            <Explanation asked={asked} days={Number(days)} currency={data.currency_code} />
            <Numbers sales={data} />
          </SimpleGrid>
        </Stack>
      )}
    </Loaded>
  );
}

/** How many days the forecast covers, and by which periods: a choice of the address. */
export function Horizon() {
  const { by = "week", days = "91" } = useSearch({ from: "/forecasts" });
  const navigate = useNavigate({ from: "/forecasts" });
  return (
    <Group gap="xs">
      <Choice name={t`Period`} data={PERIODS} value={by} onChange={(value) => void navigate({ search: (now) => ({ ...now, by: value as typeof by }) })} />
      <Select aria-label={t`Horizon`} allowDeselect={false} data={HORIZONS} value={days} onChange={(value) => void navigate({ search: (now) => ({ ...now, days: value ?? undefined }) })} w={160} />
    </Group>
  );
}

function Chart({ sales, title }: { sales: ForecastSalesResponse; title: string }) {
  const data = useMemo(() => forecastChart(sales), [sales]);
  const closed = sales.closed_dates.slice(0, NAMED_CLOSURES).map(day);
  const unnamed = sales.closed_dates.length - closed.length;
  return (
    <ChartCard title={title} aside={<Horizon />} data={data} name={t`${title}: sales and forecast; the values are in the table below`}>
      <Trans>Sales until {day(sales.data_through_date)}, model version {sales.model_version}, days in {sales.time_zone}.</Trans>{" "}
      {closed.length > 0 && (unnamed ? <Trans>Closed on {closed.join(", ")} and {count(unnamed)} more.</Trans> : <Trans>Closed on {closed.join(", ")}.</Trans>)}
    </ChartCard>
  );
}

function Expected({ sales }: { sales: ForecastSalesResponse }) {
  const total = sales.points.reduce((sum, { mean }) => sum + mean, 0);
  const days = sales.points.reduce((sum, { day_count }) => sum + day_count, 0);
  const past = sales.history.reduce((sum, { value }) => sum + value, 0) / Math.max(1, sales.history.reduce((sum, { day_count }) => sum + day_count, 0));
  const shown = (value: number) => units(value, sales.currency_code);
  return (
    <Figures
      list={[
        [plural(days, { one: "Expected in the next day", other: "Expected in the next # days" }), shown(total)],
        [t`Expected a day`, shown(total / Math.max(1, days))],
        [t`Sold a day, in the history shown`, shown(past)],
      ]}
    />
  );
}

function Explanation({ asked, days, currency }: { asked: Asked; days: number; currency: string }) {
  const query = useQuery(forecasterServiceExplainForecastOptions({ query: { ...asked, horizon_days: days } }));
  const [date, setDate] = useState<string | null>(null);
  return (
    <Card title={t`Why this much on a day`}>
      <Loaded query={query}>
        {({ explanations }) => {
          const shown = explanations.find((one) => one.date === date) ?? explanations[0];
          return shown ? (
            <Stack>
              <Select
                label={t`Day`}
                allowDeselect={false}
                searchable
                data={explanations.map((one) => ({ value: one.date, label: `${day(one.date)} · ${amount(one.mean)}` }))}
                value={shown.date}
                onChange={setDate}
                maw={280}
              />
              <Waterfall explanation={shown} />
              <Text fz="xs" c="dimmed">
                {currency ? <Trans>In {currency}, from the baseline to the mean.</Trans> : <Trans>In units, from the baseline to the mean.</Trans>}
              </Text>
            </Stack>
          ) : (
            <Empty title={t`There is nothing to explain`} />
          );
        }}
      </Loaded>
    </Card>
  );
}

function Numbers({ sales }: { sales: ForecastSalesResponse }) {
  return (
    <Card title={t`The forecast in numbers`} flush>
      <Table.ScrollContainer minWidth={380} mah={420} type="native" tabIndex={0} role="region" aria-label={t`The forecast in numbers`}>
        <Table verticalSpacing="xs" horizontalSpacing="sm" stickyHeader>
          <Table.Thead>
            <Table.Tr>
              <Table.Th><Trans>From</Trans></Table.Th>
              <Table.Th className="number"><Trans>Mean</Trans></Table.Th>
              {sales.points[0]?.bands.map(({ level }) => (
                <Table.Th key={level} className="number">
                  {level} %
                </Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {sales.points.map(({ date, day_count, mean, bands }) => (
              <Table.Tr key={date}>
                <Table.Td style={{ whiteSpace: "nowrap" }}>
                  {day(date)}
                  {day_count < wholeDays(date, sales.granularity) && <Text span fz="xs" c="dimmed"> · <Plural value={day_count} one="# day" other="# days" /></Text>}
                </Table.Td>
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
