import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { Badge, Button, Menu, SegmentedControl, Table } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconChevronDown } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";

import {
  jobsServiceListJobsOptions, jobsServiceListJobsQueryKey, jobsServiceSubmitEtlJobMutation, jobsServiceSubmitTrainingJobMutation,
} from "@client/gen/@tanstack/react-query.gen";
import type { Job, Recipe } from "@client/gen";
import { Card, Empty, Loaded, Page } from "../components/page";
import { problemOf } from "../errors";
import { ago, duration, time } from "../format";
import { label } from "../labels";
import { kindOf, type Work } from "../schedule";

// How often a list with a job under way is read again.
const POLL_MS = 3_000;
const STATE_COLOURS: Record<string, string> = {
  JOB_STATE_QUEUED: "gray",
  JOB_STATE_RUNNING: "blue",
  JOB_STATE_CANCELLING: "orange",
  JOB_STATE_SUCCEEDED: "green",
  JOB_STATE_SUCCEEDED_WITH_REJECTS: "green",
  JOB_STATE_FAILED: "red",
  JOB_STATE_CANCELLED: "gray",
};

const NAMES: Record<Work, string> = {
  etl: t`ETL`,
  "etl-full": t`Full ETL`,
  "recommender-quick": t`Training of the recommender, quick`,
  "recommender-full": t`Training of the recommender, full`,
  "forecaster-quick": t`Training of the forecaster, quick`,
  "forecaster-full": t`Training of the forecaster, full`,
};

export const underWay = (job: Job): boolean => ["JOB_STATE_QUEUED", "JOB_STATE_RUNNING", "JOB_STATE_CANCELLING"].includes(job.state);

export const nameOf = (job: Job): string => NAMES[kindOf(job)];

export function State({ job }: { job: Job }) {
  return (
    <Badge variant="light" color={STATE_COLOURS[job.state] ?? "gray"} tt="none" fw={550}>
      {label(job.state)}
    </Badge>
  );
}

export function JobsPage() {
  const { kind = "" } = useSearch({ from: "/jobs" });
  const navigate = useNavigate({ from: "/jobs" });
  const jobs = useQuery({
    ...jobsServiceListJobsOptions({ query: { page_size: 50, ...(kind && { kind }) } }),
    refetchInterval: ({ state }) => (state.data?.jobs.some(underWay) ? POLL_MS : POLL_MS * 10),
  });
  return (
    <Page title={t`Jobs`} about={t`The cleaning of sales, and the training of models.`} actions={<Submit />}>
      <SegmentedControl
        aria-label={t`Kind`}
        data={[{ value: "", label: t`All` }, { value: "JOB_KIND_ETL", label: t`ETL` }, { value: "JOB_KIND_TRAINING", label: t`Training` }]}
        value={kind}
        onChange={(value) => void navigate({ search: { kind: (value || undefined) as never } })}
        withItemsBorders={false}
        style={{ alignSelf: "flex-start" }}
      />
      <Card flush>
        <Loaded query={jobs}>{({ jobs: list }) => (list.length ? <Jobs list={list} /> : <Empty title={t`There are no jobs yet`}><Trans>Submit an ETL job to clean the raw sales, or a training.</Trans></Empty>)}</Loaded>
      </Card>
    </Page>
  );
}

function Jobs({ list }: { list: Job[] }) {
  return (
    <Table.ScrollContainer minWidth={320}>
      <Table verticalSpacing="sm" horizontalSpacing="md" aria-label={t`Jobs`}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th><Trans>Job</Trans></Table.Th>
            <Table.Th><Trans>State</Trans></Table.Th>
            <Table.Th visibleFrom="sm"><Trans>Stage</Trans></Table.Th>
            <Table.Th visibleFrom="sm"><Trans>Submitted</Trans></Table.Th>
            <Table.Th className="number" visibleFrom="sm"><Trans>Took</Trans></Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {list.map((job) => (
            <Table.Tr key={job.id}>
              <Table.Td>
                <Link to="/jobs/$id" params={{ id: job.id }} className="row-link">
                  {nameOf(job)}
                </Link>
              </Table.Td>
              <Table.Td>
                <State job={job} />
              </Table.Td>
              <Table.Td visibleFrom="sm">{underWay(job) ? job.stage || "–" : (job.failure?.reason ?? "–")}</Table.Td>
              <Table.Td visibleFrom="sm" title={time(job.create_time)}>
                {ago(job.create_time)}
              </Table.Td>
              <Table.Td className="number" visibleFrom="sm">{duration(job.start_time, job.end_time)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

/** Submits jobs, and goes to the page of the one that was submitted. */
export function useSubmit() {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const handlers = {
    onSuccess: (job: Job) => {
      void queries.invalidateQueries({ queryKey: jobsServiceListJobsQueryKey() });
      void navigate({ to: "/jobs/$id", params: { id: job.id } });
    },
    onError: (error: unknown) => {
      const { title, advice } = problemOf(error);
      notifications.show({ color: "orange", title, message: advice });
    },
  };
  const etl = useMutation({ ...jobsServiceSubmitEtlJobMutation(), ...handlers });
  const training = useMutation({ ...jobsServiceSubmitTrainingJobMutation(), ...handlers });
  // A repeated click is the same request.
  const headers = () => ({ "Idempotency-Key": crypto.randomUUID() });
  const clean = (full: boolean) => etl.mutate({ body: { full }, headers: headers() });
  const train = (model: "recommender" | "forecaster", recipe: Recipe) => training.mutate({ path: { model: model as never }, body: { recipe }, headers: headers() });
  return {
    clean,
    train,
    again: ({ etl_spec, training_spec }: Job) =>
      training_spec ? train(training_spec.model === "MODEL_KIND_FORECASTER" ? "forecaster" : "recommender", training_spec.recipe) : clean(etl_spec?.full ?? false),
    isPending: etl.isPending || training.isPending,
  };
}

function Submit() {
  const { clean, train, isPending } = useSubmit();
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <Button rightSection={<IconChevronDown size={16} aria-hidden />} loading={isPending}>
          <Trans>Submit a job</Trans>
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label><Trans>Clean the sales</Trans></Menu.Label>
        <Menu.Item onClick={() => clean(false)}><Trans>ETL of what is new</Trans></Menu.Item>
        <Menu.Item onClick={() => clean(true)}><Trans>ETL of everything</Trans></Menu.Item>
        <Menu.Label><Trans>Train a model</Trans></Menu.Label>
        <Menu.Item onClick={() => train("recommender", "RECIPE_QUICK")}><Trans>Recommender, quick</Trans></Menu.Item>
        <Menu.Item onClick={() => train("recommender", "RECIPE_FULL")}><Trans>Recommender, full</Trans></Menu.Item>
        <Menu.Item onClick={() => train("forecaster", "RECIPE_QUICK")}><Trans>Forecaster, quick</Trans></Menu.Item>
        <Menu.Item onClick={() => train("forecaster", "RECIPE_FULL")}><Trans>Forecaster, full</Trans></Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

