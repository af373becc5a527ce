// How a slot's list is made: the fields of the form, and their values in words.
import { t } from "@lingui/core/macro";
import { Group, NumberInput, Select } from "@mantine/core";

import type { Slot, SlotSource } from "@client/gen";
import { count, shortPercent } from "../format";
import { label } from "../labels";

const SOURCES = ["SLOT_SOURCE_PERSONAL", "SLOT_SOURCE_POPULAR", "SLOT_SOURCE_SIMILAR"] as const;

export const FRESH_SLOT: Slot = { id: "", source: "SLOT_SOURCE_PERSONAL", size: 10, max_per_category: 0, exploration_share: 0, update_time: null, etag: "" };

export const SLOT_TEXTS: Array<[string, (slot: Slot) => string]> = [
  [t`Shows`, ({ source }) => label(source)],
  [t`Products`, ({ size }) => count(size || FRESH_SLOT.size)],
  [t`Most of one category`, ({ max_per_category }) => (max_per_category ? count(max_per_category) : t`Any`)],
  [t`Exploration`, ({ exploration_share }) => shortPercent(exploration_share)],
];

export function SlotFields({ slot, set, fields }: { slot: Slot; set: (change: Partial<Slot>) => void; fields: Record<string, string> }) {
  return (
    <>
      <Select
        label={t`Shows`}
        allowDeselect={false}
        data={SOURCES.map((value) => ({ value, label: label(value) }))}
        value={slot.source === "SLOT_SOURCE_UNSPECIFIED" ? "SLOT_SOURCE_PERSONAL" : slot.source}
        error={fields["source"]}
        onChange={(value) => set({ source: value as SlotSource })}
      />
      <Group grow align="flex-start">
        <NumberInput label={t`Products`} description={t`Of one page`} min={1} max={100} allowDecimal={false} value={slot.size || FRESH_SLOT.size} error={fields["size"]} onChange={(value) => set({ size: Number(value) })} />
        <NumberInput label={t`Most of one category`} description={t`0 for any number`} min={0} max={100} allowDecimal={false} value={slot.max_per_category} error={fields["max_per_category"]} onChange={(value) => set({ max_per_category: Number(value) })} />
      </Group>
      <NumberInput label={t`Exploration`} description={t`How often a position shows another product, to learn how it does`} min={0} max={100} suffix=" %" decimalScale={1} value={slot.exploration_share * 100} error={fields["exploration_share"]} onChange={(value) => set({ exploration_share: Number(value) / 100 })} />
    </>
  );
}
