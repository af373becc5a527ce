// What every page has: a title, a place for errors, and states for waiting and for nothing.
import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { Alert, Button, Center, Group, SimpleGrid, Skeleton, Stack, Text, ThemeIcon, Title } from "@mantine/core";
import { useDocumentTitle } from "@mantine/hooks";
import { IconAlertTriangle, IconInbox } from "@tabler/icons-react";
import type { ReactNode } from "react";

import { problemOf } from "../errors";

export function Page({ title, about, actions, children }: { title: string; about?: ReactNode; actions?: ReactNode; children: ReactNode }) {
  useTitle(title);
  return (
    <Stack gap="lg" maw={1240} mx="auto">
      <Group justify="space-between" align="flex-end" gap="sm">
        <div>
          <Title order={1} fz={26}>
            {title}
          </Title>
          {about && (
            <Text c="dimmed" fz="sm" mt={2} component="div">
              {about}
            </Text>
          )}
        </div>
        {actions && <Group gap="xs">{actions}</Group>}
      </Group>
      {children}
    </Stack>
  );
}

/** Names the page in the browser's tab and history. */
export function useTitle(title: string): void {
  useDocumentTitle([title, "HashiraMart"].join(" · "));
}

export function ErrorNotice({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const { title, advice, reason } = problemOf(error);
  return (
    <Alert color="orange" variant="light" title={title} icon={<IconAlertTriangle aria-hidden />} role="alert">
      <Stack gap="xs" align="flex-start">
        {advice && <Text fz="sm">{advice}</Text>}
        {reason && (
          <Text fz="xs" c="dimmed" className="mono">
            {reason}
          </Text>
        )}
        {onRetry && (
          <Button size="xs" variant="default" onClick={onRetry}>
            <Trans>Try again</Trans>
          </Button>
        )}
      </Stack>
    </Alert>
  );
}

/** In place of a page that could not be fetched or drawn. */
export function Broken() {
  return (
    <Page title={t`The page cannot be shown`}>
      <Alert color="orange" variant="light" title={t`Something went wrong in this page`} icon={<IconAlertTriangle aria-hidden />} role="alert">
        <Stack gap="xs" align="flex-start">
          <Text fz="sm"><Trans>Load it again once the connection is there. If it happens again, report it with its address.</Trans></Text>
          <Button size="xs" variant="default" onClick={() => location.reload()}>
            <Trans>Load it again</Trans>
          </Button>
        </Stack>
      </Alert>
    </Page>
  );
}

export function Loading({ rows = 6 }: { rows?: number }) {
  return (
    <Stack gap="xs" aria-busy aria-label={t`Loading`} role="status" p="md">
      {Array.from({ length: rows }, (_, row) => (
        <Skeleton key={row} height={20} width={`${100 - ((row * 13) % 35)}%`} />
      ))}
    </Stack>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <Center py={48} px="md">
      <Stack align="center" gap="xs" maw={420}>
        <ThemeIcon variant="light" size={48} radius="xl">
          <IconInbox aria-hidden />
        </ThemeIcon>
        <Text fw={600} ta="center">
          {title}
        </Text>
        {children && (
          <Text c="dimmed" fz="sm" ta="center" component="div">
            {children}
          </Text>
        )}
      </Stack>
    </Center>
  );
}

interface Result<T> {
  data: T | undefined;
  error: unknown;
  isPending: boolean;
  refetch: () => unknown;
}

/** What a query has: its data once it is there, else that it is awaited or what went wrong. */
export function Loaded<T>({ query, rows, children }: { query: Result<T>; rows?: number; children: (data: T) => ReactNode }) {
  if (query.data !== undefined)
    return (
      <>
        {query.error ? <ErrorNotice error={query.error} /> : null}
        {children(query.data)}
      </>
    );
  if (query.error) return <ErrorNotice error={query.error} onRetry={() => void query.refetch()} />;
  return <Loading {...(rows === undefined ? {} : { rows })} />;
}

export function Card({ title, aside, children, flush = false }: { title?: ReactNode; aside?: ReactNode; children: ReactNode; flush?: boolean }) {
  return (
    <section className="card">
      {title && (
        <Group justify="space-between" px="md" pt="md" pb={flush ? "sm" : 0} gap="xs">
          <Title order={2} fz={16}>
            {title}
          </Title>
          {aside}
        </Group>
      )}
      <div className={flush ? "flush" : undefined} style={{ padding: flush ? 0 : 16 }}>{children}</div>
    </section>
  );
}

/** The figures that matter most, each with its name. */
export function Figures({ list }: { list: ReadonlyArray<readonly [name: string, value: ReactNode]> }) {
  return (
    <SimpleGrid cols={{ base: list.length % 2 ? 1 : 2, sm: Math.min(5, list.length) }} spacing="md">
      {list.map(([name, value]) => (
        <div key={name} className="card figure">
          <Text fz="xs" c="dimmed">
            {name}
          </Text>
          <Text fz={22} fw={650} component="div">
            {value}
          </Text>
        </div>
      ))}
    </SimpleGrid>
  );
}

/** The button below a list that has more pages. */
export function More({ query }: { query: { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage: () => unknown } }) {
  if (!query.hasNextPage) return null;
  return (
    <Group justify="center" p="md">
      <Button variant="default" loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
        <Trans>More</Trans>
      </Button>
    </Group>
  );
}
