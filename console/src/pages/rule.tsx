import { Button, Group, NumberInput, SegmentedControl, Select, SimpleGrid, Stack, TagsInput, Text, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";

import type { Rule, RuleAction, RuleInput, ShopperKind } from "@client/gen";
import {
  catalogServiceListCategoriesOptions, recommenderServiceDeleteRuleMutation, recommenderServiceGetRuleOptions, recommenderServiceListSlotsOptions, recommenderServiceReplaceRuleMutation,
} from "@client/gen/@tanstack/react-query.gen";
import { Conflict } from "../components/conflict";
import { Delete } from "../components/delete";
import { Card, ErrorNotice, Loaded, Page } from "../components/page";
import { Preview } from "../components/preview";
import { problemOf, reasonOf } from "../errors";
import { instant, label, localTime, time } from "../format";
import { effect, period } from "./merchandising";

const ACTIONS = ["RULE_ACTION_PIN", "RULE_ACTION_BOOST", "RULE_ACTION_BURY", "RULE_ACTION_EXCLUDE"] as const;
const SHOPPERS = [
  { value: "SHOPPER_KIND_UNSPECIFIED", label: "Everybody" },
  { value: "SHOPPER_KIND_VISITORS", label: "Visitors" },
  { value: "SHOPPER_KIND_NEW_VISITORS", label: "New visitors" },
  { value: "SHOPPER_KIND_USERS", label: "Users who have signed in" },
];
const FRESH: Rule = {
  id: "", slot: "", action: "RULE_ACTION_BOOST", product_id: "", category: "", position: 0, strength: 2, start_time: null, end_time: null, audience: null, update_time: null, etag: "",
};
const ID = /^[a-z0-9_-]{1,64}$/;
const TEXTS: Array<[string, (rule: Rule) => string]> = [
  ["Does", (rule) => `${label(rule.action, "RULE_ACTION")} ${effect(rule)}`],
  ["Product or category", ({ product_id, category }) => product_id || category],
  ["Slot", ({ slot }) => slot || "All"],
  ["Holds", period],
  ["Shoppers", ({ audience }) => label(audience?.shoppers ?? "", "SHOPPER_KIND")],
  ["Countries", ({ audience }) => audience?.countries.join(", ") ?? ""],
];

export function NewRulePage() {
  return (
    <Page title="New rule" about="Moves products in lists of recommendations.">
      <Edit rule={FRESH} />
    </Page>
  );
}

export function RulePage() {
  const { id } = useParams({ from: "/merchandising/rules/$id" });
  const rule = useQuery({ ...recommenderServiceGetRuleOptions({ path: { id } }), refetchOnWindowFocus: false });
  return (
    <Page title={`Rule ${id}`} about={rule.data && `Changed ${time(rule.data.update_time)}.`}>
      <Loaded query={rule}>{(data) => <Edit key={id} rule={data} />}</Loaded>
    </Page>
  );
}

/** The rule as it is sent, without what its action does not have. */
function sent({ update_time: _, etag, ...rule }: Rule): RuleInput {
  const pin = rule.action === "RULE_ACTION_PIN";
  return { ...rule, position: pin ? rule.position || 1 : 0, strength: rule.action === "RULE_ACTION_BOOST" || rule.action === "RULE_ACTION_BURY" ? rule.strength : 0, category: pin ? "" : rule.category, ...(etag && { etag }) };
}

function Edit({ rule }: { rule: Rule }) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const fresh = !rule.etag;
  const [draft, setDraft] = useState(rule);
  const [theirs, setTheirs] = useState<Rule | null>(null);
  const slots = useQuery(recommenderServiceListSlotsOptions({ query: { page_size: 100 } }));
  const take = (now: Rule) => {
    setDraft(now);
    setTheirs(null);
  };
  const replace = useMutation({
    ...recommenderServiceReplaceRuleMutation(),
    onSuccess: (now) => {
      take(now);
      queries.setQueryData(recommenderServiceGetRuleOptions({ path: { id: now.id } }).queryKey, now);
      void queries.invalidateQueries();
      notifications.show({ color: "green", title: "Saved", message: "All lists follow it within two seconds." });
      if (fresh) void navigate({ to: "/merchandising/rules/$id", params: { id: now.id } });
    },
    onError: async (error) => {
      if (reasonOf(error) === "STALE_ETAG") setTheirs(await queries.fetchQuery({ ...recommenderServiceGetRuleOptions({ path: { id: draft.id } }), staleTime: 0 }));
    },
  });
  const save = (etag: string) => replace.mutate({ path: { id: draft.id }, body: sent({ ...draft, etag }) });
  const { fields = {} } = replace.error ? problemOf(replace.error) : {};
  function submit(event: FormEvent) {
    event.preventDefault();
    save(draft.etag);
  }
  const { update_time: _, etag: __, ...slot } = slots.data?.slots.find(({ id }) => id === draft.slot) ?? { id: draft.slot || "preview", source: "SLOT_SOURCE_PERSONAL" as const, size: 10, update_time: null, etag: "" };
  return (
    <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="lg" style={{ alignItems: "start" }}>
      <Card title="The rule">
        <form onSubmit={submit}>
          <Stack>
            {theirs && <Conflict fields={TEXTS.map(([name, text]) => ({ name, theirs: text(theirs), mine: text(draft) }))} onMine={() => save(theirs.etag)} onTheirs={() => take(theirs)} />}
            {fresh && <TextInput label="Id" description="Small letters, digits and dashes, such as spring-teas" required value={draft.id} error={fields["id"] ?? (draft.id && !ID.test(draft.id) ? "Only small letters, digits, - and _." : undefined)} onChange={(event) => setDraft({ ...draft, id: event.currentTarget.value })} />}
            <Fields draft={draft} set={(change) => setDraft({ ...draft, ...change })} fields={fields} slots={slots.data?.slots.map(({ id }) => id) ?? []} />
            {replace.error && !theirs && !Object.keys(fields).length && <ErrorNotice error={replace.error} />}
            <Group justify="space-between">
              <Group gap="xs">
                <Button type="submit" loading={replace.isPending}>Save</Button>
                <Button variant="subtle" component={Link} {...{ to: "/merchandising" }}>Back</Button>
              </Group>
              {!fresh && <DeleteRule id={rule.id} />}
            </Group>
          </Stack>
        </form>
      </Card>
      <Preview slot={slot} rule={{ ...sent(draft), id: ID.test(draft.id) ? draft.id : "preview" }} ready={Boolean(draft.product_id || draft.category)} />
    </SimpleGrid>
  );
}

