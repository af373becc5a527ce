import { fileURLToPath } from "node:url";

import { lingui } from "@lingui/vite-plugin";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

import { pseudoLocale } from "./pseudo-locale.ts";

// The running stack that a console under development calls.
const gateway = process.env["CONSOLE_GATEWAY"] ?? "http://127.0.0.1:8000";

export default defineConfig({
  base: "/console/",
  plugins: [lingui({ macroTransform: true, failOnCompileError: true }), pseudoLocale(), react()],
  resolve: {
    alias: { "@client/gen": fileURLToPath(new URL("src/gen", import.meta.url)) },
  },
  build: { target: "es2023", assetsInlineLimit: 0, chunkSizeWarningLimit: 700 },
  // The units share no state, and a process for each file would take longer than they do.
  test: { isolate: false, setupFiles: "src/test-locale.ts" },
  html: { cspNonce: "__NONCE__" },
  server: {
    proxy: {
      "/v1": gateway,
      "/status": gateway,
      "/console/session": gateway,
    },
  },
});
