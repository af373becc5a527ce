// What a list would show with a slot or rule as it is being edited, before anything is written.
import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { Group, Text, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { recommenderServicePreviewRecommendations, type ListRecommendationsResponse, type RuleInput, type SlotInput } from "@client/gen";
import { label } from "../labels";
import { missing, rises } from "../ranks";
import { Card, Empty, ErrorNotice, Loading } from "./page";
import { Recommendations } from "./product-table";

interface Asked {
  customer_number?: string;
  country?: string;
  product_id?: string;
}

interface Draft {
  slot: SlotInput;
  rules: RuleInput[];
}

/** The list of a slot and rules that are not written, and how it moves products from where they were `before`; `ready` says whether there is enough of them for a list. */
export function Preview({ before, after, ready }: { before?: Draft; after: Draft; ready: boolean }) {
  const [asked, setAsked] = useState<Asked>({});
  const [typed] = useDebouncedValue(asked, 300);
  const [drafts] = useDebouncedValue({ before, after }, 300);
  const { slot } = after;
  const earlier = usePreview({ ...typed, ...(drafts.before ?? drafts.after) }, ready && Boolean(before));
  const shown = usePreview({ ...typed, ...drafts.after }, ready);
  const field = (name: keyof Asked, text: string, placeholder: string) => (
    <TextInput size="xs" label={text} placeholder={placeholder} value={asked[name] ?? ""} onChange={(event) => setAsked({ ...asked, [name]: event.currentTarget.value.trim() })} flex="1 1 130px" />
  );
  return (
    <Card title={t`Preview`} flush>
      <Group px="md" pb="md" gap="sm">
        {field("customer_number", t`Customer number`, t`A new visitor`)}
        {field("country", t`Country`, t`Not stated`)}
        {slot.source === "SLOT_SOURCE_SIMILAR" && field("product_id", t`Similar to product`, t`Its id`)}
      </Group>
      {shown.error ? <ErrorNotice error={shown.error} /> : !ready ? <Empty title={t`Nothing to show yet`}><Trans>Fill in the form, and the list appears here.</Trans></Empty> : shown.data ? <Lists before={before && earlier.data} after={shown.data} /> : <Loading />}
    </Card>
  );
}

function usePreview(body: Asked & Draft, enabled: boolean) {
  return useQuery({
    queryKey: ["preview", body],
    queryFn: async () => (await recommenderServicePreviewRecommendations({ body, throwOnError: true })).data,
    placeholderData: keepPreviousData,
    enabled,
  });
}

function Lists({ before, after }: { before: ListRecommendationsResponse | undefined; after: ListRecommendationsResponse }) {
  if (!after.recommendations.length) return <Empty title={t`The list would be empty`} />;
  const gone = before ? missing(before.recommendations, after.recommendations) : [];
  return (
    <>
      <Recommendations list={after.recommendations} name={t`Preview`} {...(before && { moves: rises(before.recommendations, after.recommendations) })} />
      <Text fz="xs" c="dimmed" p="md">
        {[label(after.fallback_step), gone.length > 0 && t`No longer in the list: ${gone.map(({ product }) => product?.name).join(", ")}`].filter(Boolean).join(" · ")}
      </Text>
    </>
  );
}
