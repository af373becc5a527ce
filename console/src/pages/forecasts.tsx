// The sales of a series: what was sold and will sell, how good earlier forecasts were, and what would change it.
import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { Group, SegmentedControl, Select, Stack, Tabs } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";

import { forecasterServiceListForecastSeriesOptions } from "@client/gen/@tanstack/react-query.gen";
import type { Metric, SeriesLevel } from "@client/gen";
import { Card, Empty, Page } from "../components/page";
import { Accuracy } from "./accuracy";
import { Forecast } from "./forecast";
import { ServedAccuracy } from "./served-accuracy";
import { WhatIf } from "./what-if";

const LEVELS = [
  { value: "shop", label: t`Shop` },
  { value: "category", label: t`Category` },
  { value: "country", label: t`Country` },
  { value: "product", label: t`Product` },
];
const SERIES = {
  category: { name: t`The category`, choose: t`Choose a category`, clear: t`Choose no category` },
  country: { name: t`The country`, choose: t`Choose a country`, clear: t`Choose no country` },
  product: { name: t`The product`, choose: t`Choose a product`, clear: t`Choose no product` },
};
const VIEWS = [
  { value: "forecast", label: t`Forecast` },
  { value: "accuracy", label: t`Accuracy` },
  { value: "what-if", label: t`What if` },
];

/** A series and its measure, as the forecaster names them. */
export interface Asked {
  product_id?: string;
  category?: string;
  country?: string;
  metric: Metric;
}

export function ForecastsPage() {
  const { level = "shop", key, metric = "units", view = "forecast" } = useSearch({ from: "/forecasts" });
  const navigate = useNavigate({ from: "/forecasts" });
  const series = level === "shop" || !key ? {} : { [level === "product" ? "product_id" : level]: key };
  const asked: Asked = { ...series, metric: metric === "units" ? "METRIC_UNITS" : "METRIC_REVENUE" };
  const title = key ?? t`The whole shop`;
  return (
    <Page title={t`Forecasts`} about={t`What was sold, what will sell, and how sure that is.`}>
      <Group gap="sm" align="flex-end">
        <Choice name={t`Level`} data={LEVELS} value={level} onChange={(value) => void navigate({ search: (now) => ({ ...now, level: value as typeof level, key: undefined }) })} />
        {level !== "shop" && <Series level={level} value={key} onChange={(value) => void navigate({ search: (now) => ({ ...now, key: value }) })} />}
        <Choice
          name={t`Measure`}
          data={[{ value: "units", label: t`Units` }, { value: "revenue", label: t`Revenue` }]}
          value={metric}
          onChange={(value) => void navigate({ search: (now) => ({ ...now, metric: value as typeof metric }) })}
        />
      </Group>
      <Tabs value={view} onChange={(value) => void navigate({ search: (now) => ({ ...now, view: value as typeof view }) })} keepMounted={false}>
        <Tabs.List mb="lg">
          {VIEWS.map(({ value, label }) => (
            <Tabs.Tab key={value} value={value}>
              {label}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value={view}>
          {level !== "shop" && !key ? (
            <Card>
              <Empty title={SERIES[level].choose}><Trans>Its history and forecast appear here.</Trans></Empty>
            </Card>
          ) : view === "accuracy" ? (
            <Stack gap="lg">
              <Accuracy asked={asked} title={title} />
              <ServedAccuracy level={`SERIES_LEVEL_${level.toUpperCase()}` as SeriesLevel} />
            </Stack>
          ) : view === "what-if" ? (
            <WhatIf asked={asked} title={title} />
          ) : (
            <Forecast asked={asked} title={title} />
          )}
        </Tabs.Panel>
      </Tabs>
    </Page>
  );
}

export function Choice({ name, data, value, onChange }: { name: string; data: Array<{ value: string; label: string }>; value: string; onChange: (value: string) => void }) {
  return <SegmentedControl aria-label={name} data={data} value={value} onChange={onChange} withItemsBorders={false} />;
}

function Series({ level, value, onChange }: { level: keyof typeof SERIES; value: string | undefined; onChange: (value: string | undefined) => void }) {
  const [typed, setTyped] = useState("");
  const [prefix] = useDebouncedValue(typed.split(" · ")[0] === value ? "" : typed.split(" · ")[0]!, 200);
  const series = useQuery({
    ...forecasterServiceListForecastSeriesOptions({ query: { level: `SERIES_LEVEL_${level.toUpperCase()}` as SeriesLevel, page_size: 100, ...(prefix && { prefix }) } }),
    placeholderData: keepPreviousData,
  });
  const options = series.data?.series.map(({ key, name }) => ({ value: key, label: name && name !== key ? `${key} · ${name}` : key })) ?? [];
  const known = value && !options.some((option) => option.value === value) ? [{ value, label: value }, ...options] : options;
  return (
    <Select
      aria-label={SERIES[level].name}
      placeholder={level === "product" ? t`Type the beginning of an id` : t`Choose or type`}
      searchable
      clearable
      clearButtonProps={{ "aria-label": SERIES[level].clear }}
      data={known}
      value={value ?? null}
      onSearchChange={setTyped}
      filter={({ options: all }) => all}
      onChange={(next) => onChange(next ?? undefined)}
      nothingFoundMessage={series.isPending ? t`Loading…` : t`No such series`}
      w={{ base: "100%", xs: 300 }}
    />
  );
}
