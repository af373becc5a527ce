import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { Badge, Group, Select, Table, Text, TextInput } from "@mantine/core";
import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";

import { authServiceListAuditEventsInfiniteOptions } from "@client/gen/@tanstack/react-query.gen";
import { Card, Empty, Loaded, More, Page } from "../components/page";
import { action, time } from "../format";

const CODES = ["OK", "PERMISSION_DENIED", "UNAUTHENTICATED", "INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "ABORTED", "FAILED_PRECONDITION"];

export function AuditPage() {
  const { subject, resource, code } = useSearch({ from: "/audit" });
  const navigate = useNavigate({ from: "/audit" });
  const found = useInfiniteQuery({
    ...authServiceListAuditEventsInfiniteOptions({ query: { page_size: 50, ...(subject && { subject }), ...(resource && { resource }), ...(code && { code }) } }),
    initialPageParam: "",
    getNextPageParam: (last) => last.next_page_token || undefined,
    placeholderData: keepPreviousData,
  });
  const filter = (name: "subject" | "resource", text: string, value: string | undefined) => (
    <TextInput
      label={text}
      placeholder={t`All`}
      defaultValue={value ?? ""}
      onBlur={(event) => void navigate({ search: (now) => ({ ...now, [name]: event.currentTarget.value.trim() || undefined }) })}
      onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()}
    />
  );
  return (
    <Page title={t`Audit log`} about={t`Who changed what, and what was refused; latest first.`}>
      <Group>
        {filter("subject", t`Subject`, subject)}
        {filter("resource", t`Resource`, resource)}
        <Select label={t`Outcome`} placeholder={t`All`} clearable clearButtonProps={{ "aria-label": t`Show all outcomes` }} data={CODES} value={code ?? null} onChange={(value) => void navigate({ search: (now) => ({ ...now, code: value ?? undefined }) })} />
      </Group>
      <Card flush>
        <Loaded query={found} rows={10}>
          {({ pages }) => {
            const events = pages.flatMap((page) => page.events);
            return events.length ? (
              <>
                <Table.ScrollContainer minWidth={640} type="native" tabIndex={0} role="region" aria-label={t`Audit events`}>
                  <Table verticalSpacing="xs" horizontalSpacing="md" aria-label={t`Audit events`}>
                    <Table.Thead>
                      <Table.Tr>
                        <Table.Th><Trans>Time</Trans></Table.Th>
                        <Table.Th><Trans>What</Trans></Table.Th>
                        <Table.Th><Trans>Who</Trans></Table.Th>
                        <Table.Th><Trans>Outcome</Trans></Table.Th>
                      </Table.Tr>
                    </Table.Thead>
                    <Table.Tbody>
                      {events.map((event) => (
                        <Table.Tr key={event.id}>
                          <Table.Td style={{ whiteSpace: "nowrap" }} fz="sm">{time(event.event_time)}</Table.Td>
                          <Table.Td>
                            <Text fz="sm" fw={550}>{action(event.rpc)}{event.call_count > 1 && ` × ${event.call_count}`}</Text>
                            <Text fz="xs" c="dimmed" className="mono">{event.resource}</Text>
                          </Table.Td>
                          <Table.Td>
                            <Text className="mono" style={{ whiteSpace: "nowrap" }}>{event.subject || t`Anonymous`}</Text>
                            <Text fz="xs" c="dimmed">{[event.subject && event.role, event.client_address].filter(Boolean).join(", ")}</Text>
                          </Table.Td>
                          <Table.Td>
                            <Badge variant="light" tt="none" color={event.code === "OK" ? "green" : "orange"}>{event.code === "OK" ? t`Done` : event.reason || event.code}</Badge>
                          </Table.Td>
                        </Table.Tr>
                      ))}
                    </Table.Tbody>
                  </Table>
                </Table.ScrollContainer>
                <More query={found} />
              </>
            ) : (
              <Empty title={t`No event fits`} />
            );
          }}
        </Loaded>
      </Card>
    </Page>
  );
}
