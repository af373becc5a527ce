import { plural, t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { ActionIcon, Badge, Button, Checkbox, Group, Modal, NumberInput, Select, SimpleGrid, Stack, Table, Text, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconCalendarPlus, IconPencil, IconPlus } from "@tabler/icons-react";
import { keepPreviousData, useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";

import type { CalendarEntry, CalendarEntryKind } from "@client/gen";
import {
  calendarServiceCreateCalendarEntryMutation, calendarServiceDeleteCalendarEntryMutation, calendarServiceImportHolidaysMutation,
  calendarServiceListCalendarEntriesInfiniteOptions, calendarServiceUpdateCalendarEntryMutation,
} from "@client/gen/@tanstack/react-query.gen";
import { Card, Empty, ErrorNotice, Loaded, More, Page } from "../components/page";
import { problemOf } from "../errors";
import { amount, count, day } from "../format";
import { label } from "../labels";
import { ENTRY_KINDS } from "../router";

const KINDS = ENTRY_KINDS.map((value) => ({ value, label: label(value) }));
const COLOURS: Partial<Record<CalendarEntryKind, string>> = { CALENDAR_ENTRY_KIND_CLOSURE: "red", CALENDAR_ENTRY_KIND_HOLIDAY: "blue", CALENDAR_ENTRY_KIND_PROMOTION: "grape" };
const FRESH = { kind: "CALENDAR_ENTRY_KIND_CLOSURE", name: "", first_date: "", last_date: "", product_id: "", category: "", discount_percent: 0, etag: "" } as const;

type Draft = Pick<CalendarEntry, "kind" | "name" | "first_date" | "last_date" | "product_id" | "category" | "discount_percent" | "etag">;

export function CalendarPage() {
  const { kind, from } = useSearch({ from: "/calendar" });
  const navigate = useNavigate({ from: "/calendar" });
  const [editing, setEditing] = useState<CalendarEntry | "new" | "holidays" | null>(null);
  const entries = useInfiniteQuery({
    ...calendarServiceListCalendarEntriesInfiniteOptions({ query: { page_size: 100, ...(kind && { kind }), ...(from && { from_date: from }) } }),
    initialPageParam: "",
    getNextPageParam: (last) => last.next_page_token || undefined,
    placeholderData: keepPreviousData,
  });
  return (
    <Page
      title={t`Calendar`}
      about={t`Closures, holidays and promotions, which the forecasts know of.`}
      actions={
        <>
          <Button variant="default" leftSection={<IconCalendarPlus size={16} aria-hidden />} onClick={() => setEditing("holidays")}>
            <Trans>Public holidays</Trans>
          </Button>
          <Button leftSection={<IconPlus size={16} aria-hidden />} onClick={() => setEditing("new")}>
            <Trans>New entry</Trans>
          </Button>
        </>
      }
    >
      <Group gap="sm" align="flex-end">
        <Select
          label={t`Kind`}
          placeholder={t`All`}
          clearable
          clearButtonProps={{ "aria-label": t`Show all kinds` }}
          data={KINDS}
          value={kind ?? null}
          onChange={(value) => void navigate({ search: (now) => ({ ...now, kind: (value ?? undefined) as typeof now.kind }) })}
        />
        <TextInput type="date" label={t`From`} value={from ?? ""} onChange={(event) => void navigate({ search: (now) => ({ ...now, from: event.currentTarget.value || undefined }) })} />
      </Group>
      <Card flush>
        <Loaded query={entries} rows={8}>
          {({ pages }) => {
            const list = pages.flatMap((page) => page.entries);
            return list.length ? (
              <>
                <Entries list={list} onEdit={setEditing} />
                <More query={entries} />
              </>
            ) : (
              <Empty title={kind || from ? t`No entry fits` : t`The calendar is empty`}><Trans>Days on which the shop is closed are forecast as zero as soon as they are entered.</Trans></Empty>
            );
          }}
        </Loaded>
      </Card>
      {editing === "holidays" && <Holidays onClose={() => setEditing(null)} />}
      {editing && editing !== "holidays" && <Edit entry={editing === "new" ? null : editing} onClose={() => setEditing(null)} />}
    </Page>
  );
}

function Entries({ list, onEdit }: { list: CalendarEntry[]; onEdit: (entry: CalendarEntry) => void }) {
  return (
    <Table.ScrollContainer minWidth={340}>
      <Table verticalSpacing="sm" horizontalSpacing="md" aria-label={t`Entries of the calendar`}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th><Trans>Days</Trans></Table.Th>
            <Table.Th><Trans>Name</Trans></Table.Th>
            <Table.Th visibleFrom="sm"><Trans>Kind</Trans></Table.Th>
            <Table.Th visibleFrom="sm"><Trans>For</Trans></Table.Th>
            <Table.Th className="number" visibleFrom="sm"><Trans>Discount</Trans></Table.Th>
            <Table.Th w={50}><span className="skip"><Trans>Change</Trans></span></Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {list.map((entry) => (
            <Table.Tr key={entry.id}>
              <Table.Td>
                {day(entry.first_date)}
                {entry.last_date && entry.last_date !== entry.first_date && ` – ${day(entry.last_date)}`}
              </Table.Td>
              <Table.Td>
                {entry.name || entry.id}
                <Text hiddenFrom="sm" fz="xs" c="dimmed">{label(entry.kind)}</Text>
              </Table.Td>
              <Table.Td visibleFrom="sm">
                <Badge variant="light" tt="none" color={COLOURS[entry.kind] ?? "gray"}>{label(entry.kind)}</Badge>
              </Table.Td>
              <Table.Td visibleFrom="sm" c="dimmed">{entry.product_id || entry.category || t`Everything`}</Table.Td>
              <Table.Td className="number" visibleFrom="sm">{entry.discount_percent ? `${amount(entry.discount_percent)} %` : "–"}</Table.Td>
              <Table.Td>
                <ActionIcon variant="subtle" color="gray" aria-label={t`Change ${entry.name || entry.id} of ${day(entry.first_date)}`} onClick={() => onEdit(entry)}>
                  <IconPencil size={17} aria-hidden />
                </ActionIcon>
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Edit({ entry, onClose }: { entry: CalendarEntry | null; onClose: () => void }) {
  const queries = useQueryClient();
  const [draft, setDraft] = useState<Draft>(entry ?? FRESH);
  const [removing, setRemoving] = useState(false);
  const [key] = useState(() => crypto.randomUUID());
  const set = (change: Partial<Draft>) => setDraft({ ...draft, ...change });
  const onSuccess = (now: CalendarEntry) => {
    void queries.invalidateQueries();
    notifications.show({ color: "green", title: removing ? t`Removed` : t`Saved`, message: now.name || now.id });
    onClose();
  };
  const create = useMutation({ ...calendarServiceCreateCalendarEntryMutation(), onSuccess });
  const update = useMutation({ ...calendarServiceUpdateCalendarEntryMutation(), onSuccess });
  const remove = useMutation({ ...calendarServiceDeleteCalendarEntryMutation(), onSuccess });
  const error = create.error ?? update.error ?? remove.error;
  const { fields } = error ? problemOf(error) : { fields: {} as Record<string, string> };
  const promotion = draft.kind === "CALENDAR_ENTRY_KIND_PROMOTION";
  function submit(event: FormEvent) {
    event.preventDefault();
    const { kind, name, first_date, last_date, product_id, category, discount_percent, etag } = draft;
    const body = { kind, name, first_date, last_date: last_date || first_date, ...(promotion ? { product_id, category, discount_percent } : { product_id: "", category: "", discount_percent: 0 }) };
    if (entry) update.mutate({ path: { id: entry.id }, body: { ...body, etag } });
    else create.mutate({ body, headers: { "Idempotency-Key": `${key}-${JSON.stringify(body).length}` } });
  }
  if (removing && entry)
    return (
      <Modal opened onClose={onClose} title={t`Remove ${entry.name || entry.id}?`}>
        <Stack>
          <Text fz="sm"><Trans>The days from {day(entry.first_date)} on are forecast without it at once. This cannot be undone; it can be entered again.</Trans></Text>
          {remove.error && <ErrorNotice error={remove.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={() => setRemoving(false)}><Trans>Keep it</Trans></Button>
            <Button color="red" loading={remove.isPending} onClick={() => remove.mutate({ path: { id: entry.id }, query: { etag: entry.etag } })}><Trans>Remove it</Trans></Button>
          </Group>
        </Stack>
      </Modal>
    );
  return (
    <Modal opened onClose={onClose} title={entry ? t`Change the entry` : t`New entry`}>
      <form onSubmit={submit}>
        <Stack>
          <Select label={t`Kind`} allowDeselect={false} data={KINDS} value={draft.kind} error={fields["kind"]} onChange={(value) => set({ kind: value as CalendarEntryKind })} />
          <TextInput label={t`Name`} value={draft.name} error={fields["name"]} onChange={(event) => set({ name: event.currentTarget.value })} />
          <Group grow align="flex-start">
            <TextInput type="date" label={t`First day`} required value={draft.first_date} error={fields["first_date"]} onChange={(event) => set({ first_date: event.currentTarget.value })} />
            <TextInput type="date" label={t`Last day`} min={draft.first_date} value={draft.last_date} error={fields["last_date"]} onChange={(event) => set({ last_date: event.currentTarget.value })} />
          </Group>
          {promotion && (
            <>
              <NumberInput label={t`Discount`} suffix=" %" required min={1} max={90} value={draft.discount_percent || ""} error={fields["discount_percent"]} onChange={(value) => set({ discount_percent: Number(value) })} />
              <Group grow align="flex-start">
                <TextInput label={t`Product`} description={t`Its id; empty for all`} value={draft.product_id} error={fields["product_id"]} onChange={(event) => set({ product_id: event.currentTarget.value })} />
                <TextInput label={t`Category`} description={t`Instead of a product`} value={draft.category} error={fields["category"]} onChange={(event) => set({ category: event.currentTarget.value })} />
              </Group>
            </>
          )}
          {error && !Object.keys(fields).length && <ErrorNotice error={error} />}
          <Group justify="space-between">
            {entry ? <Button variant="subtle" color="red" onClick={() => setRemoving(true)}><Trans>Remove</Trans></Button> : <span />}
            <Group gap="xs">
              <Button variant="default" onClick={onClose}><Trans>Cancel</Trans></Button>
              <Button type="submit" loading={create.isPending || update.isPending}><Trans>Save</Trans></Button>
            </Group>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

function Holidays({ onClose }: { onClose: () => void }) {
  const queries = useQueryClient();
  const year = new Date().getFullYear();
  const [asked, setAsked] = useState({ country_code: "GB", subdivision_code: "ENG", first_year: year, last_year: year, closed: true });
  const preview = useMutation(calendarServiceImportHolidaysMutation());
  const real = useMutation({
    ...calendarServiceImportHolidaysMutation(),
    onSuccess: ({ created_count, updated_count }) => {
      void queries.invalidateQueries();
      notifications.show({ color: "green", title: t`Holidays imported`, message: plural(created_count + updated_count, { one: "# entry was written.", other: "# entries were written." }) });
      onClose();
    },
  });
  const error = real.error ?? preview.error;
  const { fields } = error ? problemOf(error) : { fields: {} as Record<string, string> };
  const set = (change: Partial<typeof asked>) => {
    setAsked({ ...asked, ...change });
    preview.reset();
  };
  function submit(event: FormEvent) {
    event.preventDefault();
    if (preview.data) real.mutate({ body: asked });
    else preview.mutate({ body: { ...asked, validate_only: true } });
  }
  const writes = preview.data ? preview.data.created_count + preview.data.updated_count : 0;
  return (
    <Modal opened onClose={onClose} title={t`Public holidays`}>
      <form onSubmit={submit}>
        <Stack>
          <SimpleGrid cols={2}>
            <TextInput label={t`Country`} description={t`Two letters, such as GB`} required maxLength={2} value={asked.country_code} error={fields["country_code"]} onChange={(event) => set({ country_code: event.currentTarget.value.toUpperCase() })} />
            <TextInput label={t`Part of it`} description={t`Such as ENG; may be empty`} maxLength={3} value={asked.subdivision_code} error={fields["subdivision_code"]} onChange={(event) => set({ subdivision_code: event.currentTarget.value.toUpperCase() })} />
            <NumberInput label={t`First year`} required min={1990} max={2100} value={asked.first_year} error={fields["first_year"]} onChange={(value) => set({ first_year: Number(value) })} />
            <NumberInput label={t`Last year`} required min={1990} max={2100} value={asked.last_year} error={fields["last_year"]} onChange={(value) => set({ last_year: Number(value) })} />
          </SimpleGrid>
          <Checkbox label={t`The shop is closed on them`} checked={asked.closed} onChange={(event) => set({ closed: event.currentTarget.checked })} />
          {error && !Object.keys(fields).length && <ErrorNotice error={error} />}
          {preview.data && (
            <Text fz="sm" role="status">
              <Trans>{count(preview.data.created_count)} new, {count(preview.data.updated_count)} changed, {count(preview.data.unchanged_count)} as they were.</Trans>{" "}
              {preview.data.failed_count > 0 && <Trans>{count(preview.data.failed_count)} cannot be entered: {preview.data.failures[0]?.message ?? ""}.</Trans>}
            </Text>
          )}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}><Trans>Cancel</Trans></Button>
            <Button type="submit" loading={preview.isPending || real.isPending} disabled={Boolean(preview.data) && !writes}>{preview.data ? plural(writes, { one: "Enter # day", other: "Enter # days" }) : t`Look`}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
