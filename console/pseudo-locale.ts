// A catalogue that no translator has written: the English texts with other letters, longer, between brackets and from right to left.
// In it, a text that is not in the catalogue stands out, and so does a place that is too small.
import { createCompiledCatalog, getCatalogs } from "@lingui/cli/api";
import { getConfig } from "@lingui/conf";
import type { Plugin } from "vite";

const NAME = "virtual:pseudo-locale";
const LOCALE = "ar-XB";

export function pseudoLocale(): Plugin {
  return {
    name: "pseudo-locale",
    resolveId: (id) => (id === NAME ? `\0${NAME}` : undefined),
    async load(id) {
      if (id !== `\0${NAME}`) return undefined;
      const { sourceLocale, fallbackLocales } = getConfig();
      const [catalog] = await getCatalogs(getConfig());
      const { messages } = await catalog!.getTranslations(sourceLocale!, { sourceLocale: sourceLocale!, fallbackLocales });
      return createCompiledCatalog(LOCALE, messages, { namespace: "es", pseudoLocale: LOCALE, pseudoLocaleOptions: { prepend: "⟦", append: "⟧", extend: 0.3, extendCharacter: "~" } }).source;
    },
  };
}
