// All views. To add one: a line here, its title in both catalogues, and its first path in hub/.../api/page.py.
import type { ComponentType } from "preact";
import type { IconName } from "../components/icon";
import type { Key } from "../i18n";
import Fleet from "./fleet";

export interface ViewProps {
  /** The values of the path's pattern. */
  parameters: Record<string, string>;
}

export interface View {
  /** A path such as `/nodes/:node`. */
  path: string;
  title: Key;
  /** The icon in the navigation; null: the navigation does not list the view. */
  icon: IconName | null;
  /** Whether the view shows the time range. */
  range: boolean;
  load: () => Promise<{ default: ComponentType<ViewProps> }>;
}

export const VIEWS: readonly View[] = [
  { path: "/", title: "fleet.title", icon: "fleet", range: false, load: async () => ({ default: Fleet }) },
  { path: "/nodes/:node", title: "node.title", icon: null, range: true, load: () => import("./node") },
  { path: "/compare", title: "compare.title", icon: "compare", range: true, load: () => import("./compare") },
  { path: "/processes", title: "processes.title", icon: "processes", range: false, load: () => import("./processes") },
  { path: "/explore", title: "explore.title", icon: "explore", range: true, load: () => import("./explore") },
  { path: "/alerts", title: "alert.title", icon: "alerts", range: false, load: () => import("./alerts") },
  { path: "/alerts/:fingerprint", title: "alert.name", icon: null, range: true, load: () => import("./alert") },
  { path: "/rules", title: "rule.title", icon: "rules", range: false, load: () => import("./rules") },
  { path: "/rules/:id", title: "rule.one", icon: null, range: true, load: () => import("./rule") },
  {
    path: "/rules/:namespace/:target/:alert",
    title: "rule.one",
    icon: null,
    range: false,
    load: () => import("./target_rule"),
  },
  { path: "/coverage", title: "coverage.title", icon: "coverage", range: false, load: () => import("./coverage") },
  { path: "/settings", title: "settings.title", icon: "settings", range: false, load: () => import("./settings") },
];
