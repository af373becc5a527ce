// Numbers, money and times as people read them, in the browser's language.
const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });
const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const figure = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 4 });
const share = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const calendarDay = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

const UNITS: Array<[Intl.RelativeTimeFormatUnit, number]> = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

export const count = (value: number | string): string => whole.format(Number(value));
export const amount = (value: number): string => (Math.abs(value) < 100 ? fine : whole).format(value);
export const compact = (value: number): string => short.format(value);
export const metric = (value: number): string => figure.format(value);
export const percent = (value: number): string => share.format(value);

/** Minor units of a currency, such as cents, as money. */
export function money(cents: number, currency: string): string {
  try {
    const format = new Intl.NumberFormat(undefined, { style: "currency", currency });
    return format.format(cents / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
  } catch {
    return `${cents / 100} ${currency}`.trim();
  }
}

/** An instant in the browser's time zone. */
export const time = (value: string | null | undefined): string => (value ? moment.format(new Date(value)) : "–");

/** A day of the shop, `2011-12-09`, which no time zone moves. */
export const day = (value: string): string => (value ? calendarDay.format(new Date(`${value}T00:00:00Z`)) : "–");

export function ago(value: string | null | undefined, now = Date.now()): string {
  if (!value) return "–";
  const seconds = (new Date(value).getTime() - now) / 1000;
  for (const [unit, length] of UNITS) if (Math.abs(seconds) >= length) return relative.format(Math.round(seconds / length), unit);
  return "just now";
}

export function duration(start: string | null | undefined, end: string | null | undefined, now = Date.now()): string {
  if (!start) return "–";
  const seconds = Math.max(0, Math.round(((end ? new Date(end).getTime() : now) - new Date(start).getTime()) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** A name of an enum without the enum's own: `JOB_STATE_RUNNING` is "Running". */
export function label(name: string, prefix: string): string {
  const words = name.replace(`${prefix}_`, "").toLowerCase().replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