function Fields({ draft, set, fields, slots }: { draft: Rule; set: (change: Partial<Rule>) => void; fields: Record<string, string>; slots: string[] }) {
  const categories = useQuery(catalogServiceListCategoriesOptions({ query: { page_size: 100 } }));
  const pin = draft.action === "RULE_ACTION_PIN";
  const shoppers = draft.audience?.shoppers ?? "SHOPPER_KIND_UNSPECIFIED";
  const countries = draft.audience?.countries ?? [];
  return (
    <>
      <SegmentedControl aria-label="Action" fullWidth data={ACTIONS.map((value) => ({ value, label: label(value, "RULE_ACTION") }))} value={draft.action} onChange={(value) => set({ action: value as RuleAction })} withItemsBorders={false} />
      <Group grow align="flex-start">
        <TextInput label="Product" description="Its id" required={pin} value={draft.product_id} error={fields["product_id"]} onChange={(event) => set({ product_id: event.currentTarget.value.trim(), category: "" })} />
        {!pin && (
          <Select
            label="Category"
            description="Instead of a product"
            searchable
            clearable
            clearButtonProps={{ "aria-label": "Choose no category" }}
            data={categories.data?.categories.map(({ name }) => name).filter(Boolean) ?? []}
            value={draft.category || null}
            error={fields["category"]}
            onChange={(value) => set({ category: value ?? "", product_id: "" })}
          />
        )}
        {pin && <NumberInput label="Position" description="Counted from 1" min={1} max={100} allowDecimal={false} value={draft.position || 1} error={fields["position"]} onChange={(value) => set({ position: Number(value) })} />}
      </Group>
      {(draft.action === "RULE_ACTION_BOOST" || draft.action === "RULE_ACTION_BURY") && (
        <NumberInput label="Strength" description={draft.action === "RULE_ACTION_BOOST" ? "Ranks are divided by it" : "Ranks are multiplied by it"} min={1} max={1000} value={draft.strength || 2} error={fields["strength"]} onChange={(value) => set({ strength: Number(value) })} />
      )}
      <Group grow align="flex-start">
        <Select label="Slot" placeholder="All lists" clearable clearButtonProps={{ "aria-label": "Choose all lists" }} data={slots} value={draft.slot || null} error={fields["slot"]} onChange={(value) => set({ slot: value ?? "" })} />
        <Select label="Shoppers" allowDeselect={false} data={SHOPPERS} value={shoppers} onChange={(value) => set({ audience: { shoppers: value as ShopperKind, countries } })} />
      </Group>
      <TagsInput label="Countries" placeholder={countries.length ? "" : "All"} description="As in the sales history; Enter adds one" value={countries} error={fields["countries"]} onChange={(value) => set({ audience: { shoppers, countries: value } })} />
      <Group grow align="flex-start">
        <TextInput type="datetime-local" label="From" value={localTime(draft.start_time)} error={fields["start_time"]} onChange={(event) => set({ start_time: instant(event.currentTarget.value) })} />
        <TextInput type="datetime-local" label="Until" value={localTime(draft.end_time)} error={fields["end_time"]} onChange={(event) => set({ end_time: instant(event.currentTarget.value) })} />
      </Group>
    </>
  );
}

function DeleteRule({ id }: { id: string }) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const remove = useMutation({
    ...recommenderServiceDeleteRuleMutation(),
    onSuccess: () => {
      void queries.invalidateQueries();
      void navigate({ to: "/merchandising" });
    },
  });
  return (
    <Delete name={`rule ${id}`} busy={remove.isPending} error={remove.error} onDelete={() => remove.mutate({ path: { id } })}>
      <Text fz="sm">Products are where they would be without it within two seconds. This cannot be undone; the rule can be made again.</Text>
    </Delete>
  );
}
