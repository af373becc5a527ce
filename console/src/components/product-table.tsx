// Recommended products with their reasons.
import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { Badge, Group, Table, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

import type { Recommendation } from "@client/gen";
import { money, score as strength } from "../format";

const SOURCES: Record<string, [name: string, colour: string]> = {
  SOURCE_OWN_PURCHASES: [t`Own purchases`, "blue"],
  SOURCE_ITEM_ITEM: [t`Bought together`, "grape"],
  SOURCE_LATENT_FACTORS: [t`Similar customers`, "violet"],
  SOURCE_POPULARITY: [t`Popular`, "orange"],
  SOURCE_NEW_ARRIVAL: [t`New`, "teal"],
  SOURCE_SEASON: [t`Season`, "cyan"],
  SOURCE_NAME: [t`Similar name`, "gray"],
  SOURCE_CATALOG: [t`Catalogue`, "gray"],
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
            <Table.Th><Trans>Product and reason</Trans></Table.Th>
            <Table.Th visibleFrom="sm"><Trans>Source</Trans></Table.Th>
            <Table.Th className="number"><Trans>Score</Trans></Table.Th>
            {action && <Table.Th w={60}><span className="skip"><Trans>Basket</Trans></span></Table.Th>}
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
                      <Trans>Rule {rule_id}</Trans>
                    </Badge>
                  )}
                  {is_explored && (
                    <Badge size="sm" variant="light" color="gray" tt="none">
                      <Trans>Explored</Trans>
                    </Badge>
                  )}
                </Group>
              </Table.Td>
              <Table.Td visibleFrom="sm">
                <Badge variant="light" color={SOURCES[source]?.[1] ?? "gray"} tt="none" fw={550}>
                  {SOURCES[source]?.[0] ?? source}
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
  const text = by === undefined ? t`New` : `${by > 0 ? "↑" : "↓"} ${Math.abs(by)}`;
  return (
    <Text fz="xs" fw={600} c={by !== undefined && by < 0 ? "var(--fall)" : "var(--rise)"} aria-label={by === undefined ? t`New in the list` : by > 0 ? t`Up by ${by}` : t`Down by ${-by}`} role="img">
      {text}
    </Text>
  );
}
