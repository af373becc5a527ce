// Units are tested in English.
import { activateLocale } from "./locale";

await activateLocale(["en"]);
