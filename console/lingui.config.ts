import { defineConfig } from "@lingui/conf";
import { formatter } from "@lingui/format-po";
import { createSwcExtractor } from "@lingui/native-tools";

export default defineConfig({
  sourceLocale: "en",
  locales: ["en"],
  catalogs: [{ path: "src/locales/{locale}", include: ["src"] }],
  extractors: [createSwcExtractor()],
  // Without the lines of texts, a catalogue changes only if a text does.
  format: formatter({ lineNumbers: false }),
});
