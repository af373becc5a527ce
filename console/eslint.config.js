// One rule, which types do not check: what people read is in the catalogue.
import lingui from "eslint-plugin-lingui";
import typescript from "typescript-eslint";

export default [
  {
    files: ["src/**/*.{ts,tsx}"],
    ignores: ["src/gen/**", "src/**/*.test.ts"],
    languageOptions: { parser: typescript.parser },
    plugins: { lingui },
    rules: {
      "lingui/no-unlocalized-strings": [
        "error",
        {
          // Code: words without a space, unless they begin with a capital letter and go on in small ones; sizes, colours, orders. Names of products.
          ignore: ["^(?![A-Z][a-z])\\S+$", "^[\\d ]+[a-z]+$", "\\b(var|max|linear-gradient)\\(", "^[a-z_]+ desc$", "^(HashiraMart|PostgreSQL|Edge|Opera|Firefox|Chrome|Safari|Android|Windows|Linux)$"],
          ignoreNames: ["Authorization", "className", "fontFamily", "style"],
          ignoreFunctions: ["lazyRouteComponent", "DOMException", "*.endsWith"],
        },
      ],
      "lingui/no-single-variables-to-translate": "error",
      "lingui/no-trans-inside-trans": "error",
    },
  },
];
