// What an operator should look at, from what the system says of itself.
import { t } from "@lingui/core/macro";

import type { Job, MeshStatus, ModelKind } from "@client/gen";
import type { Rate } from "./rates";

const ERROR_SHARE = 0.01;
const ENGINES: Record<string, string> = { postgresql: "PostgreSQL", hdfs: "HDFS", yarn: "YARN", "object store": t`Object store`, mlflow: "MLflow" };

const FAILED_TRAININGS: Partial<Record<ModelKind, string>> = {
  MODEL_KIND_RECOMMENDER: t`The latest training of the recommender has failed`,
  MODEL_KIND_FORECASTER: t`The latest training of the forecaster has failed`,
};

/** The name of an engine as people write it. */
export const engineName = (name: string): string => ENGINES[name] ?? name;

export interface Alarm {
  key: string;
  title: string;
  advice: string;
  /** The job that it is about. */
  job?: string;
}

/** Services that are down or fail, engines that they do not reach, and kinds of jobs whose latest one has failed; jobs are the latest first. */
export function alarmsOf({ services, engines }: MeshStatus, rates: Map<string, Rate>, jobs: Job[]): Alarm[] {
  const down = services.filter(({ up }) => !up).map(({ name }) => ({ key: `down-${name}`, title: t`The service ${name} is down`, advice: t`It is started again by itself if it has crashed. Its log says why.` }));
  const failing = services.flatMap(({ name, up }): Alarm[] => {
    const share = rates.get(name)?.errorShare ?? 0;
    return up && share >= ERROR_SHARE ? [{ key: `failing-${name}`, title: t`Requests to ${name} fail`, advice: t`${Math.round(100 * share)} of 100 requests in the last minute ended with a server’s error. Its log has each of them.` }] : [];
  });
  const away = engines.filter(({ up }) => !up).map(({ name, not_reached_by }) => ({ key: `away-${name}`, title: t`${engineName(name)} is not reached by ${not_reached_by.join(", ")}`, advice: t`What needs it waits until it is back; all else goes on.` }));
  const latest = new Map<string, Job>();
  for (const job of jobs) {
    const kind = job.training_spec?.model ?? "ETL";
    if (job.end_time && !latest.has(kind)) latest.set(kind, job);
  }
  const failed = [...latest.values()].flatMap(({ id, state, failure, training_spec }): Alarm[] =>
    state === "JOB_STATE_FAILED" ? [{ key: id, title: training_spec ? (FAILED_TRAININGS[training_spec.model] ?? "") : t`The latest ETL has failed`, advice: failure?.message ?? "", job: id }] : [],
  );
  return [...down, ...away, ...failing, ...failed];
}
