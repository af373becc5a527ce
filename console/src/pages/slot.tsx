import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { Button, Group, SimpleGrid, Stack, Text, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";

import type { Slot } from "@client/gen";
import { recommenderServiceDeleteSlotMutation, recommenderServiceGetSlotOptions, recommenderServiceReplaceSlotMutation } from "@client/gen/@tanstack/react-query.gen";
import { Conflict } from "../components/conflict";
import { Delete } from "../components/delete";
import { Card, ErrorNotice, Loaded, Page } from "../components/page";
import { Preview } from "../components/preview";
import { FRESH_SLOT, SLOT_TEXTS, SlotFields } from "../components/slot-fields";
import { problemOf, reasonOf } from "../errors";
import { ID_FORM, ID_HINT, time } from "../format";
import { slotInput } from "../inputs";

export function NewSlotPage() {
  return (
    <Page title={t`New slot`} about={t`A place in the shop where a list is shown.`}>
      <Edit slot={FRESH_SLOT} />
    </Page>
  );
}

export function SlotPage() {
  const { id } = useParams({ from: "/merchandising/slots/$id" });
  const slot = useQuery({ ...recommenderServiceGetSlotOptions({ path: { id } }), refetchOnWindowFocus: false });
  return (
    <Page title={t`Slot ${id}`} about={slot.data && t`Changed ${time(slot.data.update_time)}.`}>
      <Loaded query={slot}>{(data) => <Edit key={id} slot={data} />}</Loaded>
    </Page>
  );
}

function Edit({ slot }: { slot: Slot }) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const fresh = !slot.etag;
  const [draft, setDraft] = useState(slot);
  const [theirs, setTheirs] = useState<Slot | null>(null);
  const set = (change: Partial<Slot>) => setDraft({ ...draft, ...change });
  const take = (now: Slot) => {
    setDraft(now);
    setTheirs(null);
  };
  const replace = useMutation({
    ...recommenderServiceReplaceSlotMutation(),
    onSuccess: (now) => {
      take(now);
      queries.setQueryData(recommenderServiceGetSlotOptions({ path: { id: now.id } }).queryKey, now);
      void queries.invalidateQueries();
      notifications.show({ color: "green", title: t`Saved`, message: t`All lists follow it within two seconds.` });
      if (fresh) void navigate({ to: "/merchandising/slots/$id", params: { id: now.id } });
    },
    onError: async (error) => {
      if (reasonOf(error) === "STALE_ETAG") setTheirs(await queries.fetchQuery({ ...recommenderServiceGetSlotOptions({ path: { id: draft.id } }), staleTime: 0 }));
    },
  });
  const save = (etag: string) => replace.mutate({ path: { id: draft.id }, body: slotInput({ ...draft, etag }) });
  const { fields = {} } = replace.error ? problemOf(replace.error) : {};
  function submit(event: FormEvent) {
    event.preventDefault();
    save(draft.etag);
  }
  return (
    <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="lg" style={{ alignItems: "start" }}>
      <Card title={t`The slot`}>
        <form onSubmit={submit}>
          <Stack>
            {theirs && <Conflict fields={SLOT_TEXTS.map(([name, text]) => ({ name, theirs: text(theirs), mine: text(draft) }))} onMine={() => save(theirs.etag)} onTheirs={() => take(theirs)} />}
            {fresh && <TextInput label={t`Id`} description={t`Small letters, digits and dashes, such as home; requests name it`} required value={draft.id} error={fields["id"] ?? (draft.id && !ID_FORM.test(draft.id) ? ID_HINT : undefined)} onChange={(event) => set({ id: event.currentTarget.value })} />}
            <SlotFields slot={draft} set={set} fields={fields} />
            {replace.error && !theirs && !Object.keys(fields).length && <ErrorNotice error={replace.error} />}
            <Group justify="space-between">
              <Group gap="xs">
                <Button type="submit" loading={replace.isPending}><Trans>Save</Trans></Button>
                <Button variant="subtle" component={Link} {...{ to: "/merchandising" }}><Trans>Back</Trans></Button>
              </Group>
              {!fresh && <DeleteSlot id={slot.id} />}
            </Group>
          </Stack>
        </form>
      </Card>
      <Preview after={{ slot: slotInput({ ...draft, etag: "", id: ID_FORM.test(draft.id) ? draft.id : "preview" }), rules: [] }} ready />
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
    <Delete title={t`Delete slot ${id}?`} busy={remove.isPending} error={remove.error} onDelete={() => remove.mutate({ path: { id } })}>
      <Text fz="sm"><Trans>Requests that name it are answered with an error from then on. It can be made again.</Trans></Text>
    </Delete>
  );
}
