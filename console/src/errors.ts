// What went wrong, in words, and what to do about it.
import { t } from "@lingui/core/macro";

import type { Status } from "@client/gen";

export interface Problem {
  title: string;
  advice: string;
  /** Messages by the field that they belong to. */
  fields: Record<string, string>;
  /** The same by the whole path of the field, such as `rules[0].slot`. */
  paths: Record<string, string>;
  reason: string;
}

const ADVICE: Record<string, [title: string, advice: string]> = {
  INVALID_GRANT: [t`E-mail or password is wrong`, t`Check both, and try again.`],
  INVALID_SECOND_FACTOR: [t`The one-time code is wrong`, t`Each is valid once and for about a minute: type the one that the app shows now, or a recovery code.`],
  TOO_MANY_CODES: [t`Too many wrong codes`, t`Wait a moment before you try again.`],
  TOO_MANY_SIGN_INS: [t`Too many attempts`, t`Wait a moment before you try again.`],
  SIGN_IN_BUSY: [t`Many people are signing in`, t`Try again in a moment.`],
  TOKEN_EXPIRED: [t`Your sign-in has ended`, t`Sign in again.`],
  TOKEN_INVALID: [t`Your sign-in has ended`, t`Sign in again.`],
  TOKEN_MISSING: [t`You are not signed in`, t`Sign in first.`],
  TOKEN_REVOKED: [t`Your sign-in was ended`, t`Sign in again.`],
  ROLE_NOT_ALLOWED: [t`Your role may not do this`, t`Ask an administrator of the shop.`],
  WRONG_PASSWORD: [t`The current password is wrong`, t`Type the password that you signed in with.`],
  PASSWORD_TOO_COMMON: [t`This password is too common`, t`Choose one that is not on lists of known passwords.`],
  SERVICE_UNAVAILABLE: [t`A service cannot be reached`, t`It is tried again by itself. The page Services says which are up.`],
  DATABASE_UNAVAILABLE: [t`The database cannot be reached`, t`It is tried again by itself.`],
  STORAGE_UNAVAILABLE: [t`The data store cannot be reached`, t`Ask an operator whether HDFS and the object store are up.`],
  ENGINE_UNAVAILABLE: [t`The cluster cannot be reached`, t`Ask an operator whether YARN is up.`],
  REGISTRY_UNAVAILABLE: [t`The model registry cannot be reached`, t`Ask an operator whether MLflow is up. What serves goes on serving.`],
  DEADLINE_EXCEEDED: [t`It took too long`, t`Try again; if it happens again, look at the page Services.`],
  NO_MODEL: [t`No model has been trained yet`, t`Submit a training on the page Jobs. What it trains is promoted if it passes the gate.`],
  NO_CLEAN_DATA: [t`No data has been published yet`, t`Upload a raw file, then submit an ETL job.`],
  NO_RAW_DATA: [t`There are no raw files`, t`Upload one on the page Data first.`],
  PRODUCT_NOT_FOUND: [t`There is no such product`, t`It may have been deleted, or the address has a typo.`],
  PRODUCT_EXISTS: [t`A product with this id exists`, t`Choose another id, or edit the existing product.`],
  STALE_ETAG: [t`Somebody else has changed this`, t`Compare both versions, and decide.`],
  CUSTOMER_NOT_FOUND: [t`There is no such customer`, t`The number must be one of the sales history.`],
  SERIES_NOT_FOUND: [t`There is no such series`, t`It has no sales history yet, or the name is spelled differently.`],
  JOB_NOT_FOUND: [t`There is no such job`, t`The address may have a typo.`],
  JOB_ENDED: [t`The job has ended`, t`There is nothing left to cancel.`],
  CHAMPION_CHANGED: [t`Another version has become champion`, t`Look at the versions again before you decide.`],
  MODEL_REFUSED_BY_GATE: [t`The version did not pass the gate`, t`Look at its checks; an administrator can force it.`],
  EXPERIMENT_NOT_FOUND: [t`There is no such experiment`, t`It may have been deleted, or the address has a typo.`],
  EXPERIMENT_RUNNING: [t`An experiment runs in this slot`, t`Stop or conclude it first, on the page Experiments.`],
  EXPERIMENT_STATE: [t`The experiment does not allow this now`, t`Load the page again to see how far it has come.`],
  SLOT_IN_USE: [t`The slot is in use`, t`Delete the rules and experiments that name it first.`],
  LAST_ADMIN: [t`The shop needs an administrator`, t`Make somebody else an administrator first.`],
  CUSTOMER_NUMBER_TAKEN: [t`Another user has this customer number`, t`Search for it on the page Users.`],
  MAIL_NOT_CONFIGURED: [t`This installation sends no mail`, t`An operator can set it up with AUTH_SMTP_HOST.`],
  USER_NOT_FOUND: [t`There is no such user`, t`The account may have been deleted.`],
  MODEL_ROLLED_BACK: [t`The version was rolled back before`, t`An administrator can force it.`],
  NO_PREVIOUS_MODEL: [t`There is no version to go back to`, t`Promote a version instead.`],
  RAW_FILE_INVALID: [t`The file cannot be read as sales`, t`The message says what is missing; a mapping can name its columns.`],
  REQUEST_TOO_LARGE: [t`It is too large`, t`Send less at once.`],
  PATH_NOT_FOUND: [t`This is not there`, t`The address may have a typo.`],
};

interface Violation {
  field: string;
  description: string;
}

/** The status of any error that a call can end with; undefined if the gateway did not answer. */
function statusOf(error: unknown): Status | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  const status = "status" in error ? error.status : error;
  return typeof status === "object" && status !== null && "details" in status ? (status as Status) : undefined;
}

export function reasonOf(error: unknown): string {
  const info = statusOf(error)?.details.find((detail) => detail["@type"].endsWith("ErrorInfo"));
  return info && "reason" in info ? info.reason : "";
}

export function problemOf(error: unknown): Problem {
  const status = statusOf(error);
  if (!status) return { title: t`The gateway does not answer`, advice: t`Check the connection. It is tried again by itself.`, fields: {}, paths: {}, reason: "" };
  const reason = reasonOf(error);
  const violations = status.details.flatMap((detail): Violation[] => ("field_violations" in detail ? detail.field_violations : []));
  const fields = Object.fromEntries(violations.map(({ field, description }) => [field.split(".").at(-1) ?? field, sentence(description)]));
  const paths = Object.fromEntries(violations.map(({ field, description }) => [field, sentence(description)]));
  const [title, advice] = ADVICE[reason] ?? [sentence(status.message) || t`It did not work`, ""];
  const message = sentence(status.message);
  return { title, advice: [message === title ? "" : message, advice].filter(Boolean).join(" "), fields, paths, reason };
}

/** The messages of the fields below a path, by the rest of theirs. */
export function fieldsBelow(paths: Record<string, string>, path: string): Record<string, string> {
  return Object.fromEntries(Object.entries(paths).flatMap(([field, message]) => (field.startsWith(path) ? [[field.slice(path.length), message]] : [])));
}

function sentence(text: string): string {
  const trimmed = text.trim();
  if (!trimmed) return "";
  const started = trimmed[0]?.toUpperCase() + trimmed.slice(1);
  return /[.!?]$/.test(started) ? started : `${started}.`;
}
