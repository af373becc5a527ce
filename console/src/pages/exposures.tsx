import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { Badge, Button, Group, Select, SimpleGrid, Stack, Table, Text, TextInput } from "@mantine/core";
import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";

import type { Exposure } from "@client/gen";
import {
  catalogServiceBatchGetProductsOptions, recommenderServiceListExperimentsOptions, recommenderServiceListExposuresInfiniteOptions, recommenderServiceListSlotsOptions,
} from "@client/gen/@tanstack/react-query.gen";
import { Card, Empty, Loaded, More, Page } from "../components/page";
import { count, shortPercent, time } from "../format";
import { label } from "../labels";
import { ARMS } from "../router";

const PAGE_SIZE = 10;
const SHORT = 5;
const EVENT_COLOURS: Record<string, string> = { EVENT_KIND_PURCHASE: "green", EVENT_KIND_CLICK: "blue", EVENT_KIND_CART: "teal", EVENT_KIND_DISMISS: "orange", EVENT_KIND_RETURN: "orange" };

export function ExposuresPage() {
  const { slot, list, experiment, arm, shopper, rule } = useSearch({ from: "/exposures" });
  const filters = { ...(slot && { slot }), ...(list && { recommendation_id: list }), ...(experiment && { experiment_id: experiment }), ...(arm && { arm }), ...(shopper && { user_id: shopper }), ...(rule && { rule_id: rule }) };
  const found = useInfiniteQuery({
    ...recommenderServiceListExposuresInfiniteOptions({ query: { page_size: PAGE_SIZE, ...filters } }),
    initialPageParam: "",
    getNextPageParam: (last) => last.next_page_token || undefined,
    placeholderData: keepPreviousData,
  });
  return (
    <Page title={t`Shown lists`} about={t`Which products were recommended to whom, how they came there, and what followed; latest first.`}>
      <Filters />
      <Loaded query={found} rows={10}>
        {({ pages }) => {
          const exposures = pages.flatMap((page) => page.exposures);
          return exposures.length ? (
            <Stack gap="md">
              {exposures.map((exposure) => <List key={exposure.recommendation_id} exposure={exposure} />)}
              <More query={found} />
            </Stack>
          ) : (
            <Card>
              <Empty title={t`No list fits`}><Trans>Lists of signed-in users and of visitors are here a second after they were shown.</Trans></Empty>
            </Card>
          );
        }}
      </Loaded>
    </Page>
  );
}

function Filters() {
  const shown = useSearch({ from: "/exposures" });
  const navigate = useNavigate({ from: "/exposures" });
  const set = (change: Partial<typeof shown>) => void navigate({ search: (now) => ({ ...now, ...change }) });
  const slots = useQuery(recommenderServiceListSlotsOptions({ query: { page_size: 100 } }));
  const experiments = useQuery(recommenderServiceListExperimentsOptions({ query: { page_size: 100 } }));
  const typed = (name: "list" | "shopper" | "rule", text: string) => (
    <TextInput key={shown[name]} label={text} placeholder={t`All`} defaultValue={shown[name] ?? ""} onBlur={(event) => set({ [name]: event.currentTarget.value.trim() || undefined })} onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()} />
  );
  return (
    <SimpleGrid cols={{ base: 2, sm: 3, lg: 6 }} spacing="sm">
      <Select label={t`Slot`} placeholder={t`All`} clearable clearButtonProps={{ "aria-label": t`Show all slots` }} data={slots.data?.slots.map(({ id }) => id) ?? []} value={shown.slot ?? null} onChange={(value) => set({ slot: value ?? undefined })} />
      <Select label={t`Experiment`} placeholder={t`All`} clearable clearButtonProps={{ "aria-label": t`Show all experiments` }} data={experiments.data?.experiments.map(({ id }) => id) ?? []} value={shown.experiment ?? null} onChange={(value) => set({ experiment: value ?? undefined })} />
      <Select label={t`Arm`} placeholder={t`Both`} clearable clearButtonProps={{ "aria-label": t`Show both arms` }} data={ARMS.map((value) => ({ value, label: label(value) }))} value={shown.arm ?? null} onChange={(value) => set({ arm: (value as (typeof ARMS)[number] | null) ?? undefined })} />
      {typed("rule", t`Moved by rule`)}
      {typed("shopper", t`Shopper’s id`)}
      {typed("list", t`List’s id`)}
    </SimpleGrid>
  );
}

