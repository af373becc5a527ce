// The pages and their addresses. What a page shows is in its address, so that every view can be linked to.
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from "@tanstack/react-router";

import { Frame } from "./components/frame";
import { Loading } from "./components/page";
import { NotFound } from "./pages/not-found";
import { ProductsPage } from "./pages/products";

type Raw = Record<string, unknown>;
const text = (value: unknown): string | undefined => (typeof value === "string" || typeof value === "number" ? String(value) || undefined : undefined);
const oneOf = <T extends string>(value: unknown, values: readonly T[]): T | undefined => values.find((known) => known === value);

const root = createRootRoute({ component: Frame, notFoundComponent: NotFound });

const index = createRoute({
  getParentRoute: () => root,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/products" });
  },
});

export const ORDERS = ["", "name", "price_cents", "price_cents desc", "stock", "update_time desc"] as const;
export const AVAILABILITIES = ["AVAILABILITY_ANY", "AVAILABILITY_IN_STOCK", "AVAILABILITY_SOLD_OUT"] as const;
const products = createRoute({
  getParentRoute: () => root,
  path: "/products",
  component: ProductsPage,
  validateSearch: (raw: Raw): { search?: string; category?: string; availability?: (typeof AVAILABILITIES)[number]; order?: (typeof ORDERS)[number]; deleted?: boolean } => ({
    search: text(raw["search"]),
    category: text(raw["category"]),
    availability: oneOf(raw["availability"], AVAILABILITIES),
    order: oneOf(raw["order"], ORDERS),
    deleted: raw["deleted"] === true ? true : undefined,
  }),
});

export const router = createRouter({
  routeTree: root.addChildren([index, products]),
  basepath: "/console",
  defaultPreload: "intent",
  defaultPendingComponent: Loading,
  scrollRestoration: true,
});
void lazyRouteComponent;

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
