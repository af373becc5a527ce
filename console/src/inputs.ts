// Slots, rules and experiments as they are sent: without what the server sets, and what their kind does not have.
import type { Experiment, ExperimentInput, Rule, RuleInput, Slot, SlotInput } from "@client/gen";

const DEFAULT_SIZE = 10;

export function slotInput({ update_time: _, etag, ...slot }: Slot): SlotInput {
  return { ...slot, size: slot.size || DEFAULT_SIZE, ...(etag && { etag }) };
}

export function ruleInput({ update_time: _, etag, ...rule }: Rule): RuleInput {
  const pin = rule.action === "RULE_ACTION_PIN";
  const graded = rule.action === "RULE_ACTION_BOOST" || rule.action === "RULE_ACTION_BURY";
  return { ...rule, position: pin ? rule.position || 1 : 0, strength: graded ? rule.strength : 0, category: pin ? "" : rule.category, ...(etag && { etag }) };
}

/** The etags of its slot and rules are those of the written ones, which an experiment does not change. One of versions has the slot's id alone. */
export function experimentInput({ id, treatment, treatment_rules, traffic_share, treatment_share, outcome_window_seconds, treatment_version, control_version, etag }: Experiment): ExperimentInput {
  return {
    id,
    treatment: treatment && (treatment_version ? { id: treatment.id } : slotInput({ ...treatment, etag: "" })),
    treatment_rules: treatment_version ? [] : treatment_rules.map((rule) => ruleInput({ ...rule, slot: treatment?.id ?? "", etag: "" })),
    traffic_share,
    treatment_share,
    outcome_window_seconds,
    ...(treatment_version && { treatment_version, control_version }),
    ...(etag && { etag }),
  };
}
