import { plural, t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { ActionIcon, Badge, Button, FileInput, Group, Modal, Progress, Select, Stack, Table, Tabs, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconDownload, IconTrash, IconUpload } from "@tabler/icons-react";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";

import {
  rawDataServiceDeleteRawFileMutation, rawDataServiceGetDataQualityOptions, rawDataServiceListRawFilesOptions, rawDataServiceListRawFilesQueryKey,
  rawDataServiceListRejectedLinesInfiniteOptions,
} from "@client/gen/@tanstack/react-query.gen";
import type { CsvPiece, RawFile } from "@client/gen";
import { Card, Empty, ErrorNotice, Loaded, More, Page } from "../components/page";
import { save } from "../csv";
import { problemOf } from "../errors";
import { amount, count, day, decimals, month as monthName, percent, time } from "../format";
import { stream } from "../stream";
import { upload } from "../upload";

const MEASURES: Record<string, string> = {
  lines_per_day: t`Lines a day`,
  reject_share: t`Rejected`,
  missing_customer_share: t`No customer`,
  median_price: t`Median price`,
  basket_size: t`Basket`,
  new_product_share: t`New products`,
};

type Tab = "files" | "rejects" | "quality";

export function DataPage() {
  const { tab = "files" } = useSearch({ from: "/data" });
  const navigate = useNavigate({ from: "/data" });
  return (
    <Page title={t`Data`} about={t`Raw sales, what was rejected of them, and how good the published data is.`}>
      <Tabs value={tab} onChange={(value) => void navigate({ search: { tab: value as Tab } })} keepMounted={false}>
        <Tabs.List mb="lg">
          <Tabs.Tab value="files"><Trans>Raw files</Trans></Tabs.Tab>
          <Tabs.Tab value="rejects"><Trans>Rejects</Trans></Tabs.Tab>
          <Tabs.Tab value="quality"><Trans>Quality</Trans></Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="files"><Files /></Tabs.Panel>
        <Tabs.Panel value="rejects"><Rejects /></Tabs.Panel>
        <Tabs.Panel value="quality"><Quality /></Tabs.Panel>
      </Tabs>
    </Page>
  );
}

function Files() {
  const files = useQuery(rawDataServiceListRawFilesOptions({ query: { page_size: 100 } }));
  return (
    <Stack gap="lg">
      <Upload />
      <Card title={t`Raw files`} flush>
        <Loaded query={files}>
          {({ raw_files }) =>
            raw_files.length ? (
              <Table.ScrollContainer minWidth={340}>
                <Table verticalSpacing="sm" horizontalSpacing="md" aria-label={t`Raw files`}>
                  <Table.Thead>
                    <Table.Tr>
                      <Table.Th><Trans>File</Trans></Table.Th>
                      <Table.Th className="number"><Trans>Lines</Trans></Table.Th>
                      <Table.Th className="number" visibleFrom="sm"><Trans>Rejected</Trans></Table.Th>
                      <Table.Th><Trans>State</Trans></Table.Th>
                      <Table.Th visibleFrom="sm"><Trans>Landed</Trans></Table.Th>
                      <Table.Th w={50}><span className="skip"><Trans>Delete</Trans></span></Table.Th>
                    </Table.Tr>
                  </Table.Thead>
                  <Table.Tbody>{raw_files.map((file) => <FileRow key={file.id} file={file} />)}</Table.Tbody>
                </Table>
              </Table.ScrollContainer>
            ) : (
              <Empty title={t`There are no raw files yet`}><Trans>Upload the sales that the shop exports: CSV, a workbook, NDJSON or Parquet.</Trans></Empty>
            )
          }
        </Loaded>
      </Card>
    </Stack>
  );
}

function FileRow({ file }: { file: RawFile }) {
  const rejected = file.rejects.reduce((sum, { line_count }) => sum + Number(line_count), 0);
  const [asking, setAsking] = useState(false);
  const queries = useQueryClient();
  const remove = useMutation({
    ...rawDataServiceDeleteRawFileMutation(),
    onSuccess: () => {
      setAsking(false);
      void queries.invalidateQueries({ queryKey: rawDataServiceListRawFilesQueryKey() });
    },
  });
  return (
    <Table.Tr>
      <Table.Td>
        <Text fw={550}>{file.name}</Text>
        <Text fz="xs" c="dimmed">{file.description}</Text>
      </Table.Td>
      <Table.Td className="number">{count(file.line_count)}</Table.Td>
      <Table.Td className="number" visibleFrom="sm">{file.published ? count(rejected) : "–"}</Table.Td>
      <Table.Td>
        <Badge variant="light" tt="none" color={file.published ? "green" : "gray"}>{file.published ? t`Published` : t`Waits for ETL`}</Badge>
      </Table.Td>
      <Table.Td visibleFrom="sm">{time(file.create_time)}</Table.Td>
      <Table.Td>
        <ActionIcon variant="subtle" color="gray" aria-label={t`Delete ${file.name}`} onClick={() => setAsking(true)}>
          <IconTrash size={17} aria-hidden />
        </ActionIcon>
        <Modal opened={asking} onClose={() => setAsking(false)} title={t`Delete ${file.name}?`}>
          <Stack>
            <Text><Trans>The file is deleted now, and its lines leave the clean data with the next ETL. This cannot be undone; the file can be uploaded again.</Trans></Text>
            {remove.error && <ErrorNotice error={remove.error} />}
            <Group justify="flex-end">
              <Button variant="default" onClick={() => setAsking(false)}><Trans>Keep it</Trans></Button>
              <Button color="red" loading={remove.isPending} onClick={() => remove.mutate({ path: { id: file.id } })}><Trans>Delete the file</Trans></Button>
            </Group>
          </Stack>
        </Modal>
      </Table.Td>
    </Table.Tr>
  );
}

function Upload() {
  const queries = useQueryClient();
  const [file, setFile] = useState<File | null>(null);
  const [share, setShare] = useState(0);
  const sending = useMutation({
    mutationFn: (chosen: File) => upload(chosen, setShare),
    onSuccess: ({ message, line_count }) => {
      notifications.show({ color: "green", title: plural(Number(line_count), { one: "# line landed", other: "# lines landed" }), message });
      setFile(null);
      void queries.invalidateQueries({ queryKey: rawDataServiceListRawFilesQueryKey() });
    },
    onSettled: () => setShare(0),
  });
  return (
    <Card title={t`Upload sales`}>
      <Stack>
        <Group align="flex-end">
          <FileInput label={t`File`} description={t`CSV, NDJSON, .xlsx or Parquet, packed or not`} placeholder={t`Choose a file`} clearButtonProps={{ "aria-label": t`Choose no file` }} value={file} onChange={setFile} clearable style={{ flex: "1 1 240px" }} maw={460} />
          <Button leftSection={<IconUpload size={16} aria-hidden />} disabled={!file} loading={sending.isPending} onClick={() => file && sending.mutate(file)}><Trans>Upload</Trans></Button>
        </Group>
        {sending.isPending && (
          <Group gap="sm" wrap="nowrap">
            <Progress value={share * 100} flex={1} aria-label={t`Uploaded`} />
            <Text fz="sm" className="number">{share < 1 ? percent(share) : t`Being read`}</Text>
          </Group>
        )}
        {sending.error && <ErrorNotice error={sending.error} />}
      </Stack>
    </Card>
  );
}

function Rejects() {
  const { reason, file } = useSearch({ from: "/data" });
  const navigate = useNavigate({ from: "/data" });
  const found = useInfiniteQuery({
    ...rawDataServiceListRejectedLinesInfiniteOptions({ query: { page_size: 50, ...(reason && { reason }), ...(file && { file }) } }),
    initialPageParam: "",
    getNextPageParam: (last) => last.next_page_token || undefined,
  });
  const files = useQuery(rawDataServiceListRawFilesOptions({ query: { page_size: 100 } }));
  const all = files.data?.raw_files ?? [];
  const reasons = new Map<string, number>();
  for (const { reason: name, line_count } of all.filter(({ name }) => !file || name === file).flatMap(({ rejects }) => rejects)) reasons.set(name, (reasons.get(name) ?? 0) + Number(line_count));
  const choose = (change: { reason?: string | undefined; file?: string | undefined }) => void navigate({ search: (now) => ({ ...now, ...change }) });
  return (
    <Stack gap="lg">
      <Group align="flex-end" justify="space-between">
        <Group>
          <Select
            label={t`Reason`}
            placeholder={t`All`}
            clearable
            clearButtonProps={{ "aria-label": t`Show all reasons` }}
            data={[...reasons].map(([value, lines]) => ({ value, label: `${value} (${count(lines)})` }))}
            value={reason ?? null}
            onChange={(value) => choose({ reason: value ?? undefined })}
          />
          <Select
            label={t`File`}
            placeholder={t`All`}
            clearable
            clearButtonProps={{ "aria-label": t`Show all files` }}
            data={[...new Set(all.map(({ name }) => name))]}
            value={file ?? null}
            onChange={(value) => choose({ file: value ?? undefined })}
          />
        </Group>
        <ExportRejects query={{ ...(reason && { reason }), ...(file && { file }) }} />
      </Group>
      <Card flush>
        <Loaded query={found}>
          {({ pages }) => {
            const lines = pages.flatMap((page) => page.rejected_lines);
            return lines.length ? (
              <>
                <Table.ScrollContainer minWidth={600} type="native" tabIndex={0} role="region" aria-label={t`Rejected lines`}>
                  <Table verticalSpacing="xs" horizontalSpacing="md" aria-label={t`Rejected lines`}>
                    <Table.Thead>
                      <Table.Tr>
                        <Table.Th><Trans>Reason</Trans></Table.Th>
                        <Table.Th><Trans>Where</Trans></Table.Th>
                        <Table.Th><Trans>Line</Trans></Table.Th>
                      </Table.Tr>
                    </Table.Thead>
                    <Table.Tbody>
                      {lines.map((line) => (
                        <Table.Tr key={`${line.file} ${line.line_number} ${line.reason}`}>
                          <Table.Td><Badge variant="light" color="orange" tt="none">{line.reason}</Badge></Table.Td>
                          <Table.Td fz="sm">{line.file}:{line.line_number}<Text fz="xs" c="dimmed">{day(line.date)}</Text></Table.Td>
                          <Table.Td className="mono" style={{ overflowWrap: "anywhere" }}>{line.line}</Table.Td>
                        </Table.Tr>
                      ))}
                    </Table.Tbody>
                  </Table>
                </Table.ScrollContainer>
                <More query={found} />
              </>
            ) : (
              <Empty title={t`No line was rejected`} />
            );
          }}
        </Loaded>
      </Card>
    </Stack>
  );
}

function ExportRejects({ query }: { query: { reason?: string; file?: string } }) {
  const pull = useMutation({
    mutationFn: async () => {
      const pieces: string[] = [];
      for await (const { text } of stream<CsvPiece>({ url: "/rejected-lines:export", query })) pieces.push(text);
      return new Blob(pieces, { type: "text/csv" });
    },
    onSuccess: (content) => save("rejected-lines.csv", content),
    onError: (error) => notifications.show({ color: "orange", title: problemOf(error).title, message: problemOf(error).advice }),
  });
  return (
    <Button variant="default" leftSection={<IconDownload size={16} aria-hidden />} loading={pull.isPending} onClick={() => pull.mutate()}>
      <Trans>Export CSV</Trans>
    </Button>
  );
}

function Quality() {
  const quality = useQuery(rawDataServiceGetDataQualityOptions());
  return (
    <Card flush>
      <Loaded query={quality}>
        {({ months }) =>
          months.length ? (
            <Table.ScrollContainer minWidth={760} type="native" tabIndex={0} role="region" aria-label={t`Quality by month`}>
              <Table verticalSpacing="xs" horizontalSpacing="md" aria-label={t`Quality by month`}>
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th><Trans>Month</Trans></Table.Th>
                    <Table.Th className="number"><Trans>Lines a day</Trans></Table.Th>
                    <Table.Th className="number"><Trans>Rejected</Trans></Table.Th>
                    <Table.Th className="number"><Trans>No customer</Trans></Table.Th>
                    <Table.Th className="number"><Trans>Median price</Trans></Table.Th>
                    <Table.Th className="number"><Trans>Basket</Trans></Table.Th>
                    <Table.Th className="number"><Trans>New products</Trans></Table.Th>
                    <Table.Th><Trans>What differs</Trans></Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {[...months].reverse().map((month) => (
                    <Table.Tr key={month.month}>
                      <Table.Td style={{ whiteSpace: "nowrap" }}>{monthName(month.month)}</Table.Td>
                      <Figure value={month.lines_per_day} format={amount} />
                      <Figure value={month.reject_share} format={percent} />
                      <Figure value={month.missing_customer_share} format={percent} />
                      <Figure value={month.median_price} format={decimals} />
                      <Figure value={month.basket_size} format={decimals} />
                      <Figure value={month.new_product_share} format={percent} />
                      <Table.Td>
                        {month.findings.map(({ measure, value, baseline }) => (
                          <Badge key={measure} color="orange" variant="light" tt="none" title={t`${amount(value)}, usually ${amount(baseline)}`}>{MEASURES[measure] ?? measure}</Badge>
                        ))}
                      </Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </Table.ScrollContainer>
          ) : (
            <Empty title={t`No data has been published yet`}><Trans>Upload a raw file, then submit an ETL job.</Trans></Empty>
          )
        }
      </Loaded>
    </Card>
  );
}

function Figure({ value, format }: { value: number | undefined; format: (value: number) => string }) {
  return <Table.Td className="number">{value === undefined ? "–" : format(value)}</Table.Td>;
}
