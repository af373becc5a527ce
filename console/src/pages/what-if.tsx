import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { ActionIcon, Button, Group, NumberInput, Select, SimpleGrid, Stack, Text, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconPlus, IconTrash } from "@tabler/icons-react";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";

import { forecasterServiceForecastSalesQuery, type ForecastSalesResponse, type ScenarioDifference } from "@client/gen";
import { forecastChart } from "../chart-data";
import { ChartCard } from "../components/chart-card";
import { Card, Empty, ErrorNotice, Figures, Loaded } from "../components/page";
import { count, units } from "../format";
import { type Change, CHANGES, scenarioOf } from "../scenario";
import { Horizon } from "./forecast";
import type { Asked } from "./forecasts";

const NAMES: Record<Change["kind"], string> = { price: t`Price change`, promotion: t`Promotion`, closure: t`Closed days` };
const MOST_CHANGES = 8;
const HISTORY_DAYS = { day: 42, week: 182, month: 365 };
const GRANULARITIES = { day: "GRANULARITY_DAY", week: "GRANULARITY_WEEK", month: "GRANULARITY_MONTH" } as const;

/** What prices, promotions and closures would change, beside the forecast without them. Nothing of it is stored but in the address. */
export function WhatIf({ asked, title }: { asked: Asked; title: string }) {
  const { by = "week", days = "91", changes = [] } = useSearch({ from: "/forecasts" });
  const [settled] = useDebouncedValue(changes, 400);
  const scope = asked.product_id ? { product_id: asked.product_id } : asked.category ? { category: asked.category } : {};
  const body = { ...asked, horizon_days: Number(days), granularity: GRANULARITIES[by], history_days: HISTORY_DAYS[by], levels: [80], scenario: scenarioOf(settled, scope) };
  const sales = useQuery({
    queryKey: ["what-if", body],
    queryFn: async () => (await forecasterServiceForecastSalesQuery({ body, throwOnError: true })).data,
    placeholderData: keepPreviousData,
  });
  return (
    <Stack gap="lg">
      <Changes about={asked.product_id || asked.category ? title : t`all products`} changes={changes} />
      {sales.error && sales.data ? <ErrorNotice error={sales.error} /> : <Loaded query={sales} rows={9}>{(data) => <Outcome sales={data} title={title} />}</Loaded>}
    </Stack>
  );
}

function Changes({ about, changes }: { about: string; changes: Change[] }) {
  const navigate = useNavigate({ from: "/forecasts" });
  const write = (next: Change[]) => void navigate({ search: (now) => ({ ...now, changes: next.length ? next : undefined }), replace: true });
  const set = (index: number, change: Partial<Change>) => write(changes.map((each, place) => (place === index ? { ...each, ...change } : each)));
  return (
    <Card
      title={t`Changes to think through`}
      aside={
        <Button
          size="xs"
          variant="default"
          leftSection={<IconPlus size={14} aria-hidden />}
          disabled={changes.length === MOST_CHANGES}
          onClick={() => write([...changes, { kind: "price", percent: -10, first: "", last: "" }])}
        >
          <Trans>Add a change</Trans>
        </Button>
      }
    >
      <Stack gap="sm">
        {changes.map((change, index) => (
          <ChangeRow key={index} number={index + 1} change={change} set={(part) => set(index, part)} remove={() => write(changes.filter((_, place) => place !== index))} />
        ))}
        <Text fz="sm" c="dimmed">
          {changes.length ? t`Prices and promotions are those of ${about}. Nothing is stored: the link to this page has the changes.` : t`Add a change of price, a promotion or closed days, and see what it does to ${about}.`}
        </Text>
      </Stack>
    </Card>
  );
}

function ChangeRow({ number, change, set, remove }: { number: number; change: Change; set: (part: Partial<Change>) => void; remove: () => void }) {
  const { kind, percent, first, last } = change;
  return (
    <Group gap="sm" align="flex-end" role="group" aria-label={t`Change ${number}`}>
      <Select label={t`Kind`} allowDeselect={false} data={CHANGES.map((value) => ({ value, label: NAMES[value] }))} value={kind} onChange={(value) => set({ kind: value as Change["kind"], percent: value === "promotion" ? Math.abs(percent) : percent })} w={160} />
      {kind !== "closure" && (
        <NumberInput
          label={kind === "price" ? t`Price change` : t`Discount`}
          suffix=" %"
          {...(kind === "price" ? { min: -90, max: 300 } : { min: 1, max: 90 })}
          value={percent}
          onChange={(value) => set({ percent: Number(value) || 0 })}
          w={110}
        />
      )}
      <TextInput type="date" label={t`From`} required={kind !== "price"} value={first} onChange={(event) => set({ first: event.currentTarget.value })} w={150} />
      <TextInput type="date" label={t`Until`} required={kind === "promotion"} value={last} min={first} onChange={(event) => set({ last: event.currentTarget.value })} w={150} />
      <ActionIcon variant="subtle" color="gray" size="lg" aria-label={t`Remove change ${number}`} onClick={remove}>
        <IconTrash size={17} aria-hidden />
      </ActionIcon>
    </Group>
  );
}

function Outcome({ sales, title }: { sales: ForecastSalesResponse; title: string }) {
  const data = useMemo(() => forecastChart(sales), [sales]);
  const { scenario } = sales;
  return (
    <Stack gap="lg">
      {scenario ? (
        <SimpleGrid cols={1} spacing="xs">
          <Figures
            list={[
              [t`Units`, <Difference key="units" difference={scenario.units} currency="" />],
              [t`Revenue`, <Difference key="revenue" difference={scenario.revenue} currency={sales.currency_code} />],
              [t`Products whose price changes`, count(scenario.changed_product_count)],
            ]}
          />
          {scenario.statement && (
            <Text fz="sm" c="dimmed">
              {scenario.statement}
            </Text>
          )}
        </SimpleGrid>
      ) : (
        <Card>
          <Empty title={t`No change yet`}><Trans>The forecast below is the one without changes.</Trans></Empty>
        </Card>
      )}
      <ChartCard title={title} aside={<Horizon />} data={data} name={t`${title}: the forecast with and without the changes`} />
    </Stack>
  );
}

function Difference({ difference, currency }: { difference: ScenarioDifference | null; currency: string }) {
  if (!difference) return <>–</>;
  const { mean, lower, upper } = difference;
  const signed = (value: number) => `${value < 0 ? "−" : "+"}${units(Math.abs(value), currency)}`;
  return (
    <>
      <span style={{ color: mean < 0 ? "var(--fall)" : "var(--rise)" }}>{signed(mean)}</span>
      <Text fz="xs" c="dimmed" fw={400}>
        <Trans>{signed(lower)} to {signed(upper)}, in 95 of 100 cases</Trans>
      </Text>
    </>
  );
}
