// A version in shadow beside the champion: what its lists have in common with those that were shown, how long they take, and what they would earn.
import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { Alert, Button, Group, Stack, Table, Text } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import type { Estimate, ShadowReport, ShadowValue } from "@client/gen";
import {
  recommenderServiceDeleteShadowMutation, recommenderServiceGetShadowReportOptions, recommenderServiceListShadowsOptions, recommenderServiceReplaceShadowMutation,
} from "@client/gen/@tanstack/react-query.gen";
import { count, metric as significant, percent, shortPercent } from "../format";
import { Card, Empty, ErrorNotice, Loaded } from "./page";

const POLL_MS = 15_000;
const SHARE = 0.1;
const REWARDS: Record<string, string> = { SHADOW_REWARD_CLICKS: t`Clicks for each list`, SHADOW_REWARD_REVENUE: t`Revenue for each list, in minor units` };
const [WIDTH, ROW] = [360, 22];

export function ShadowCard({ version }: { version: string }) {
  const queries = useQueryClient();
  const onSuccess = () => void queries.invalidateQueries();
  const shadows = useQuery(recommenderServiceListShadowsOptions());
  const report = useQuery({ ...recommenderServiceGetShadowReportOptions({ path: { id: version } }), refetchInterval: POLL_MS });
  const start = useMutation({ ...recommenderServiceReplaceShadowMutation(), onSuccess });
  const end = useMutation({ ...recommenderServiceDeleteShadowMutation(), onSuccess });
  const shadow = shadows.data?.shadows.find(({ id }) => id === version);
  const error = start.error ?? end.error;
  const change = shadow ? (
    <Button size="xs" variant="default" loading={end.isPending} onClick={() => end.mutate({ path: { id: version } })}><Trans>Take out of shadow</Trans></Button>
  ) : (
    <Button size="xs" variant="light" loading={start.isPending} disabled={!shadows.data} onClick={() => start.mutate({ path: { id: version }, body: { id: version, traffic_share: SHARE } })}><Trans>Put in shadow</Trans></Button>
  );
  return (
    <Card title={t`Version ${version} in shadow`} aside={change}>
      <Stack gap="md">
        {error ? <ErrorNotice error={error} /> : null}
        <Text fz="sm" c="dimmed">{shadow ? t`It makes ${shortPercent(shadow.traffic_share)} of lists as well, which nobody sees.` : t`In shadow, it makes a share of lists beside the champion, which nobody sees.`}</Text>
        <Loaded query={report}>
          {(found) =>
            found.list_count || found.failed_list_count ? (
              <Findings report={found} />
            ) : (
              <Empty title={t`It has made no lists yet`}>{found.load_error || (shadow && !found.is_loaded ? t`It is being loaded.` : "")}</Empty>
            )
          }
        </Loaded>
      </Stack>
    </Card>
  );
}

function Findings({ report }: { report: ShadowReport }) {
  const { shown_latency, latency } = report;
  const milliseconds = (value: number | undefined): string => (value === undefined ? "–" : t`${significant(value)} ms`);
  const rows: Array<[string, string]> = [
    [t`Lists that it made`, count(report.list_count)],
    [t`Lists that failed`, count(report.failed_list_count)],
    [t`In common with what was shown`, percent(report.overlap)],
    [t`Median time, as shown and here`, `${milliseconds(shown_latency?.median_milliseconds)}, ${milliseconds(latency?.median_milliseconds)}`],
    [t`95 % took at most, as shown and here`, `${milliseconds(shown_latency?.p95_milliseconds)}, ${milliseconds(latency?.p95_milliseconds)}`],
    [t`Positions that the log knows`, percent(report.supported_share)],
    [t`Lists of its own that would tell as much`, count(Math.round(report.effective_list_count))],
  ];
  return (
    <>
      {(report.load_error || report.last_error) && (
        <Alert color="orange" variant="light" icon={<IconAlertTriangle aria-hidden />} title={report.load_error ? t`It cannot be loaded` : t`The latest failure`}>
          <Text fz="sm" style={{ overflowWrap: "anywhere" }}>{report.load_error || report.last_error}</Text>
        </Alert>
      )}
      <Table verticalSpacing={6} horizontalSpacing={0} withRowBorders={false} aria-label={t`In shadow`}>
        <Table.Tbody>
          {rows.map(([name, text]) => (
            <Table.Tr key={name}>
              <Table.Td c="dimmed">{name}</Table.Td>
              <Table.Td className="number">{text}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      {report.values.map((value) => <Value key={value.reward} value={value} />)}
      <Text fz="xs" c="dimmed"><Trans>The dashed line is 0. Lines are intervals of 95 %, from 100 lists of its own on. The values are as right as the log knows the positions: let slots explore.</Trans></Text>
    </>
  );
}

/** What lists earn: those that were shown, and two estimates of the version's, each a dot on its interval, on one scale. */
function Value({ value: { reward, shown, self_normalised, doubly_robust } }: { value: ShadowValue }) {
  const rows: Array<[string, Estimate]> = [[t`As shown`, shown], [t`Version, by propensities`, self_normalised], [t`Version, doubly robust`, doubly_robust]].flatMap(([name, found]) => (found ? [[name, found] as [string, Estimate]] : []));
  const ends = rows.flatMap(([, { value, lower, upper }]) => [value, lower ?? value, upper ?? value]);
  const [low, high] = [Math.min(0, ...ends), Math.max(...ends, 0)];
  const x = (each: number): number => 6 + ((each - low) / (high - low || 1)) * (WIDTH - 12);
  return (
    <div>
      <Text fw={600} fz="sm" mb={4}>{REWARDS[reward] ?? reward}</Text>
      <Group align="flex-start" gap="md" wrap="nowrap">
        <Stack gap={0}>
          {rows.map(([name, found]) => <Text key={name} fz="xs" h={ROW} style={{ whiteSpace: "nowrap" }}>{name}: <b>{significant(found.value)}</b></Text>)}
        </Stack>
        <svg viewBox={`0 0 ${WIDTH} ${ROW * rows.length}`} width="100%" role="img" aria-label={`${REWARDS[reward] ?? reward}: ${rows.map(([name, found]) => `${name} ${significant(found.value)}`).join(", ")}`}>
          <line x1={x(0)} x2={x(0)} y1={0} y2={ROW * rows.length} stroke="var(--chart-history)" strokeWidth={1} strokeDasharray="3 3" />
          {rows.map(([name, { value, lower, upper }], row) => (
            <g key={name} transform={`translate(0 ${ROW * row + ROW / 2 - 3})`}>
              {lower !== undefined && upper !== undefined && <line x1={x(lower)} x2={x(upper)} y1={0} y2={0} stroke="var(--chart-mean)" strokeWidth={3} strokeLinecap="round" opacity={0.4} />}
              <circle cx={x(value)} cy={0} r={5} fill={row ? "var(--chart-mean)" : "var(--chart-history)"} />
            </g>
          ))}
        </svg>
      </Group>
    </div>
  );
}
