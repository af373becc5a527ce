import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { Badge, Button, Group, Modal, NumberInput, Select, Stack, Switch, Table, Text, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconPlus } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";

import type { Schedule } from "@client/gen";
import {
  scheduleServiceCreateScheduleMutation, scheduleServiceDeleteScheduleMutation, scheduleServiceListSchedulesOptions, scheduleServiceListSchedulesQueryKey,
  scheduleServiceRunScheduleMutation, scheduleServiceUpdateScheduleMutation,
} from "@client/gen/@tanstack/react-query.gen";
import { Delete } from "../components/delete";
import { Card, Empty, ErrorNotice, Loaded, Page } from "../components/page";
import { problemOf } from "../errors";
import { ago, time } from "../format";
import { followsAlarms, kindOf, type ScheduleDraft, scheduleDraft, scheduleInput, WORK } from "../schedule";

const POLL_MS = 15_000;
const LIST = { query: { page_size: 100 } };
const OUTCOMES: Record<string, string> = {
  SCHEDULE_RUN_OUTCOME_SUBMITTED: "submitted",
  SCHEDULE_RUN_OUTCOME_MISSED: t`left out: no service ran`,
  SCHEDULE_RUN_OUTCOME_STILL_RUNNING: t`left out: the job before had not ended`,
};

const CHECKS: Record<string, string> = {
  ALARM_CHECK_OUTCOME_QUIET: t`none is on`,
  ALARM_CHECK_OUTCOME_SUBMITTED: t`a job was submitted`,
  ALARM_CHECK_OUTCOME_WAITING: t`one is on, but the job before is too recent or has not ended`,
  ALARM_CHECK_OUTCOME_FORECASTER_UNAVAILABLE: t`the forecaster cannot be reached`,
};
const ALARM_DAYS = 7;

export function SchedulesPage() {
  const schedules = useQuery({ ...scheduleServiceListSchedulesOptions(LIST), refetchInterval: POLL_MS });
  const [edited, setEdited] = useState<ScheduleDraft | null>(null);
  return (
    <Page
      title={t`Schedules`}
      about={t`Jobs that are submitted by themselves.`}
      actions={<Button leftSection={<IconPlus size={16} aria-hidden />} onClick={() => setEdited(scheduleDraft())}><Trans>New schedule</Trans></Button>}
    >
      <Card flush>
        <Loaded query={schedules}>
          {({ schedules: list }) => (list.length ? <Schedules list={list} onEdit={(schedule) => setEdited(scheduleDraft(schedule))} /> : <Empty title={t`There are no schedules yet`}><Trans>A schedule cleans new sales every night, say, and trains the models once a week.</Trans></Empty>)}
        </Loaded>
      </Card>
      {edited && <Edit initial={edited} onClose={() => setEdited(null)} />}
    </Page>
  );
}

