// What an experiment has shown so far: its arms, the lift of each metric over time, and whether the numbers can be trusted.
import { t } from "@lingui/core/macro";
import { Plural, Trans } from "@lingui/react/macro";
import { Alert, Badge, Group, SegmentedControl, SimpleGrid, Stack, Table, Text } from "@mantine/core";
import { IconAlertTriangle, IconScale } from "@tabler/icons-react";
import { useQueries, useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";

import type { ArmReport, Experiment, ExperimentReport, MetricComparison } from "@client/gen";
import { catalogServiceListProductsOptions, recommenderServiceGetExperimentReportOptions } from "@client/gen/@tanstack/react-query.gen";
import { liftChart, reportTimes, type Metric } from "../experiment-chart";
import { count, metric as significant, money, percent, time } from "../format";
import { ChartCard } from "./chart-card";
import { Card, Empty, Loaded } from "./page";

const POLL_MS = 15_000;
const VERDICTS: Record<string, [text: string, colour: string]> = {
  EXPERIMENT_VERDICT_TREATMENT_BETTER: [t`Treatment is better`, "green"],
  EXPERIMENT_VERDICT_TREATMENT_WORSE: [t`Treatment is worse`, "red"],
};
const METRICS = [{ value: "revenue", label: t`Revenue` }, { value: "conversion", label: t`Conversion` }];

export function Report({ experiment: { id, state, start_time } }: { experiment: Experiment }) {
  const running = state === "EXPERIMENT_STATE_RUNNING";
  const latest = useQuery({ ...recommenderServiceGetExperimentReportOptions({ path: { id } }), ...(running && { refetchInterval: POLL_MS }) });
  const times = latest.data?.through_time && start_time ? reportTimes(start_time, latest.data.through_time) : [];
  // What was known at a time does not change, but for purchases that are reported late.
  const earlier = useQueries({ queries: times.map((through_time) => ({ ...recommenderServiceGetExperimentReportOptions({ path: { id }, query: { through_time } }), staleTime: Infinity })) });
  const reports = [...earlier.flatMap(({ data }) => (data ? [data] : [])), ...(latest.data ? [latest.data] : [])];
  return (
    <Loaded query={latest} rows={9}>
      {(report) => (
        <>
          {report.sample_ratio_mismatch && <Mismatch report={report} />}
          <VersionNotices report={report} />
          <Lift reports={reports} running={running} />
          <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="lg" style={{ alignItems: "start" }}>
            <Arms report={report} />
            <Comparisons report={report} />
          </SimpleGrid>
        </>
      )}
    </Loaded>
  );
}

function Mismatch({ report }: { report: ExperimentReport }) {
  return (
    <Alert color="red" variant="light" icon={<IconScale aria-hidden />} title={t`The arms have not the sizes that were asked for`} role="alert">
      <Trans><Plural value={report.control?.shopper_count ?? 0} one="# shopper" other="# shoppers" /> of the control and {count(report.treatment?.shopper_count ?? 0)} of the treatment are too far from the shares to be chance
      (p = {significant(report.sample_ratio_p_value)}). Something keeps shoppers of one arm from being counted, so nothing is decided. Look for it before you trust the numbers.</Trans>
    </Alert>
  );
}

/** What an experiment of versions has to warn of. */
function VersionNotices({ report: { champion_changed, control, treatment } }: { report: ExperimentReport }) {
  const failed = control?.load_error || treatment?.load_error;
  return (
    <>
      {champion_changed && (
        <Alert color="orange" variant="light" icon={<IconAlertTriangle aria-hidden />} title={t`The champion was replaced meanwhile`}>
          <Trans>The control has had the lists of several champions, so the treatment is compared with a mixture of them.</Trans>
        </Alert>
      )}
      {failed && (
        <Alert color="red" variant="light" icon={<IconAlertTriangle aria-hidden />} title={t`A version cannot be loaded, so nobody takes part there`} role="alert">
          {failed}
        </Alert>
      )}
    </>
  );
}

function Lift({ reports, running }: { reports: ExperimentReport[]; running: boolean }) {
  const [metric, setMetric] = useState<Metric>("revenue");
  const last = reports.at(-1)?.through_time;
  const data = useMemo(() => liftChart(reports, metric), [reports.length, last, metric]);
  const choice = <SegmentedControl size="xs" aria-label={t`Metric`} data={METRICS} value={metric} onChange={(value) => setMetric(value as Metric)} withItemsBorders={false} />;
  if (!data)
    return (
      <Card title={t`Lift over time`} aside={choice}>
        <Empty title={t`Too little is known yet`}>
          <Trans>There is an interval once each arm has 100 shoppers whose time to buy is over, and some have bought.</Trans> {running && <Trans>This page looks again by itself.</Trans>}
        </Empty>
      </Card>
    );
  return (
    <ChartCard title={t`Lift over time`} aside={choice} data={data} name={metric === "revenue" ? t`Lift of the treatment in revenue, with its interval` : t`Lift of the treatment in conversion, with its interval`}>
      {metric === "revenue" ? <Trans>By how much the treatment’s revenue for each shopper is above the control’s.</Trans> : <Trans>By how much the treatment’s share of shoppers who buy is above the control’s.</Trans>}{" "}
      <Trans>The interval holds at all times together, so you may look and decide whenever you like.</Trans>
    </ChartCard>
  );
}

function Arms({ report: { control, treatment, mixed_shopper_count, through_time } }: { report: ExperimentReport }) {
  const currency = useQuery({ ...catalogServiceListProductsOptions({ query: { page_size: 1 } }), staleTime: Infinity }).data?.products[0]?.currency_code ?? "";
  const rows: Array<[string, (arm: ArmReport) => string]> = [
    [t`Lists shown`, ({ list_count }) => count(list_count)],
    [t`By version of the model`, ({ versions }) => versions.map(({ version, list_count }) => `${version || t`None`}: ${count(list_count)}`).join(", ") || "–"],
    [t`Shoppers`, ({ shopper_count }) => count(shopper_count)],
    [t`Shoppers whose time to buy is over`, ({ counted_shopper_count }) => count(counted_shopper_count)],
    [t`Of them bought`, ({ conversion_rate }) => percent(conversion_rate)],
    [t`Revenue for each of them`, ({ revenue_cents_per_shopper }) => money(Math.round(revenue_cents_per_shopper), currency)],
    [t`Purchases without a price`, ({ unpriced_purchase_count }) => count(unpriced_purchase_count)],
  ];
  return (
    <Card title={t`The arms`} flush>
      <Table verticalSpacing={8} horizontalSpacing="md" aria-label={t`The arms`}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th><span className="skip"><Trans>Measure</Trans></span></Table.Th>
            <Table.Th className="number"><Trans>Control</Trans></Table.Th>
            <Table.Th className="number"><Trans>Treatment</Trans></Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map(([name, text]) => (
            <Table.Tr key={name}>
              <Table.Td>{name}</Table.Td>
              <Table.Td className="number">{control ? text(control) : "–"}</Table.Td>
              <Table.Td className="number">{treatment ? text(treatment) : "–"}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      <Text fz="xs" c="dimmed" p="md">
        <Trans>As of {time(through_time)}.</Trans> {mixed_shopper_count > 0 && <Plural value={mixed_shopper_count} one="# shopper was seen in both arms and is left out." other="# shoppers were seen in both arms and are left out." />}
      </Text>
    </Card>
  );
}

function Comparisons({ report }: { report: ExperimentReport }) {
  return (
    <Card title={t`The verdict`}>
      <Stack gap="lg">
        {report.revenue && <Comparison name={t`Revenue for each shopper`} comparison={report.revenue} />}
        {report.conversion && <Comparison name={t`Share of shoppers who buy`} comparison={report.conversion} />}
        <Text fz="xs" c="dimmed">
          {report.sample_ratio_mismatch ? (
            <Trans>Sample ratio: p = {significant(report.sample_ratio_p_value)}, too small for chance.</Trans>
          ) : (
            <Trans>Sample ratio: p = {significant(report.sample_ratio_p_value)}, as it should be.</Trans>
          )}
        </Text>
      </Stack>
    </Card>
  );
}

function Comparison({ name, comparison: { lift, verdict } }: { name: string; comparison: MetricComparison }) {
  const [text, colour] = VERDICTS[verdict] ?? [t`Undecided`, "gray"];
  return (
    <div>
      <Group justify="space-between" gap="xs">
        <Text fw={600} fz="sm">{name}</Text>
        <Badge variant="light" color={colour} tt="none">{text}</Badge>
      </Group>
      <Text fz={22} fw={650} style={{ fontVariantNumeric: "tabular-nums" }}>{lift ? signed(lift.value) : "–"}</Text>
      <Text fz="sm" c="dimmed">{lift?.lower !== undefined && lift.upper !== undefined ? t`between ${signed(lift.lower)} and ${signed(lift.upper)} with 95 % certainty` : t`too little is known for an interval`}</Text>
    </div>
  );
}

const signed = (value: number): string => (value > 0 ? `+${percent(value)}` : percent(value));
