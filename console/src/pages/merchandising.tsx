import { Badge, Button, Group, Table, Text } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import type { Rule } from "@client/gen";
import { recommenderServiceListRulesOptions, recommenderServiceListSlotsOptions } from "@client/gen/@tanstack/react-query.gen";
import { Card, Empty, Loaded, Page } from "../components/page";
import { amount, count, label, shortPercent, time } from "../format";

const COLOURS: Record<string, string> = { RULE_ACTION_PIN: "grape", RULE_ACTION_BOOST: "green", RULE_ACTION_BURY: "orange", RULE_ACTION_EXCLUDE: "red" };

export function MerchandisingPage() {
  return (
    <Page title="Merchandising" about="Where lists of recommendations are shown, and the rules that move products in them.">
      <Slots />
      <Rules />
    </Page>
  );
}

/** What a rule does, in a few words. */
export function effect({ action, position, strength }: Rule): string {
  if (action === "RULE_ACTION_PIN") return `at position ${count(position)}`;
  if (action === "RULE_ACTION_EXCLUDE") return "left out";
  return `ranks ${action === "RULE_ACTION_BOOST" ? "divided" : "multiplied"} by ${amount(strength || 2)}`;
}

/** When a rule holds. */
export function period({ start_time, end_time }: Rule): string {
  if (!start_time && !end_time) return "Always";
  return [start_time && `from ${time(start_time)}`, end_time && `until ${time(end_time)}`].filter(Boolean).join(" ");
}

function Slots() {
  const slots = useQuery(recommenderServiceListSlotsOptions({ query: { page_size: 100 } }));
  return (
    <Card
      title="Slots"
      flush
      aside={
        <Button size="xs" variant="default" component={Link} {...{ to: "/merchandising/new-slot" }} leftSection={<IconPlus size={14} aria-hidden />}>
          New slot
        </Button>
      }
    >
      <Loaded query={slots} rows={4}>
        {({ slots: list }) =>
          list.length ? (
            <Table.ScrollContainer minWidth={340}>
              <Table verticalSpacing="sm" horizontalSpacing="md" aria-label="Slots">
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>Slot</Table.Th>
                    <Table.Th>Shows</Table.Th>
                    <Table.Th className="number">Products</Table.Th>
                    <Table.Th className="number" visibleFrom="sm">Most of a category</Table.Th>
                    <Table.Th className="number" visibleFrom="sm">Exploration</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {list.map((slot) => (
                    <Table.Tr key={slot.id}>
                      <Table.Td><Link to="/merchandising/slots/$id" params={{ id: slot.id }} className="row-link">{slot.id}</Link></Table.Td>
                      <Table.Td>{slot.source === "SLOT_SOURCE_UNSPECIFIED" ? "Personal" : label(slot.source, "SLOT_SOURCE")}</Table.Td>
                      <Table.Td className="number">{count(slot.size || 10)}</Table.Td>
                      <Table.Td className="number" visibleFrom="sm">{slot.max_per_category ? count(slot.max_per_category) : "Any"}</Table.Td>
                      <Table.Td className="number" visibleFrom="sm">{shortPercent(slot.exploration_share)}</Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </Table.ScrollContainer>
          ) : (
            <Empty title="There are no slots yet">A slot is a place in the shop with a list, such as the home page. Without one, all lists are personal.</Empty>
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
      title="Rules"
      flush
      aside={
        <Button size="xs" component={Link} {...{ to: "/merchandising/new-rule" }} leftSection={<IconPlus size={14} aria-hidden />}>
          New rule
        </Button>
      }
    >
      <Loaded query={rules} rows={4}>
        {({ rules: list }) =>
          list.length ? (
            <Table.ScrollContainer minWidth={340}>
              <Table verticalSpacing="sm" horizontalSpacing="md" aria-label="Rules">
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>Rule</Table.Th>
                    <Table.Th>Does</Table.Th>
                    <Table.Th visibleFrom="sm">With</Table.Th>
                    <Table.Th visibleFrom="sm">Slot</Table.Th>
                    <Table.Th visibleFrom="sm">Holds</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {list.map((rule) => (
                    <Table.Tr key={rule.id}>
                      <Table.Td><Link to="/merchandising/rules/$id" params={{ id: rule.id }} className="row-link">{rule.id}</Link></Table.Td>
                      <Table.Td>
                        <Group gap="xs">
                          <Badge variant="light" tt="none" color={COLOURS[rule.action] ?? "gray"}>{label(rule.action, "RULE_ACTION")}</Badge>
                          <Text fz="sm" c="dimmed">{effect(rule)}</Text>
                        </Group>
                      </Table.Td>
                      <Table.Td visibleFrom="sm">{rule.product_id ? <span className="mono">{rule.product_id}</span> : rule.category}</Table.Td>
                      <Table.Td visibleFrom="sm">{rule.slot || "All"}</Table.Td>
                      <Table.Td visibleFrom="sm">{period(rule)}</Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </Table.ScrollContainer>
          ) : (
            <Empty title="There are no rules yet">A rule pins a product to a position, raises or lowers products, or leaves them out.</Empty>
          )
        }
      </Loaded>
    </Card>
  );
}
