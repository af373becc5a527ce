import "@fontsource-variable/inter";
import "@mantine/core/styles.css";
import "@mantine/notifications/styles.css";
import "./styles.css";

import { activateLocale } from "./locale";

Object.assign(document.documentElement, await activateLocale(navigator.languages));
// All else is loaded in a known language, so that texts and formats may be constants of their modules.
await import("./app");
