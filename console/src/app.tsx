// The parts that all pages share, around the page of the address.
import { i18n } from "@lingui/core";
import { I18nProvider } from "@lingui/react";
import { DirectionProvider, MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { setNonce } from "get-nonce";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { reasonOf } from "./errors";
import { fetchPages, router } from "./router";
import { resume } from "./session";
import { theme } from "./theme";

// What passes by itself is tried again, ever more slowly.
const PASSING = new Set(["", "SERVICE_UNAVAILABLE", "DATABASE_UNAVAILABLE", "DATABASE_BUSY"]);
const nonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? "";
setNonce(nonce);

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 15_000,
      retry: (failures, error) => failures < 4 && PASSING.has(reasonOf(error)),
      retryDelay: (attempt) => Math.min(500 * 2 ** attempt, 15_000),
    },
  },
});

// Once the first page is likely to stand.
const AHEAD_MS = 3_000;
setTimeout(fetchPages, AHEAD_MS);

void resume();

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <I18nProvider i18n={i18n}>
      <DirectionProvider initialDirection={document.documentElement.dir === "rtl" ? "rtl" : "ltr"}>
        <MantineProvider theme={theme} defaultColorScheme="auto" getStyleNonce={() => nonce}>
          <Notifications position="bottom-right" />
          <QueryClientProvider client={queries}>
            <RouterProvider router={router} />
          </QueryClientProvider>
        </MantineProvider>
      </DirectionProvider>
    </I18nProvider>
  </StrictMode>,
);
