import { Badge, Button, Group, Select, SimpleGrid, Stack, Table, Text, TextInput } from "@mantine/core";
import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";

import type { Exposure } from "@client/gen";
import {
  catalogServiceBatchGetProductsOptions, recommenderServiceListExperimentsOptions, recommenderServiceListExposuresInfiniteOptions, recommenderServiceListSlotsOptions,
} from "@client/gen/@tanstack/react-query.gen";
import { Card, Empty, Loaded, More, Page } from "../components/page";
import { count, label, shortPercent, time } from "../format";
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
    <Page title="Shown lists" about="Which products were recommended to whom, how they came there, and what followed; latest first.">
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
              <Empty title="No list fits">Lists of signed-in users and of visitors are here a second after they were shown.</Empty>
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
    <TextInput key={shown[name]} label={text} placeholder="All" defaultValue={shown[name] ?? ""} onBlur={(event) => set({ [name]: event.currentTarget.value.trim() || undefined })} onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()} />
  );
  return (
    <SimpleGrid cols={{ base: 2, sm: 3, lg: 6 }} spacing="sm">
      <Select label="Slot" placeholder="All" clearable clearButtonProps={{ "aria-label": "Show all slots" }} data={slots.data?.slots.map(({ id }) => id) ?? []} value={shown.slot ?? null} onChange={(value) => set({ slot: value ?? undefined })} />
      <Select label="Experiment" placeholder="All" clearable clearButtonProps={{ "aria-label": "Show all experiments" }} data={experiments.data?.experiments.map(({ id }) => id) ?? []} value={shown.experiment ?? null} onChange={(value) => set({ experiment: value ?? undefined })} />
      <Select label="Arm" placeholder="Both" clearable clearButtonProps={{ "aria-label": "Show both arms" }} data={ARMS.map((value) => ({ value, label: label(value, "EXPERIMENT_ARM") }))} value={shown.arm ?? null} onChange={(value) => set({ arm: (value as (typeof ARMS)[number] | null) ?? undefined })} />
      {typed("rule", "Moved by rule")}
      {typed("shopper", "Shopper’s id")}
      {typed("list", "List’s id")}
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
          <Badge variant="light" color="gray" tt="none">{slot ? `Slot ${slot}` : "No slot"}</Badge>
          {experiment_id && <Badge variant="light" color="blue" tt="none" component={Link} {...{ to: `/experiments/${experiment_id}` }} style={{ cursor: "pointer" }}>{experiment_id}: {label(arm, "EXPERIMENT_ARM").toLowerCase()}</Badge>}
        </Group>
      }
      flush
    >
      <Text fz="xs" c="dimmed" px="md" pb="xs" style={{ overflowWrap: "anywhere" }}>
        For <Link to="/exposures" search={{ shopper: user_id }} className="row-link mono">{user_id}</Link>, list <Link to="/exposures" search={{ list: recommendation_id }} className="row-link mono">{recommendation_id}</Link>,{" "}
        {model_version ? `by version ${model_version}` : "without a model"}, {label(fallback_step, "FALLBACK_STEP").toLowerCase()}
      </Text>
      <Table.ScrollContainer minWidth={320}>
        <Table verticalSpacing={6} horizontalSpacing="md" aria-label={`List ${recommendation_id}`}>
          <Table.Tbody>
            {products.filter(({ rule_id }, row) => all || row < SHORT || rule_id).map(({ product_id, position, propensity, rule_id, event_kinds }) => (
              <Table.Tr key={product_id}>
                <Table.Td w={40} className="number" c="dimmed">{position}</Table.Td>
                <Table.Td>
                  <Group gap="xs">
                    <Link to="/products/$id" params={{ id: product_id }} className="row-link">{names[product_id] ?? product_id}</Link>
                    {rule_id && <Badge size="sm" variant="light" color="grape" tt="none" component={Link} {...{ to: "/exposures", search: { rule: rule_id } as never }} style={{ cursor: "pointer" }}>Rule {rule_id}</Badge>}
                    {propensity < 1 && <Badge size="sm" variant="light" color="gray" tt="none">Propensity {shortPercent(propensity)}</Badge>}
                  </Group>
                </Table.Td>
                <Table.Td ta="right">
                  <Group gap={4} justify="flex-end">
                    {event_kinds.filter((kind) => kind !== "EVENT_KIND_IMPRESSION").map((kind) => <Badge key={kind} size="sm" variant="light" color={EVENT_COLOURS[kind] ?? "gray"} tt="none">{label(kind, "EVENT_KIND")}</Badge>)}
                    {event_kinds.length === 1 && event_kinds[0] === "EVENT_KIND_IMPRESSION" && <Text fz="xs" c="dimmed">Seen</Text>}
                  </Group>
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      {products.length > SHORT && (
        <Button variant="subtle" size="xs" m="xs" onClick={() => setAll(!all)} aria-expanded={all}>
          {all ? "Show fewer" : `Show all ${count(products.length)}`}
        </Button>
      )}
    </Card>
  );
}
