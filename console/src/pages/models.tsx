import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { Badge, Button, Checkbox, Group, Modal, SegmentedControl, SimpleGrid, Stack, Table, Text, Textarea } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { Fragment, useState } from "react";

import {
  authServiceGetCurrentUserOptions, forecasterServiceListModelsOptions, forecasterServicePromoteModelMutation, forecasterServiceRollbackModelMutation,
  recommenderServiceListModelsOptions, recommenderServicePromoteModelMutation, recommenderServiceRollbackModelMutation,
} from "@client/gen/@tanstack/react-query.gen";
import type { Model } from "@client/gen";
import { Card, Empty, ErrorNotice, Loaded, Page } from "../components/page";
import { ShadowCard } from "../components/shadow-report";
import { ago, day, difference, metric, time } from "../format";
import { label } from "../labels";

type Name = "recommender" | "forecaster";
const CALLS = {
  recommender: { list: recommenderServiceListModelsOptions, promote: recommenderServicePromoteModelMutation, rollback: recommenderServiceRollbackModelMutation },
  forecaster: { list: forecasterServiceListModelsOptions, promote: forecasterServicePromoteModelMutation, rollback: forecasterServiceRollbackModelMutation },
};
// What decides between versions comes first.
const HEADLINES: Record<Name, RegExp> = {
  recommender: /^test\.[a-z_]+\.(ndcg_at_20|recall_at_20|hit_rate_at_20|map_at_20|coverage)$|^test\.[a-z_]+\.[a-z_]+\.ndcg_at_20$/,
  forecaster: /^test\.(mase|sql|cov80|cov95|total_rmsse)$|^test\.[a-z_]+\.(mase|sql|total_rmsse)$/,
};

export function ModelsPage() {
  const { model = "recommender", version, beside } = useSearch({ from: "/models" });
  const navigate = useNavigate({ from: "/models" });
  const models = useQuery({ ...CALLS[model].list({ query: { page_size: 50 } }), refetchInterval: 15_000 } as ReturnType<typeof recommenderServiceListModelsOptions>);
  return (
    <Page title={t`Models`} about={t`What serves, what could serve, and how good each is.`}>
      <SegmentedControl
        aria-label={t`Model`}
        data={[{ value: "recommender", label: t`Recommender` }, { value: "forecaster", label: t`Forecaster` }]}
        value={model}
        onChange={(value) => void navigate({ search: { model: value as Name } })}
        withItemsBorders={false}
        style={{ alignSelf: "flex-start" }}
      />
      <Loaded query={models}>
        {({ models: list }) => {
          const champion = list.find(isChampion);
          const shown = list.find((one) => one.version === version) ?? champion ?? list[0];
          const other = list.find((one) => one.version === beside);
          if (!shown)
            return (
              <Card>
                <Empty title={t`No version has been trained yet`}>
                  <Button component={Link} {...{ to: "/jobs" }} mt="sm">
                    <Trans>Train one</Trans>
                  </Button>
                </Empty>
              </Card>
            );
          return (
            <>
              <Versions list={list} model={model} shown={shown} champion={champion} />
              <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="lg" style={{ alignItems: "start" }}>
                <Metrics model={model} one={shown} other={other} others={list.filter((each) => each !== shown)} />
                <Stack gap="lg">
                  {model === "recommender" && !isChampion(shown) && <ShadowCard key={shown.version} version={shown.version} />}
                  <GateChecks model={shown} />
                  <LineageCard model={shown} />
                </Stack>
              </SimpleGrid>
            </>
          );
        }}
      </Loaded>
    </Page>
  );
}

const isChampion = (model: Model): boolean => model.aliases.includes("champion");

