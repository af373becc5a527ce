// The pages and their addresses. What a page shows is in its address, so that every view can be linked to.
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from "@tanstack/react-router";

import { Frame } from "./components/frame";
import { Broken, Loading } from "./components/page";
import { NotFound } from "./pages/not-found";
import { ProductsPage } from "./pages/products";
import { type Change, changesOf } from "./scenario";

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
export const ENTRY_KINDS = ["CALENDAR_ENTRY_KIND_CLOSURE", "CALENDAR_ENTRY_KIND_HOLIDAY", "CALENDAR_ENTRY_KIND_PROMOTION"] as const;
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

const product = createRoute({ getParentRoute: () => root, path: "/products/$id", component: lazyRouteComponent(() => import("./pages/product"), "ProductPage") });
const newProduct = createRoute({ getParentRoute: () => root, path: "/products/new", component: lazyRouteComponent(() => import("./pages/product"), "NewProductPage") });
const importProducts = createRoute({ getParentRoute: () => root, path: "/products/import", component: lazyRouteComponent(() => import("./pages/import"), "ImportPage") });

const recommendations = createRoute({
  getParentRoute: () => root,
  path: "/recommendations",
  component: lazyRouteComponent(() => import("./pages/recommendations"), "RecommendationsPage"),
  validateSearch: (raw: Raw): { category?: string; country?: string } => ({ category: text(raw["category"]), country: text(raw["country"]) }),
});

const customer = createRoute({
  getParentRoute: () => root,
  path: "/customers/$number",
  component: lazyRouteComponent(() => import("./pages/customer"), "CustomerPage"),
  validateSearch: (raw: Raw): { basket?: string[]; fresh?: boolean } => ({
    basket: Array.isArray(raw["basket"]) ? raw["basket"].map(String) : undefined,
    fresh: raw["fresh"] === true ? true : undefined,
  }),
});

const forecasts = createRoute({
  getParentRoute: () => root,
  path: "/forecasts",
  component: lazyRouteComponent(() => import("./pages/forecasts"), "ForecastsPage"),
  validateSearch: (
    raw: Raw,
  ): {
    level?: "shop" | "category" | "country" | "product";
    key?: string;
    view?: "forecast" | "accuracy" | "what-if";
    by?: "day" | "week" | "month";
    metric?: "units" | "revenue";
    days?: string;
    changes?: Change[];
  } => ({
    level: oneOf(raw["level"], ["shop", "category", "country", "product"]),
    key: text(raw["key"]),
    view: oneOf(raw["view"], ["forecast", "accuracy", "what-if"]),
    by: oneOf(raw["by"], ["day", "week", "month"]),
    metric: oneOf(raw["metric"], ["units", "revenue"]),
    days: oneOf(text(raw["days"]), ["14", "28", "56", "91", "182"]),
    changes: raw["changes"] === undefined ? undefined : changesOf(raw["changes"]),
  }),
});

const calendar = createRoute({
  getParentRoute: () => root,
  path: "/calendar",
  component: lazyRouteComponent(() => import("./pages/calendar"), "CalendarPage"),
  validateSearch: (raw: Raw): { kind?: (typeof ENTRY_KINDS)[number]; from?: string } => ({ kind: oneOf(raw["kind"], ENTRY_KINDS), from: text(raw["from"]) }),
});

const reorder = createRoute({
  getParentRoute: () => root,
  path: "/reorder",
  component: lazyRouteComponent(() => import("./pages/reorder"), "ReorderPage"),
  validateSearch: (raw: Raw): { category?: string; all?: boolean } => ({ category: text(raw["category"]), all: raw["all"] === true ? true : undefined }),
});

const merchandising = createRoute({ getParentRoute: () => root, path: "/merchandising", component: lazyRouteComponent(() => import("./pages/merchandising"), "MerchandisingPage") });
const slot = createRoute({ getParentRoute: () => root, path: "/merchandising/slots/$id", component: lazyRouteComponent(() => import("./pages/slot"), "SlotPage") });
const newSlot = createRoute({ getParentRoute: () => root, path: "/merchandising/new-slot", component: lazyRouteComponent(() => import("./pages/slot"), "NewSlotPage") });
const rule = createRoute({ getParentRoute: () => root, path: "/merchandising/rules/$id", component: lazyRouteComponent(() => import("./pages/rule"), "RulePage") });
const newRule = createRoute({ getParentRoute: () => root, path: "/merchandising/new-rule", component: lazyRouteComponent(() => import("./pages/rule"), "NewRulePage") });

