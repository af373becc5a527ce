// What went wrong, in words, and what to do about it.
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
  INVALID_GRANT: ["E-mail or password is wrong", "Check both, and try again."],
  INVALID_SECOND_FACTOR: ["The one-time code is wrong", "Each is valid once and for about a minute: type the one that the app shows now, or a recovery code."],
  TOO_MANY_CODES: ["Too many wrong codes", "Wait a moment before you try again."],
  TOO_MANY_SIGN_INS: ["Too many attempts", "Wait a moment before you try again."],
  SIGN_IN_BUSY: ["Many people are signing in", "Try again in a moment."],
  TOKEN_EXPIRED: ["Your sign-in has ended", "Sign in again."],
  TOKEN_INVALID: ["Your sign-in has ended", "Sign in again."],
  TOKEN_MISSING: ["You are not signed in", "Sign in first."],
  TOKEN_REVOKED: ["Your sign-in was ended", "Sign in again."],
  ROLE_NOT_ALLOWED: ["Your role may not do this", "Ask an administrator of the shop."],
  WRONG_PASSWORD: ["The current password is wrong", "Type the password that you signed in with."],
  PASSWORD_TOO_COMMON: ["This password is too common", "Choose one that is not on lists of known passwords."],
  SERVICE_UNAVAILABLE: ["A service cannot be reached", "It is tried again by itself. The page Services says which are up."],
  DATABASE_UNAVAILABLE: ["The database cannot be reached", "It is tried again by itself."],
  STORAGE_UNAVAILABLE: ["The data store cannot be reached", "Ask an operator whether HDFS and the object store are up."],
  ENGINE_UNAVAILABLE: ["The cluster cannot be reached", "Ask an operator whether YARN is up."],
  REGISTRY_UNAVAILABLE: ["The model registry cannot be reached", "Ask an operator whether MLflow is up. What serves goes on serving."],
  DEADLINE_EXCEEDED: ["It took too long", "Try again; if it happens again, look at the page Services."],
  NO_MODEL: ["No model has been trained yet", "Submit a training on the page Jobs. What it trains is promoted if it passes the gate."],
  NO_CLEAN_DATA: ["No data has been published yet", "Upload a raw file, then submit an ETL job."],
  NO_RAW_DATA: ["There are no raw files", "Upload one on the page Data first."],
  PRODUCT_NOT_FOUND: ["There is no such product", "It may have been deleted, or the address has a typo."],
  PRODUCT_EXISTS: ["A product with this id exists", "Choose another id, or edit the existing product."],
  STALE_ETAG: ["Somebody else has changed this", "Compare both versions, and decide."],
  CUSTOMER_NOT_FOUND: ["There is no such customer", "The number must be one of the sales history."],
  SERIES_NOT_FOUND: ["There is no such series", "It has no sales history yet, or the name is spelled differently."],
  JOB_NOT_FOUND: ["There is no such job", "The address may have a typo."],
  JOB_ENDED: ["The job has ended", "There is nothing left to cancel."],
  CHAMPION_CHANGED: ["Another version has become champion", "Look at the versions again before you decide."],
  MODEL_REFUSED_BY_GATE: ["The version did not pass the gate", "Look at its checks; an administrator can force it."],
  EXPERIMENT_NOT_FOUND: ["There is no such experiment", "It may have been deleted, or the address has a typo."],
  EXPERIMENT_RUNNING: ["An experiment runs in this slot", "Stop or conclude it first, on the page Experiments."],
  EXPERIMENT_STATE: ["The experiment does not allow this now", "Load the page again to see how far it has come."],
  SLOT_IN_USE: ["The slot is in use", "Delete the rules and experiments that name it first."],
  LAST_ADMIN: ["The shop needs an administrator", "Make somebody else an administrator first."],
  CUSTOMER_NUMBER_TAKEN: ["Another user has this customer number", "Search for it on the page Users."],
  MAIL_NOT_CONFIGURED: ["This installation sends no mail", "An operator can set it up with AUTH_SMTP_HOST."],
  USER_NOT_FOUND: ["There is no such user", "The account may have been deleted."],
  MODEL_ROLLED_BACK: ["The version was rolled back before", "An administrator can force it."],
  NO_PREVIOUS_MODEL: ["There is no version to go back to", "Promote a version instead."],
  RAW_FILE_INVALID: ["The file cannot be read as sales", "The message says what is missing; a mapping can name its columns."],
  REQUEST_TOO_LARGE: ["It is too large", "Send less at once."],
  PATH_NOT_FOUND: ["This is not there", "The address may have a typo."],
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
  if (!status) return { title: "The gateway does not answer", advice: "Check the connection. It is tried again by itself.", fields: {}, paths: {}, reason: "" };
  const reason = reasonOf(error);
  const violations = status.details.flatMap((detail): Violation[] => ("field_violations" in detail ? detail.field_violations : []));
  const fields = Object.fromEntries(violations.map(({ field, description }) => [field.split(".").at(-1) ?? field, sentence(description)]));
  const paths = Object.fromEntries(violations.map(({ field, description }) => [field, sentence(description)]));
  const [title, advice] = ADVICE[reason] ?? [sentence(status.message) || "It did not work", ""];
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
