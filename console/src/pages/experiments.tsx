import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { Badge, Button, Table } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import type { Experiment } from "@client/gen";
import { recommenderServiceListExperimentsOptions } from "@client/gen/@tanstack/react-query.gen";
import { Card, Empty, Loaded, Page } from "../components/page";
import { shortPercent, time } from "../format";
import { label } from "../labels";

const POLL_MS = 30_000;
const COLOURS: Record<string, string> = { EXPERIMENT_STATE_DRAFT: "gray", EXPERIMENT_STATE_RUNNING: "blue", EXPERIMENT_STATE_STOPPED: "orange", EXPERIMENT_STATE_CONCLUDED: "green" };

export function ExperimentState({ experiment: { state, decision } }: { experiment: Experiment }) {
  return (
    <Badge variant="light" color={COLOURS[state] ?? "gray"} tt="none" fw={550}>
      {state === "EXPERIMENT_STATE_CONCLUDED" ? (decision === "EXPERIMENT_DECISION_KEEP" ? t`Kept` : t`Reverted`) : label(state)}
    </Badge>
  );
}

export function ExperimentsPage() {
  const experiments = useQuery({ ...recommenderServiceListExperimentsOptions({ query: { page_size: 100 } }), refetchInterval: POLL_MS });
  return (
    <Page
      title={t`Experiments`}
      about={t`A slot as it is beside a slot as it might be: what shoppers do with each.`}
      actions={
        <Button component={Link} {...{ to: "/experiments/new" }} leftSection={<IconPlus size={16} aria-hidden />}>
          <Trans>New experiment</Trans>
        </Button>
      }
    >
      <Card flush>
        <Loaded query={experiments}>
          {({ experiments: list }) =>
            list.length ? (
              <Experiments list={list} />
            ) : (
              <Empty title={t`There are no experiments yet`}><Trans>An experiment shows some shoppers another list in a slot, and says whether they buy more.</Trans></Empty>
            )
          }
        </Loaded>
      </Card>
    </Page>
  );
}

function Experiments({ list }: { list: Experiment[] }) {
  return (
    <Table.ScrollContainer minWidth={320}>
      <Table verticalSpacing="sm" horizontalSpacing="md" aria-label={t`Experiments`}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th><Trans>Experiment</Trans></Table.Th>
            <Table.Th><Trans>State</Trans></Table.Th>
            <Table.Th><Trans>Slot</Trans></Table.Th>
            <Table.Th className="number" visibleFrom="sm"><Trans>Take part</Trans></Table.Th>
            <Table.Th visibleFrom="sm"><Trans>Started</Trans></Table.Th>
            <Table.Th visibleFrom="sm"><Trans>Ended</Trans></Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {list.map((each) => (
            <Table.Tr key={each.id}>
              <Table.Td><Link to="/experiments/$id" params={{ id: each.id }} className="row-link">{each.id}</Link></Table.Td>
              <Table.Td><ExperimentState experiment={each} /></Table.Td>
              <Table.Td>{each.treatment?.id}</Table.Td>
              <Table.Td className="number" visibleFrom="sm">{shortPercent(each.traffic_share)}</Table.Td>
              <Table.Td visibleFrom="sm">{time(each.start_time)}</Table.Td>
              <Table.Td visibleFrom="sm">{time(each.stop_time)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
