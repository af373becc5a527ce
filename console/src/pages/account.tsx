import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { Badge, Button, PasswordInput, SimpleGrid, Stack, Table, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";

import {
  authServiceEndSignInMutation, authServiceGetCurrentUserOptions, authServiceListSignInsOptions, authServiceListSignInsQueryKey, authServiceUpdateCurrentUserMutation,
} from "@client/gen/@tanstack/react-query.gen";
import { Card, ErrorNotice, Loaded, Page } from "../components/page";
import { SecondFactor } from "../components/second-factor";
import { problemOf } from "../errors";
import { ago, program, time } from "../format";

export function AccountPage() {
  const user = useQuery(authServiceGetCurrentUserOptions());
  return (
    <Page title={t`Your account`} about={user.data?.email}>
      <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="lg" style={{ alignItems: "start" }}>
        <Stack gap="lg">
          <Password />
          {user.data && <SecondFactor user={user.data} />}
        </Stack>
        <SignIns />
      </SimpleGrid>
    </Page>
  );
}

function Password() {
  const [current, setCurrent] = useState("");
  const [next, setNext] = useState("");
  const change = useMutation({
    ...authServiceUpdateCurrentUserMutation(),
    onSuccess: () => {
      setCurrent("");
      setNext("");
      notifications.show({ color: "green", title: t`The password is changed`, message: t`Your other sign-ins have ended.` });
    },
  });
  const { fields = {} } = change.error ? problemOf(change.error) : {};
  function submit(event: FormEvent) {
    event.preventDefault();
    change.mutate({ body: { password: next, current_password: current } });
  }
  return (
    <Card title={t`Change the password`}>
      <form onSubmit={submit}>
        <Stack>
          <PasswordInput label={t`Current password`} autoComplete="current-password" required value={current} onChange={(event) => setCurrent(event.currentTarget.value)} />
          <PasswordInput label={t`New password`} autoComplete="new-password" required value={next} error={fields["password"]} onChange={(event) => setNext(event.currentTarget.value)} />
          {change.error && !fields["password"] && <ErrorNotice error={change.error} />}
          <Button type="submit" loading={change.isPending} style={{ alignSelf: "flex-start" }}><Trans>Change it</Trans></Button>
        </Stack>
      </form>
    </Card>
  );
}

function SignIns() {
  const queries = useQueryClient();
  const signIns = useQuery(authServiceListSignInsOptions({ query: { page_size: 50 } }));
  const end = useMutation({ ...authServiceEndSignInMutation(), onSuccess: () => void queries.invalidateQueries({ queryKey: authServiceListSignInsQueryKey({ query: { page_size: 50 } }) }) });
  return (
    <Card title={t`Where you are signed in`} flush>
      <Loaded query={signIns}>
        {({ sign_ins }) => (
          <Table.ScrollContainer minWidth={340}>
            <Table verticalSpacing="sm" horizontalSpacing="md" aria-label={t`Sign-ins`}>
              <Table.Tbody>
                {sign_ins.map((one) => (
                  <Table.Tr key={one.id}>
                    <Table.Td>
                      <Text fz="sm" lineClamp={1} title={one.user_agent} fw={550}>{program(one.user_agent)}</Text>
                      <Text fz="xs" c="dimmed"><Trans>{one.client_address}, used {ago(one.use_time)}, since {time(one.create_time)}</Trans></Text>
                    </Table.Td>
                    <Table.Td ta="end">
                      {one.is_current ? (
                        <Badge variant="light" tt="none"><Trans>This one</Trans></Badge>
                      ) : (
                        <Button size="xs" variant="default" loading={end.isPending && end.variables.path.id === one.id} onClick={() => end.mutate({ path: { id: one.id } })}><Trans>End</Trans></Button>
                      )}
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        )}
      </Loaded>
      {end.error && <ErrorNotice error={end.error} />}
    </Card>
  );
}
