import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { Alert, Badge, Button, Group, Modal, Select, SimpleGrid, Stack, Switch, Table, Text, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";

import type { Role, User } from "@client/gen";
import {
  authServiceGetCurrentUserOptions, authServiceGetUserOptions, authServiceListAuditEventsOptions, authServiceResetUserPasswordMutation, authServiceResetUserSecondFactorMutation, authServiceUpdateUserMutation,
} from "@client/gen/@tanstack/react-query.gen";
import { Conflict } from "../components/conflict";
import { Card, Empty, ErrorNotice, Loaded, Page } from "../components/page";
import { problemOf, reasonOf } from "../errors";
import { action, time } from "../format";
import { ROLE_CHOICES, Standing } from "./users";

const TEXTS: Array<[string, (user: User) => string]> = [
  [t`Name`, ({ display_name }) => display_name],
  [t`Role`, ({ role }) => ROLE_CHOICES.find(({ value }) => value === role)?.label ?? role],
  [t`Customer number`, ({ customer_number }) => customer_number],
  [t`Disabled`, ({ disabled }) => (disabled ? t`Yes` : t`No`)],
];

export function UserPage() {
  const { id } = useParams({ from: "/users/$id" });
  const user = useQuery({ ...authServiceGetUserOptions({ path: { id } }), refetchOnWindowFocus: false });
  const { data } = user;
  return (
    <Page title={data?.email ?? t`User`} about={data && <Group gap="xs" component="span"><Standing user={data} />{[t`signed up ${time(data.create_time)}`, data.email_verified ? t`e-mail address verified` : t`e-mail address not verified`].join(" · ")}</Group>}>
      <Loaded query={user}>
        {(loaded) => (
          <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="lg" style={{ alignItems: "start" }}>
            <Edit key={id} user={loaded} />
            <Stack gap="lg">
              <Password user={loaded} />
              {loaded.second_factor_enabled && <SecondFactor user={loaded} />}
              <Activity id={id} />
            </Stack>
          </SimpleGrid>
        )}
      </Loaded>
    </Page>
  );
}

function Edit({ user }: { user: User }) {
  const queries = useQueryClient();
  const me = useQuery(authServiceGetCurrentUserOptions()).data;
  const [draft, setDraft] = useState(user);
  const [theirs, setTheirs] = useState<User | null>(null);
  const take = (now: User) => {
    setDraft(now);
    setTheirs(null);
  };
  const update = useMutation({
    ...authServiceUpdateUserMutation(),
    onSuccess: (now) => {
      take(now);
      queries.setQueryData(authServiceGetUserOptions({ path: { id: now.id } }).queryKey, now);
      void queries.invalidateQueries();
      notifications.show({ color: "green", title: t`Saved`, message: t`All services know it within seconds.` });
    },
    onError: async (error) => {
      if (reasonOf(error) === "STALE_ETAG") setTheirs(await queries.fetchQuery({ ...authServiceGetUserOptions({ path: { id: draft.id } }), staleTime: 0 }));
    },
  });
  const save = (etag: string) => {
    const { id, display_name, role, customer_number, disabled } = draft;
    update.mutate({ path: { id }, body: { display_name, role, customer_number, disabled, etag } });
  };
  const { fields = {} } = update.error ? problemOf(update.error) : {};
  function submit(event: FormEvent) {
    event.preventDefault();
    save(draft.etag);
  }
  const endsSignIns = draft.role !== user.role || draft.customer_number !== user.customer_number || (draft.disabled && !user.disabled);
  return (
    <Card title={t`The account`}>
      <form onSubmit={submit}>
        <Stack>
          {theirs && <Conflict fields={TEXTS.map(([name, text]) => ({ name, theirs: text(theirs), mine: text(draft) }))} onMine={() => save(theirs.etag)} onTheirs={() => take(theirs)} />}
          <TextInput label={t`Name`} maxLength={100} value={draft.display_name} error={fields["display_name"]} onChange={(event) => setDraft({ ...draft, display_name: event.currentTarget.value })} />
          <Select label={t`Role`} description={t`Staff manage products, forecasts, jobs and lists; administrators users and what serves as well`} allowDeselect={false} data={ROLE_CHOICES} value={draft.role} error={fields["role"]} onChange={(value) => setDraft({ ...draft, role: value as Role })} />
          <TextInput label={t`Customer number`} description={t`The user’s key in the sales history; empty for none`} value={draft.customer_number} error={fields["customer_number"]} onChange={(event) => setDraft({ ...draft, customer_number: event.currentTarget.value.trim() })} />
          <Switch label={t`Disabled`} description={t`A disabled user cannot sign in`} checked={draft.disabled} onChange={(event) => setDraft({ ...draft, disabled: event.currentTarget.checked })} />
          {endsSignIns && (
            <Alert color="orange" variant="light" p="xs">
              {draft.disabled ? t`All sign-ins of the user end at once.` : t`Tokens of the user that were issued before are refused within seconds; the user signs in again or is renewed.`}
              {" "}
              {me?.id === user.id && t`This is your own account.`}
            </Alert>
          )}
          {update.error && !theirs && !Object.keys(fields).length && <ErrorNotice error={update.error} />}
          <Group gap="xs">
            <Button type="submit" loading={update.isPending}><Trans>Save</Trans></Button>
            <Button variant="subtle" component={Link} {...{ to: "/users" }}><Trans>Back</Trans></Button>
          </Group>
        </Stack>
      </form>
    </Card>
  );
}

function Password({ user }: { user: User }) {
  const [opened, { open, close }] = useDisclosure();
  const reset = useMutation({
    ...authServiceResetUserPasswordMutation(),
    onSuccess: () => {
      close();
      notifications.show({ color: "green", title: t`A link is mailed`, message: t`${user.email} sets a new password by it within an hour.` });
    },
  });
  return (
    <Card title={t`Password`}>
      <Group justify="space-between">
        <Text fz="sm" c="dimmed" flex="1 1 220px"><Trans>When it may be known to somebody else, or the user asks for a new one.</Trans></Text>
        <Button variant="default" onClick={open}><Trans>Reset the password</Trans></Button>
      </Group>
      <Modal opened={opened} onClose={close} title={t`Reset the password?`}>
        <Stack>
          <Text fz="sm"><Trans>The password of {user.email} becomes invalid at once, all sign-ins end, and a link is mailed by which the user sets a new one. This cannot be undone.</Trans></Text>
          {reset.error && <ErrorNotice error={reset.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={close}><Trans>Keep it</Trans></Button>
            <Button color="red" loading={reset.isPending} onClick={() => reset.mutate({ path: { id: user.id }, body: {} })}><Trans>Reset it</Trans></Button>
          </Group>
        </Stack>
      </Modal>
    </Card>
  );
}

function SecondFactor({ user }: { user: User }) {
  const queries = useQueryClient();
  const [opened, { open, close }] = useDisclosure();
  const reset = useMutation({
    ...authServiceResetUserSecondFactorMutation(),
    onSuccess: () => {
      close();
      void queries.invalidateQueries();
      notifications.show({ color: "green", title: t`The second factor is removed`, message: t`${user.email} signs in with the password alone.` });
    },
  });
  return (
    <Card title={t`Second factor`}>
      <Group justify="space-between">
        <Text fz="sm" c="dimmed" flex="1 1 220px"><Trans>In use. When the app and the recovery codes are lost.</Trans></Text>
        <Button variant="default" onClick={open}><Trans>Remove it</Trans></Button>
      </Group>
      <Modal opened={opened} onClose={close} title={t`Remove the second factor?`}>
        <Stack>
          <Text fz="sm"><Trans>{user.email} then signs in with the password alone, and all sign-ins end. Make sure that it is the user who asks.</Trans></Text>
          {reset.error && <ErrorNotice error={reset.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={close}><Trans>Keep it</Trans></Button>
            <Button color="red" loading={reset.isPending} onClick={() => reset.mutate({ path: { id: user.id }, body: {} })}><Trans>Remove it</Trans></Button>
          </Group>
        </Stack>
      </Modal>
    </Card>
  );
}

/** What the user did lately, sign-ins included, as far as the audit log has it. */
function Activity({ id }: { id: string }) {
  const events = useQuery(authServiceListAuditEventsOptions({ query: { subject: id, page_size: 8 } }));
  return (
    <Card title={t`Lately`} flush aside={<Button size="xs" variant="default" component={Link} {...{ to: "/audit", search: { subject: id } as never }}><Trans>Audit log</Trans></Button>}>
      <Loaded query={events} rows={4}>
        {({ events: list }) =>
          list.length ? (
            <Table verticalSpacing="xs" horizontalSpacing="md" aria-label={t`What the user did lately`}>
              <Table.Tbody>
                {list.map((event) => (
                  <Table.Tr key={event.id}>
                    <Table.Td>
                      <Text fz="sm" fw={550}>{action(event.rpc)}</Text>
                      <Text fz="xs" c="dimmed">{[time(event.event_time), event.client_address].filter(Boolean).join(" · ")}</Text>
                    </Table.Td>
                    <Table.Td ta="end">
                      <Badge variant="light" tt="none" color={event.code === "OK" ? "green" : "orange"}>{event.code === "OK" ? t`Done` : event.reason || event.code}</Badge>
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          ) : (
            <Empty title={t`Nothing is in the audit log`} />
          )
        }
      </Loaded>
    </Card>
  );
}
