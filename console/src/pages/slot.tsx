import { Button, Group, NumberInput, Select, SimpleGrid, Stack, Text, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";

import type { Slot, SlotSource } from "@client/gen";
import { recommenderServiceDeleteSlotMutation, recommenderServiceGetSlotOptions, recommenderServiceReplaceSlotMutation } from "@client/gen/@tanstack/react-query.gen";
import { Conflict } from "../components/conflict";
import { Delete } from "../components/delete";
import { Card, ErrorNotice, Loaded, Page } from "../components/page";
import { Preview } from "../components/preview";
import { problemOf, reasonOf } from "../errors";
import { count, label, percent, time } from "../format";

const SOURCES = ["SLOT_SOURCE_PERSONAL", "SLOT_SOURCE_POPULAR", "SLOT_SOURCE_SIMILAR"] as const;
const FRESH: Slot = { id: "", source: "SLOT_SOURCE_PERSONAL", size: 10, max_per_category: 0, exploration_share: 0, update_time: null, etag: "" };
const ID = /^[a-z0-9_-]{1,64}$/;
const TEXTS: Array<[string, (slot: Slot) => string]> = [
  ["Shows", ({ source }) => label(source, "SLOT_SOURCE")],
  ["Products", ({ size }) => count(size)],
  ["Most of one category", ({ max_per_category }) => (max_per_category ? count(max_per_category) : "Any")],
  ["Exploration", ({ exploration_share }) => percent(exploration_share)],
];

export function NewSlotPage() {
  return (
    <Page title="New slot" about="A place in the shop where a list is shown.">
      <Edit slot={FRESH} />
    </Page>
  );
}

export function SlotPage() {
  const { id } = useParams({ from: "/merchandising/slots/$id" });
  const slot = useQuery({ ...recommenderServiceGetSlotOptions({ path: { id } }), refetchOnWindowFocus: false });
  return (
    <Page title={`Slot ${id}`} about={slot.data && `Changed ${time(slot.data.update_time)}.`}>
      <Loaded query={slot}>{(data) => <Edit key={id} slot={data} />}</Loaded>
    </Page>
  );
}

function Edit({ slot }: { slot: Slot }) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const fresh = !slot.etag;
  const [draft, setDraft] = useState({ ...slot, size: slot.size || 10 });
  const [theirs, setTheirs] = useState<Slot | null>(null);
  const set = (change: Partial<Slot>) => setDraft({ ...draft, ...change });
  const take = (now: Slot) => {
    setDraft({ ...now, size: now.size || 10 });
    setTheirs(null);
  };
  const replace = useMutation({
    ...recommenderServiceReplaceSlotMutation(),
    onSuccess: (now) => {
      take(now);
      queries.setQueryData(recommenderServiceGetSlotOptions({ path: { id: now.id } }).queryKey, now);
      void queries.invalidateQueries();
      notifications.show({ color: "green", title: "Saved", message: "All lists follow it within two seconds." });
      if (fresh) void navigate({ to: "/merchandising/slots/$id", params: { id: now.id } });
    },
    onError: async (error) => {
      if (reasonOf(error) === "STALE_ETAG") setTheirs(await queries.fetchQuery({ ...recommenderServiceGetSlotOptions({ path: { id: draft.id } }), staleTime: 0 }));
    },
  });
  const save = (etag: string) => {
    const { id, source, size, max_per_category, exploration_share } = draft;
    replace.mutate({ path: { id }, body: { id, source, size, max_per_category, exploration_share, ...(etag && { etag }) } });
  };
  const { fields = {} } = replace.error ? problemOf(replace.error) : {};
  function submit(event: FormEvent) {
    event.preventDefault();
    save(draft.etag);
  }
  return (
    <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="lg" style={{ alignItems: "start" }}>
      <Card title="The slot">
        <form onSubmit={submit}>
          <Stack>
            {theirs && <Conflict fields={TEXTS.map(([name, text]) => ({ name, theirs: text(theirs), mine: text(draft) }))} onMine={() => save(theirs.etag)} onTheirs={() => take(theirs)} />}
            {fresh && <TextInput label="Id" description="Small letters, digits and dashes, such as home; requests name it" required value={draft.id} error={fields["id"] ?? (draft.id && !ID.test(draft.id) ? "Only small letters, digits, - and _." : undefined)} onChange={(event) => set({ id: event.currentTarget.value })} />}
            <Select label="Shows" allowDeselect={false} data={SOURCES.map((value) => ({ value, label: `${label(value, "SLOT_SOURCE")} ${value === "SLOT_SOURCE_PERSONAL" ? "recommendations" : "products"}` }))} value={draft.source === "SLOT_SOURCE_UNSPECIFIED" ? "SLOT_SOURCE_PERSONAL" : draft.source} error={fields["source"]} onChange={(value) => set({ source: value as SlotSource })} />
            <Group grow align="flex-start">
              <NumberInput label="Products" description="Of one page" min={1} max={100} allowDecimal={false} value={draft.size} error={fields["size"]} onChange={(value) => set({ size: Number(value) })} />
              <NumberInput label="Most of one category" description="0 for any number" min={0} max={100} allowDecimal={false} value={draft.max_per_category} error={fields["max_per_category"]} onChange={(value) => set({ max_per_category: Number(value) })} />
            </Group>
            <NumberInput label="Exploration" description="How often a position shows another product, to learn how it does" min={0} max={100} suffix=" %" decimalScale={1} value={draft.exploration_share * 100} error={fields["exploration_share"]} onChange={(value) => set({ exploration_share: Number(value) / 100 })} />
            {replace.error && !theirs && !Object.keys(fields).length && <ErrorNotice error={replace.error} />}
            <Group justify="space-between">
              <Group gap="xs">
                <Button type="submit" loading={replace.isPending}>Save</Button>
                <Button variant="subtle" component={Link} {...{ to: "/merchandising" }}>Back</Button>
              </Group>
              {!fresh && <DeleteSlot id={slot.id} />}
            </Group>
          </Stack>
        </form>
      </Card>
      <Preview slot={{ ...draft, id: ID.test(draft.id) ? draft.id : "preview" }} ready />
    </SimpleGrid>
  );
}

function DeleteSlot({ id }: { id: string }) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const remove = useMutation({
    ...recommenderServiceDeleteSlotMutation(),
    onSuccess: () => {
      void queries.invalidateQueries();
      void navigate({ to: "/merchandising" });
    },
  });
  return (
    <Delete name={`slot ${id}`} busy={remove.isPending} error={remove.error} onDelete={() => remove.mutate({ path: { id } })}>
      <Text fz="sm">Requests that name it are answered with an error from then on. It can be made again.</Text>
    </Delete>
  );
}
