import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { Badge, Group, Select, Table, Text, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { IconSearch } from "@tabler/icons-react";
import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";

import type { User } from "@client/gen";
import { authServiceListUsersInfiniteOptions } from "@client/gen/@tanstack/react-query.gen";
import { Card, Empty, Loaded, More, Page } from "../components/page";
import { time } from "../format";
import { ROLES } from "../router";

const ROLE_NAMES: Record<string, [text: string, colour: string]> = { ROLE_CUSTOMER: [t`Customer`, "gray"], ROLE_STAFF: [t`Staff`, "blue"], ROLE_ADMIN: [t`Administrator`, "grape"] };
export const ROLE_CHOICES = ROLES.map((value) => ({ value, label: ROLE_NAMES[value]?.[0] ?? value }));

export function Standing({ user: { role, disabled } }: { user: User }) {
  const [text, colour] = ROLE_NAMES[role] ?? [role, "gray"];
  return (
    <Group gap={6} component="span">
      <Badge variant="light" color={colour} tt="none">{text}</Badge>
      {disabled && <Badge variant="light" color="red" tt="none"><Trans>Disabled</Trans></Badge>}
    </Group>
  );
}

export function UsersPage() {
  const { search, role } = useSearch({ from: "/users" });
  const navigate = useNavigate({ from: "/users" });
  const find = useDebouncedCallback((text: string) => void navigate({ search: (now) => ({ ...now, search: text.trim() || undefined }), replace: true }), 250);
  const found = useInfiniteQuery({
    ...authServiceListUsersInfiniteOptions({ query: { page_size: 50, ...(search && { search }), ...(role && { role }) } }),
    initialPageParam: "",
    getNextPageParam: (last) => last.next_page_token || undefined,
    placeholderData: keepPreviousData,
  });
  return (
    <Page title={t`Users`} about={t`Who has an account, and what each may do; newest first.`}>
      <Group align="flex-end">
        <TextInput label={t`Search`} placeholder={t`E-mail or name`} leftSection={<IconSearch size={16} aria-hidden />} defaultValue={search ?? ""} onChange={(event) => find(event.currentTarget.value)} w={{ base: "100%", xs: 280 }} />
        <Select label={t`Role`} placeholder={t`All`} clearable clearButtonProps={{ "aria-label": t`Show all roles` }} data={ROLE_CHOICES} value={role ?? null} onChange={(value) => void navigate({ search: (now) => ({ ...now, role: (value as (typeof ROLES)[number] | null) ?? undefined }) })} />
      </Group>
      <Card flush>
        <Loaded query={found} rows={8}>
          {({ pages }) => {
            const users = pages.flatMap((page) => page.users);
            return users.length ? (
              <>
                <Users list={users} />
                <More query={found} />
              </>
            ) : (
              <Empty title={t`No user fits`} />
            );
          }}
        </Loaded>
      </Card>
    </Page>
  );
}

function Users({ list }: { list: User[] }) {
  return (
    <Table.ScrollContainer minWidth={320}>
      <Table verticalSpacing="sm" horizontalSpacing="md" aria-label={t`Users`}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th><Trans>User</Trans></Table.Th>
            <Table.Th><Trans>Role</Trans></Table.Th>
            <Table.Th visibleFrom="sm"><Trans>Customer number</Trans></Table.Th>
            <Table.Th visibleFrom="sm"><Trans>Signed up</Trans></Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {list.map((user) => (
            <Table.Tr key={user.id}>
              <Table.Td>
                <Link to="/users/$id" params={{ id: user.id }} className="row-link" style={{ overflowWrap: "anywhere" }}>{user.email}</Link>
                {user.display_name && <Text fz="xs" c="dimmed">{user.display_name}</Text>}
              </Table.Td>
              <Table.Td><Standing user={user} /></Table.Td>
              <Table.Td visibleFrom="sm">{user.customer_number ? <Link to="/customers/$number" params={{ number: user.customer_number }} className="row-link">{user.customer_number}</Link> : "–"}</Table.Td>
              <Table.Td visibleFrom="sm">{time(user.create_time)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
