// How a rule moves products in a list.
import type { Recommendation } from "@client/gen";

/** By how many positions each product rises, by its id; undefined for one that was not in the list. */
export function rises(before: Recommendation[], after: Recommendation[]): Map<string, number | undefined> {
  const ranks = new Map(before.map(({ product, rank }) => [product?.id, rank]));
  return new Map(
    after.flatMap(({ product, rank }) => {
      const earlier = ranks.get(product?.id);
      return product ? [[product.id, earlier === undefined ? undefined : earlier - rank]] : [];
    }),
  );
}

/** The products of a list that another one no longer has. */
export function missing(before: Recommendation[], after: Recommendation[]): Recommendation[] {
  const ids = new Set(after.map(({ product }) => product?.id));
  return before.filter(({ product }) => !ids.has(product?.id));
}
