import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { Button, Group, SimpleGrid, Stack, Text, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";

import type { Rule } from "@client/gen";
import {
  recommenderServiceDeleteRuleMutation, recommenderServiceGetRuleOptions, recommenderServiceListSlotsOptions, recommenderServiceReplaceRuleMutation,
} from "@client/gen/@tanstack/react-query.gen";
import { Conflict } from "../components/conflict";
import { Delete } from "../components/delete";
import { Card, ErrorNotice, Loaded, Page } from "../components/page";
import { Preview } from "../components/preview";
import { FRESH_RULE, RuleFields } from "../components/rule-fields";
import { problemOf, reasonOf } from "../errors";
import { ID_FORM, ID_HINT, time } from "../format";
import { ruleInput } from "../inputs";
import { label } from "../labels";
import { effect, period } from "./merchandising";

// In the list without the rule, one of its id that was written has ended.
const ENDED = "2000-01-01T00:00:00Z";
const TEXTS: Array<[string, (rule: Rule) => string]> = [
  [t`Does`, (rule) => `${label(rule.action)}: ${effect(rule)}`],
  [t`Product or category`, ({ product_id, category }) => product_id || category],
  [t`Slot`, ({ slot }) => slot || t`All`],
  [t`Holds`, period],
  [t`Shoppers`, ({ audience }) => label(audience?.shoppers ?? "SHOPPER_KIND_UNSPECIFIED")],
  [t`Countries`, ({ audience }) => audience?.countries.join(", ") ?? ""],
];

export function NewRulePage() {
  return (
    <Page title={t`New rule`} about={t`Moves products in lists of recommendations.`}>
      <Edit rule={FRESH_RULE} />
    </Page>
  );
}

export function RulePage() {
  const { id } = useParams({ from: "/merchandising/rules/$id" });
  const rule = useQuery({ ...recommenderServiceGetRuleOptions({ path: { id } }), refetchOnWindowFocus: false });
  return (
    <Page
      title={t`Rule ${id}`}
      about={rule.data && t`Changed ${time(rule.data.update_time)}.`}
      actions={<Button variant="default" component={Link} {...{ to: "/exposures", search: { rule: id } as never }}><Trans>The lists that it moved</Trans></Button>}
    >
      <Loaded query={rule}>{(data) => <Edit key={id} rule={data} />}</Loaded>
    </Page>
  );
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
      notifications.show({ color: "green", title: t`Saved`, message: t`All lists follow it within two seconds.` });
      if (fresh) void navigate({ to: "/merchandising/rules/$id", params: { id: now.id } });
    },
    onError: async (error) => {
      if (reasonOf(error) === "STALE_ETAG") setTheirs(await queries.fetchQuery({ ...recommenderServiceGetRuleOptions({ path: { id: draft.id } }), staleTime: 0 }));
    },
  });
  const save = (etag: string) => replace.mutate({ path: { id: draft.id }, body: ruleInput({ ...draft, etag }) });
  const { fields = {} } = replace.error ? problemOf(replace.error) : {};
  function submit(event: FormEvent) {
    event.preventDefault();
    save(draft.etag);
  }
  const { update_time: _, etag: __, ...slot } = slots.data?.slots.find(({ id }) => id === draft.slot) ?? { id: draft.slot || "preview", source: "SLOT_SOURCE_PERSONAL" as const, size: 10, update_time: null, etag: "" };
  const own = { ...ruleInput(draft), id: ID_FORM.test(draft.id) ? draft.id : "preview" };
  return (
    <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="lg" style={{ alignItems: "start" }}>
      <Card title={t`The rule`}>
        <form onSubmit={submit}>
          <Stack>
            {theirs && <Conflict fields={TEXTS.map(([name, text]) => ({ name, theirs: text(theirs), mine: text(draft) }))} onMine={() => save(theirs.etag)} onTheirs={() => take(theirs)} />}
            {fresh && <TextInput label={t`Id`} description={t`Small letters, digits and dashes, such as spring-teas`} required value={draft.id} error={fields["id"] ?? (draft.id && !ID_FORM.test(draft.id) ? ID_HINT : undefined)} onChange={(event) => setDraft({ ...draft, id: event.currentTarget.value })} />}
            <RuleFields draft={draft} set={(change) => setDraft({ ...draft, ...change })} fields={fields} slots={slots.data?.slots.map(({ id }) => id) ?? []} />
            {replace.error && !theirs && !Object.keys(fields).length && <ErrorNotice error={replace.error} />}
            <Group justify="space-between">
              <Group gap="xs">
                <Button type="submit" loading={replace.isPending}><Trans>Save</Trans></Button>
                <Button variant="subtle" component={Link} {...{ to: "/merchandising" }}><Trans>Back</Trans></Button>
              </Group>
              {!fresh && <DeleteRule id={rule.id} />}
            </Group>
          </Stack>
        </form>
      </Card>
      <Preview before={{ slot, rules: [{ ...own, start_time: null, end_time: ENDED }] }} after={{ slot, rules: [own] }} ready={Boolean(draft.product_id || draft.category)} />
    </SimpleGrid>
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
    <Delete title={t`Delete rule ${id}?`} busy={remove.isPending} error={remove.error} onDelete={() => remove.mutate({ path: { id } })}>
      <Text fz="sm"><Trans>Products are where they would be without it within two seconds. This cannot be undone; the rule can be made again.</Trans></Text>
    </Delete>
  );
}
