import { plural, t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { Alert, Badge, Button, Group, NumberInput, SegmentedControl, Select, SimpleGrid, Stack, Table, Text, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconPlus, IconTrash } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";

import type { Experiment, Rule, Slot } from "@client/gen";
import { recommenderServiceGetExperimentOptions, recommenderServiceListModelsOptions, recommenderServiceListSlotsOptions, recommenderServiceReplaceExperimentMutation } from "@client/gen/@tanstack/react-query.gen";
import { Conflict } from "../components/conflict";
import { Conclude, DeleteExperiment, Ramp, Start, Stop } from "../components/experiment-actions";
import { Report } from "../components/experiment-report";
import { Card, ErrorNotice, Loaded, Page } from "../components/page";
import { Preview } from "../components/preview";
import { FRESH_RULE, RuleFields } from "../components/rule-fields";
import { FRESH_SLOT, SLOT_TEXTS, SlotFields } from "../components/slot-fields";
import { fieldsBelow, problemOf, reasonOf } from "../errors";
import { day, ID_FORM, ID_HINT, shortPercent, time } from "../format";
import { experimentInput, ruleInput, slotInput } from "../inputs";
import { label } from "../labels";
import { ExperimentState } from "./experiments";
import { effect, period } from "./merchandising";

const KINDS = [{ value: "settings", label: t`Settings and rules` }, { value: "versions", label: t`Version of the model` }];
const kindOf = ({ treatment_version }: Experiment): string => (treatment_version ? "versions" : "settings");
const DAY_SECONDS = 86_400;
const DEFAULT_WINDOW_SECONDS = 7 * DAY_SECONDS;
const FRESH: Experiment = {
  id: "", treatment: null, treatment_rules: [], traffic_share: 0.1, treatment_share: 0.5, outcome_window_seconds: DEFAULT_WINDOW_SECONDS, state: "EXPERIMENT_STATE_DRAFT",
  decision: "EXPERIMENT_DECISION_UNSPECIFIED", decision_reason: "", start_time: null, stop_time: null, update_time: null, etag: "",
  treatment_version: "", control_version: "", champion_version: "", promotion_pending: false,
};

/** What a rule does, with what. */
const ruleText = (rule: Rule): string => [label(rule.action), rule.product_id || rule.category || "…", effect(rule)].join(" · ");
const windowText = (seconds: number): string => {
  const window = seconds || DEFAULT_WINDOW_SECONDS;
  return window % DAY_SECONDS ? plural(window, { one: "# second", other: "# seconds" }) : plural(window / DAY_SECONDS, { one: "# day", other: "# days" });
};
/** Once it was started, the report says which champions the control has had. */
const controlText = ({ control_version, champion_version }: Experiment): string =>
  control_version ? t`version ${control_version}` : champion_version ? t`the champion, which was version ${champion_version}` : t`the champion`;
/** When it ran, or was changed. */
const span = ({ start_time, stop_time, update_time }: Experiment): string =>
  !start_time ? t`changed ${time(update_time)}` : stop_time ? t`since ${time(start_time)} until ${time(stop_time)}` : t`since ${time(start_time)}`;
const TEXTS: Array<[string, (experiment: Experiment) => string]> = [
  [t`Slot`, ({ treatment }) => treatment?.id ?? ""],
  [t`Version of the treatment`, ({ treatment_version }) => treatment_version],
  [t`Version of the control`, (experiment) => (experiment.treatment_version ? controlText(experiment) : "")],
  ...SLOT_TEXTS.map(([name, text]): [string, (experiment: Experiment) => string] => [name, ({ treatment }) => (treatment ? text(treatment) : "")]),
  [t`Rules`, ({ treatment_rules }) => treatment_rules.map(ruleText).join("; ")],
  [t`Take part`, ({ traffic_share }) => shortPercent(traffic_share)],
  [t`Of them the treatment`, ({ treatment_share }) => shortPercent(treatment_share || 0.5)],
  [t`Time to buy`, ({ outcome_window_seconds }) => windowText(outcome_window_seconds)],
];

export function NewExperimentPage() {
  return (
    <Page title={t`New experiment`} about={t`Some shoppers see a slot as it might be. Nobody does before the experiment is started.`}>
      <Edit experiment={FRESH} />
    </Page>
  );
}

export function ExperimentPage() {
  const { id } = useParams({ from: "/experiments/$id" });
  const query = useQuery({ ...recommenderServiceGetExperimentOptions({ path: { id } }), refetchOnWindowFocus: false });
  const { data } = query;
  const running = data?.state === "EXPERIMENT_STATE_RUNNING";
  const over = data?.state === "EXPERIMENT_STATE_STOPPED" || running;
  return (
    <Page
      title={t`Experiment ${id}`}
      about={data && <Group gap="xs" component="span"><ExperimentState experiment={data} />{span(data)}</Group>}
      actions={
        data && (
          <>
            {running && data.traffic_share < 1 && <Ramp experiment={data} />}
            {running && <Stop experiment={data} />}
            {(over || data.promotion_pending) && <Conclude experiment={data} />}
          </>
        )
      }
    >
      <Loaded query={query}>{(experiment) => (experiment.state === "EXPERIMENT_STATE_DRAFT" ? <Edit key={id} experiment={experiment} /> : <Started experiment={experiment} />)}</Loaded>
    </Page>
  );
}

function Started({ experiment }: { experiment: Experiment }) {
  return (
    <>
      {experiment.promotion_pending && (
        <Alert color="orange" variant="light" title={t`Version ${experiment.treatment_version} is to be kept, and is not promoted yet`}>
          <Trans>If that does not end within a minute, it was cut short: conclude it once more, and keep the treatment.</Trans>
        </Alert>
      )}
      {experiment.decision_reason && (
        <Card title={experiment.decision === "EXPERIMENT_DECISION_KEEP" ? t`Why the treatment was kept` : t`Why it was reverted`}>
          <Text style={{ overflowWrap: "anywhere" }}>{experiment.decision_reason}</Text>
        </Card>
      )}
      <Report experiment={experiment} />
      <Settings experiment={experiment} />
      <Group justify="space-between">
        <Button variant="default" component={Link} {...{ to: "/exposures", search: { experiment: experiment.id } as never }}><Trans>The lists that were shown</Trans></Button>
        {experiment.state !== "EXPERIMENT_STATE_RUNNING" && <DeleteExperiment id={experiment.id} />}
      </Group>
    </>
  );
}

/** The slot as it is beside the slot of the treatment. Once it is concluded, the slot is no control any more. */
function Settings({ experiment }: { experiment: Experiment }) {
  const { treatment, treatment_rules, treatment_version, traffic_share, treatment_share, outcome_window_seconds, state } = experiment;
  const slots = useQuery(recommenderServiceListSlotsOptions({ query: { page_size: 100 } }));
  const control = state === "EXPERIMENT_STATE_CONCLUDED" ? undefined : slots.data?.slots.find(({ id }) => id === treatment?.id);
  return (
    <Card title={t`The slot ${treatment?.id ?? ""}`} flush>
      {treatment && !treatment_version && <Differences control={control} treatment={treatment} />}
      <Stack gap={6} p="md">
        {treatment_version && <Text fz="sm"><Trans>Version {treatment_version} of the model beside {controlText(experiment)}, with the slot and rules as they are.</Trans></Text>}
        {treatment_rules.map((rule) => (
          <Group key={rule.id} gap="xs">
            <Badge variant="light" color="grape" tt="none"><Trans>Rule {rule.id}</Trans></Badge>
            <Text fz="sm">{[ruleText(rule), period(rule)].join(" · ")}</Text>
          </Group>
        ))}
        <Text fz="sm" c="dimmed">
          <Trans>
            {shortPercent(traffic_share)} of shoppers take part, {shortPercent(treatment_share || 0.5)} of them with the treatment. What they buy counts for {windowText(outcome_window_seconds)} from the first list on.
          </Trans>
        </Text>
      </Stack>
    </Card>
  );
}

function Differences({ control, treatment }: { control: Slot | undefined; treatment: Slot }) {
  return (
    <Table verticalSpacing={8} horizontalSpacing="md" aria-label={t`Control and treatment`}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th><span className="skip"><Trans>Setting</Trans></span></Table.Th>
          {control && <Table.Th><Trans>Control, as it is</Trans></Table.Th>}
          <Table.Th><Trans>Treatment</Trans></Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {SLOT_TEXTS.map(([name, text]) => (
          <Table.Tr key={name}>
            <Table.Td>{name}</Table.Td>
            {control && <Table.Td>{text(control)}</Table.Td>}
            <Table.Td fw={control && text(control) !== text(treatment) ? 650 : 400}>{text(treatment)}</Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

function Edit({ experiment }: { experiment: Experiment }) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const fresh = !experiment.etag;
  const [draft, setDraft] = useState(experiment);
  const [kind, setKind] = useState(kindOf(experiment));
  const [saved, setSaved] = useState(experiment);
  const [theirs, setTheirs] = useState<Experiment | null>(null);
  const slots = useQuery(recommenderServiceListSlotsOptions({ query: { page_size: 100 } }));
  const take = (now: Experiment) => {
    setDraft(now);
    setSaved(now);
    setKind(kindOf(now));
    setTheirs(null);
  };
  const replace = useMutation({
    ...recommenderServiceReplaceExperimentMutation(),
    onSuccess: (now) => {
      take(now);
      queries.setQueryData(recommenderServiceGetExperimentOptions({ path: { id: now.id } }).queryKey, now);
      void queries.invalidateQueries();
      notifications.show({ color: "green", title: t`Saved`, message: t`Nobody takes part before it is started.` });
      if (fresh) void navigate({ to: "/experiments/$id", params: { id: now.id } });
    },
    onError: async (error) => {
      if (reasonOf(error) === "STALE_ETAG") setTheirs(await queries.fetchQuery({ ...recommenderServiceGetExperimentOptions({ path: { id: draft.id } }), staleTime: 0 }));
    },
  });
  const save = (etag: string) => replace.mutate({ path: { id: draft.id }, body: experimentInput({ ...draft, etag }) });
  const { paths = {} } = replace.error ? problemOf(replace.error) : {};
  const control = slots.data?.slots.find(({ id }) => id === draft.treatment?.id);
  const choose = (value: string) => {
    setKind(value);
    // The treatment starts from the slot as it is.
    setDraft({ ...draft, treatment_version: "", control_version: "", treatment: control ?? draft.treatment });
  };
  function submit(event: FormEvent) {
    event.preventDefault();
    save(draft.etag);
  }
  return (
    <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="lg" style={{ alignItems: "start" }}>
      <form onSubmit={submit}>
        <Stack gap="lg">
          {theirs && <Conflict fields={TEXTS.map(([name, text]) => ({ name, theirs: text(theirs), mine: text(draft) }))} onMine={() => save(theirs.etag)} onTheirs={() => take(theirs)} />}
          <Basics draft={draft} set={(change) => setDraft({ ...draft, ...change })} fields={fieldsBelow(paths, "experiment.")} fresh={fresh} slots={slots.data?.slots ?? []} />
          {draft.treatment && (
            <Card title={t`The treatment`}>
              <Stack>
                <SegmentedControl aria-label={t`What differs`} data={KINDS} value={kind} onChange={choose} withItemsBorders={false} style={{ alignSelf: "flex-start" }} />
                {kind === "versions" ? (
                  <VersionFields draft={draft} set={(change) => setDraft({ ...draft, ...change })} fields={fieldsBelow(paths, "experiment.")} />
                ) : (
                  <>
                    <SlotFields slot={draft.treatment} set={(change) => setDraft({ ...draft, treatment: { ...(draft.treatment ?? FRESH_SLOT), ...change } })} fields={fieldsBelow(paths, "experiment.treatment.")} />
                    <Rules rules={draft.treatment_rules} set={(treatment_rules) => setDraft({ ...draft, treatment_rules })} paths={paths} />
                  </>
                )}
              </Stack>
            </Card>
          )}
          {replace.error && !theirs && !Object.keys(paths).length && <ErrorNotice error={replace.error} />}
          <Group justify="space-between">
            <Group gap="xs">
              <Button type="submit" loading={replace.isPending} disabled={!draft.treatment || (kind === "versions" && !draft.treatment_version)}><Trans>Save</Trans></Button>
              {!fresh && <Start experiment={draft} disabled={draft !== saved} />}
              <Button variant="subtle" component={Link} {...{ to: "/experiments" }}><Trans>Back</Trans></Button>
            </Group>
            {!fresh && <DeleteExperiment id={experiment.id} />}
          </Group>
        </Stack>
      </form>
      {kind === "settings" && <Stack gap="lg">
        {draft.treatment && control && (
          <Card title={t`What differs`} flush>
            <Differences control={control} treatment={draft.treatment} />
          </Card>
        )}
        <Preview
          {...(control && { before: { slot: slotInput({ ...control, etag: "" }), rules: [] } })}
          after={{ slot: slotInput(draft.treatment ? { ...draft.treatment, etag: "" } : FRESH_SLOT), rules: draft.treatment_rules.map((rule) => ruleInput({ ...rule, slot: draft.treatment?.id ?? "", etag: "" })) }}
          ready={Boolean(control) && draft.treatment_rules.every(({ id, product_id, category }) => ID_FORM.test(id) && (product_id || category))}
        />
      </Stack>}
    </SimpleGrid>
  );
}

function Basics({ draft, set, fields, fresh, slots }: { draft: Experiment; set: (change: Partial<Experiment>) => void; fields: Record<string, string>; fresh: boolean; slots: Slot[] }) {
  return (
    <Card title={t`The experiment`}>
      <Stack>
        {fresh && <TextInput label={t`Id`} description={t`Small letters, digits and dashes, such as shorter-home`} required value={draft.id} error={fields["id"] ?? (draft.id && !ID_FORM.test(draft.id) ? ID_HINT : undefined)} onChange={(event) => set({ id: event.currentTarget.value })} />}
        <Select label={t`Slot`} description={t`Where the lists are shown. The treatment starts from it as it is`} required allowDeselect={false} data={slots.map(({ id }) => id)} value={draft.treatment?.id ?? null} error={fields["treatment.id"]} onChange={(value) => set({ treatment: slots.find(({ id }) => id === value) ?? null })} />
        <Group grow align="flex-start">
          <NumberInput label={t`Take part`} description={t`Of all shoppers; may grow later`} suffix=" %" min={0.1} max={100} decimalScale={1} value={Math.round(draft.traffic_share * 1000) / 10} error={fields["traffic_share"]} onChange={(value) => set({ traffic_share: Number(value) / 100 })} />
          <NumberInput label={t`Get the treatment`} description={t`Of those who take part`} suffix=" %" min={1} max={99} decimalScale={1} value={Math.round((draft.treatment_share || 0.5) * 1000) / 10} error={fields["treatment_share"]} onChange={(value) => set({ treatment_share: Number(value) / 100 })} />
        </Group>
        <NumberInput label={t`Time to buy`} description={t`For how long after the first list a shopper’s purchases count; only then is the shopper in the report`} suffix={` ${t`days`}`} min={0} max={60} decimalScale={4} value={(draft.outcome_window_seconds || DEFAULT_WINDOW_SECONDS) / DAY_SECONDS} error={fields["outcome_window_seconds"]} onChange={(value) => set({ outcome_window_seconds: Math.round(Number(value) * DAY_SECONDS) })} />
      </Stack>
    </Card>
  );
}

/** Which versions make the lists of the arms: of those that passed the gate. */
function VersionFields({ draft, set, fields }: { draft: Experiment; set: (change: Partial<Experiment>) => void; fields: Record<string, string> }) {
  const { data } = useQuery(recommenderServiceListModelsOptions({ query: { page_size: 100 } }));
  const champion = data?.models.find(({ aliases }) => aliases.includes("champion"));
  const choices = (data?.models ?? []).filter(({ gate, promotion }) => gate?.passed || promotion).map(({ version, data_through_date }) => ({ value: version, label: [t`Version ${version}`, t`Data until ${day(data_through_date)}`, version === champion?.version && t`Champion`].filter(Boolean).join(" · ") }));
  return (
    <>
      <Select label={t`Version of the treatment`} description={t`Of those that passed the gate`} required allowDeselect={false} searchable data={choices} value={draft.treatment_version || null} error={fields["treatment_version"]} onChange={(value) => set({ treatment_version: value ?? "" })} />
      <Select label={t`Version of the control`} description={t`Without one, whichever is the champion`} clearable searchable placeholder={champion ? t`The champion, now version ${champion.version}` : t`The champion`} data={choices} value={draft.control_version || null} error={fields["control_version"]} onChange={(value) => set({ control_version: value ?? "" })} />
      <Text fz="sm" c="dimmed"><Trans>Both arms have the slot and its rules as they are. Each replica loads the versions before anybody takes part.</Trans></Text>
    </>
  );
}

function Rules({ rules, set, paths }: { rules: Rule[]; set: (rules: Rule[]) => void; paths: Record<string, string> }) {
  const change = (index: number, now: Partial<Rule>) => set(rules.map((rule, each) => (each === index ? { ...rule, ...now } : rule)));
  return (
    <>
      {rules.map((rule, index) => {
        const fields = fieldsBelow(paths, `experiment.treatment_rules[${index}].`);
        return (
          <Stack key={index} className="inset" role="group" aria-label={t`Rule ${index + 1}`}>
            <Group justify="space-between" align="flex-end" wrap="nowrap">
              <TextInput label={t`Rule id`} description={t`A written rule’s id takes its place`} required flex={1} value={rule.id} error={fields["id"] ?? (rule.id && !ID_FORM.test(rule.id) ? ID_HINT : undefined)} onChange={(event) => change(index, { id: event.currentTarget.value })} />
              <Button variant="subtle" color="red" leftSection={<IconTrash size={16} aria-hidden />} onClick={() => set(rules.filter((_, each) => each !== index))}><Trans>Remove</Trans></Button>
            </Group>
            <RuleFields draft={rule} set={(now) => change(index, now)} fields={fields} />
          </Stack>
        );
      })}
      <Button variant="default" leftSection={<IconPlus size={16} aria-hidden />} onClick={() => set([...rules, FRESH_RULE])} style={{ alignSelf: "flex-start" }}><Trans>Add a rule</Trans></Button>
    </>
  );
}
