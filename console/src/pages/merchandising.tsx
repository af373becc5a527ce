import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { Badge, Button, Group, Table, Text } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import type { Rule } from "@client/gen";
import { recommenderServiceListRulesOptions, recommenderServiceListSlotsOptions } from "@client/gen/@tanstack/react-query.gen";
import { Card, Empty, Loaded, Page } from "../components/page";
import { amount, count, shortPercent, time } from "../format";
import { label } from "../labels";

const COLOURS: Record<string, string> = { RULE_ACTION_PIN: "grape", RULE_ACTION_BOOST: "green", RULE_ACTION_BURY: "orange", RULE_ACTION_EXCLUDE: "red" };

export function MerchandisingPage() {
  return (
    <Page title={t`Merchandising`} about={t`Where lists of recommendations are shown, and the rules that move products in them.`}>
      <Slots />
      <Rules />
    </Page>
  );
}

/** What a rule does, in a few words. */
export function effect({ action, position, strength }: Rule): string {
  if (action === "RULE_ACTION_PIN") return t`at position ${count(position)}`;
  if (action === "RULE_ACTION_EXCLUDE") return t`left out`;
  const factor = amount(strength || 2);
  return action === "RULE_ACTION_BOOST" ? t`ranks divided by ${factor}` : t`ranks multiplied by ${factor}`;
}

/** When a rule holds. */
export function period({ start_time, end_time }: Rule): string {
  if (start_time && end_time) return t`From ${time(start_time)} until ${time(end_time)}`;
  if (start_time) return t`From ${time(start_time)}`;
  return end_time ? t`Until ${time(end_time)}` : t`Always`;
}

function Slots() {
  const slots = useQuery(recommenderServiceListSlotsOptions({ query: { page_size: 100 } }));
  return (
    <Card
      title={t`Slots`}
      flush
      aside={
        <Button size="xs" variant="default" component={Link} {...{ to: "/merchandising/new-slot" }} leftSection={<IconPlus size={14} aria-hidden />}>
          <Trans>New slot</Trans>
        </Button>
      }
    >
      <Loaded query={slots} rows={4}>
        {({ slots: list }) =>
          list.length ? (
            <Table.ScrollContainer minWidth={340}>
              <Table verticalSpacing="sm" horizontalSpacing="md" aria-label={t`Slots`}>
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th><Trans>Slot</Trans></Table.Th>
                    <Table.Th><Trans>Shows</Trans></Table.Th>
                    <Table.Th className="number"><Trans>Products</Trans></Table.Th>
                    <Table.Th className="number" visibleFrom="sm"><Trans>Most of a category</Trans></Table.Th>
                    <Table.Th className="number" visibleFrom="sm"><Trans>Exploration</Trans></Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {list.map((slot) => (
                    <Table.Tr key={slot.id}>
                      <Table.Td><Link to="/merchandising/slots/$id" params={{ id: slot.id }} className="row-link">{slot.id}</Link></Table.Td>
                      <Table.Td>{label(slot.source)}</Table.Td>
                      <Table.Td className="number">{count(slot.size || 10)}</Table.Td>
                      <Table.Td className="number" visibleFrom="sm">{slot.max_per_category ? count(slot.max_per_category) : t`Any`}</Table.Td>
                      <Table.Td className="number" visibleFrom="sm">{shortPercent(slot.exploration_share)}</Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </Table.ScrollContainer>
          ) : (
            <Empty title={t`There are no slots yet`}><Trans>A slot is a place in the shop with a list, such as the home page. Without one, all lists are personal.</Trans></Empty>
          )
        }
      </Loaded>
    </Card>
  );
}

function Rules() {
  const rules = useQuery(recommenderServiceListRulesOptions({ query: { page_size: 100 } }));
  return (
    <Card
      title={t`Rules`}
      flush
      aside={
        <Button size="xs" component={Link} {...{ to: "/merchandising/new-rule" }} leftSection={<IconPlus size={14} aria-hidden />}>
          <Trans>New rule</Trans>
        </Button>
      }
    >
      <Loaded query={rules} rows={4}>
        {({ rules: list }) =>
          list.length ? (
            <Table.ScrollContainer minWidth={340}>
              <Table verticalSpacing="sm" horizontalSpacing="md" aria-label={t`Rules`}>
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th><Trans>Rule</Trans></Table.Th>
                    <Table.Th><Trans>Does</Trans></Table.Th>
                    <Table.Th visibleFrom="sm"><Trans>With</Trans></Table.Th>
                    <Table.Th visibleFrom="sm"><Trans>Slot</Trans></Table.Th>
                    <Table.Th visibleFrom="sm"><Trans>Holds</Trans></Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {list.map((rule) => (
                    <Table.Tr key={rule.id}>
                      <Table.Td><Link to="/merchandising/rules/$id" params={{ id: rule.id }} className="row-link">{rule.id}</Link></Table.Td>
                      <Table.Td>
                        <Group gap="xs">
                          <Badge variant="light" tt="none" color={COLOURS[rule.action] ?? "gray"}>{label(rule.action)}</Badge>
                          <Text fz="sm" c="dimmed">{effect(rule)}</Text>
                        </Group>
                      </Table.Td>
                      <Table.Td visibleFrom="sm">{rule.product_id ? <span className="mono">{rule.product_id}</span> : rule.category}</Table.Td>
                      <Table.Td visibleFrom="sm">{rule.slot || t`All`}</Table.Td>
                      <Table.Td visibleFrom="sm">{period(rule)}</Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </Table.ScrollContainer>
          ) : (
            <Empty title={t`There are no rules yet`}><Trans>A rule pins a product to a position, raises or lowers products, or leaves them out.</Trans></Empty>
          )
        }
      </Loaded>
    </Card>
  );
}
