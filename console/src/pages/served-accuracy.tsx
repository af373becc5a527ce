import { plural, t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { Badge, Group, Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";

import type { ForecastAlarm, ForecastOutlier, LevelAccuracy, SeriesLevel } from "@client/gen";
import { forecastAccuracyServiceGetForecastAccuracyOptions, forecastAccuracyServiceListForecastOutliersOptions } from "@client/gen/@tanstack/react-query.gen";
import { Card, Empty, Loaded } from "../components/page";
import { amount, count, day, percent } from "../format";
import { label } from "../labels";

const STATES: Record<string, [text: string, colour: string]> = {
  FORECAST_ALARM_STATE_OK: [t`Within`, "green"],
  FORECAST_ALARM_STATE_FIRING: [t`Alarm`, "red"],
  FORECAST_ALARM_STATE_NO_DATA: [t`No data yet`, "gray"],
};
const share = (value: number | undefined): string => (value === undefined ? "–" : percent(value));
/** The value of an alarm, by what it watches: a ratio, a share or days. */
const measured = (kind: string, value: number | undefined): string =>
  value === undefined ? "–" : kind === "FORECAST_ALARM_KIND_ERROR" ? `× ${amount(value)}` : kind === "FORECAST_ALARM_KIND_STALENESS" ? plural(value, { one: "# day", other: "# days" }) : percent(value);

/** How good the forecasts of a level were that have been served, by the sales that came after them. */
export function ServedAccuracy({ level }: { level: SeriesLevel }) {
  const accuracy = useQuery(forecastAccuracyServiceGetForecastAccuracyOptions());
  return (
    <Loaded query={accuracy} rows={4}>
      {({ levels, alarms, scored_through_date }) => {
        const scored = levels.filter((each) => each.level === level);
        return (
          <>
            <Card title={t`What has been served`} aside={scored_through_date && <Text fz="xs" c="dimmed"><Trans>scored until {day(scored_through_date)}</Trans></Text>} flush>
              {scored.length ? <Scores list={scored} /> : <Empty title={t`No served forecast has been scored yet`}><Trans>Forecasts are kept when a version is served, and scored when the sales of their days are in the clean data.</Trans></Empty>}
            </Card>
            <Alarms list={alarms.filter((alarm) => alarm.level === level || alarm.level === "SERIES_LEVEL_UNSPECIFIED")} />
            {scored.length > 0 && <Outliers level={level} />}
          </>
        );
      }}
    </Loaded>
  );
}

function Scores({ list }: { list: LevelAccuracy[] }) {
  return (
    <Table.ScrollContainer minWidth={520} type="native" tabIndex={0} role="region" aria-label={t`Accuracy of served forecasts`}>
      <Table verticalSpacing={8} horizontalSpacing="md" aria-label={t`Accuracy of served forecasts`}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th><Trans>Last</Trans></Table.Th>
            <Table.Th><Trans>Days ahead</Trans></Table.Th>
            <Table.Th className="number"><Trans>Forecasts</Trans></Table.Th>
            <Table.Th className="number"><Trans>Error</Trans></Table.Th>
            <Table.Th className="number"><Trans>In the backtest</Trans></Table.Th>
            <Table.Th className="number"><Trans>Bias</Trans></Table.Th>
            <Table.Th className="number"><Trans>In the intervals</Trans></Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {list.map(({ period, first_horizon_day, last_horizon_day, forecast_count, error, backtest_error, bias, coverage }) => (
            <Table.Tr key={`${period}-${first_horizon_day}`}>
              <Table.Td>{label(period)}</Table.Td>
              <Table.Td><Trans>{first_horizon_day} to {last_horizon_day}</Trans></Table.Td>
              <Table.Td className="number">{count(forecast_count)}</Table.Td>
              <Table.Td className="number">{share(error)}</Table.Td>
              <Table.Td className="number">{share(backtest_error)}</Table.Td>
              <Table.Td className="number">{share(bias)}</Table.Td>
              <Table.Td className="number">{coverage.map(({ level, measured: found }) => t`${percent(found)} of ${level} %`).join(", ") || "–"}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Alarms({ list }: { list: ForecastAlarm[] }) {
  if (!list.length) return null;
  return (
    <Card title={t`Alarms`} flush>
      <Table.ScrollContainer minWidth={300}>
        <Table verticalSpacing={8} horizontalSpacing="md" aria-label={t`Alarms of the forecasts`}>
          <Table.Tbody>
            {list.map(({ kind, state, value, threshold }) => {
              const [text, colour] = STATES[state] ?? [state, "gray"];
              return (
                <Table.Tr key={kind}>
                  <Table.Td>
                    <Group gap="xs">
                      {label(kind)}
                      <Badge variant="light" color={colour} tt="none">{text}</Badge>
                    </Group>
                  </Table.Td>
                  <Table.Td className="number">{measured(kind, value)}</Table.Td>
                  <Table.Td className="number" c="dimmed"><Trans>threshold {measured(kind, threshold)}</Trans></Table.Td>
                </Table.Tr>
              );
            })}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Card>
  );
}

function Outliers({ level }: { level: SeriesLevel }) {
  const outliers = useQuery(forecastAccuracyServiceListForecastOutliersOptions({ query: { page_size: 10, level } }));
  return (
    <Card title={t`Days far outside of the interval`} flush>
      <Loaded query={outliers} rows={3}>
        {({ outliers: list }) =>
          list.length ? (
            <Table.ScrollContainer minWidth={440} type="native" tabIndex={0} role="region" aria-label={t`Outliers`}>
              <Table verticalSpacing={8} horizontalSpacing="md" aria-label={t`Outliers`}>
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th><Trans>Day</Trans></Table.Th>
                    <Table.Th><Trans>Series</Trans></Table.Th>
                    <Table.Th className="number"><Trans>Sold</Trans></Table.Th>
                    <Table.Th className="number"><Trans>Forecast</Trans></Table.Th>
                    <Table.Th className="number"><Trans>Interval</Trans></Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>{list.map((outlier) => <OutlierRow key={`${outlier.date}-${outlier.key}-${outlier.model_version}`} outlier={outlier} />)}</Table.Tbody>
              </Table>
            </Table.ScrollContainer>
          ) : (
            <Empty title={t`There is none`} />
          )
        }
      </Loaded>
    </Card>
  );
}

function OutlierRow({ outlier: { date, key, actual, mean, lower, upper } }: { outlier: ForecastOutlier }) {
  return (
    <Table.Tr>
      <Table.Td>{day(date)}</Table.Td>
      <Table.Td>{key || t`Shop`}</Table.Td>
      <Table.Td className="number">{amount(actual)}</Table.Td>
      <Table.Td className="number">{amount(mean)}</Table.Td>
      <Table.Td className="number">{amount(lower)} – {amount(upper)}</Table.Td>
    </Table.Tr>
  );
}