function List({ exposure }: { exposure: Exposure }) {
  const { recommendation_id, user_id, slot, model_version, fallback_step, create_time, experiment_id, arm, products } = exposure;
  const [all, setAll] = useState(false);
  const named = useQuery({ ...catalogServiceBatchGetProductsOptions({ query: { ids: products.map(({ product_id }) => product_id) } }), enabled: products.length > 0, staleTime: Infinity });
  const names = Object.fromEntries(named.data?.products.map(({ id, name }) => [id, name]) ?? []);
  return (
    <Card
      title={time(create_time)}
      aside={
        <Group gap={6}>
          <Badge variant="light" color="gray" tt="none">{slot ? t`Slot ${slot}` : t`No slot`}</Badge>
          {experiment_id && <Badge variant="light" color="blue" tt="none" component={Link} {...{ to: `/experiments/${experiment_id}` }} style={{ cursor: "pointer" }}>{experiment_id}: {label(arm)}</Badge>}
        </Group>
      }
      flush
    >
      <Text fz="xs" c="dimmed" px="md" pb="xs" style={{ overflowWrap: "anywhere" }}>
        <Trans>
          For <Link to="/exposures" search={{ shopper: user_id }} className="row-link mono">{user_id}</Link>, list <Link to="/exposures" search={{ list: recommendation_id }} className="row-link mono">{recommendation_id}</Link>
        </Trans>
        {["", label(fallback_step), model_version ? t`Model version ${model_version}` : t`Without a model`].join(" · ")}
      </Text>
      <Table.ScrollContainer minWidth={320}>
        <Table verticalSpacing={6} horizontalSpacing="md" aria-label={t`List ${recommendation_id}`}>
          <Table.Tbody>
            {products.filter(({ rule_id }, row) => all || row < SHORT || rule_id).map(({ product_id, position, propensity, rule_id, event_kinds }) => (
              <Table.Tr key={product_id}>
                <Table.Td w={40} className="number" c="dimmed">{position}</Table.Td>
                <Table.Td>
                  <Group gap="xs">
                    <Link to="/products/$id" params={{ id: product_id }} className="row-link">{names[product_id] ?? product_id}</Link>
                    {rule_id && <Badge size="sm" variant="light" color="grape" tt="none" component={Link} {...{ to: "/exposures", search: { rule: rule_id } as never }} style={{ cursor: "pointer" }}><Trans>Rule {rule_id}</Trans></Badge>}
                    {propensity < 1 && <Badge size="sm" variant="light" color="gray" tt="none"><Trans>Propensity {shortPercent(propensity)}</Trans></Badge>}
                  </Group>
                </Table.Td>
                <Table.Td ta="end">
                  <Group gap={4} justify="flex-end">
                    {event_kinds.filter((kind) => kind !== "EVENT_KIND_IMPRESSION").map((kind) => <Badge key={kind} size="sm" variant="light" color={EVENT_COLOURS[kind] ?? "gray"} tt="none">{label(kind)}</Badge>)}
                    {event_kinds.length === 1 && event_kinds[0] === "EVENT_KIND_IMPRESSION" && <Text fz="xs" c="dimmed"><Trans>Seen</Trans></Text>}
                  </Group>
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      {products.length > SHORT && (
        <Button variant="subtle" size="xs" m="xs" onClick={() => setAll(!all)} aria-expanded={all}>
          {all ? t`Show fewer` : t`Show all ${count(products.length)}`}
        </Button>
      )}
    </Card>
  );
}
