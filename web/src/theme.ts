// Apply the chosen theme before the first paint, and send the first requests. The main script is larger and comes later.
import { sendEarly } from "./api/early";
import { applyTheme, readTheme } from "./state/theme_choice";

applyTheme(readTheme());
sendEarly();
