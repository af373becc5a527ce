import { defineConfig } from "@hey-api/openapi-ts";

export default defineConfig({
  input: "../clients/openapi.json",
  output: "src/gen",
  // A list goes on at its `page_token`.
  parser: { pagination: { keywords: ["page_token"] } },
  plugins: ["@hey-api/client-fetch", "@hey-api/typescript", "@hey-api/sdk", "@tanstack/react-query"],
});
