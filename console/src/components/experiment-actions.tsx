// What can be done with an experiment, each after it is said what it does: start, ramp, stop, conclude, delete.
import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { Alert, Button, Group, Modal, NumberInput, Radio, Stack, Text, Textarea } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { notifications } from "@mantine/notifications";
import { type UseMutationOptions, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";

import type { Experiment, ExperimentDecision } from "@client/gen";
import {
  authServiceGetCurrentUserOptions, recommenderServiceConcludeExperimentMutation, recommenderServiceDeleteExperimentMutation, recommenderServiceGetExperimentOptions, recommenderServiceReplaceExperimentMutation,
  recommenderServiceStartExperimentMutation, recommenderServiceStopExperimentMutation,
} from "@client/gen/@tanstack/react-query.gen";
import { shortPercent } from "../format";
import { experimentInput } from "../inputs";
import { Delete } from "./delete";
import { ErrorNotice } from "./page";

/** The experiment as it is after a change is what all pages show from then on. */
function useChange<E, V>(options: UseMutationOptions<Experiment, E, V>, title: string, done: () => void) {
  const queries = useQueryClient();
  return useMutation({
    ...options,
    onSuccess: (now) => {
      queries.setQueryData(recommenderServiceGetExperimentOptions({ path: { id: now.id } }).queryKey, now);
      void queries.invalidateQueries();
      notifications.show({ color: "green", title, message: t`All lists follow it within two seconds.` });
      done();
    },
  });
}

function Ask({ title, opened, close, error, children, confirm }: { title: string; opened: boolean; close: () => void; error: unknown; children: ReactNode; confirm: ReactNode }) {
  return (
    <Modal opened={opened} onClose={close} title={title}>
      <Stack>
        {children}
        {error ? <ErrorNotice error={error} /> : null}
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>
            <Trans>Not now</Trans>
          </Button>
          {confirm}
        </Group>
      </Stack>
    </Modal>
  );
}

export function Start({ experiment: { id, treatment, traffic_share }, disabled }: { experiment: Experiment; disabled: boolean }) {
  const [opened, { open, close }] = useDisclosure();
  const start = useChange(recommenderServiceStartExperimentMutation(), t`The experiment runs`, close);
  return (
    <>
      <Button onClick={open} disabled={disabled} variant="light"><Trans>Start</Trans></Button>
      <Ask title={t`Start ${id}?`} opened={opened} close={close} error={start.error} confirm={<Button loading={start.isPending} onClick={() => start.mutate({ path: { id }, body: {} })}><Trans>Start it</Trans></Button>}>
        <Text fz="sm">
          <Trans>{shortPercent(traffic_share)} of shoppers take part from then on. While it runs, the slot {treatment?.id} cannot be changed, and of the experiment only how many take part.</Trans>
        </Text>
      </Ask>
    </>
  );
}

export function Ramp({ experiment }: { experiment: Experiment }) {
  const [opened, { open, close }] = useDisclosure();
  const least = Math.round(experiment.traffic_share * 1000) / 10;
  const [share, setShare] = useState(Math.min(100, 2 * least));
  const replace = useChange(recommenderServiceReplaceExperimentMutation(), t`More shoppers take part`, close);
  return (
    <>
      <Button variant="default" onClick={open}><Trans>Ramp up</Trans></Button>
      <Ask
        title={t`Let more shoppers take part?`}
        opened={opened}
        close={close}
        error={replace.error}
        confirm={<Button loading={replace.isPending} disabled={share <= least} onClick={() => replace.mutate({ path: { id: experiment.id }, body: experimentInput({ ...experiment, traffic_share: share / 100 }) })}><Trans>Ramp up</Trans></Button>}
      >
        <NumberInput label={t`Share of shoppers who take part`} description={t`Now ${shortPercent(experiment.traffic_share)}. Who takes part goes on to, in the same arm; the share cannot fall again.`} suffix=" %" min={least} max={100} decimalScale={1} value={share} onChange={(value) => setShare(Number(value))} data-autofocus />
      </Ask>
    </>
  );
}

export function Stop({ experiment: { id, treatment } }: { experiment: Experiment }) {
  const [opened, { open, close }] = useDisclosure();
  const stop = useChange(recommenderServiceStopExperimentMutation(), t`The experiment is stopped`, close);
  return (
    <>
      <Button variant="default" onClick={open}><Trans>Stop</Trans></Button>
      <Ask title={t`Stop ${id}?`} opened={opened} close={close} error={stop.error} confirm={<Button color="red" loading={stop.isPending} onClick={() => stop.mutate({ path: { id }, body: {} })}><Trans>Stop it</Trans></Button>}>
        <Text fz="sm"><Trans>Within two seconds everybody has the slot {treatment?.id} as it was. The report stays, and it can still be decided what to keep, but the experiment cannot go on.</Trans></Text>
      </Ask>
    </>
  );
}

export function Conclude({ experiment: { id, treatment, treatment_version, champion_version } }: { experiment: Experiment }) {
  const [opened, { open, close }] = useDisclosure();
  const [decision, setDecision] = useState<ExperimentDecision>("EXPERIMENT_DECISION_UNSPECIFIED");
  const [reason, setReason] = useState("");
  const conclude = useChange(recommenderServiceConcludeExperimentMutation(), t`The experiment is concluded`, close);
  const keep = decision === "EXPERIMENT_DECISION_KEEP";
  const admin = useQuery(authServiceGetCurrentUserOptions()).data?.role === "ROLE_ADMIN";
  const kept = treatment_version
    ? [t`Version ${treatment_version} becomes the champion in place of version ${champion_version}, for everybody and in all slots.`, !admin && t`Only admins may promote a version.`].filter(Boolean).join(" ")
    : t`The slot ${treatment?.id ?? ""} and its rules become those of the treatment, for everybody.`;
  return (
    <>
      <Button onClick={open}><Trans>Conclude</Trans></Button>
      <Ask
        title={t`Conclude ${id}?`}
        opened={opened}
        close={close}
        error={conclude.error}
        confirm={<Button loading={conclude.isPending} disabled={decision === "EXPERIMENT_DECISION_UNSPECIFIED" || !reason.trim()} onClick={() => conclude.mutate({ path: { id }, body: { decision, reason: reason.trim() } })}>{keep ? t`Keep the treatment` : t`Conclude`}</Button>}
      >
        <Radio.Group label={treatment_version ? t`What becomes of the version` : t`What becomes of the slot`} value={decision} onChange={(value) => setDecision(value as ExperimentDecision)}>
          <Stack gap="xs" mt={6}>
            <Radio value="EXPERIMENT_DECISION_KEEP" label={t`Keep the treatment`} description={kept} disabled={Boolean(treatment_version) && !admin} />
            <Radio value="EXPERIMENT_DECISION_REVERT" label={t`Revert to the control`} description={treatment_version ? t`The champion stays as it is.` : t`The slot and its rules stay as they were.`} />
          </Stack>
        </Radio.Group>
        <Textarea label={t`Reason`} description={t`Kept with the experiment, for those who come after`} required autosize minRows={2} maxLength={500} value={reason} onChange={(event) => setReason(event.currentTarget.value)} />
        <Alert color="orange" variant="light" p="xs">
          <Trans>This ends the experiment and cannot be undone.</Trans>
        </Alert>
      </Ask>
    </>
  );
}

export function DeleteExperiment({ id }: { id: string }) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const remove = useMutation({
    ...recommenderServiceDeleteExperimentMutation(),
    onSuccess: () => {
      void queries.invalidateQueries();
      void navigate({ to: "/experiments" });
    },
  });
  return (
    <Delete title={t`Delete experiment ${id}?`} busy={remove.isPending} error={remove.error} onDelete={() => remove.mutate({ path: { id } })}>
      <Text fz="sm"><Trans>Its report and who took part are gone for good. The slot stays as it is.</Trans></Text>
    </Delete>
  );
}
