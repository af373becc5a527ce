import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { Button, Group, Select, Stack, Text, TextInput } from "@mantine/core";
import { IconUser } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";

import { catalogServiceListCategoriesOptions, recommenderServiceListPopularProductsOptions } from "@client/gen/@tanstack/react-query.gen";
import { Card, Empty, Loaded, Page } from "../components/page";
import { Recommendations } from "../components/product-table";
import { day } from "../format";

export function RecommendationsPage() {
  return (
    <Page title={t`Recommendations`} about={t`What each customer is shown, and why.`}>
      <FindCustomer />
      <Popular />
    </Page>
  );
}

function FindCustomer() {
  const navigate = useNavigate();
  const [number, setNumber] = useState("");
  function submit(event: FormEvent) {
    event.preventDefault();
    if (number.trim()) void navigate({ to: "/customers/$number", params: { number: number.trim() } });
  }
  return (
    <Card title={t`A customer's view`}>
      <form onSubmit={submit}>
        <Group align="flex-end">
          <TextInput
            label={t`Customer number`}
            description={t`As in the sales history`}
            leftSection={<IconUser size={16} aria-hidden />}
            inputMode="numeric"
            value={number}
            onChange={(event) => setNumber(event.currentTarget.value)}
            w={260}
          />
          <Button type="submit" disabled={!number.trim()}>
            <Trans>Show</Trans>
          </Button>
        </Group>
      </form>
    </Card>
  );
}

function Popular() {
  const { category, country } = useSearch({ from: "/recommendations" });
  const navigate = useNavigate({ from: "/recommendations" });
  const [typed, setTyped] = useState(country ?? "");
  const categories = useQuery(catalogServiceListCategoriesOptions({ query: { page_size: 100 } }));
  const popular = useQuery(recommenderServiceListPopularProductsOptions({ query: { page_size: 20, ...(category && { category }), ...(country && { country }) } }));
  return (
    <Card title={t`Popular now`} flush>
      <Group px="md" pb="sm" gap="sm">
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
        <TextInput
          aria-label={t`Country`}
          placeholder={t`All countries`}
          value={typed}
          onChange={(event) => setTyped(event.currentTarget.value)}
          onBlur={() => void navigate({ search: (now) => ({ ...now, country: typed.trim() || undefined }) })}
          onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()}
        />
      </Group>
      <Loaded query={popular}>
        {({ recommendations, data_through_date }) =>
          recommendations.length ? (
            <Stack gap={0}>
              <Recommendations list={recommendations} name={t`Popular products`} />
              {data_through_date && (
                <Text fz="xs" c="dimmed" p="md">
                  <Trans>From sales until {day(data_through_date)}.</Trans>
                </Text>
              )}
            </Stack>
          ) : (
            <Empty title={t`Nothing is popular here`}><Trans>Try another category or country.</Trans></Empty>
          )
        }
      </Loaded>
    </Card>
  );
}

