// The same calls as hooks of TanStack Query.
import { skipToken, useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import {
  catalogServiceListProductsInfiniteOptions,
  catalogServiceListProductsInfiniteQueryKey,
  catalogServiceUpdateProductMutation,
  forecasterServiceForecastSalesOptions,
  recommenderServiceListRecommendationsOptions,
} from "./gen/@tanstack/react-query.gen.js";
import { infoOf } from "./errors.js";

/** The products that a search finds: `data.pages`, and `fetchNextPage()` for more. */
export function useProducts(search: string) {
  return useInfiniteQuery({
    ...catalogServiceListProductsInfiniteOptions({ query: { search } }),
    initialPageParam: "",
    getNextPageParam: (last) => last.next_page_token || undefined,
  });
}

export function useRecommendations(count: number) {
  return useQuery({
    ...recommenderServiceListRecommendationsOptions({ query: { page_size: count } }),
    // Only what passes by itself is tried again.
    retry: (failures, error) => failures < 3 && infoOf(error)?.reason === "SERVICE_UNAVAILABLE",
  });
}

/** The forecast of a product, once one is chosen. */
export function useForecast(product_id: string | undefined) {
  const options = forecasterServiceForecastSalesOptions({ query: { product_id: product_id ?? "", horizon_days: 28 } });
  return useQuery({ ...options, queryFn: product_id ? options.queryFn : skipToken });
}

/** Changes a price: `mutate({ path: { id }, body: { price_cents } })`. */
export function usePriceChange() {
  const queries = useQueryClient();
  return useMutation({
    ...catalogServiceUpdateProductMutation(),
    onSuccess: () => queries.invalidateQueries({ queryKey: catalogServiceListProductsInfiniteQueryKey() }),
  });
}
