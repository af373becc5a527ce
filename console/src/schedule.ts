// Schedules as a form has them, and as they are sent.
import { t } from "@lingui/core/macro";

import type { Schedule, ScheduleInput } from "@client/gen";

export const WORK = [
  { value: "etl", label: t`ETL of what is new` },
  { value: "etl-full", label: t`ETL of everything` },
  { value: "recommender-quick", label: t`Train the recommender, quick` },
  { value: "recommender-full", label: t`Train the recommender, full` },
  { value: "forecaster-quick", label: t`Train the forecaster, quick` },
  { value: "forecaster-full", label: t`Train the forecaster, full` },
] as const;

export type Work = (typeof WORK)[number]["value"];

export interface ScheduleDraft {
  id: string;
  name: string;
  work: Work;
  cron: string;
  time_zone: string;
  /** Whether one job makes up for missed runs. */
  catchUp: boolean;
  through_yesterday: boolean;
  paused: boolean;
  /** Of trainings of the forecaster: how many days a job for an alarm is apart from the one before; null if alarms do not matter. */
  alarmDays: number | null;
  etag: string;
}

/** What a job does, or the jobs of a schedule. */
export function kindOf({ etl_spec, training_spec }: Pick<Schedule, "etl_spec" | "training_spec">): Work {
  if (!training_spec) return etl_spec?.full ? "etl-full" : "etl";
  const model = training_spec.model === "MODEL_KIND_FORECASTER" ? "forecaster" : "recommender";
  return `${model}-${training_spec.recipe === "RECIPE_QUICK" ? "quick" : "full"}`;
}

/** The form of a schedule, or of a new one. */
export function scheduleDraft(schedule?: Schedule): ScheduleDraft {
  if (!schedule) return { id: "", name: "", work: "etl", cron: "30 3 * * *", time_zone: "", catchUp: true, through_yesterday: true, paused: false, alarmDays: null, etag: "" };
  const { id, name, cron, time_zone, through_yesterday, paused, etag } = schedule;
  return { id, name, work: kindOf(schedule), cron, time_zone, catchUp: schedule.catch_up !== "CATCH_UP_SKIP", through_yesterday, paused, alarmDays: schedule.alarm_trigger?.min_interval_days ?? null, etag };
}

/** Whether schedules of this work may have an alarm trigger. */
export const followsAlarms = (work: Work): boolean => work.startsWith("forecaster");

export function scheduleInput({ work, catchUp, alarmDays, etag, ...fields }: ScheduleDraft): ScheduleInput {
  const [model, recipe] = work.split("-");
  return {
    ...fields,
    ...(model === "etl"
      ? { etl_spec: { full: recipe === "full" } }
      : { training_spec: { model: model === "forecaster" ? "MODEL_KIND_FORECASTER" : "MODEL_KIND_RECOMMENDER", recipe: recipe === "quick" ? "RECIPE_QUICK" : "RECIPE_FULL" } }),
    catch_up: catchUp ? "CATCH_UP_RUN_ONCE" : "CATCH_UP_SKIP",
    // Sent in any case: what a body does not name stays as it is.
    alarm_trigger: followsAlarms(work) && alarmDays ? { min_interval_days: alarmDays } : null,
    ...(etag && { etag }),
  };
}
