// Apply the chosen theme before the first paint. It is a module of its own because the main script is larger.
import { applyTheme, readTheme } from "./state/theme_choice";

applyTheme(readTheme());
