import { t } from "@lingui/core/macro";
import { Plural, Trans } from "@lingui/react/macro";
import { Alert, Button, FileInput, Group, SimpleGrid, Stack, Table, Text } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";

import { catalogServiceImportProducts, type ImportProductsResponse } from "@client/gen";
import { catalogServiceListProductsInfiniteQueryKey } from "@client/gen/@tanstack/react-query.gen";
import { Card, ErrorNotice, Page } from "../components/page";
import { count } from "../format";
import { productLines } from "../product-file";

async function send(lines: string[], validate_only: boolean): Promise<ImportProductsResponse> {
  const { data } = await catalogServiceImportProducts({ body: lines as never, bodySerializer: (rows: unknown) => (rows as string[]).join("\n"), query: { validate_only }, throwOnError: true });
  return data;
}

export function ImportPage() {
  const queries = useQueryClient();
  const [lines, setLines] = useState<string[]>([]);
  const [unreadable, setUnreadable] = useState("");
  const preview = useMutation({ mutationFn: (rows: string[]) => send(rows, true) });
  const real = useMutation({ mutationFn: () => send(lines, false), onSuccess: () => void queries.invalidateQueries({ queryKey: catalogServiceListProductsInfiniteQueryKey() }) });

  async function choose(file: File | null) {
    preview.reset();
    real.reset();
    setUnreadable("");
    setLines([]);
    if (!file) return;
    try {
      const rows = productLines(file.name, await file.text());
      setLines(rows);
      preview.mutate(rows);
    } catch (error) {
      setUnreadable(error instanceof Error ? error.message : String(error));
    }
  }

  const report = real.data ?? preview.data;
  return (
    <Page title={t`Import products`} about={t`A file is looked at first; nothing is written before you say so.`}>
      <Card>
        <Stack>
          <FileInput label={t`File`} description={t`CSV whose first row names the fields, or NDJSON with a product a line`} placeholder={t`Choose a file`} clearButtonProps={{ "aria-label": t`Choose no file` }} accept=".csv,.ndjson,.jsonl,.json" clearable maw={460} error={unreadable} onChange={(file) => void choose(file)} />
          {preview.isPending && <Text role="status"><Plural value={lines.length} one="Looking at # row…" other="Looking at # rows…" /></Text>}
          {(real.error ?? preview.error) && <ErrorNotice error={real.error ?? preview.error} />}
          {real.data && <Alert color="green" variant="light" title={t`Imported`}><Plural value={real.data.created_count + real.data.updated_count} one="# product was written." other="# products were written." /></Alert>}
          {report && <Report report={report} done={Boolean(real.data)} />}
          {preview.data && !real.data && (
            <Group>
              <Button loading={real.isPending} disabled={!(preview.data.created_count + preview.data.updated_count)} onClick={() => real.mutate()}>
                <Plural value={preview.data.created_count + preview.data.updated_count} one="Import # product" other="Import # products" />
              </Button>
              <Button variant="subtle" component={Link} {...{ to: "/products" }}><Trans>Back</Trans></Button>
            </Group>
          )}
        </Stack>
      </Card>
    </Page>
  );
}

function Report({ report, done }: { report: ImportProductsResponse; done: boolean }) {
  const figures = [
    [done ? t`Created` : t`To be created`, report.created_count],
    [done ? t`Changed` : t`To be changed`, report.updated_count],
    [t`As they were`, report.unchanged_count],
    [t`Wrong`, report.failed_count],
  ] as const;
  return (
    <>
      <SimpleGrid cols={{ base: 2, sm: 4 }}>
        {figures.map(([name, value]) => (
          <div key={name}>
            <Text fz="xs" c="dimmed">{name}</Text>
            <Text fz={22} fw={650}>{count(value)}</Text>
          </div>
        ))}
      </SimpleGrid>
      {report.failures.length > 0 && (
        <Table.ScrollContainer minWidth={420} type="native" tabIndex={0} role="region" aria-label={t`Wrong rows`}>
          <Table verticalSpacing="xs" aria-label={t`Wrong rows`}>
            <Table.Thead>
              <Table.Tr><Table.Th><Trans>Row</Trans></Table.Th><Table.Th><Trans>Product</Trans></Table.Th><Table.Th><Trans>Field</Trans></Table.Th><Table.Th><Trans>What is wrong</Trans></Table.Th></Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {report.failures.map(({ row, product_id, field, message }, index) => (
                <Table.Tr key={index}><Table.Td>{count(row)}</Table.Td><Table.Td className="mono">{product_id}</Table.Td><Table.Td>{field}</Table.Td><Table.Td>{message}</Table.Td></Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
    </>
  );
}
