import { Badge, Group, SimpleGrid, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";

import { gatewayGetStatusOptions } from "@client/gen/@tanstack/react-query.gen";
import type { ServiceStatus } from "@client/gen";
import { Card, Loaded, Page } from "../components/page";
import { label } from "../format";

const POLL_MS = 5_000;
const WORK: Record<string, string> = {
  auth: "Accounts, sign-ins and the audit log",
  catalog: "Products and search",
  recommender: "Recommendations",
  forecaster: "Forecasts and the calendar",
  jobs: "Jobs and raw data",
};

/** A process may serve several services of the contracts; it is up if all of them are. */
function processes(services: ServiceStatus[]): ServiceStatus[] {
  const found = new Map<string, ServiceStatus>();
  for (const service of services) found.set(service.name, { ...service, up: service.up && (found.get(service.name)?.up ?? true) });
  return [...found.values()];
}

export function ServicesPage() {
  const status = useQuery({ ...gatewayGetStatusOptions(), refetchInterval: POLL_MS });
  return (
    <Page title="Services" about="What is up, looked at every five seconds.">
      <Loaded query={status}>
        {({ version, services }) => (
          <SimpleGrid cols={{ base: 1, sm: 2, lg: 3 }}>
            {[{ name: "gateway", up: true, version }, ...processes(services)].map((service) => (
              <Card key={service.name}>
                <Group justify="space-between" mb={4}>
                  <Text fw={600}>{label(service.name, "")}</Text>
                  <Badge variant="light" color={service.up ? "green" : "red"} tt="none">{service.up ? "Up" : "Down"}</Badge>
                </Group>
                <Text fz="sm" c="dimmed">{WORK[service.name] ?? "REST, and this console"}</Text>
                <Text fz="sm" mt="xs">{service.version ? `Version ${service.version}` : "Version unknown"}</Text>
              </Card>
            ))}
          </SimpleGrid>
        )}
      </Loaded>
    </Page>
  );
}
