// Recommended products with their reasons.
import { Badge, Group, Table, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

import type { Recommendation } from "@client/gen";
import { label, metric, money } from "../format";

const SOURCE_COLOURS: Record<string, string> = {
  SOURCE_OWN_PURCHASES: "blue",
  SOURCE_ITEM_ITEM: "grape",
  SOURCE_LATENT_FACTORS: "violet",
  SOURCE_POPULARITY: "orange",
  SOURCE_NEW_ARRIVAL: "teal",
  SOURCE_SEASON: "cyan",
  SOURCE_NAME: "gray",
};

export function Recommendations({ list, name, action }: { list: Recommendation[]; name: string; action?: (id: string, name: string) => ReactNode }) {
  return (
    <Table.ScrollContainer minWidth={360}>
      <Table verticalSpacing="sm" horizontalSpacing="md" aria-label={name}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th w={44}>#</Table.Th>
            <Table.Th>Product and reason</Table.Th>
            <Table.Th visibleFrom="sm">Source</Table.Th>
            <Table.Th className="number">Score</Table.Th>
            {action && <Table.Th w={60}><span className="skip">Basket</span></Table.Th>}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {list.map(({ product, rank, score, source, reason }) => (
            <Table.Tr key={product?.id ?? rank}>
              <Table.Td className="number" c="dimmed">
                {rank}
              </Table.Td>
              <Table.Td>
                {product && (
                  <Group gap="xs" justify="space-between" wrap="nowrap" align="baseline">
                    <Link to="/products/$id" params={{ id: product.id }} className="row-link">
                      {product.name}
                    </Link>
                    <Text fz="sm" c="dimmed" style={{ whiteSpace: "nowrap" }}>
                      {money(product.price_cents, product.currency_code)}
                    </Text>
                  </Group>
                )}
                <Text fz="sm" c="dimmed">
                  {reason?.text}
                </Text>
              </Table.Td>
              <Table.Td visibleFrom="sm">
                <Badge variant="light" color={SOURCE_COLOURS[source] ?? "gray"} tt="none" fw={550}>
                  {label(source, "SOURCE")}
                </Badge>
              </Table.Td>
              <Table.Td className="number">{metric(score)}</Table.Td>
              {action && <Table.Td>{product && action(product.id, product.name)}</Table.Td>}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
