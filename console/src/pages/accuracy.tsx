import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { SimpleGrid, Stack, Text } from "@mantine/core";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";

import { forecasterServiceGetBacktestOptions } from "@client/gen/@tanstack/react-query.gen";
import type { Backtest } from "@client/gen";
import { backtestChart } from "../chart-data";
import { ChartCard } from "../components/chart-card";
import { Empty, Figures, Loaded } from "../components/page";
import { metric, percent } from "../format";
import type { Asked } from "./forecasts";

/** What had been forecast for the last weeks of the history, beside what came. */
export function Accuracy({ asked, title }: { asked: Asked; title: string }) {
  const backtest = useQuery({ ...forecasterServiceGetBacktestOptions({ query: asked }), placeholderData: keepPreviousData });
  return (
    <Loaded query={backtest} rows={9}>
      {(data) =>
        data.points.length ? (
          <Stack gap="lg">
            <Errors backtest={data} />
            <Chart backtest={data} title={title} />
          </Stack>
        ) : (
          <Empty title={t`There was no forecast of it in the last twelve weeks`} />
        )
      }
    </Loaded>
  );
}

function Errors({ backtest: { mase, rmsse, bias, coverage } }: { backtest: Backtest }) {
  const known = (value: number | undefined, format: (value: number) => string) => (value === undefined ? "–" : format(value));
  return (
    <SimpleGrid cols={1} spacing="xs">
      <Figures
        list={[
          [t`Error (MASE)`, known(mase, metric)],
          [t`Squared error (RMSSE)`, known(rmsse, metric)],
          [t`Bias`, known(bias, percent)],
          ...coverage.map(({ level, measured }): [string, string] => [t`Days in the ${level} % interval`, percent(measured)]),
        ]}
      />
      <Text fz="xs" c="dimmed">
        <Trans>An error below 1 is smaller than that of last week’s sales as the forecast.</Trans>
      </Text>
    </SimpleGrid>
  );
}

function Chart({ backtest, title }: { backtest: Backtest; title: string }) {
  const data = useMemo(() => backtestChart(backtest.points), [backtest]);
  return (
    <ChartCard title={title} data={data} name={t`${title}: what was forecast, and what came`}>
      <Trans>Each day as it was forecast before its sales were known; model version {backtest.model_version}, days in {backtest.time_zone}.</Trans>
    </ChartCard>
  );
}
