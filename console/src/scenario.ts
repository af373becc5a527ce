// What if: changes that a planner thinks about, as the forecaster takes them.
import type { Scenario } from "@client/gen";

export const CHANGES = ["price", "promotion", "closure"] as const;

export interface Change {
  kind: (typeof CHANGES)[number];
  /** By how much the price changes, or the discount. */
  percent: number;
  first: string;
  last: string;
}

/** Products that the changes are about: a product, a category, or all. */
export interface Scope {
  product_id?: string;
  category?: string;
}

const DAY_MS = 86_400_000;
const MOST_DAYS = 182;

/** The scenario of the changes that are complete; null if none is. */
export function scenarioOf(changes: Change[], scope: Scope): Scenario | null {
  const complete = changes.filter(({ kind, percent, first, last }) => (kind === "closure" ? first : kind === "promotion" ? first && last && percent > 0 : percent));
  if (!complete.length) return null;
  const of = (kind: Change["kind"]) => complete.filter((change) => change.kind === kind);
  return {
    price_changes: of("price").map(({ percent, first, last }) => ({ ...scope, change_percent: percent, first_date: first, last_date: last })),
    promotions: of("promotion").map(({ percent, first, last }) => ({ ...scope, discount_percent: percent, first_date: first, last_date: last })),
    closed_dates: [...new Set(of("closure").flatMap(({ first, last }) => days(first, last || first)))].sort(),
  };
}

/** The changes of an address; what is none is left out. */
export function changesOf(raw: unknown): Change[] {
  if (!Array.isArray(raw)) return [];
  return raw.flatMap((each: Partial<Change> | null): Change[] => {
    const kind = CHANGES.find((known) => known === each?.kind);
    return kind ? [{ kind, percent: Number(each?.percent) || 0, first: dateOf(each?.first), last: dateOf(each?.last) }] : [];
  });
}

function dateOf(value: unknown): string {
  return typeof value === "string" && /^\d{4}-\d{2}-\d{2}$/.test(value) ? value : "";
}

function days(first: string, last: string): string[] {
  const start = Date.parse(first);
  const length = Math.min(MOST_DAYS, Math.round((Date.parse(last) - start) / DAY_MS) + 1);
  return Array.from({ length: Math.max(0, length) }, (_, index) => new Date(start + index * DAY_MS).toISOString().slice(0, 10));
}
