import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { Badge, Button, Group, NumberInput, SimpleGrid, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";

import {
  catalogServiceCreateProductMutation, catalogServiceDeleteProductMutation, catalogServiceGetProductOptions, catalogServiceListProductsInfiniteQueryKey,
  catalogServiceUndeleteProductMutation, catalogServiceUpdateProductMutation, recommenderServiceListSimilarProductsOptions,
} from "@client/gen/@tanstack/react-query.gen";
import type { Product } from "@client/gen";
import { Conflict } from "../components/conflict";
import { Card, Empty, ErrorNotice, Loaded, Page } from "../components/page";
import { Recommendations } from "../components/product-table";
import { problemOf, reasonOf } from "../errors";
import { time } from "../format";

interface Draft {
  name: string;
  description: string;
  category: string;
  price: number | string;
  stock: number | string;
}

const FIELDS: Array<[keyof Draft, string]> = [["name", t`Name`], ["category", t`Category`], ["price", t`Price`], ["stock", t`Stock`], ["description", t`Description`]];
const draftOf = ({ name, description, category, price_cents, stock }: Product): Draft => ({ name, description, category, price: price_cents / 100, stock });
const shown = (draft: Draft, name: keyof Draft): string => (name === "price" ? Number(draft.price).toFixed(2) : String(draft[name]));
const sent = ({ price, stock, ...rest }: Draft) => ({ ...rest, price_cents: Math.round(Number(price) * 100), stock: Number(stock) });

function useSaved() {
  const queries = useQueryClient();
  return (product: Product, title: string) => {
    queries.setQueryData(catalogServiceGetProductOptions({ path: { id: product.id } }).queryKey, product);
    void queries.invalidateQueries({ queryKey: catalogServiceListProductsInfiniteQueryKey() });
    notifications.show({ color: "green", title, message: product.name });
  };
}

export function ProductPage() {
  const { id } = useParams({ from: "/products/$id" });
  const product = useQuery({ ...catalogServiceGetProductOptions({ path: { id } }), refetchOnWindowFocus: false });
  return (
    <Page
      title={product.data?.name ?? t`Product ${id}`}
      about={<span className="mono">{id}</span>}
      actions={
        <Button renderRoot={(props) => <Link {...props} to="/forecasts" search={{ level: "product", key: id }} />} variant="default">
          <Trans>Forecast</Trans>
        </Button>
      }
    >
      <Loaded query={product}>
        {(data) => (
          <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="lg" style={{ alignItems: "start" }}>
            <Edit key={id} product={data} />
            <Similar id={id} />
          </SimpleGrid>
        )}
      </Loaded>
    </Page>
  );
}

function Fields({ draft, set, fields }: { draft: Draft; set: (change: Partial<Draft>) => void; fields: Record<string, string> }) {
  return (
    <>
      <TextInput label={t`Name`} required value={draft.name} error={fields["name"]} onChange={(event) => set({ name: event.currentTarget.value })} />
      <TextInput label={t`Category`} value={draft.category} error={fields["category"]} onChange={(event) => set({ category: event.currentTarget.value })} />
      <Group grow align="flex-start">
        <NumberInput label={t`Price`} required min={0} decimalScale={2} fixedDecimalScale value={draft.price} error={fields["price_cents"]} onChange={(price) => set({ price })} />
        <NumberInput label={t`Stock`} required min={0} allowDecimal={false} value={draft.stock} error={fields["stock"]} onChange={(stock) => set({ stock })} />
      </Group>
      <Textarea label={t`Description`} autosize minRows={3} value={draft.description} error={fields["description"]} onChange={(event) => set({ description: event.currentTarget.value })} />
    </>
  );
}

function Edit({ product }: { product: Product }) {
  const queries = useQueryClient();
  const saved = useSaved();
  const [base, setBase] = useState(product);
  const [draft, setDraft] = useState(draftOf(product));
  const [theirs, setTheirs] = useState<Product | null>(null);
  const take = (now: Product) => {
    setBase(now);
    setDraft(draftOf(now));
    setTheirs(null);
  };
  const update = useMutation({
    ...catalogServiceUpdateProductMutation(),
    onSuccess: (now) => {
      take(now);
      saved(now, t`Saved`);
    },
    onError: async (error) => {
      if (reasonOf(error) === "STALE_ETAG") setTheirs(await queries.fetchQuery({ ...catalogServiceGetProductOptions({ path: { id: product.id } }), staleTime: 0 }));
    },
  });
  const save = (etag: string) => update.mutate({ path: { id: product.id }, body: { ...sent(draft), etag } });
  const { fields = {} } = update.error ? problemOf(update.error) : {};
  const changed = FIELDS.some(([name]) => String(draft[name]) !== String(draftOf(base)[name]));
  function submit(event: FormEvent) {
    event.preventDefault();
    save(base.etag);
  }
  return (
    <Card title={t`Details`} aside={base.delete_time && <Badge color="gray" variant="light" tt="none"><Trans>Deleted</Trans></Badge>}>
      <form onSubmit={submit}>
        <Stack>
          {theirs && <Conflict fields={FIELDS.map(([name, text]) => ({ name: text, theirs: shown(draftOf(theirs), name), mine: shown(draft, name) }))} onMine={() => save(theirs.etag)} onTheirs={() => take(theirs)} />}
          <Fields draft={draft} set={(change) => setDraft({ ...draft, ...change })} fields={fields} />
          {update.error && !theirs && !Object.keys(fields).length && <ErrorNotice error={update.error} />}
          <Group justify="space-between">
            <Group gap="xs">
              <Button type="submit" disabled={!changed || Boolean(base.delete_time)} loading={update.isPending}><Trans>Save</Trans></Button>
              {changed && <Button variant="subtle" onClick={() => take(base)}><Trans>Discard</Trans></Button>}
            </Group>
            <Remove product={base} onChange={take} />
          </Group>
          <Text fz="xs" c="dimmed"><Trans>Changed {time(base.update_time)}, created {time(base.create_time)}.</Trans></Text>
        </Stack>
      </form>
    </Card>
  );
}

function Remove({ product, onChange }: { product: Product; onChange: (product: Product) => void }) {
  const saved = useSaved();
  const undelete = useMutation({
    ...catalogServiceUndeleteProductMutation(),
    onSuccess: (now) => {
      onChange(now);
      saved(now, t`Undeleted`);
    },
  });
  const remove = useMutation({
    ...catalogServiceDeleteProductMutation(),
    onSuccess: (now) => {
      onChange(now);
      saved(now, t`Deleted; it can be undeleted`);
    },
  });
  const error = remove.error ?? undelete.error;
  return (
    <Group gap="xs">
      {error && <Text fz="sm" c="orange" role="alert">{problemOf(error).title}</Text>}
      {product.delete_time ? (
        <Button variant="default" loading={undelete.isPending} onClick={() => undelete.mutate({ path: { id: product.id }, body: { etag: product.etag } })}><Trans>Undelete</Trans></Button>
      ) : (
        <Button variant="subtle" color="red" loading={remove.isPending} onClick={() => remove.mutate({ path: { id: product.id }, query: { etag: product.etag } })}><Trans>Delete</Trans></Button>
      )}
    </Group>
  );
}

function Similar({ id }: { id: string }) {
  const similar = useQuery(recommenderServiceListSimilarProductsOptions({ path: { product_id: id }, query: { page_size: 8 } }));
  return (
    <Card title={t`Similar products`} flush>
      <Loaded query={similar}>{({ recommendations }) => (recommendations.length ? <Recommendations list={recommendations} name={t`Similar products`} /> : <Empty title={t`None is similar`} />)}</Loaded>
    </Card>
  );
}

export function NewProductPage() {
  const navigate = useNavigate();
  const saved = useSaved();
  const [id, setId] = useState("");
  const [draft, setDraft] = useState<Draft>({ name: "", description: "", category: "", price: "", stock: 0 });
  const [key] = useState(() => crypto.randomUUID());
  const create = useMutation({
    ...catalogServiceCreateProductMutation(),
    onSuccess: (product) => {
      saved(product, t`Created`);
      void navigate({ to: "/products/$id", params: { id: product.id } });
    },
  });
  const { fields = {} } = create.error ? problemOf(create.error) : {};
  function submit(event: FormEvent) {
    event.preventDefault();
    create.mutate({ body: { ...sent(draft), ...(id && { id }) }, headers: { "Idempotency-Key": `${key}-${JSON.stringify([id, draft]).length}` } });
  }
  return (
    <Page title={t`New product`}>
      <Card>
        <form onSubmit={submit}>
          <Stack maw={620}>
            <TextInput label={t`Id`} description={t`Letters, digits, dots and dashes; made up if empty`} value={id} error={fields["id"]} onChange={(event) => setId(event.currentTarget.value)} />
            <Fields draft={draft} set={(change) => setDraft({ ...draft, ...change })} fields={fields} />
            {create.error && !Object.keys(fields).length && <ErrorNotice error={create.error} />}
            <Group>
              <Button type="submit" loading={create.isPending}><Trans>Create the product</Trans></Button>
              <Button variant="subtle" component={Link} {...{ to: "/products" }}><Trans>Back</Trans></Button>
            </Group>
          </Stack>
        </form>
      </Card>
    </Page>
  );
}
