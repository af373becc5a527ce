import { t } from "@lingui/core/macro";
import { Plural, Trans } from "@lingui/react/macro";
import { ActionIcon, Badge, Button, Group, Select, Stack, Switch, Text, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { IconFileImport, IconPlus, IconSearch, IconX } from "@tabler/icons-react";
import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef, useState } from "react";

import { catalogServiceListCategoriesOptions, catalogServiceListProductsInfiniteOptions } from "@client/gen/@tanstack/react-query.gen";
import type { Product } from "@client/gen";
import { Card, Empty, Loaded, Page } from "../components/page";
import { count, money } from "../format";

const ROW_PX = 52;

const ORDERS = [
  { value: "", label: t`Best match` },
  { value: "name", label: t`Name` },
  { value: "price_cents", label: t`Price, lowest first` },
  { value: "price_cents desc", label: t`Price, highest first` },
  { value: "stock", label: t`Stock, lowest first` },
  { value: "update_time desc", label: t`Changed last` },
];
const AVAILABILITIES = [
  { value: "", label: t`Any stock` },
  { value: "AVAILABILITY_IN_STOCK", label: t`In stock` },
  { value: "AVAILABILITY_SOLD_OUT", label: t`Sold out` },
];

export function ProductsPage() {
  return (
    <Page
      title={t`Products`}
      about={t`What the shop sells: search, filter and edit.`}
      actions={
        <>
          <Button component={Link} {...{ to: "/products/import" }} variant="default" leftSection={<IconFileImport size={16} aria-hidden />}>
            <Trans>Import</Trans>
          </Button>
          <Button component={Link} {...{ to: "/products/new" }} leftSection={<IconPlus size={16} aria-hidden />}>
            <Trans>New product</Trans>
          </Button>
        </>
      }
    >
      <Filters />
      <Products />
    </Page>
  );
}

function Filters() {
  const filters = useSearch({ from: "/products" });
  const navigate = useNavigate({ from: "/products" });
  const [typed, setTyped] = useState(filters.search ?? "");
  const categories = useQuery(catalogServiceListCategoriesOptions({ query: { page_size: 100 } }));
  const search = useDebouncedCallback((text: string) => {
    void navigate({ search: (now) => ({ ...now, search: text || undefined }), replace: true });
  }, 200);

  function type(text: string) {
    setTyped(text);
    search(text);
  }

  return (
    <Group gap="sm" align="flex-end">
      <TextInput
        aria-label={t`Search products`}
        placeholder={t`Search by name, id or category`}
        leftSection={<IconSearch size={16} aria-hidden />}
        rightSection={
          typed && (
            <ActionIcon variant="subtle" color="gray" size="sm" aria-label={t`Clear the search`} onClick={() => type("")}>
              <IconX size={14} aria-hidden />
            </ActionIcon>
          )
        }
        value={typed}
        onChange={(event) => type(event.currentTarget.value)}
        style={{ flex: "1 1 240px" }}
      />
      <Select
        aria-label={t`Category`}
        placeholder={t`All categories`}
        clearable
        clearButtonProps={{ "aria-label": t`Choose all categories` }}
        searchable
        data={categories.data?.categories.filter(({ name }) => name).map(({ name, product_count }) => ({ value: name, label: `${name} (${count(product_count)})` })) ?? []}
        value={filters.category ?? null}
        onChange={(category) => void navigate({ search: (now) => ({ ...now, category: category ?? undefined }) })}
        w={{ base: "100%", xs: 200 }}
      />
      <Select
        aria-label={t`Stock`}
        allowDeselect={false}
        data={AVAILABILITIES}
        value={filters.availability ?? ""}
        onChange={(value) => void navigate({ search: (now) => ({ ...now, availability: (value || undefined) as typeof now.availability }) })}
        w={{ base: "calc(50% - 6px)", xs: 130 }}
      />
      <Select
        aria-label={t`Order`}
        allowDeselect={false}
        data={ORDERS}
        value={filters.order ?? ""}
        onChange={(value) => void navigate({ search: (now) => ({ ...now, order: (value || undefined) as typeof now.order }) })}
        w={{ base: "calc(50% - 6px)", xs: 180 }}
      />
      <Switch
        label={t`Deleted too`}
        checked={filters.deleted ?? false}
        onChange={(event) => void navigate({ search: (now) => ({ ...now, deleted: event.currentTarget.checked || undefined }) })}
        mb={8}
      />
    </Group>
  );
}

