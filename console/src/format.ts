// Numbers, money and times as people read them, in the locale of the texts.
import { i18n } from "@lingui/core";
import { t } from "@lingui/core/macro";

const { locales } = i18n;
const whole = new Intl.NumberFormat(locales, { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat(locales, { maximumFractionDigits: 2 });
const two = new Intl.NumberFormat(locales, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const three = new Intl.NumberFormat(locales, { minimumFractionDigits: 3, maximumFractionDigits: 3 });
const short = new Intl.NumberFormat(locales, { notation: "compact", maximumFractionDigits: 1 });
const figure = new Intl.NumberFormat(locales, { minimumSignificantDigits: 4, maximumSignificantDigits: 4 });
const tenths = new Intl.NumberFormat(locales, { maximumFractionDigits: 1 });
const share = new Intl.NumberFormat(locales, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const changed = new Intl.NumberFormat(locales, { style: "percent", maximumFractionDigits: 1, signDisplay: "exceptZero" });
const roundShare = new Intl.NumberFormat(locales, { style: "percent", maximumFractionDigits: 1 });
const moment = new Intl.DateTimeFormat(locales, { dateStyle: "medium", timeStyle: "short" });
const calendarDay = new Intl.DateTimeFormat(locales, { dateStyle: "medium", timeZone: "UTC" });
const timeOfDay = new Intl.DateTimeFormat(locales, { timeStyle: "short" });
const localDay = new Intl.DateTimeFormat(locales, { day: "numeric", month: "short" });
const dayOfYear = new Intl.DateTimeFormat(locales, { day: "numeric", month: "short", timeZone: "UTC" });
const monthOfYear = new Intl.DateTimeFormat(locales, { month: "short", year: "numeric", timeZone: "UTC" });
const relative = new Intl.RelativeTimeFormat(locales, { numeric: "auto" });
const BROWSERS: Array<[RegExp, string]> = [[/Edg\//, "Edge"], [/OPR\//, "Opera"], [/Firefox\//, "Firefox"], [/Chrome\//, "Chrome"], [/Safari\//, "Safari"]];
const SYSTEMS: Array<[RegExp, string]> = [[/Android/, "Android"], [/iPhone|iPad/, "iOS"], [/Windows/, "Windows"], [/Mac OS X/, "macOS"], [/Linux/, "Linux"]];
const UNITS: Array<[Intl.RelativeTimeFormatUnit, number]> = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** What separates the decimals of a number that is typed. */
export const decimalSeparator = new Intl.NumberFormat(locales, { numberingSystem: "latn" }).formatToParts(0.5).find(({ type }) => type === "decimal")?.value ?? ".";

/** A number with the sign of mathematics, which is as wide as a digit. */
const written = (format: Intl.NumberFormat, value: number): string => format.format(value).replace("-", "−");

export const count = (value: number | string): string => written(whole, Number(value));
/** An amount with the decimals that its size leaves of interest: two below 10, one below 100. */
export const amount = (value: number): string => written(Math.abs(value) < 10 ? fine : Math.abs(value) < 100 ? tenths : whole, value);
export const compact = (value: number): string => written(short, value);
/** A metric with four digits, or a whole number. */
export const metric = (value: number): string => written(Number.isInteger(value) ? whole : figure, value);
/** A number with two decimals, for columns. */
export const decimals = (value: number): string => written(two, value);
/** The score of a recommendation. */
export const score = (value: number): string => written(three, value);
/** By how much a value is above another one, as a share of that; a dash if one is not known. */
export const difference = (value: number | undefined, other: number | undefined): string => (value === undefined || !other ? "–" : written(changed, value / other - 1));
export const percent = (value: number): string => written(share, value);
/** A share without a decimal that is 0, for axes and settings. */
export const shortPercent = (value: number): string => written(roundShare, value);

/** Minor units of a currency, such as cents, as money. */
export function money(cents: number, currency: string): string {
  try {
    const format = new Intl.NumberFormat(locales, { style: "currency", currency });
    return format.format(cents / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
  } catch {
    return `${cents / 100} ${currency}`.trim();
  }
}

/** A measure of sales: revenue if there is a currency, else units. */
export const units = (value: number, currency: string): string => (currency ? money(Math.round(value) * 100, currency).replace(/([.,])00(?=\D*$)/, "") : amount(value));

/** An instant in the browser's time zone. */
export const time = (value: string | null | undefined): string => (value ? moment.format(new Date(value)) : "–");

/** An instant's time of day, and its day, in the browser's time zone. */
export const clock = (value: Date): string => timeOfDay.format(value);
export const dayOf = (value: Date): string => localDay.format(value);

/** An instant as the value of an input of date and time, in the browser's time zone. */
export function localTime(value: string | null): string {
  if (!value) return "";
  const date = new Date(value);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** The instant of such a value; null of an empty one. */
export const instant = (value: string): string | null => (value ? new Date(value).toISOString() : null);

/** A day of the shop, `2011-12-09`, which no time zone moves. */
export const day = (value: string): string => (value ? calendarDay.format(new Date(`${value}T00:00:00Z`)) : "–");

/** A day without its year. */
export const shortDay = (value: string): string => dayOfYear.format(new Date(`${value}T00:00:00Z`));

/** The month of a day or of `2011-12`. */
export const month = (value: string): string => monthOfYear.format(new Date(`${value.slice(0, 7)}-01T00:00:00Z`));

export function ago(value: string | null | undefined, now = Date.now()): string {
  if (!value) return "–";
  const seconds = (new Date(value).getTime() - now) / 1000;
  for (const [unit, length] of UNITS) if (Math.abs(seconds) >= length) return relative.format(Math.round(seconds / length), unit);
  return t`just now`;
}

export function duration(start: string | null | undefined, end: string | null | undefined, now = Date.now()): string {
  if (!start) return "–";
  const seconds = Math.max(0, Math.round(((end ? new Date(end).getTime() : now) - new Date(start).getTime()) / 1000));
  if (seconds < 60) return t`${seconds} s`;
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60), seconds % 60];
  return hours ? t`${hours} h ${minutes} min` : t`${minutes} min ${rest} s`;
}

/** The form of ids that the shop chooses for slots, rules and experiments, and how it is said. */
export const ID_FORM = /^[a-z0-9_-]{1,64}$/;
export const ID_HINT = t`Only small letters, digits, - and _.`;

/** The name of a service as a word: `recommender` is "Recommender". */
export const capitalised = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1);

/** What an RPC does: `hashiramart.auth.v1.AuthService.CreateUser` is "Create user". */
export function action(rpc: string): string {
  const words = (rpc.split(/[./]/).at(-1) ?? rpc).replace(/(?<=[a-z])(?=[A-Z])/g, " ");
  return words.charAt(0) + words.slice(1).toLowerCase();
}

/** A browser by its `User-Agent`, such as "Firefox on Windows"; the first word of any other program's. */
export function program(userAgent: string): string {
  const known = (names: Array<[RegExp, string]>) => names.find(([pattern]) => pattern.test(userAgent))?.[1];
  const browser = known(BROWSERS);
  if (!browser) return userAgent.split(" ")[0] || t`Unknown program`;
  const system = known(SYSTEMS);
  return system ? t`${browser} on ${system}` : browser;
}
