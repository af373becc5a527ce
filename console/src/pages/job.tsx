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
      title={job ? nameOf(job) : "Job"}
      about={<span className="mono">{id}</span>}
      actions={
        <>
          {connection === "lost" && (
            <Badge color="orange" variant="light" tt="none" leftSection={<IconPlugConnectedX size={14} aria-hidden />} role="status">
              Connection lost, resuming
            </Badge>
          )}
          {job && (underWay(job) ? <Cancel job={job} /> : <Again job={job} />)}
        </>
      }
    >
      {error && connection === "ended" ? <ErrorNotice error={error} /> : null}
      {job ? <Facts job={job} /> : !error && <Card><Loading rows={4} /></Card>}
      {job?.failure && (
        <Card title="Why it failed">
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
          <Fact name="State">
            <State job={job} />
          </Fact>
          <Fact name="Stage">{job.stage || "–"}</Fact>
          <Fact name="Took">{duration(job.start_time, job.end_time, now)}</Fact>
          <Fact name="Submitted">{time(job.create_time)}</Fact>
          <Fact name="Attempts">{count(job.attempt_count)}</Fact>
          <Fact name="Application">
            <span className="mono" style={{ overflowWrap: "anywhere" }}>{job.application_id || "–"}</span>
          </Fact>
        </SimpleGrid>
        {running && total_count > 0 && (
          <Group gap="sm" wrap="nowrap">
            <Progress value={(100 * done_count) / total_count} flex={1} animated aria-label="Tasks done" />
            <Text fz="sm" className="number">
              {count(done_count)} of {count(total_count)} tasks
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
        <Card title="The data">
          <SimpleGrid cols={2}>
            <Fact name="Lines">{count(etl.row_count)}</Fact>
            <Fact name="Sales">{count(etl.sale_count)}</Fact>
            <Fact name="Duplicates">{count(etl.duplicate_count)}</Fact>
            <Fact name="Days">
              {day(etl.first_date)} – {day(etl.through_date)}
            </Fact>
          </SimpleGrid>
          {etl.rejects.length > 0 && (
            <Table mt="md" verticalSpacing="xs" aria-label="Rejected lines by reason">
              <Table.Tbody>
                {etl.rejects.map(({ reason, line_count }) => (
                  <Table.Tr key={reason}>
                    <Table.Td>
                      <Link to="/data" search={{ tab: "rejects", reason }} className="row-link">
                        {reason}
                      </Link>
                    </Table.Td>
                    <Table.Td className="number">{count(line_count)} rejected</Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          )}
        </Card>
      )}
      {training && job.training_spec && (
        <Card
          title={`Model version ${training.model_version || "–"}`}
          aside={<Badge variant="light" color={training.promoted ? "green" : training.awaits_promotion ? "orange" : "gray"} tt="none">{training.promoted ? "Promoted" : training.awaits_promotion ? "Waits for its lists in shadow" : "Not promoted"}</Badge>}
        >
          <Table verticalSpacing={4} aria-label="Metrics">
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
    <Card title="Log" flush aside={<Switch size="sm" label="Follow" checked={follow} onChange={(event) => setFollow(event.currentTarget.checked)} />}>
      {lines.length ? (
        <div className="log" ref={place} tabIndex={0} role="log" aria-label="Log lines" style={{ borderTop: "1px solid var(--line)" }}>
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
        <Empty title={ended ? "The job wrote no log" : "Waiting for the first line"} />
      )}
    </Card>
  );
}

function Again({ job }: { job: Job }) {
  const { again, isPending } = useSubmit();
  return (
    <Button variant="default" leftSection={<IconRefresh size={16} aria-hidden />} loading={isPending} onClick={() => again(job)}>
      Submit again
    </Button>
  );
}

function Cancel({ job }: { job: Job }) {
  const [opened, { open, close }] = useDisclosure();
  const cancel = useMutation({ ...jobsServiceCancelJobMutation(), onSuccess: close });
  return (
    <>
      <Button variant="default" onClick={open} disabled={job.state === "JOB_STATE_CANCELLING"}>
        Cancel the job
      </Button>
      <Modal opened={opened} onClose={close} title="Cancel the job?">
        <Stack>
          <Text>Its application is killed, and data that it has not published yet is discarded. This cannot be undone; the job can be submitted again.</Text>
          {cancel.error && <ErrorNotice error={cancel.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              Let it run
            </Button>
            <Button color="red" loading={cancel.isPending} onClick={() => cancel.mutate({ path: { id: job.id }, body: {} })}>
              Cancel the job
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  );
}
