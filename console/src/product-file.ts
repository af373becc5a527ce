// The rows of a file of products, CSV or NDJSON, as the lines that an import takes.
import { t } from "@lingui/core/macro";

const NUMBERS = new Set(["price_cents", "stock"]);

/** The lines of NDJSON of a file; a CSV's first row names the fields. Throws Error if it names none that a product has. */
export function productLines(name: string, text: string): string[] {
  if (!name.toLowerCase().endsWith(".csv")) return text.split(/\r?\n/).filter((line) => line.trim());
  const [head = [], ...rows] = records(text);
  if (!head.includes("name")) throw new Error(t`The first row must name the fields: id, name, description, category, price_cents, stock.`);
  return rows.map((row) => JSON.stringify(Object.fromEntries(head.flatMap((field, index) => ((row[index] ?? "") === "" ? [] : [[field, value(field, row[index]!)]])))));
}

function value(field: string, text: string): string | number {
  return NUMBERS.has(field) && /^-?\d+$/.test(text.trim()) ? Number(text) : text;
}

/** The records of a CSV (RFC 4180). */
export function records(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (const [, quoted, plain, end] of text.replace(/^\ufeff/, "").matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g)) {
    row.push(quoted?.replaceAll('""', '"') ?? plain ?? "");
    if (end === ",") continue;
    if (row.length > 1 || row[0]) rows.push(row);
    row = [];
  }
  return rows;
}
