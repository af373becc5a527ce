import { t } from "@lingui/core/macro";
import { createTheme, Modal, Notification, NumberInput, PasswordInput, type MantineColorsTuple } from "@mantine/core";

import { decimalSeparator } from "./format";

const teal: MantineColorsTuple = [
  "#e8f7f6", "#d3ecea", "#a6d8d4", "#76c3bd", "#4fb2aa", "#2f9c94", "#0b7a75", "#08655f", "#06524d", "#043f3b",
];

// Greys of the dark scheme, with the tint of its surfaces: text first, then borders, inputs and the page.
const dark: MantineColorsTuple = [
  "#d5dcdf", "#b4bec3", "#949fa5", "#667178", "#3b464b", "#2f383c", "#232b2f", "#1c2225", "#171c1f", "#14181a",
];

export const theme = createTheme({
  colors: { brand: teal, dark },
  primaryColor: "brand",
  primaryShade: 6,
  autoContrast: true,
  luminanceThreshold: 0.35,
  defaultRadius: "md",
  fontFamily: '"Inter Variable", system-ui, sans-serif',
  headings: { fontFamily: '"Inter Variable", system-ui, sans-serif', fontWeight: "650" },
  cursorType: "pointer",
  respectReducedMotion: true,
  components: {
    PasswordInput: PasswordInput.extend({ defaultProps: { visibilityToggleButtonProps: { "aria-label": t`Show the password` } } }),
    NumberInput: NumberInput.extend({ defaultProps: { decimalSeparator } }),
    Notification: Notification.extend({ defaultProps: { closeButtonProps: { "aria-label": t`Close` } } }),
    // The header of a dialog is no landmark of the page.
    Modal: Modal.extend({ defaultProps: { closeButtonProps: { "aria-label": t`Close` }, attributes: { header: { role: "none" } } } }),
  },
});
