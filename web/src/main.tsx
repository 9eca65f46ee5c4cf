import { render } from "preact";
import { App, preload } from "./app";
import { readEarly } from "./state/nodes";
import "./state/preferences";
import { start } from "./state/session";
import "./styles/index.css";

const root = document.getElementById("app");
if (root) render(<App />, root);
void start();
readEarly();
preload();