const experiments = createRoute({ getParentRoute: () => root, path: "/experiments", component: lazyRouteComponent(() => import("./pages/experiments"), "ExperimentsPage") });
const experiment = createRoute({ getParentRoute: () => root, path: "/experiments/$id", component: lazyRouteComponent(() => import("./pages/experiment"), "ExperimentPage") });
const newExperiment = createRoute({ getParentRoute: () => root, path: "/experiments/new", component: lazyRouteComponent(() => import("./pages/experiment"), "NewExperimentPage") });

export const ARMS = ["EXPERIMENT_ARM_CONTROL", "EXPERIMENT_ARM_TREATMENT"] as const;
const exposures = createRoute({
  getParentRoute: () => root,
  path: "/exposures",
  component: lazyRouteComponent(() => import("./pages/exposures"), "ExposuresPage"),
  validateSearch: (raw: Raw): { slot?: string; list?: string; experiment?: string; arm?: (typeof ARMS)[number]; shopper?: string; rule?: string } => ({
    slot: text(raw["slot"]),
    list: text(raw["list"]),
    experiment: text(raw["experiment"]),
    arm: oneOf(raw["arm"], ARMS),
    shopper: text(raw["shopper"]),
    rule: text(raw["rule"]),
  }),
});

const jobs = createRoute({
  getParentRoute: () => root,
  path: "/jobs",
  component: lazyRouteComponent(() => import("./pages/jobs"), "JobsPage"),
  validateSearch: (raw: Raw): { kind?: "JOB_KIND_ETL" | "JOB_KIND_TRAINING" } => ({ kind: oneOf(raw["kind"], ["JOB_KIND_ETL", "JOB_KIND_TRAINING"]) }),
});
const job = createRoute({ getParentRoute: () => root, path: "/jobs/$id", component: lazyRouteComponent(() => import("./pages/job"), "JobPage") });

const schedules = createRoute({ getParentRoute: () => root, path: "/schedules", component: lazyRouteComponent(() => import("./pages/schedules"), "SchedulesPage") });

const models = createRoute({
  getParentRoute: () => root,
  path: "/models",
  component: lazyRouteComponent(() => import("./pages/models"), "ModelsPage"),
  validateSearch: (raw: Raw): { model?: "recommender" | "forecaster"; version?: string; beside?: string } => ({
    model: oneOf(raw["model"], ["recommender", "forecaster"]),
    version: text(raw["version"]),
    beside: text(raw["beside"]),
  }),
});

const data = createRoute({
  getParentRoute: () => root,
  path: "/data",
  component: lazyRouteComponent(() => import("./pages/data"), "DataPage"),
  validateSearch: (raw: Raw): { tab?: "files" | "rejects" | "quality"; reason?: string; file?: string } => ({
    tab: oneOf(raw["tab"], ["files", "rejects", "quality"]),
    reason: text(raw["reason"]),
    file: text(raw["file"]),
  }),
});

const services = createRoute({ getParentRoute: () => root, path: "/services", component: lazyRouteComponent(() => import("./pages/services"), "ServicesPage") });

const audit = createRoute({
  getParentRoute: () => root,
  path: "/audit",
  component: lazyRouteComponent(() => import("./pages/audit"), "AuditPage"),
  validateSearch: (raw: Raw): { subject?: string; resource?: string; code?: string } => ({
    subject: text(raw["subject"]),
    resource: text(raw["resource"]),
    code: text(raw["code"]),
  }),
});

export const ROLES = ["ROLE_CUSTOMER", "ROLE_STAFF", "ROLE_ADMIN"] as const;
const users = createRoute({
  getParentRoute: () => root,
  path: "/users",
  component: lazyRouteComponent(() => import("./pages/users"), "UsersPage"),
  validateSearch: (raw: Raw): { search?: string; role?: (typeof ROLES)[number] } => ({ search: text(raw["search"]), role: oneOf(raw["role"], ROLES) }),
});
const user = createRoute({ getParentRoute: () => root, path: "/users/$id", component: lazyRouteComponent(() => import("./pages/user"), "UserPage") });

const account = createRoute({ getParentRoute: () => root, path: "/account", component: lazyRouteComponent(() => import("./pages/account"), "AccountPage") });

export const router = createRouter({
  routeTree: root.addChildren([
    index, products, product, newProduct, importProducts, recommendations, customer, merchandising, slot, newSlot, rule, newRule, experiments, experiment, newExperiment, exposures,
    forecasts, calendar, reorder, jobs, job, schedules, models, data, services, users, user, audit, account,
  ]),
  basepath: "/console",
  defaultPreload: "intent",
  defaultPendingComponent: Loading,
  defaultErrorComponent: Broken,
  scrollRestoration: true,
});

/** Fetches the code of all pages ahead, so that one can go to them while the connection is lost. */
export function fetchPages(): void {
  for (const each of Object.values(router.routesById)) void router.loadRouteChunk(each);
  void import("./components/sales-chart").catch(() => undefined);
}

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