function Versions({ list, model, shown, champion }: { list: Model[]; model: Name; shown: Model; champion: Model | undefined }) {
  const admin = useQuery(authServiceGetCurrentUserOptions()).data?.role === "ROLE_ADMIN";
  const [action, setAction] = useState<{ kind: "promote" | "rollback"; model: Model } | null>(null);
  return (
    <Card title={t`Versions`} flush aside={admin && champion && <Button size="xs" variant="default" onClick={() => setAction({ kind: "rollback", model: champion })}><Trans>Roll back</Trans></Button>}>
      <Table.ScrollContainer minWidth={340}>
        <Table verticalSpacing="sm" horizontalSpacing="md" aria-label={t`Versions`}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th><Trans>Version</Trans></Table.Th>
              <Table.Th visibleFrom="sm"><Trans>Recipe</Trans></Table.Th>
              <Table.Th><Trans>Gate</Trans></Table.Th>
              <Table.Th visibleFrom="sm"><Trans>Data until</Trans></Table.Th>
              <Table.Th visibleFrom="sm"><Trans>Trained</Trans></Table.Th>
              {admin && <Table.Th><span className="skip"><Trans>Actions</Trans></span></Table.Th>}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {list.map((each) => (
              <Table.Tr key={each.version} {...(each === shown ? { bg: "var(--mantine-primary-color-light)", "aria-selected": true } : {})}>
                <Table.Td>
                  <Group gap="xs">
                    <Link to="/models" search={(now: object) => ({ ...now, version: each.version })} className="row-link">
                      <Trans>Version {each.version}</Trans>
                    </Link>
                    {isChampion(each) && <Badge tt="none" variant="filled"><Trans>Champion</Trans></Badge>}
                    {each.awaits_promotion && <Badge tt="none" variant="light" color="orange"><Trans>Waits for its lists in shadow</Trans></Badge>}
                    {each.serving && <Badge tt="none" variant="light" color="green"><Trans>Serving</Trans></Badge>}
                  </Group>
                </Table.Td>
                <Table.Td visibleFrom="sm">{label(each.recipe)}</Table.Td>
                <Table.Td>{each.gate ? (each.gate.passed ? t`Passed` : t`Not passed`) : "–"}</Table.Td>
                <Table.Td visibleFrom="sm">{day(each.data_through_date)}</Table.Td>
                <Table.Td visibleFrom="sm" title={time(each.create_time)}>{ago(each.create_time)}</Table.Td>
                {admin && (
                  <Table.Td ta="end">
                    {!isChampion(each) && (
                      <Button size="xs" variant="default" onClick={() => setAction({ kind: "promote", model: each })}>
                        <Trans>Promote</Trans>
                      </Button>
                    )}
                  </Table.Td>
                )}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      {action && <Change name={model} kind={action.kind} model={action.model} champion={champion} onClose={() => setAction(null)} />}
    </Card>
  );
}

function Change({ name, kind, model, champion, onClose }: { name: Name; kind: "promote" | "rollback"; model: Model; champion: Model | undefined; onClose: () => void }) {
  const queries = useQueryClient();
  const [reason, setReason] = useState("");
  const [force, setForce] = useState(false);
  const expected_champion_version = champion?.version ?? "";
  const onSuccess = (now: Model) => {
    void queries.invalidateQueries();
    notifications.show({ color: "green", title: t`Version ${now.version} is the champion`, message: t`All replicas answer from it within ten seconds.` });
    onClose();
  };
  const promote = useMutation({ ...(CALLS[name].promote() as ReturnType<typeof recommenderServicePromoteModelMutation>), onSuccess });
  const rollback = useMutation({ ...(CALLS[name].rollback() as ReturnType<typeof recommenderServiceRollbackModelMutation>), onSuccess });
  const promoting = kind === "promote";
  const { error, isPending } = promoting ? promote : rollback;
  const confirm = () =>
    promoting
      ? promote.mutate({ body: { version: model.version, force, expected_champion_version, reason } })
      : rollback.mutate({ body: { expected_champion_version, reason } });
  return (
    <Modal opened onClose={onClose} title={promoting ? t`Promote version ${model.version}?` : t`Roll back version ${model.version}?`}>
      <Stack>
        <Text fz="sm">
          {promoting
            ? champion
              ? t`Version ${model.version} replaces version ${champion.version} for all customers. It can be rolled back.`
              : t`Version ${model.version} serves all customers from then on.`
            : t`The version that was the champion before serves all customers again.`}
        </Text>
        <Textarea label={t`Reason`} description={t`Kept with the version, for those who come after`} required autosize minRows={2} value={reason} onChange={(event) => setReason(event.currentTarget.value)} data-autofocus />
        {promoting && !model.gate?.passed && <Checkbox label={t`Promote although it did not pass the gate`} checked={force} onChange={(event) => setForce(event.currentTarget.checked)} />}
        {error ? <ErrorNotice error={error} /> : null}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            <Trans>Keep as it is</Trans>
          </Button>
          <Button loading={isPending} disabled={!reason.trim()} onClick={confirm} {...(promoting ? {} : { color: "red" })}>
            {promoting ? t`Promote` : t`Roll back`}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}

function Metrics({ model, one, other, others }: { model: Name; one: Model; other: Model | undefined; others: Model[] }) {
  const navigate = useNavigate({ from: "/models" });
  const [all, setAll] = useState(false);
  const names = [...new Set([...Object.keys(one.metrics), ...Object.keys(other?.metrics ?? {})])].sort();
  const headlines = names.filter((name) => HEADLINES[model].test(name));
  const shown = all || !headlines.length ? names : headlines;
  return (
    <Card
      title={t`Metrics of version ${one.version}`}
      flush
      aside={
        <Group gap="xs">
          {others.slice(0, 4).map(({ version }) => (
            <Button key={version} size="compact-xs" variant={version === other?.version ? "filled" : "default"} onClick={() => void navigate({ search: (now) => ({ ...now, beside: version === other?.version ? undefined : version }) })}>
              <Trans>Beside {version}</Trans>
            </Button>
          ))}
          <Button size="compact-xs" variant="default" onClick={() => setAll(!all)}>
            {all ? t`Main ones` : t`All ${names.length}`}
          </Button>
        </Group>
      }
    >
      {shown.length ? (
        <Table.ScrollContainer minWidth={320} mah={560} type="native" tabIndex={0} role="region" aria-label={t`Metrics`}>
          <Table verticalSpacing={6} horizontalSpacing="md" stickyHeader>
            <Table.Thead>
              <Table.Tr>
                <Table.Th><Trans>Metric</Trans></Table.Th>
                <Table.Th className="number"><Trans>Version {one.version}</Trans></Table.Th>
                {other && <Table.Th className="number"><Trans>Version {other.version}</Trans></Table.Th>}
                {other && <Table.Th className="number"><Trans>Difference</Trans></Table.Th>}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {shown.map((name) => (
                <Table.Tr key={name}>
                  <Table.Td className="mono breakable">{breakable(name)}</Table.Td>
                  <Table.Td className="number">{one.metrics[name] === undefined ? "–" : metric(one.metrics[name])}</Table.Td>
                  {other && <Table.Td className="number">{other.metrics[name] === undefined ? "–" : metric(other.metrics[name])}</Table.Td>}
                  {other && <Table.Td className="number" c="dimmed">{difference(one.metrics[name], other.metrics[name])}</Table.Td>}
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      ) : (
        <Empty title={t`The version has no metrics`} />
      )}
    </Card>
  );
}

/** A metric's name, which breaks behind its parts. */
const breakable = (name: string) => name.split(/(?<=[._])/).map((part, place) => <Fragment key={place}>{part}<wbr /></Fragment>);

function GateChecks({ model }: { model: Model }) {
  return (
    <Card title={t`The gate: beside the baselines`} flush>
      {model.gate?.checks.length ? (
        <Table.ScrollContainer minWidth={320}>
          <Table verticalSpacing={6} horizontalSpacing="md" aria-label={t`Checks of the gate`}>
            <Table.Thead>
              <Table.Tr>
                <Table.Th><Trans>Check</Trans></Table.Th>
                <Table.Th className="number"><Trans>Measured</Trans></Table.Th>
                <Table.Th className="number"><Trans>Required</Trans></Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {model.gate.checks.map(({ name, passed, measured, required }) => (
                <Table.Tr key={name}>
                  <Table.Td className="breakable">
                    <Text span c={passed ? "var(--rise)" : "var(--fall)"} fw={700} aria-label={passed ? t`Passed` : t`Not passed`} role="img">
                      {passed ? "✓" : "✗"}
                    </Text>{" "}
                    {breakable(name)}
                  </Table.Td>
                  <Table.Td className="number">{metric(measured)}</Table.Td>
                  <Table.Td className="number" c="dimmed">{metric(required)}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      ) : (
        <Empty title={t`The version was not judged by the gate`} />
      )}
    </Card>
  );
}

function LineageCard({ model }: { model: Model }) {
  const { lineage, promotion } = model;
  const facts: Array<[string, string]> = [
    [t`Promoted`, !promotion ? "" : promotion.promoted_by ? t`${time(promotion.time)} by ${promotion.promoted_by}` : time(promotion.time)],
    [t`Reason`, promotion?.reason ?? ""],
    [t`Replaced`, promotion?.replaced_version ? t`version ${promotion.replaced_version}` : ""],
    [t`Data`, lineage?.data_hash ?? ""],
    [t`Raw files`, lineage?.raw_files.join(", ") ?? ""],
    [t`Code`, lineage?.code_commit ?? ""],
    [t`MLflow run`, lineage?.run_id ?? ""],
  ];
  return (
    <Card title={t`Where it comes from`}>
      <Table verticalSpacing={6} horizontalSpacing={0} withRowBorders={false} aria-label={t`Lineage`} style={{ tableLayout: "fixed" }}>
        <Table.Tbody>
          {facts.filter(([, value]) => value).map(([name, value]) => (
            <Table.Tr key={name}>
              <Table.Th w={110} fw={400} c="dimmed" style={{ verticalAlign: "top" }}>{name}</Table.Th>
              <Table.Td style={{ overflowWrap: "anywhere" }}>{value}</Table.Td>
            </Table.Tr>
          ))}
          {lineage?.etl_job_id && (
            <Table.Tr>
              <Table.Th w={110} fw={400} c="dimmed"><Trans>ETL job</Trans></Table.Th>
              <Table.Td><Link to="/jobs/$id" params={{ id: lineage.etl_job_id }} className="row-link">{lineage.etl_job_id}</Link></Table.Td>
            </Table.Tr>
          )}
        </Table.Tbody>
      </Table>
    </Card>
  );
}
