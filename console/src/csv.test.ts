import { expect, test } from "vitest";

import { csv } from "./csv";
import { records } from "./product-file";

test("a cell with a comma, a quote or a line break reads back as it was", () => {
  const rows = [["id", "name"], ["A1", 'A "large", red\nmug']];
  expect(records(csv(rows))).toEqual(rows);
});

test("a text never becomes a formula, and a negative number stays one", () => {
  expect(csv([["=SUM(A1)", "-x", -3]])).toBe("'=SUM(A1),'-x,-3\r\n");
});
