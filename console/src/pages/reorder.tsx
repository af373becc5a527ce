import { plural, t } from "@lingui/core/macro";
import { Plural, Trans } from "@lingui/react/macro";
import { ActionIcon, Badge, Button, Group, Modal, NumberInput, Select, SimpleGrid, Stack, Switch, Table, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconAdjustments, IconDownload } from "@tabler/icons-react";
import { keepPreviousData, useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";

import { reorderServiceListReorderSuggestions, type ReorderPolicy, type ReorderSuggestion } from "@client/gen";
import {
  catalogServiceListCategoriesOptions, reorderServiceDeleteReorderPolicyMutation, reorderServiceGetReorderBacktestOptions, reorderServiceListReorderPoliciesOptions,
  reorderServiceListReorderSuggestionsInfiniteOptions, reorderServiceUpdateReorderPolicyMutation,
} from "@client/gen/@tanstack/react-query.gen";
import { Card, Empty, ErrorNotice, Loaded, More, Page } from "../components/page";
import { csv, save } from "../csv";
import { problemOf } from "../errors";
import { amount, count, day, percent } from "../format";

const DEFAULT = "default";
const COLUMNS = [
  "product_id", "name", "quantity", "order_date", "cover_days", "stockout_probability", "stock", "on_order_units", "order_up_to_level", "expected_demand",
] as const satisfies ReadonlyArray<keyof ReorderSuggestion>;
const FIELDS = ["lead_time_days", "review_period_days", "service_level_percent", "order_multiple", "on_order_units"] as const;

export function ReorderPage() {
  const [editing, setEditing] = useState<string | null>(null);
  const policies = useQuery(reorderServiceListReorderPoliciesOptions({ query: { page_size: 100 } }));
  const own = (id: string) => policies.data?.policies.find(({ product_id }) => product_id === id);
  const general = own(DEFAULT);
  return (
    <Page title={t`Reorder`} about={t`What to order now, from the forecasts and the stock.`} actions={<Export />}>
      <SimpleGrid cols={{ base: 1, md: 2 }} spacing="lg">
        <Card title={t`Policy`} aside={<Button size="xs" variant="default" onClick={() => setEditing(DEFAULT)} disabled={!general}><Trans>Change</Trans></Button>}>
          <Loaded query={policies} rows={3}>{() => (general ? <PolicyFacts policy={general} /> : <Empty title={t`There is no policy`} />)}</Loaded>
        </Card>
        <Card title={t`How it would have done`}>
          <Simulation />
        </Card>
      </SimpleGrid>
      <Suggestions own={own} onEdit={setEditing} />
      {editing && general && <EditPolicy id={editing} policy={own(editing) ?? { ...general, product_id: editing, on_order_units: 0, etag: "" }} owned={Boolean(own(editing))} onClose={() => setEditing(null)} />}
    </Page>
  );
}

function useQueryOfPage() {
  const { category, all } = useSearch({ from: "/reorder" });
  return { ...(category && { category }), ...(!all && { only_due: true }) };
}

function Export() {
  const query = useQueryOfPage();
  const pull = useMutation({
    mutationFn: async () => {
      const rows: ReorderSuggestion[] = [];
      for (let page_token = ""; ; ) {
        const { data } = await reorderServiceListReorderSuggestions({ query: { ...query, page_size: 100, ...(page_token && { page_token }) }, throwOnError: true });
        rows.push(...data.suggestions);
        page_token = data.next_page_token;
        if (!page_token) return { rows, date: data.data_through_date };
      }
    },
    onSuccess: ({ rows, date }) => save(`reorder-${date}.csv`, new Blob([csv([[...COLUMNS], ...rows.map((row) => COLUMNS.map((name) => row[name]))])], { type: "text/csv" })),
    onError: (error) => notifications.show({ color: "orange", title: problemOf(error).title, message: problemOf(error).advice }),
  });
  return (
    <Button variant="default" leftSection={<IconDownload size={16} aria-hidden />} loading={pull.isPending} onClick={() => pull.mutate()}>
      <Trans>Export CSV</Trans>
    </Button>
  );
}

function PolicyFacts({ policy }: { policy: ReorderPolicy }) {
  const facts = [
    [t`An order arrives after`, plural(policy.lead_time_days, { one: "# day", other: "# days" })],
    [t`Ordered every`, plural(policy.review_period_days, { one: "# day", other: "# days" })],
    [t`Promised from stock`, `${amount(policy.service_level_percent)} %`],
    [t`Ordered in multiples of`, count(policy.order_multiple)],
  ] as const;
  return (
    <SimpleGrid cols={2} spacing="sm">
      {facts.map(([name, value]) => (
        <div key={name}>
          <Text fz="xs" c="dimmed">{name}</Text>
          <Text fw={600}>{value}</Text>
        </div>
      ))}
    </SimpleGrid>
  );
}

function Simulation() {
  const backtest = useQuery(reorderServiceGetReorderBacktestOptions());
  return (
    <Loaded query={backtest} rows={3}>
      {({ forecast, seasonal_naive, first_date, last_date, product_count }) => (
        <Stack gap="xs">
          <Table.ScrollContainer minWidth={260}>
            <Table verticalSpacing={4} horizontalSpacing="xs" mx="calc(-1 * var(--mantine-spacing-xs))" w="auto" aria-label={t`Simulation of the policy`}>
              <Table.Thead>
                <Table.Tr><Table.Th><Trans>With</Trans></Table.Th><Table.Th className="number"><Trans>Met from stock</Trans></Table.Th><Table.Th className="number"><Trans>Units in stock</Trans></Table.Th></Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {([[t`These forecasts`, forecast], [t`Last week’s sales`, seasonal_naive]] as const).map(([name, outcome]) => (
                  <Table.Tr key={name}>
                    <Table.Td>{name}</Table.Td>
                    <Table.Td className="number">{outcome ? percent(outcome.fill_rate_percent / 100) : "–"}</Table.Td>
                    <Table.Td className="number">{outcome ? count(outcome.mean_stock_units) : "–"}</Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
          <Text fz="xs" c="dimmed"><Trans>Simulated for <Plural value={product_count} one="# product" other="# products" /> from {day(first_date)} to {day(last_date)}, with the default policy.</Trans></Text>
        </Stack>
      )}
    </Loaded>
  );
}

function Suggestions({ own, onEdit }: { own: (id: string) => ReorderPolicy | undefined; onEdit: (id: string) => void }) {
  const { category, all } = useSearch({ from: "/reorder" });
  const navigate = useNavigate({ from: "/reorder" });
  const categories = useQuery(catalogServiceListCategoriesOptions({ query: { page_size: 100 } }));
  const query = useQueryOfPage();
  const found = useInfiniteQuery({
    ...reorderServiceListReorderSuggestionsInfiniteOptions({ query: { ...query, page_size: 50 } }),
    initialPageParam: "",
    getNextPageParam: (last) => last.next_page_token || undefined,
    placeholderData: keepPreviousData,
  });
  return (
    <Card title={t`Products`} flush>
      <Group px="md" pb="sm" gap="md">
        <Select
          aria-label={t`Category`}
          placeholder={t`All categories`}
          clearable
          clearButtonProps={{ "aria-label": t`Choose all categories` }}
          searchable
          data={categories.data?.categories.map(({ name }) => name).filter(Boolean) ?? []}
          value={category ?? null}
          onChange={(value) => void navigate({ search: (now) => ({ ...now, category: value ?? undefined }) })}
        />
        <Switch label={t`Only what is to be ordered now`} checked={!all} onChange={(event) => void navigate({ search: (now) => ({ ...now, all: event.currentTarget.checked ? undefined : true }) })} />
      </Group>
      <Loaded query={found} rows={8}>
        {({ pages }) => {
          const list = pages.flatMap((page) => page.suggestions);
          return list.length ? (
            <>
              <SuggestionTable list={list} own={own} onEdit={onEdit} />
              <More query={found} />
            </>
          ) : (
            <Empty title={t`Nothing is to be ordered`}>{all ? t`No product of this category has a forecast.` : t`The stock lasts until the next order.`}</Empty>
          );
        }}
      </Loaded>
    </Card>
  );
}

function SuggestionTable({ list, own, onEdit }: { list: ReorderSuggestion[]; own: (id: string) => ReorderPolicy | undefined; onEdit: (id: string) => void }) {
  return (
    <Table.ScrollContainer minWidth={340}>
      <Table verticalSpacing="sm" horizontalSpacing="md" aria-label={t`What to reorder`}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th><Trans>Product</Trans></Table.Th>
            <Table.Th className="number"><Trans>Order</Trans></Table.Th>
            <Table.Th visibleFrom="sm"><Trans>By</Trans></Table.Th>
            <Table.Th className="number" visibleFrom="sm"><Trans>In stock</Trans></Table.Th>
            <Table.Th className="number" visibleFrom="sm"><Trans>On order</Trans></Table.Th>
            <Table.Th className="number" visibleFrom="md"><Trans>Expected demand</Trans></Table.Th>
            <Table.Th className="number"><Trans>Lasts</Trans></Table.Th>
            <Table.Th className="number" visibleFrom="sm"><Trans>Runs out</Trans></Table.Th>
            <Table.Th w={50}><span className="skip"><Trans>Policy</Trans></span></Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {list.map((one) => (
            <Table.Tr key={one.product_id}>
              <Table.Td>
                <Link to="/products/$id" params={{ id: one.product_id }} className="row-link">{one.name || one.product_id}</Link>
                {own(one.product_id) && <Badge ms="xs" size="sm" variant="light" tt="none"><Trans>Own policy</Trans></Badge>}
              </Table.Td>
              <Table.Td className="number" fw={600}>{one.quantity ? count(one.quantity) : "–"}</Table.Td>
              <Table.Td visibleFrom="sm" style={{ whiteSpace: "nowrap" }}>{day(one.order_date)}</Table.Td>
              <Table.Td className="number" visibleFrom="sm">{count(one.stock)}</Table.Td>
              <Table.Td className="number" visibleFrom="sm">{one.on_order_units ? count(one.on_order_units) : "–"}</Table.Td>
              <Table.Td className="number" visibleFrom="md">{amount(one.expected_demand)}</Table.Td>
              <Table.Td className="number"><Plural value={one.cover_days} one="# day" other="# days" /></Table.Td>
              <Table.Td className="number" visibleFrom="sm">{percent(one.stockout_probability)}</Table.Td>
              <Table.Td>
                <ActionIcon variant="subtle" color="gray" aria-label={t`Policy of ${one.name || one.product_id}`} onClick={() => onEdit(one.product_id)}>
                  <IconAdjustments size={17} aria-hidden />
                </ActionIcon>
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function EditPolicy({ id, policy, owned, onClose }: { id: string; policy: ReorderPolicy; owned: boolean; onClose: () => void }) {
  const queries = useQueryClient();
  const [draft, setDraft] = useState(policy);
  const done = {
    onSuccess: () => {
      void queries.invalidateQueries();
      onClose();
    },
  };
  const update = useMutation({ ...reorderServiceUpdateReorderPolicyMutation(), ...done });
  const remove = useMutation({ ...reorderServiceDeleteReorderPolicyMutation(), ...done });
  const error = update.error ?? remove.error;
  const { fields } = error ? problemOf(error) : { fields: {} as Record<string, string> };
  const number = (name: (typeof FIELDS)[number], label: string, limits: { min: number; max: number; suffix?: string; decimalScale?: number }) => (
    <NumberInput label={label} required {...limits} value={draft[name]} error={fields[name]} onChange={(value) => setDraft({ ...draft, [name]: Number(value) })} />
  );
  function submit(event: FormEvent) {
    event.preventDefault();
    const { lead_time_days, review_period_days, service_level_percent, order_multiple, on_order_units, etag } = draft;
    update.mutate({ path: { product_id: id }, body: { lead_time_days, review_period_days, service_level_percent, order_multiple, ...(id !== DEFAULT && { on_order_units }), ...(etag && { etag }) } });
  }
  return (
    <Modal opened onClose={onClose} title={id === DEFAULT ? t`Policy of all products without their own` : t`Policy of ${id}`}>
      <form onSubmit={submit}>
        <Stack>
          {number("lead_time_days", t`Days until an order arrives`, { min: 1, max: 90 })}
          {number("review_period_days", t`Days from one order to the next`, { min: 1, max: 60 })}
          {number("service_level_percent", t`Share of the demand that is promised from stock`, { min: 50, max: 99.5, suffix: " %", decimalScale: 1 })}
          {number("order_multiple", t`Ordered in multiples of`, { min: 1, max: 10_000 })}
          {id !== DEFAULT && number("on_order_units", t`Units on their way`, { min: 0, max: 1_000_000 })}
          {error && !Object.keys(fields).length && <ErrorNotice error={error} />}
          <Group justify="space-between">
            {owned && id !== DEFAULT ? (
              <Button variant="subtle" color="red" loading={remove.isPending} onClick={() => remove.mutate({ path: { product_id: id }, query: { etag: policy.etag } })}><Trans>Back to the default</Trans></Button>
            ) : <span />}
            <Group gap="xs">
              <Button variant="default" onClick={onClose}><Trans>Keep as it is</Trans></Button>
              <Button type="submit" loading={update.isPending}><Trans>Save</Trans></Button>
            </Group>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
