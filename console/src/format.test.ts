import { expect, test } from "vitest";

import { problemOf } from "./errors";
import { ago, day, duration, label, money } from "./format";

test("money has the decimals of its currency", () => {
  expect(money(1250, "GBP")).toBe(new Intl.NumberFormat(undefined, { style: "currency", currency: "GBP" }).format(12.5));
  expect(money(1250, "JPY")).toBe(new Intl.NumberFormat(undefined, { style: "currency", currency: "JPY" }).format(1250));
  expect(money(1250, "")).toBe("12.5");
});

test("a day of the shop is the same day in every time zone", () => {
  expect(day("2011-12-09")).toContain("9");
  expect(day("")).toBe("–");
});

test("durations and distances in time", () => {
  expect(duration("2026-01-01T00:00:00Z", "2026-01-01T01:01:05Z")).toBe("1 h 1 min");
  expect(duration("2026-01-01T00:00:00Z", "2026-01-01T00:00:59Z")).toBe("59 s");
  expect(ago("2026-01-01T00:00:00Z", Date.parse("2026-01-01T03:00:00Z"))).toContain("3");
});

test("a name of an enum is read without the enum's own", () => {
  expect(label("JOB_STATE_SUCCEEDED_WITH_REJECTS", "JOB_STATE")).toBe("Succeeded with rejects");
});

test("an error is known by its reason, and its violations belong to fields", () => {
  const details = [
    { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "INVALID_REQUEST", domain: "hashiramart", metadata: {} },
    { "@type": "type.googleapis.com/google.rpc.BadRequest", field_violations: [{ field: "product.price_cents", description: "must be positive" }] },
  ];
  const problem = problemOf({ code: 3, message: "the request is invalid", details });
  expect(problem).toMatchObject({ title: "The request is invalid.", fields: { price_cents: "Must be positive." }, reason: "INVALID_REQUEST" });
  expect(problemOf(new TypeError("Failed to fetch")).title).toBe("The gateway does not answer");
});
