import { plural, t } from "@lingui/core/macro";
import { expect, test } from "vitest";

import { chosenLocale } from "./locale";

test("the language is the first wanted one that is there, written as the reader does", () => {
  expect(chosenLocale(["fr-FR", "de-AT", "en"], ["en", "de"])).toEqual({ language: "de", locale: "de-AT" });
  expect(chosenLocale(["pt-BR", "pt"], ["en", "pt", "pt-BR"])).toEqual({ language: "pt-BR", locale: "pt-BR" });
  expect(chosenLocale(["fr"], ["en"])).toEqual({ language: "en", locale: "en" });
});

test("a text has its plurals and the numbers of the locale", () => {
  expect([1, 2, 1234].map((days) => plural(days, { one: "# day", other: "# days" }))).toEqual(["1 day", "2 days", "1,234 days"]);
  expect(t`Sign in`).toBe("Sign in");
});
