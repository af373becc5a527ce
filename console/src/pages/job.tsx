import { t } from "@lingui/core/macro";
import { Plural, Trans } from "@lingui/react/macro";
import { Badge, Button, Group, Modal, Progress, SimpleGrid, Stack, Switch, Table, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconPlugConnectedX, IconRefresh } from "@tabler/icons-react";
import { useMutation } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { type ReactNode, useEffect, useRef, useState } from "react";

import { jobsServiceCancelJobMutation } from "@client/gen/@tanstack/react-query.gen";
import type { Job, LogLine } from "@client/gen";
import { Card, Empty, ErrorNotice, Loading, Page } from "../components/page";
import { count, day, duration, metric, time } from "../format";
import { useJob } from "../job-stream";
import { nameOf, State, underWay, useSubmit } from "./jobs";

export function JobPage() {
  const { id } = useParams({ from: "/jobs/$id" });
  const { job, lines, connection, error } = useJob(id);
  return (
    <Page
      title={job ? nameOf(job) : t`Job`}
      about={<span className="mono">{id}</span>}
      actions={
        <>
          {connection === "lost" && (
            <Badge color="orange" variant="light" tt="none" leftSection={<IconPlugConnectedX size={14} aria-hidden />} role="status">
              <Trans>Connection lost, resuming</Trans>
            </Badge>
          )}
          {job && (underWay(job) ? <Cancel job={job} /> : <Again job={job} />)}
        </>
      }
    >
      {error && connection === "ended" ? <ErrorNotice error={error} /> : null}
      {job ? <Facts job={job} /> : !error && <Card><Loading rows={4} /></Card>}
      {job?.failure && (
        <Card title={t`Why it failed`}>
          <Text>{job.failure.message}</Text>
          <Text className="mono" c="dimmed" mt="xs">
            {job.failure.reason}
          </Text>
        </Card>
      )}
      {job && <Result job={job} />}
      {job && <Log lines={lines} ended={connection === "ended"} />}
    </Page>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <Text fz="xs" c="dimmed">
        {name}
      </Text>
      <Text fw={550} component="div">
        {children}
      </Text>
    </div>
  );
}

