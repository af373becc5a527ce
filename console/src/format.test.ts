import { expect, test } from "vitest";

import { fieldsBelow, problemOf } from "./errors";
import { action, ago, amount, day, difference, duration, instant, localTime, metric, money, program, units } from "./format";
import { label } from "./labels";

test("money has the decimals of its currency", () => {
  expect(money(1250, "GBP")).toBe("£12.50");
  expect(money(1250, "JPY")).toBe("¥1,250");
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

test("a value of an enum is in words, and one that is newer than the console as it is", () => {
  expect(label("JOB_STATE_SUCCEEDED_WITH_REJECTS")).toBe("Succeeded with rejects");
  expect(label("JOB_STATE_UNSPECIFIED")).toBe("JOB_STATE_UNSPECIFIED");
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

test("the fields of a part of a form are those below its path", () => {
  expect(fieldsBelow({ "rules[0].slot": "None.", "rules[1].slot": "Empty.", id: "Taken." }, "rules[1].")).toEqual({ slot: "Empty." });
});

test("a difference is a share of the other value, if there is one", () => {
  expect(difference(1.1, 1)).toMatch(/^\+10/);
  expect([difference(1, 0), difference(1, undefined), difference(undefined, 1)]).toEqual(["–", "–", "–"]);
});

test("an RPC and a browser are named in words", () => {
  expect(action("hashiramart.auth.v1.AuthService.CreateUser")).toBe("Create user");
  expect(program("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36")).toBe("Chrome on Linux");
  expect(program("grpc-python-asyncio/1.85.1 grpc-c/53.0.0")).toBe("grpc-python-asyncio/1.85.1");
  expect(program("")).toBe("Unknown program");
});

test("an instant survives the way through an input", () => {
  expect(instant(localTime("2026-03-29T12:30:00Z"))).toBe("2026-03-29T12:30:00.000Z");
  expect([instant(""), localTime(null)]).toEqual([null, ""]);
});

test("sales are money if they have a currency, else numbers", () => {
  expect(units(1234.4, "GBP")).toMatch(/1.?234$/);
  expect(units(2.25, "")).toBe("2.25");
});

test("an amount has the decimals that its size leaves of interest, and a negative one the sign of mathematics", () => {
  expect([0, 7, 40, 1234.5].map(amount)).toEqual(["0", "7", "40", "1,235"]);
  expect(amount(32.52)).toBe("32.5");
  expect(amount(-3)).toBe("−3");
  expect([4, 0.38].map(metric)).toEqual(["4", "0.3800"]);
});
