import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { Button, Center, Group, PasswordInput, Stack, Text, TextInput, Title } from "@mantine/core";
import { type FormEvent, useState } from "react";

import icon from "../icon.svg";
import { ErrorNotice, useTitle } from "../components/page";
import { OneTimeCode } from "../components/one-time-code";
import { reasonOf } from "../errors";
import { signIn } from "../session";

export function SignIn() {
  useTitle(t`Sign in`);
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [asked, setAsked] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);

  async function submit(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await signIn(email.trim(), password, code);
    } catch (failure) {
      if (reasonOf(failure) === "SECOND_FACTOR_REQUIRED") setAsked(true);
      else setError(failure);
      setBusy(false);
    }
  }

  return (
    <Center component="main" mih="100dvh" p="md">
      <Stack w="100%" maw={380} gap="lg">
        <Group gap="sm" justify="center">
          <img src={icon} alt="" width={36} height={36} />
          <Title order={1} fz={26}>
            HashiraMart
          </Title>
        </Group>
        <form onSubmit={submit} className="card" style={{ padding: 24 }}>
          <Stack>
            <TextInput label={t`E-mail`} type="email" autoComplete="username" required autoFocus value={email} onChange={(event) => setEmail(event.currentTarget.value)} />
            <PasswordInput label={t`Password`} autoComplete="current-password" required value={password} onChange={(event) => setPassword(event.currentTarget.value)} />
            {asked && <OneTimeCode value={code} onChange={setCode} />}
            {error ? <ErrorNotice error={error} /> : null}
            <Button type="submit" loading={busy} fullWidth>
              <Trans>Sign in</Trans>
            </Button>
          </Stack>
        </form>
        <Text c="dimmed" fz="sm" ta="center">
          <Trans>For the staff of the shop. An administrator makes accounts and gives roles.</Trans>
        </Text>
      </Stack>
    </Center>
  );
}
