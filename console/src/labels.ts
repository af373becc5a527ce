// The values of the contracts' enums, as people read them.
import { t } from "@lingui/core/macro";

import type {
  AccuracyPeriod, CalendarEntryKind, EventKind, ExperimentArm, ExperimentState, FallbackStep, ForecastAlarmKind, JobState, Recipe, RuleAction, ShopperKind, SlotSource,
} from "@client/gen";

type Value = AccuracyPeriod | CalendarEntryKind | EventKind | ExperimentArm | ExperimentState | FallbackStep | ForecastAlarmKind | JobState | Recipe | RuleAction | ShopperKind | SlotSource;

const LABELS: Record<Exclude<Value, `${string}_UNSPECIFIED`> | "SHOPPER_KIND_UNSPECIFIED" | "SLOT_SOURCE_UNSPECIFIED", string> = {
  ACCURACY_PERIOD_WEEK: t`Week`,
  ACCURACY_PERIOD_QUARTER: t`Quarter`,
  CALENDAR_ENTRY_KIND_CLOSURE: t`Closure`,
  CALENDAR_ENTRY_KIND_HOLIDAY: t`Holiday`,
  CALENDAR_ENTRY_KIND_PROMOTION: t`Promotion`,
  EVENT_KIND_VIEW: t`View`,
  EVENT_KIND_CART: t`Cart`,
  EVENT_KIND_PURCHASE: t`Purchase`,
  EVENT_KIND_IMPRESSION: t`Impression`,
  EVENT_KIND_CLICK: t`Click`,
  EVENT_KIND_REMOVE_FROM_CART: t`Removal from the cart`,
  EVENT_KIND_WISHLIST: t`Wishlist`,
  EVENT_KIND_DISMISS: t`Dismissal`,
  EVENT_KIND_RETURN: t`Return`,
  EXPERIMENT_ARM_CONTROL: t`Control`,
  EXPERIMENT_ARM_TREATMENT: t`Treatment`,
  EXPERIMENT_STATE_DRAFT: t`Draft`,
  EXPERIMENT_STATE_RUNNING: t`Running`,
  EXPERIMENT_STATE_STOPPED: t`Stopped`,
  EXPERIMENT_STATE_CONCLUDED: t`Concluded`,
  FALLBACK_STEP_RANKER: t`By the ranker`,
  FALLBACK_STEP_BLEND: t`By the generators’ scores`,
  FALLBACK_STEP_BASKET: t`By the basket or recent views`,
  FALLBACK_STEP_COUNTRY_POPULARITY: t`By popularity in the country`,
  FALLBACK_STEP_POPULARITY: t`By popularity`,
  FALLBACK_STEP_CATALOG: t`From the catalogue`,
  FALLBACK_STEP_SIMILARITY: t`By similarity`,
  FORECAST_ALARM_KIND_ERROR: t`Error`,
  FORECAST_ALARM_KIND_BIAS: t`Bias`,
  FORECAST_ALARM_KIND_COVERAGE: t`Coverage`,
  FORECAST_ALARM_KIND_STALENESS: t`Staleness`,
  JOB_STATE_QUEUED: t`Queued`,
  JOB_STATE_RUNNING: t`Running`,
  JOB_STATE_CANCELLING: t`Cancelling`,
  JOB_STATE_SUCCEEDED: t`Succeeded`,
  JOB_STATE_SUCCEEDED_WITH_REJECTS: t`Succeeded with rejects`,
  JOB_STATE_FAILED: t`Failed`,
  JOB_STATE_CANCELLED: t`Cancelled`,
  RECIPE_QUICK: t`Quick`,
  RECIPE_FULL: t`Full`,
  RULE_ACTION_PIN: t`Pin`,
  RULE_ACTION_BOOST: t`Boost`,
  RULE_ACTION_BURY: t`Bury`,
  RULE_ACTION_EXCLUDE: t`Exclude`,
  SHOPPER_KIND_UNSPECIFIED: t`Everybody`,
  SHOPPER_KIND_VISITORS: t`Visitors`,
  SHOPPER_KIND_NEW_VISITORS: t`New visitors`,
  SHOPPER_KIND_USERS: t`Users who have signed in`,
  SLOT_SOURCE_UNSPECIFIED: t`Personal recommendations`,
  SLOT_SOURCE_PERSONAL: t`Personal recommendations`,
  SLOT_SOURCE_POPULAR: t`Popular products`,
  SLOT_SOURCE_SIMILAR: t`Similar products`,
};

/** A value in words; as it is if it is newer than the console. */
export const label = (value: Value): string => (LABELS as Partial<Record<Value, string>>)[value] ?? value;
