// What a rule does, where, when and for whom: the fields of the form.
import { t } from "@lingui/core/macro";
import { Group, NumberInput, SegmentedControl, Select, TagsInput, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";

import type { Rule, RuleAction, ShopperKind } from "@client/gen";
import { catalogServiceListCategoriesOptions } from "@client/gen/@tanstack/react-query.gen";
import { instant, localTime } from "../format";
import { label } from "../labels";

const ACTIONS = ["RULE_ACTION_PIN", "RULE_ACTION_BOOST", "RULE_ACTION_BURY", "RULE_ACTION_EXCLUDE"] as const;
const SHOPPERS = (["SHOPPER_KIND_UNSPECIFIED", "SHOPPER_KIND_VISITORS", "SHOPPER_KIND_NEW_VISITORS", "SHOPPER_KIND_USERS"] as const).map((value) => ({ value, label: label(value) }));
export const FRESH_RULE: Rule = {
  id: "", slot: "", action: "RULE_ACTION_BOOST", product_id: "", category: "", position: 0, strength: 2, start_time: null, end_time: null, audience: null, update_time: null, etag: "",
};

/** `slots` are those to choose from; without them the slot stays as it is. */
export function RuleFields({ draft, set, fields, slots }: { draft: Rule; set: (change: Partial<Rule>) => void; fields: Record<string, string>; slots?: string[] }) {
  const categories = useQuery(catalogServiceListCategoriesOptions({ query: { page_size: 100 } }));
  const pin = draft.action === "RULE_ACTION_PIN";
  const shoppers = draft.audience?.shoppers ?? "SHOPPER_KIND_UNSPECIFIED";
  const countries = draft.audience?.countries ?? [];
  return (
    <>
      <SegmentedControl aria-label={t`Action`} fullWidth data={ACTIONS.map((value) => ({ value, label: label(value) }))} value={draft.action} onChange={(value) => set({ action: value as RuleAction })} withItemsBorders={false} />
      <Group grow align="flex-start">
        <TextInput label={t`Product`} description={t`Its id`} required={pin} value={draft.product_id} error={fields["product_id"]} onChange={(event) => set({ product_id: event.currentTarget.value.trim(), category: "" })} />
        {!pin && (
          <Select
            label={t`Category`}
            description={t`Instead of a product`}
            searchable
            clearable
            clearButtonProps={{ "aria-label": t`Choose no category` }}
            data={categories.data?.categories.map(({ name }) => name).filter(Boolean) ?? []}
            value={draft.category || null}
            error={fields["category"]}
            onChange={(value) => set({ category: value ?? "", product_id: "" })}
          />
        )}
        {pin && <NumberInput label={t`Position`} description={t`Counted from 1`} min={1} max={100} allowDecimal={false} value={draft.position || 1} error={fields["position"]} onChange={(value) => set({ position: Number(value) })} />}
      </Group>
      {(draft.action === "RULE_ACTION_BOOST" || draft.action === "RULE_ACTION_BURY") && (
        <NumberInput label={t`Strength`} description={draft.action === "RULE_ACTION_BOOST" ? t`Ranks are divided by it` : t`Ranks are multiplied by it`} min={1} max={1000} value={draft.strength || 2} error={fields["strength"]} onChange={(value) => set({ strength: Number(value) })} />
      )}
      <Group grow align="flex-start">
        {slots && <Select label={t`Slot`} placeholder={t`All lists`} clearable clearButtonProps={{ "aria-label": t`Choose all lists` }} data={slots} value={draft.slot || null} error={fields["slot"]} onChange={(value) => set({ slot: value ?? "" })} />}
        <Select label={t`Shoppers`} allowDeselect={false} data={SHOPPERS} value={shoppers} onChange={(value) => set({ audience: { shoppers: value as ShopperKind, countries } })} />
      </Group>
      <TagsInput label={t`Countries`} placeholder={countries.length ? "" : t`All`} description={t`As in the sales history; Enter adds one`} value={countries} error={fields["countries"]} onChange={(value) => set({ audience: { shoppers, countries: value } })} />
      <Group grow align="flex-start">
        <TextInput type="datetime-local" label={t`From`} value={localTime(draft.start_time)} error={fields["start_time"]} onChange={(event) => set({ start_time: instant(event.currentTarget.value) })} />
        <TextInput type="datetime-local" label={t`Until`} value={localTime(draft.end_time)} error={fields["end_time"]} onChange={(event) => set({ end_time: instant(event.currentTarget.value) })} />
      </Group>
    </>
  );
}
