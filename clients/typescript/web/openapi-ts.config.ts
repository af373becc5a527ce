import { defineConfig } from "@hey-api/openapi-ts";

export default defineConfig({
  input: "../../openapi.json",
  output: { path: "src/gen", module: { extension: ".js" } },
  // A list goes on at its `page_token`.
  parser: { pagination: { keywords: ["page_token"] } },
  plugins: ["@hey-api/client-fetch", "@hey-api/typescript", "@hey-api/sdk", "@tanstack/react-query"],
});
