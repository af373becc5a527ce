import { Badge, Group, Select, Table, Text, TextInput } from "@mantine/core";
import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";

import { authServiceListAuditEventsInfiniteOptions } from "@client/gen/@tanstack/react-query.gen";
import { Card, Empty, Loaded, More, Page } from "../components/page";
import { action, label, time } from "../format";

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
  const filter = (name: "subject" | "resource", value: string | undefined) => (
    <TextInput
      label={label(name, "")}
      placeholder="All"
      defaultValue={value ?? ""}
      onBlur={(event) => void navigate({ search: (now) => ({ ...now, [name]: event.currentTarget.value.trim() || undefined }) })}
      onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()}
    />
  );
  return (
    <Page title="Audit log" about="Who changed what, and what was refused; latest first.">
      <Group>
        {filter("subject", subject)}
        {filter("resource", resource)}
        <Select label="Outcome" placeholder="All" clearable clearButtonProps={{ "aria-label": "Show all outcomes" }} data={CODES} value={code ?? null} onChange={(value) => void navigate({ search: (now) => ({ ...now, code: value ?? undefined }) })} />
      </Group>
      <Card flush>
        <Loaded query={found} rows={10}>
          {({ pages }) => {
            const events = pages.flatMap((page) => page.events);
            return events.length ? (
              <>
                <Table.ScrollContainer minWidth={640} type="native" tabIndex={0} role="region" aria-label="Audit events">
                  <Table verticalSpacing="xs" horizontalSpacing="md" aria-label="Audit events">
                    <Table.Thead>
                      <Table.Tr>
                        <Table.Th>Time</Table.Th>
                        <Table.Th>What</Table.Th>
                        <Table.Th>Who</Table.Th>
                        <Table.Th>Outcome</Table.Th>
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
                            <Text className="mono" style={{ whiteSpace: "nowrap" }}>{event.subject || "Anonymous"}</Text>
                            <Text fz="xs" c="dimmed">{[event.subject && event.role, event.client_address].filter(Boolean).join(", ")}</Text>
                          </Table.Td>
                          <Table.Td>
                            <Badge variant="light" tt="none" color={event.code === "OK" ? "green" : "orange"}>{event.code === "OK" ? "Done" : event.reason || event.code}</Badge>
                          </Table.Td>
                        </Table.Tr>
                      ))}
                    </Table.Tbody>
                  </Table>
                </Table.ScrollContainer>
                <More query={found} />
              </>
            ) : (
              <Empty title="No event fits" />
            );
          }}
        </Loaded>
      </Card>
    </Page>
  );
}
