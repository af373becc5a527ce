import { expect, test } from "vitest";

import { productLines, records } from "./product-file";

test("quotes, commas and line ends in a CSV belong to its fields", () => {
  expect(records('id,name\r\n1,"Mug, ""red""\nlarge"\r\n\r\n2,Cup')).toEqual([["id", "name"], ["1", 'Mug, "red"\nlarge'], ["2", "Cup"]]);
});

test("a CSV's rows become lines, with numbers as numbers and empty fields left out", () => {
  expect(productLines("a.CSV", "id,name,price_cents,stock\nx,Mug,250,\n")).toEqual(['{"id":"x","name":"Mug","price_cents":250}']);
  expect(() => productLines("a.csv", "sku\n1\n")).toThrow("first row");
});

test("NDJSON stays as it is, so that the import reports what is wrong in it", () => {
  expect(productLines("a.ndjson", '{"id":"x"}\n\nnot json\n')).toEqual(['{"id":"x"}', "not json"]);
});
