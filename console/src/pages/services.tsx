import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { Alert, Badge, Group, Stack, Table, Text } from "@mantine/core";
import { IconAlertTriangle, IconCircleCheck } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, useState } from "react";

import type { EngineStatus, MeshStatus } from "@client/gen";
import { gatewayGetStatusOptions, jobsServiceListJobsOptions } from "@client/gen/@tanstack/react-query.gen";
import { alarmsOf, engineName } from "../alarms";
import { Card, Loaded, Page } from "../components/page";
import { amount, capitalised, percent } from "../format";
import { type Rate, ratesOf, type Reading, withReading } from "../rates";

const POLL_MS = 5_000;
const JOBS_POLL_MS = 30_000;
const WORK: Record<string, string> = {
  gateway: t`REST, and this console`,
  auth: t`Accounts, sign-ins and the audit log`,
  catalog: t`Products and search`,
  recommender: t`Recommendations`,
  forecaster: t`Forecasts and the calendar`,
  jobs: t`Jobs and raw data`,
};

export function ServicesPage() {
  const status = useQuery({ ...gatewayGetStatusOptions(), refetchInterval: POLL_MS });
  const { data, dataUpdatedAt } = status;
  const [readings, setReadings] = useState<Reading[]>([]);
  useEffect(() => {
    if (data) setReadings((kept) => withReading(kept, { at: dataUpdatedAt, status: data }));
  }, [data, dataUpdatedAt]);
  const rates = ratesOf(readings);
  return (
    <Page title={t`Services`} about={t`What is up and how requests fare, looked at every five seconds.`}>
      <Loaded query={status}>
        {(now) => (
          <>
            <Alarms status={now} rates={rates} />
            <Services status={now} rates={rates} />
            <Engines engines={now.engines} />
          </>
        )}
      </Loaded>
    </Page>
  );
}

function Alarms({ status, rates }: { status: MeshStatus; rates: Map<string, Rate> }) {
  const jobs = useQuery({ ...jobsServiceListJobsOptions({ query: { page_size: 50 } }), refetchInterval: JOBS_POLL_MS });
  const alarms = alarmsOf(status, rates, jobs.data?.jobs ?? []);
  if (!alarms.length)
    return (
      <Alert color="green" variant="light" icon={<IconCircleCheck aria-hidden />} title={t`No alarms`} role="status">
        <Trans>All services are up, their requests succeed, and so did the latest job of each kind.</Trans>
      </Alert>
    );
  return (
    <Stack gap="sm" role="group" aria-label={t`Alarms`}>
      {alarms.map(({ key, title, advice, job }) => (
        <Alert key={key} color="red" variant="light" icon={<IconAlertTriangle aria-hidden />} title={title} role="alert">
          {advice} {job && <Link to="/jobs/$id" params={{ id: job }} className="row-link"><Trans>Look at the job</Trans></Link>}
        </Alert>
      ))}
    </Stack>
  );
}

function Services({ status: { version, services }, rates }: { status: MeshStatus; rates: Map<string, Rate> }) {
  const all = [{ name: "gateway", up: true, version }, ...services];
  return (
    <Card flush>
      <Table.ScrollContainer minWidth={320}>
        <Table verticalSpacing="sm" horizontalSpacing="md" aria-label={t`Services`}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th><Trans>Service</Trans></Table.Th>
              <Table.Th visibleFrom="sm"><Trans>Version</Trans></Table.Th>
              <Table.Th className="number"><Trans>Requests</Trans></Table.Th>
              <Table.Th className="number" visibleFrom="sm"><Trans>Errors</Trans></Table.Th>
              <Table.Th className="number"><Trans>Latency</Trans></Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {all.map(({ name, up, version: own }) => {
              const rate = name === "gateway" ? total(rates) : rates.get(name);
              return (
                <Table.Tr key={name}>
                  <Table.Td>
                    <Group gap="xs">
                      <Text fw={600}>{capitalised(name)}</Text>
                      <Badge variant="light" color={up ? "green" : "red"} tt="none">{up ? t`Up` : t`Down`}</Badge>
                    </Group>
                    <Text fz="xs" c="dimmed">{WORK[name]}</Text>
                  </Table.Td>
                  <Table.Td visibleFrom="sm">{own || "–"}</Table.Td>
                  <Table.Td className="number">{rate ? t`${amount(rate.perSecond)} / s` : "–"}</Table.Td>
                  <Table.Td className="number" visibleFrom="sm" c={rate?.errorShare ? "var(--fall)" : undefined}>{rate?.errorShare === undefined ? "–" : percent(rate.errorShare)}</Table.Td>
                  <Table.Td className="number">{rate?.latency === undefined ? "–" : t`${amount(rate.latency)} ms`}</Table.Td>
                </Table.Tr>
              );
            })}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      <Text fz="xs" c="dimmed" p="md">
        <Trans>Requests through the gateway in the last minute, as far as this page has watched them: server’s errors alone, and the mean of how long they took. Streams are left out.</Trans>
      </Text>
    </Card>
  );
}

const ENGINE_WORK: Record<string, string> = {
  postgresql: t`What the services store`,
  hdfs: t`Raw sales`,
  yarn: t`Runs Spark`,
  "object store": t`Clean data and models`,
  mlflow: t`The registry of models`,
};

function Engines({ engines }: { engines: EngineStatus[] }) {
  return (
    <Card flush>
      <Table.ScrollContainer minWidth={320}>
        <Table verticalSpacing="sm" horizontalSpacing="md" aria-label={t`Engines`}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th><Trans>Engine</Trans></Table.Th>
              <Table.Th><Trans>Used by</Trans></Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {engines.map(({ name, up, used_by, not_reached_by }) => (
              <Table.Tr key={name}>
                <Table.Td>
                  <Group gap="xs">
                    <Text fw={600}>{engineName(name)}</Text>
                    <Badge variant="light" color={up ? "green" : "red"} tt="none">{up ? t`Up` : t`Not reached`}</Badge>
                  </Group>
                  <Text fz="xs" c="dimmed">{ENGINE_WORK[name]}</Text>
                </Table.Td>
                <Table.Td>
                  {used_by.map((service) => capitalised(service)).join(", ")}
                  {!up && <Text fz="xs" c="var(--fall)"><Trans>Not reached by {not_reached_by.join(", ")}</Trans></Text>}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Card>
  );
}

/** All requests together; undefined while nothing is known. */
function total(rates: Map<string, Rate>): Rate | undefined {
  const all = [...rates.values()];
  if (!all.length) return undefined;
  const perSecond = all.reduce((sum, rate) => sum + rate.perSecond, 0);
  const mean = (value: "errorShare" | "latency") => (perSecond ? all.reduce((sum, rate) => sum + (rate[value] ?? 0) * rate.perSecond, 0) / perSecond : undefined);
  return { perSecond, errorShare: mean("errorShare"), latency: mean("latency") };
}
