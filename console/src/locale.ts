// The language of the texts, and the locale in which numbers, money and times are written.
import { i18n, type Messages } from "@lingui/core";

type Catalogue = () => Promise<{ messages: Messages }>;

// One for each language. That of the pseudo-locale is made of English when it is built.
const CATALOGUES: Record<string, Catalogue> = {
  ...Object.fromEntries(Object.entries(import.meta.glob<{ messages: Messages }>("./locales/*.po")).map(([path, load]) => [path.slice("./locales/".length, -".po".length), load])),
  "ar-XB": () => import("virtual:pseudo-locale"),
};
const FALLBACK = "en";
const RIGHT_TO_LEFT = /^(ar|fa|he|ur)\b/;

/** The language to show of those that are there, and the locale in which the reader wants it, such as `en-GB`; the first of the wanted ones that is there. */
export function chosenLocale(wanted: readonly string[], present: string[]): { language: string; locale: string } {
  for (const locale of wanted) {
    const language = [locale, locale.split("-")[0]!].find((each) => present.includes(each));
    if (language) return { language, locale };
  }
  return { language: FALLBACK, locale: FALLBACK };
}

/** Loads the texts of the first language that is there. Returns how a page of it is marked. */
export async function activateLocale(wanted: readonly string[]): Promise<{ lang: string; dir: "ltr" | "rtl" }> {
  const { language, locale } = chosenLocale(wanted, Object.keys(CATALOGUES));
  const { messages } = await CATALOGUES[language]!();
  i18n.loadAndActivate({ locale: language, locales: [locale], messages });
  return { lang: locale, dir: RIGHT_TO_LEFT.test(locale) ? "rtl" : "ltr" };
}