function Products() {
  const { search, category, availability, order, deleted } = useSearch({ from: "/products" });
  const query = {
    page_size: 100,
    ...(search && { search }),
    ...(category && { category }),
    ...(availability && { availability }),
    ...(order && { order_by: order }),
    ...(deleted && { show_deleted: true }),
  };
  const found = useInfiniteQuery({
    ...catalogServiceListProductsInfiniteOptions({ query }),
    initialPageParam: "",
    getNextPageParam: (last) => last.next_page_token || undefined,
    placeholderData: keepPreviousData,
  });
  return (
    <Loaded query={found} rows={10}>
      {({ pages }) => {
        const products = pages.flatMap((page) => page.products);
        const corrected = pages[0]?.corrected_search;
        return (
          <Stack gap="sm">
            {corrected && (
              <Text fz="sm">
                <Trans>Nothing has “{search}”. These have <b>{corrected}</b>.</Trans>
              </Text>
            )}
            <Card flush>
              {products.length ? (
                <Rows products={products} more={found.hasNextPage} loadMore={() => !found.isFetching && void found.fetchNextPage()} />
              ) : (
                <Empty title={search || category || availability ? t`No product fits` : t`There are no products yet`}>
                  {search || category || availability ? t`Try fewer words or another filter.` : t`Create the first one, or import a file.`}
                </Empty>
              )}
            </Card>
            <Text fz="sm" c="dimmed" aria-live="polite">
              {found.hasNextPage ? <Trans>{count(products.length)} loaded, more below</Trans> : <Plural value={products.length} one="# product" other="# products" />}
            </Text>
          </Stack>
        );
      }}
    </Loaded>
  );
}

/** Rows of which only those in view are in the page, so that lists of any length scroll. */
function Rows({ products, more, loadMore }: { products: Product[]; more: boolean; loadMore: () => void }) {
  const body = useRef<HTMLDivElement>(null);
  const rows = useWindowVirtualizer({ count: products.length, estimateSize: () => ROW_PX, overscan: 12, scrollMargin: body.current?.offsetTop ?? 0 });
  const visible = rows.getVirtualItems();
  const last = visible.at(-1)?.index ?? 0;
  useEffect(() => {
    if (more && last >= products.length - 20) loadMore();
  });
  return (
    <div role="table" aria-label={t`Products`} aria-rowcount={more ? -1 : products.length}>
      <div role="rowgroup">
        <div role="row" className="grid-row" style={{ height: 42, borderBottom: "1px solid var(--line)", fontSize: 13, fontWeight: 600 }}>
          <span role="columnheader"><Trans>Name</Trans></span>
          <span role="columnheader" className="wide"><Trans>Id</Trans></span>
          <span role="columnheader" className="wide"><Trans>Category</Trans></span>
          <span role="columnheader" className="number"><Trans>Price</Trans></span>
          <span role="columnheader" className="number"><Trans>Stock</Trans></span>
        </div>
      </div>
      <div role="rowgroup" ref={body} style={{ height: rows.getTotalSize(), position: "relative" }}>
        {visible.map(({ index, start }) => {
          const product = products[index]!;
          return (
            <div
              key={product.id}
              role="row"
              aria-rowindex={index + 1}
              className="grid-row"
              style={{ position: "absolute", inset: "0 0 auto 0", height: ROW_PX, transform: `translateY(${start - rows.options.scrollMargin}px)`, borderTop: index ? "1px solid var(--line)" : "none" }}
            >
              <span role="cell">
                <Link to="/products/$id" params={{ id: product.id }} className="row-link">
                  {product.name}
                </Link>
                {product.delete_time && (
                  <Badge color="gray" variant="light" size="sm" ms="xs">
                    <Trans>deleted</Trans>
                  </Badge>
                )}
                <Text hiddenFrom="sm" fz="xs" c="dimmed" className="mono" component="div">
                  {product.id}
                </Text>
              </span>
              <Text role="cell" component="span" className="wide mono" c="dimmed" title={product.id}>
                {product.id}
              </Text>
              <Text role="cell" component="span" className="wide" c="dimmed" fz="sm">
                {product.category || "–"}
              </Text>
              <span role="cell" className="number">{money(product.price_cents, product.currency_code)}</span>
              <Text role="cell" component="span" className="number" fz="sm" {...(product.stock ? {} : { c: "orange" })}>
                {count(product.stock)}
              </Text>
            </div>
          );
        })}
      </div>
    </div>
  );
}
