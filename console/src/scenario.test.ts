import { expect, test } from "vitest";

import { type Change, changesOf, scenarioOf } from "./scenario";

const change = (given: Partial<Change>): Change => ({ kind: "price", percent: 0, first: "", last: "", ...given });

test("changes are about what is looked at", () => {
  const scenario = scenarioOf([change({ percent: -10 }), change({ kind: "promotion", percent: 20, first: "2011-12-12", last: "2011-12-18" })], { category: "Bags" });
  expect(scenario).toEqual({
    price_changes: [{ category: "Bags", change_percent: -10, first_date: "", last_date: "" }],
    promotions: [{ category: "Bags", discount_percent: 20, first_date: "2011-12-12", last_date: "2011-12-18" }],
    closed_dates: [],
  });
});

test("a closure is each of its days, once", () => {
  const closures = [change({ kind: "closure", first: "2011-12-30", last: "2012-01-01" }), change({ kind: "closure", first: "2012-01-01" })];
  expect(scenarioOf(closures, {})?.closed_dates).toEqual(["2011-12-30", "2011-12-31", "2012-01-01"]);
});

test("what is not complete changes nothing yet", () => {
  expect(scenarioOf([change({}), change({ kind: "promotion", percent: 20, first: "2011-12-12" }), change({ kind: "closure" })], {})).toBeNull();
});

test("an address with nonsense has no changes", () => {
  expect(changesOf("x")).toEqual([]);
  expect(changesOf([null, { kind: "gift" }, { kind: "price", percent: "-5", first: "soon" }])).toEqual([change({ percent: -5 })]);
});
