import { createTheme, type MantineColorsTuple } from "@mantine/core";

const teal: MantineColorsTuple = [
  "#e8f7f6", "#d3ecea", "#a6d8d4", "#76c3bd", "#4fb2aa", "#2f9c94", "#0b7a75", "#08655f", "#06524d", "#043f3b",
];

export const theme = createTheme({
  colors: { brand: teal },
  primaryColor: "brand",
  primaryShade: 6,
  autoContrast: true,
  luminanceThreshold: 0.35,
  defaultRadius: "md",
  fontFamily: '"Inter Variable", system-ui, sans-serif',
  headings: { fontFamily: '"Inter Variable", system-ui, sans-serif', fontWeight: "650" },
  cursorType: "pointer",
  respectReducedMotion: true,
});