function Schedules({ list, onEdit }: { list: Schedule[]; onEdit: (schedule: Schedule) => void }) {
  return (
    <Table.ScrollContainer minWidth={340}>
      <Table verticalSpacing="sm" horizontalSpacing="md" aria-label={t`Schedules`}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th><Trans>Schedule</Trans></Table.Th>
            <Table.Th visibleFrom="sm"><Trans>When</Trans></Table.Th>
            <Table.Th><Trans>Next run</Trans></Table.Th>
            <Table.Th visibleFrom="sm"><Trans>Last run</Trans></Table.Th>
            <Table.Th visibleFrom="sm"><span className="skip"><Trans>Actions</Trans></span></Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {list.map((schedule) => (
            <Table.Tr key={schedule.id}>
              <Table.Td>
                <Button variant="transparent" color="inherit" px={0} h="auto" fw={550} onClick={() => onEdit(schedule)}>{schedule.name || schedule.id}</Button>
                <Text fz="xs" c="dimmed">{WORK.find(({ value }) => value === kindOf(schedule))?.label}</Text>
              </Table.Td>
              <Table.Td visibleFrom="sm">
                <span className="mono">{schedule.cron}</span>
                <Text fz="xs" c="dimmed">{schedule.time_zone || t`The shop’s time zone`}</Text>
                {schedule.alarm_trigger && (
                  <Text fz="xs" c="dimmed">
                    <Trans>Or on an alarm</Trans>
                    {schedule.last_alarm_check && `; ${ago(schedule.last_alarm_check.check_time)}: ${CHECKS[schedule.last_alarm_check.outcome] ?? ""}`}
                  </Text>
                )}
              </Table.Td>
              <Table.Td>{schedule.paused ? <Badge variant="light" color="gray" tt="none"><Trans>Paused</Trans></Badge> : time(schedule.next_run_time)}</Table.Td>
              <Table.Td visibleFrom="sm"><LastRun schedule={schedule} /></Table.Td>
              <Table.Td ta="end" visibleFrom="sm"><Run id={schedule.id} /></Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function LastRun({ schedule: { last_run, last_job_id } }: { schedule: Schedule }) {
  if (!last_run) return "–";
  return (
    <>
      {last_job_id ? <Link to="/jobs/$id" params={{ id: last_job_id }} className="row-link">{ago(last_run.create_time)}</Link> : ago(last_run.create_time)}
      <Text fz="xs" c="dimmed">{[OUTCOMES[last_run.outcome], last_run.by_alarm && t`for an alarm`].filter(Boolean).join(" · ")}</Text>
    </>
  );
}

function Run({ id }: { id: string }) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const run = useMutation({
    ...scheduleServiceRunScheduleMutation(),
    onSuccess: (job) => {
      void queries.invalidateQueries();
      void navigate({ to: "/jobs/$id", params: { id: job.id } });
    },
    onError: (error) => {
      const { title, advice } = problemOf(error);
      notifications.show({ color: "orange", title, message: advice });
    },
  });
  return <Button size="xs" variant="default" loading={run.isPending} onClick={() => run.mutate({ path: { id }, body: {} })}><Trans>Run now</Trans></Button>;
}

function Edit({ initial, onClose }: { initial: ScheduleDraft; onClose: () => void }) {
  const queries = useQueryClient();
  const [draft, setDraft] = useState(initial);
  const fresh = !initial.etag;
  const set = (change: Partial<ScheduleDraft>) => setDraft({ ...draft, ...change });
  const onSuccess = () => {
    void queries.invalidateQueries({ queryKey: scheduleServiceListSchedulesQueryKey(LIST) });
    onClose();
  };
  const create = useMutation({ ...scheduleServiceCreateScheduleMutation(), onSuccess });
  const update = useMutation({ ...scheduleServiceUpdateScheduleMutation(), onSuccess });
  const remove = useMutation({ ...scheduleServiceDeleteScheduleMutation(), onSuccess });
  const { error, isPending } = fresh ? create : update;
  const { fields = {} } = error ? problemOf(error) : {};
  function submit(event: FormEvent) {
    event.preventDefault();
    const body = scheduleInput(draft);
    if (fresh) create.mutate({ body, headers: { "Idempotency-Key": crypto.randomUUID() } });
    else update.mutate({ path: { id: draft.id }, body });
  }
  return (
    <Modal opened onClose={onClose} title={fresh ? t`New schedule` : t`Schedule ${draft.id}`}>
      <form onSubmit={submit}>
        <Stack>
          {fresh && <TextInput label={t`Id`} description={t`Letters, digits, dots and dashes, such as nightly-etl; generated if empty`} value={draft.id} error={fields["id"]} onChange={(event) => set({ id: event.currentTarget.value.trim() })} data-autofocus />}
          <TextInput label={t`Name`} maxLength={200} value={draft.name} error={fields["name"]} onChange={(event) => set({ name: event.currentTarget.value })} />
          <Select label={t`What its jobs do`} allowDeselect={false} data={WORK} value={draft.work} onChange={(value) => set({ work: value as ScheduleDraft["work"] })} />
          <Group grow align="flex-start">
            <TextInput label={t`When`} description={t`Minute, hour, day, month, day of the week, as for cron`} required value={draft.cron} error={fields["cron"]} onChange={(event) => set({ cron: event.currentTarget.value })} />
            <TextInput label={t`Time zone`} description={t`Such as Europe/London; the shop’s if empty`} value={draft.time_zone} error={fields["time_zone"]} onChange={(event) => set({ time_zone: event.currentTarget.value.trim() })} />
          </Group>
          <Switch label={t`Make up for missed runs`} description={t`With one job for all of them`} checked={draft.catchUp} onChange={(event) => set({ catchUp: event.currentTarget.checked })} />
          <Switch label={t`Include recorded events up to the day before`} description={t`Otherwise up to the last day of the sales files`} checked={draft.through_yesterday} onChange={(event) => set({ through_yesterday: event.currentTarget.checked })} />
          {followsAlarms(draft.work) && (
            <Group grow align="flex-start">
              <Switch label={t`Also when an alarm is on`} description={t`Of the accuracy of served forecasts`} checked={draft.alarmDays !== null} onChange={(event) => set({ alarmDays: event.currentTarget.checked ? ALARM_DAYS : null })} />
              {draft.alarmDays !== null && (
                <NumberInput label={t`Days since the job before`} description={t`A job for an alarm waits for so long`} min={1} max={366} allowDecimal={false} clampBehavior="strict" required value={draft.alarmDays} error={fields["min_interval_days"]} onChange={(value) => set({ alarmDays: Number(value) || 1 })} />
              )}
            </Group>
          )}
          <Switch label={t`Paused`} description={t`No jobs are submitted meanwhile`} checked={draft.paused} onChange={(event) => set({ paused: event.currentTarget.checked })} />
          {error && !Object.keys(fields).length && <ErrorNotice error={error} />}
          <Group justify="space-between">
            {fresh ? <span /> : (
              <Delete title={t`Delete schedule ${draft.id}?`} busy={remove.isPending} error={remove.error} onDelete={() => remove.mutate({ path: { id: draft.id } })}>
                <Text fz="sm"><Trans>No further jobs are submitted. Its jobs stay, and one that runs goes on.</Trans></Text>
              </Delete>
            )}
            <Button type="submit" loading={isPending}><Trans>Save</Trans></Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