function Facts({ job }: { job: Job }) {
  const [now, setNow] = useState(Date.now());
  const running = underWay(job);
  useEffect(() => {
    if (!running) return;
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [running]);
  const { done_count = 0, total_count = 0 } = job.progress ?? {};
  return (
    <Card>
      <Stack>
        <SimpleGrid cols={{ base: 2, sm: 3, lg: 6 }}>
          <Fact name={t`State`}>
            <State job={job} />
          </Fact>
          <Fact name={t`Stage`}>{job.stage || "–"}</Fact>
          <Fact name={t`Took`}>{duration(job.start_time, job.end_time, now)}</Fact>
          <Fact name={t`Submitted`}>{time(job.create_time)}</Fact>
          <Fact name={t`Attempts`}>{count(job.attempt_count)}</Fact>
          <Fact name={t`Application`}>
            <span className="mono" style={{ overflowWrap: "anywhere" }}>{job.application_id || "–"}</span>
          </Fact>
        </SimpleGrid>
        {running && total_count > 0 && (
          <Group gap="sm" wrap="nowrap">
            <Progress value={(100 * done_count) / total_count} flex={1} animated aria-label={t`Tasks done`} />
            <Text fz="sm" className="number">
              <Trans>{count(done_count)} of <Plural value={total_count} one="# task" other="# tasks" /></Trans>
            </Text>
          </Group>
        )}
      </Stack>
    </Card>
  );
}

function Result({ job }: { job: Job }) {
  const { etl_result: etl, training_result: training } = job;
  if (!etl && !training) return null;
  return (
    <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="lg" style={{ alignItems: "start" }}>
      {etl && (
        <Card title={t`The data`}>
          <SimpleGrid cols={2}>
            <Fact name={t`Lines`}>{count(etl.row_count)}</Fact>
            <Fact name={t`Sales`}>{count(etl.sale_count)}</Fact>
            <Fact name={t`Duplicates`}>{count(etl.duplicate_count)}</Fact>
            <Fact name={t`Days`}>
              {day(etl.first_date)} – {day(etl.through_date)}
            </Fact>
          </SimpleGrid>
          {etl.rejects.length > 0 && (
            <Table mt="md" verticalSpacing="xs" aria-label={t`Rejected lines by reason`}>
              <Table.Tbody>
                {etl.rejects.map(({ reason, line_count }) => (
                  <Table.Tr key={reason}>
                    <Table.Td>
                      <Link to="/data" search={{ tab: "rejects", reason }} className="row-link">
                        {reason}
                      </Link>
                    </Table.Td>
                    <Table.Td className="number"><Trans>{count(line_count)} rejected</Trans></Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          )}
        </Card>
      )}
      {training && job.training_spec && (
        <Card
          title={t`Model version ${training.model_version || "–"}`}
          aside={<Badge variant="light" color={training.promoted ? "green" : training.awaits_promotion ? "orange" : "gray"} tt="none">{training.promoted ? t`Promoted` : training.awaits_promotion ? t`Waits for its lists in shadow` : t`Not promoted`}</Badge>}
        >
          <Table verticalSpacing={4} aria-label={t`Metrics`}>
            <Table.Tbody>
              {Object.entries(training.metrics).filter(([name]) => /^test\.[a-z]+(\.[a-z_0-9]+)?$/.test(name)).slice(0, 12).map(([name, value]) => (
                <Table.Tr key={name}>
                  <Table.Td className="mono">{name}</Table.Td>
                  <Table.Td className="number">{metric(value)}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Card>
      )}
    </SimpleGrid>
  );
}

function Log({ lines, ended }: { lines: LogLine[]; ended: boolean }) {
  const place = useRef<HTMLDivElement>(null);
  const [follow, setFollow] = useState(true);
  useEffect(() => {
    if (follow && place.current) place.current.scrollTop = place.current.scrollHeight;
  }, [lines, follow]);
  return (
    <Card title={t`Log`} flush aside={<Switch size="sm" label={t`Follow`} checked={follow} onChange={(event) => setFollow(event.currentTarget.checked)} />}>
      {lines.length ? (
        <div className="log" ref={place} tabIndex={0} role="log" aria-label={t`Log lines`} style={{ borderTop: "1px solid var(--line)" }}>
          {lines.map(({ number, source, text }) => (
            <div key={number}>
              <Text span c="dimmed" inherit>
                {number} {source}{" "}
              </Text>
              {text}
            </div>
          ))}
        </div>
      ) : (
        <Empty title={ended ? t`The job wrote no log` : t`Waiting for the first line`} />
      )}
    </Card>
  );
}

function Again({ job }: { job: Job }) {
  const { again, isPending } = useSubmit();
  return (
    <Button variant="default" leftSection={<IconRefresh size={16} aria-hidden />} loading={isPending} onClick={() => again(job)}>
      <Trans>Submit again</Trans>
    </Button>
  );
}

function Cancel({ job }: { job: Job }) {
  const [opened, { open, close }] = useDisclosure();
  const cancel = useMutation({ ...jobsServiceCancelJobMutation(), onSuccess: close });
  return (
    <>
      <Button variant="default" onClick={open} disabled={job.state === "JOB_STATE_CANCELLING"}>
        <Trans>Cancel the job</Trans>
      </Button>
      <Modal opened={opened} onClose={close} title={t`Cancel the job?`}>
        <Stack>
          <Text><Trans>Its application is killed, and data that it has not published yet is discarded. This cannot be undone; the job can be submitted again.</Trans></Text>
          {cancel.error && <ErrorNotice error={cancel.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              <Trans>Let it run</Trans>
            </Button>
            <Button color="red" loading={cancel.isPending} onClick={() => cancel.mutate({ path: { id: job.id }, body: {} })}>
              <Trans>Cancel the job</Trans>
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  );
}
