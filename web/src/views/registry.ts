// All views. To add one: a line here, its title in both catalogues, and its first path in hub/.../api/page.py.
import type { ComponentType } from "preact";
import type { IconName } from "../components/icon";
import type { Key } from "../i18n";
import Fleet from "./fleet";

export interface ViewProps {
  /** The values of the path's pattern. */
  parameters: Record<string, string>;
}

export type ViewComponent = ComponentType<ViewProps>;

export interface View {
  /** A path such as `/nodes/:node`. */
  path: string;
  title: Key;
  /** The icon in the navigation; null: the navigation does not list the view. */
  icon: IconName | null;
  /** Whether the view shows the time range. */
  range: boolean;
  load: () => Promise<ViewComponent>;
}

/**
 * The views that are loaded at their first use. Each file of views is a script, and shared modules are scripts, too:
 * with a file for each view, the first view needs more requests.
 */
const charts = () => import("./with_charts");
const lists = () => import("./with_lists");

export const VIEWS: readonly View[] = [
  { path: "/", title: "fleet.title", icon: "fleet", range: false, load: async () => Fleet },
  { path: "/nodes/:node", title: "node.title", icon: null, range: true, load: async () => (await charts()).NodeView },
  {
    path: "/busiest",
    title: "busiest.title",
    icon: "ranking",
    range: true,
    load: async () => (await charts()).Busiest,
  },
  {
    path: "/compare",
    title: "compare.title",
    icon: "compare",
    range: true,
    load: async () => (await charts()).Compare,
  },
  {
    path: "/processes",
    title: "processes.title",
    icon: "processes",
    range: false,
    load: async () => (await charts()).Processes,
  },
  {
    path: "/explore",
    title: "explore.title",
    icon: "explore",
    range: true,
    load: async () => (await charts()).Explore,
  },
  { path: "/alerts", title: "alert.title", icon: "alerts", range: false, load: async () => (await lists()).Alerts },
  {
    path: "/alerts/:fingerprint",
    title: "alert.name",
    icon: null,
    range: true,
    load: async () => (await charts()).AlertView,
  },
  { path: "/rules", title: "rule.title", icon: "rules", range: false, load: async () => (await lists()).Rules },
  { path: "/rules/:id", title: "rule.one", icon: null, range: true, load: async () => (await charts()).RuleView },
  {
    path: "/rules/:namespace/:target/:alert",
    title: "rule.one",
    icon: null,
    range: false,
    load: async () => (await lists()).TargetRule,
  },
  {
    path: "/coverage",
    title: "coverage.title",
    icon: "coverage",
    range: false,
    load: async () => (await lists()).Coverage,
  },
  {
    path: "/settings",
    title: "settings.title",
    icon: "settings",
    range: false,
    load: async () => (await lists()).Settings,
  },
];
