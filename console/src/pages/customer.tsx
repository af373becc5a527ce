import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { ActionIcon, Group, Pill, SimpleGrid, Stack, Switch, Table, Text } from "@mantine/core";
import { IconShoppingCartPlus } from "@tabler/icons-react";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";

import { catalogServiceBatchGetProductsOptions, recommenderServiceListCustomerPurchasesOptions, recommenderServiceListCustomerRecommendationsOptions } from "@client/gen/@tanstack/react-query.gen";
import { Card, Empty, Loaded, Page } from "../components/page";
import { Recommendations } from "../components/product-table";
import { count, day } from "../format";
import { label } from "../labels";

export function CustomerPage() {
  const { number } = useParams({ from: "/customers/$number" });
  return (
    <Page title={t`Customer ${number}`} about={t`What the customer bought, beside what is recommended.`}>
      <Basket />
      <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="lg" style={{ alignItems: "start" }}>
        <Recommended number={number} />
        <Purchases number={number} />
      </SimpleGrid>
    </Page>
  );
}

function useBasket() {
  const { basket = [], fresh } = useSearch({ from: "/customers/$number" });
  const navigate = useNavigate({ from: "/customers/$number" });
  const change = (next: string[]) => void navigate({ search: (now) => ({ ...now, basket: next.length ? next : undefined }), replace: true });
  return {
    basket,
    fresh: fresh ?? false,
    add: (id: string) => change([...new Set([...basket, id])]),
    remove: (id: string) => change(basket.filter((other) => other !== id)),
    setFresh: (value: boolean) => void navigate({ search: (now) => ({ ...now, fresh: value || undefined }), replace: true }),
  };
}

function Basket() {
  const { basket, fresh, setFresh, remove } = useBasket();
  const products = useQuery({ ...catalogServiceBatchGetProductsOptions({ query: { ids: basket } }), enabled: basket.length > 0, placeholderData: keepPreviousData });
  const names = Object.fromEntries(products.data?.products.map(({ id, name }) => [id, name]) ?? []);
  return (
    <Card>
      <Group justify="space-between" gap="md">
        <Group gap="xs">
          <Text fw={600} fz="sm">
            <Trans>Basket</Trans>
          </Text>
          {basket.map((id) => (
            <Pill key={id} withRemoveButton onRemove={() => remove(id)} removeButtonProps={{ "aria-label": t`Remove ${names[id] ?? id} from the basket`, "aria-hidden": false, tabIndex: 0 }}>
              {names[id] ?? id}
            </Pill>
          ))}
          {!basket.length && (
            <Text c="dimmed" fz="sm">
              <Trans>Empty. Put a product in, and see how the list changes.</Trans>
            </Text>
          )}
        </Group>
        <Switch label={t`Only what is new to the customer`} checked={fresh} onChange={(event) => setFresh(event.currentTarget.checked)} />
      </Group>
    </Card>
  );
}

function Recommended({ number }: { number: string }) {
  const { basket, fresh, add } = useBasket();
  const query = { page_size: 15, ...(basket.length && { basket_ids: basket }), ...(fresh && { include_purchased: false }) };
  const recommended = useQuery({ ...recommenderServiceListCustomerRecommendationsOptions({ path: { customer_number: number }, query }), placeholderData: keepPreviousData });
  return (
    <Card title={t`Recommended`} flush>
      <Loaded query={recommended}>
        {({ recommendations, model_version, fallback_step, data_through_date }) =>
          recommendations.length ? (
            <Stack gap={0}>
              <Recommendations
                list={recommendations}
                name={t`Recommended products`}
                action={(id, name) => (
                  <ActionIcon variant="subtle" aria-label={t`Put ${name} into the basket`} onClick={() => add(id)}>
                    <IconShoppingCartPlus size={18} aria-hidden />
                  </ActionIcon>
                )}
              />
              <Text fz="xs" c="dimmed" p="md">
                {[label(fallback_step), model_version && t`Model version ${model_version}`, data_through_date && t`From sales until ${day(data_through_date)}`].filter(Boolean).join(" · ")}
              </Text>
            </Stack>
          ) : (
            <Empty title={t`Nothing can be recommended`} />
          )
        }
      </Loaded>
    </Card>
  );
}

function Purchases({ number }: { number: string }) {
  const bought = useQuery(recommenderServiceListCustomerPurchasesOptions({ path: { customer_number: number }, query: { page_size: 50 } }));
  return (
    <Card title={t`Bought, latest first`} flush>
      <Loaded query={bought}>
        {({ purchases }) =>
          purchases.length ? (
            <Table.ScrollContainer minWidth={340}>
              <Table verticalSpacing="xs" horizontalSpacing="md" aria-label={t`Purchases`}>
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th><Trans>Product</Trans></Table.Th>
                    <Table.Th><Trans>Day</Trans></Table.Th>
                    <Table.Th className="number"><Trans>Quantity</Trans></Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {purchases.map(({ product, product_id, purchase_date, quantity }, row) => (
                    <Table.Tr key={row}>
                      <Table.Td>
                        <Link to="/products/$id" params={{ id: product_id }} className="row-link">
                          {product?.name ?? product_id}
                        </Link>
                      </Table.Td>
                      <Table.Td style={{ whiteSpace: "nowrap" }}>{day(purchase_date)}</Table.Td>
                      <Table.Td className="number">{count(quantity)}</Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </Table.ScrollContainer>
          ) : (
            <Empty title={t`Nothing was bought`} />
          )
        }
      </Loaded>
    </Card>
  );
}
