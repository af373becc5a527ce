// The caller's second factor: set up with an authenticator app, kept with recovery codes, disabled.
import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { Button, Code, CopyButton, Group, Modal, PasswordInput, SimpleGrid, Stack, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { QRCodeSVG } from "qrcode.react";
import { type FormEvent, useState } from "react";

import type { SecondFactorEnrollment, User } from "@client/gen";
import { authServiceConfirmSecondFactorMutation, authServiceDisableSecondFactorMutation, authServiceEnrollSecondFactorMutation } from "@client/gen/@tanstack/react-query.gen";
import { problemOf } from "../errors";
import { renew } from "../session";
import { OneTimeCode } from "./one-time-code";
import { Card, ErrorNotice } from "./page";

export function SecondFactor({ user }: { user: User }) {
  const [enrollment, setEnrollment] = useState<SecondFactorEnrollment | null>(null);
  const [codes, setCodes] = useState<string[]>([]);
  const queries = useQueryClient();
  const finish = () => {
    setEnrollment(null);
    setCodes([]);
    void queries.invalidateQueries();
  };
  return (
    <Card title={t`Second factor`}>
      {codes.length ? (
        <RecoveryCodes codes={codes} onKept={finish} />
      ) : enrollment ? (
        <Confirm enrollment={enrollment} onConfirmed={setCodes} />
      ) : user.second_factor_enabled ? (
        <Disable onDisabled={finish} />
      ) : (
        <Enroll missing={user.second_factor_missing} onEnrolled={setEnrollment} />
      )}
    </Card>
  );
}

function Enroll({ missing, onEnrolled }: { missing: boolean; onEnrolled: (enrollment: SecondFactorEnrollment) => void }) {
  const [password, setPassword] = useState("");
  const enroll = useMutation({ ...authServiceEnrollSecondFactorMutation(), onSuccess: onEnrolled });
  function submit(event: FormEvent) {
    event.preventDefault();
    enroll.mutate({ body: { current_password: password } });
  }
  return (
    <form onSubmit={submit}>
      <Stack>
        <Text fz="sm" c="dimmed">
          {missing ? t`Your role requires one: until it is set up, you can only see your account.` : t`Signing in then takes a code of an authenticator app as well as the password.`}
        </Text>
        <PasswordInput label={t`Your password`} autoComplete="current-password" required value={password} onChange={(event) => setPassword(event.currentTarget.value)} />
        {enroll.error && <ErrorNotice error={enroll.error} />}
        <Button type="submit" loading={enroll.isPending} style={{ alignSelf: "flex-start" }}><Trans>Set it up</Trans></Button>
      </Stack>
    </form>
  );
}

function Confirm({ enrollment, onConfirmed }: { enrollment: SecondFactorEnrollment; onConfirmed: (codes: string[]) => void }) {
  const [code, setCode] = useState("");
  const confirm = useMutation({
    ...authServiceConfirmSecondFactorMutation(),
    onSuccess: ({ recovery_codes }) => {
      onConfirmed(recovery_codes);
      // The token so far may have been one without the role.
      void renew();
    },
  });
  const { fields = {} } = confirm.error ? problemOf(confirm.error) : {};
  function submit(event: FormEvent) {
    event.preventDefault();
    confirm.mutate({ body: { one_time_code: code } });
  }
  return (
    <form onSubmit={submit}>
      <Stack>
        <Text fz="sm"><Trans>Scan this with an authenticator app, then type the six digits that it shows.</Trans></Text>
        <QRCodeSVG value={enrollment.otpauth_uri} size={184} marginSize={2} title={t`The secret as a QR code`} />
        <Text fz="sm" c="dimmed">
          <Trans>Or type the secret: <Code style={{ overflowWrap: "anywhere" }}>{enrollment.secret}</Code></Trans>
        </Text>
        <OneTimeCode value={code} description={t`The six digits of the app`} error={fields["one_time_code"]} onChange={setCode} />
        {confirm.error && !fields["one_time_code"] && <ErrorNotice error={confirm.error} />}
        <Button type="submit" loading={confirm.isPending} style={{ alignSelf: "flex-start" }}><Trans>Confirm</Trans></Button>
      </Stack>
    </form>
  );
}

function RecoveryCodes({ codes, onKept }: { codes: string[]; onKept: () => void }) {
  return (
    <Stack>
      <Text fz="sm"><Trans>The second factor is in use. Each of these codes takes the place of the app once. Keep them where only you read them: they are not shown again.</Trans></Text>
      <SimpleGrid cols={2} spacing="xs" aria-label={t`Recovery codes`} role="list">
        {codes.map((code) => (
          <Code key={code} fz="sm" role="listitem">{code}</Code>
        ))}
      </SimpleGrid>
      <Group gap="xs">
        <CopyButton value={codes.join("\n")}>{({ copied, copy }) => <Button variant="default" onClick={copy}>{copied ? t`Copied` : t`Copy them`}</Button>}</CopyButton>
        <Button onClick={onKept}><Trans>I have kept them</Trans></Button>
      </Group>
    </Stack>
  );
}

function Disable({ onDisabled }: { onDisabled: () => void }) {
  const [opened, { open, close }] = useDisclosure();
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const disable = useMutation({
    ...authServiceDisableSecondFactorMutation(),
    onSuccess: async () => {
      await renew();
      close();
      onDisabled();
    },
  });
  const { fields = {} } = disable.error ? problemOf(disable.error) : {};
  function submit(event: FormEvent) {
    event.preventDefault();
    disable.mutate({ body: { current_password: password, one_time_code: code } });
  }
  return (
    <Group justify="space-between">
      <Text fz="sm" c="dimmed" flex="1 1 220px"><Trans>Signing in takes a code of your authenticator app, or one of the recovery codes.</Trans></Text>
      <Button variant="default" onClick={open}><Trans>Disable it</Trans></Button>
      <Modal opened={opened} onClose={close} title={t`Disable the second factor?`}>
        <form onSubmit={submit}>
          <Stack>
            <Text fz="sm"><Trans>The recovery codes become invalid, and your other sign-ins end. To change to another app, disable it and set it up again.</Trans></Text>
            <PasswordInput label={t`Your password`} autoComplete="current-password" required value={password} onChange={(event) => setPassword(event.currentTarget.value)} />
            <OneTimeCode value={code} error={fields["one_time_code"]} onChange={setCode} />
            {disable.error && !fields["one_time_code"] && <ErrorNotice error={disable.error} />}
            <Group justify="flex-end">
              <Button variant="default" onClick={close}><Trans>Keep it</Trans></Button>
              <Button type="submit" color="red" loading={disable.isPending}><Trans>Disable it</Trans></Button>
            </Group>
          </Stack>
        </form>
      </Modal>
    </Group>
  );
}
