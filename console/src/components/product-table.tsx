// Recommended products with their reasons.
import { Badge, Group, Table, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

import type { Recommendation } from "@client/gen";
import { label, money, score as strength } from "../format";

const SOURCES: Record<string, [name: string, colour: string]> = {
  SOURCE_OWN_PURCHASES: ["Own purchases", "blue"],
  SOURCE_ITEM_ITEM: ["Bought together", "grape"],
  SOURCE_LATENT_FACTORS: ["Similar customers", "violet"],
  SOURCE_POPULARITY: ["Popular", "orange"],
  SOURCE_NEW_ARRIVAL: ["New", "teal"],
  SOURCE_SEASON: ["Season", "cyan"],
  SOURCE_NAME: ["Similar name", "gray"],
  SOURCE_CATALOG: ["Catalogue", "gray"],
};

interface Props {
  list: Recommendation[];
  name: string;
  action?: (id: string, name: string) => ReactNode;
  /** By how many positions each product has risen, by its id; undefined for a new one. */
  moves?: Map<string, number | undefined>;
}

export function Recommendations({ list, name, action, moves }: Props) {
  return (
    <Table.ScrollContainer minWidth={320}>
      <Table verticalSpacing="sm" horizontalSpacing="md" aria-label={name}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th w={44} className="number">#</Table.Th>
            <Table.Th>Product and reason</Table.Th>
            <Table.Th visibleFrom="sm">Source</Table.Th>
            <Table.Th className="number">Score</Table.Th>
            {action && <Table.Th w={60}><span className="skip">Basket</span></Table.Th>}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {list.map(({ product, rank, score, source, reason, rule_id, is_explored }) => (
            <Table.Tr key={product?.id ?? rank}>
              <Table.Td className="number" c="dimmed">
                {rank}
                {moves && product && <Move by={moves.get(product.id)} />}
              </Table.Td>
              <Table.Td>
                {product && (
                  <Link to="/products/$id" params={{ id: product.id }} className="row-link">
                    {product.name}
                  </Link>
                )}
                <Group gap="xs">
                  <Text fz="sm" c="dimmed">
                    {[product && money(product.price_cents, product.currency_code), reason?.text].filter(Boolean).join(" · ")}
                  </Text>
                  {rule_id && (
                    <Badge size="sm" variant="light" color="grape" tt="none">
                      Rule {rule_id}
                    </Badge>
                  )}
                  {is_explored && (
                    <Badge size="sm" variant="light" color="gray" tt="none">
                      Explored
                    </Badge>
                  )}
                </Group>
              </Table.Td>
              <Table.Td visibleFrom="sm">
                <Badge variant="light" color={SOURCES[source]?.[1] ?? "gray"} tt="none" fw={550}>
                  {SOURCES[source]?.[0] ?? label(source, "SOURCE")}
                </Badge>
              </Table.Td>
              <Table.Td className="number">{strength(score)}</Table.Td>
              {action && <Table.Td>{product && action(product.id, product.name)}</Table.Td>}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Move({ by }: { by: number | undefined }) {
  if (by === 0) return null;
  const text = by === undefined ? "New" : `${by > 0 ? "↑" : "↓"} ${Math.abs(by)}`;
  return (
    <Text fz="xs" fw={600} c={by !== undefined && by < 0 ? "var(--fall)" : "var(--rise)"} aria-label={by === undefined ? "New in the list" : `${by > 0 ? "Up" : "Down"} by ${Math.abs(by)}`} role="img">
      {text}
    </Text>
  );
}
