import { expect, test } from "vitest";

import type { Rule } from "@client/gen";
import { experimentInput, ruleInput } from "./inputs";

const RULE: Rule = { id: "teas", slot: "", action: "RULE_ACTION_PIN", product_id: "T1", category: "Tea", position: 0, strength: 3, start_time: null, end_time: null, audience: null, update_time: "2027-01-01T00:00:00Z", etag: "1" };

test("a rule is sent with what its action has", () => {
  expect(ruleInput(RULE)).toMatchObject({ position: 1, strength: 0, category: "", etag: "1" });
  expect(ruleInput({ ...RULE, action: "RULE_ACTION_BURY", product_id: "", position: 4, etag: "" })).toMatchObject({ position: 0, strength: 3, category: "Tea" });
});

test("an experiment's rules concern its slot, and its own etag alone is sent", () => {
  const treatment = { id: "home", source: "SLOT_SOURCE_POPULAR" as const, size: 0, max_per_category: 0, exploration_share: 0, update_time: null, etag: "7" };
  const sent = experimentInput({
    id: "test", treatment, treatment_rules: [RULE], traffic_share: 0.2, treatment_share: 0, outcome_window_seconds: 0, state: "EXPERIMENT_STATE_DRAFT",
    decision: "EXPERIMENT_DECISION_UNSPECIFIED", decision_reason: "", start_time: null, stop_time: null, update_time: null, etag: "9", treatment_version: "", control_version: "", champion_version: "", promotion_pending: false,
  });
  expect(sent.treatment).toEqual({ id: "home", source: "SLOT_SOURCE_POPULAR", size: 10, max_per_category: 0, exploration_share: 0 });
  expect(sent.treatment_rules?.[0]).toMatchObject({ id: "teas", slot: "home" });
  expect(sent.treatment_rules?.[0]).not.toHaveProperty("etag");
  expect(Object.keys(sent).sort()).toEqual(["etag", "id", "outcome_window_seconds", "traffic_share", "treatment", "treatment_rules", "treatment_share"]);
});
