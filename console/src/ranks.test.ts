import { expect, test } from "vitest";

import type { Recommendation } from "@client/gen";
import { missing, rises } from "./ranks";

const list = (...ids: string[]) => ids.map((id, index) => ({ product: { id }, rank: index + 1 }) as Recommendation);

test("a product that a rule pins rises, one that it was not among is new, and the others fall", () => {
  expect([...rises(list("a", "b", "c"), list("c", "a", "d"))]).toEqual([["c", 2], ["a", -1], ["d", undefined]]);
});

test("what left the list is known", () => {
  expect(missing(list("a", "b", "c"), list("c", "d")).map(({ product }) => product?.id)).toEqual(["a", "b"]);
});
