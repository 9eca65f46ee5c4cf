// The nodes, their newest values, and the alerts. Views share them.
import { batch, computed, effect, signal } from "@preact/signals";
import { ApiError, request } from "../api/client";
import { type LiveMetric, lastRound, subscribe } from "../api/live";
import type { Alert, Envelope, NodeInfo, Page } from "../api/types";
import { LEVELS, type Level } from "../components/severity";
import { sessionState } from "./session";

/** The values of a node that the fleet shows. null: unknown. */
export interface Values {
  cpu: number | null;
  memory: number | null;
  load: number | null;
  disk: number | null;
  receive: number | null;
  transmit: number | null;
}

export const VALUES: Record<
  keyof Values,
  { measure: string; unit: string; merge: (one: number, other: number) => number }
> = {
  cpu: { measure: "cpu_usage_percent", unit: "percent", merge: Math.max },
  memory: { measure: "memory_usage_percent", unit: "percent", merge: Math.max },
  load: { measure: "load_average_1m", unit: "", merge: Math.max },
  disk: { measure: "filesystem_usage_percent", unit: "percent", merge: Math.max },
  receive: { measure: "network_receive_bytes_per_sec", unit: "bytes/second", merge: (one, other) => one + other },
  transmit: { measure: "network_transmit_bytes_per_sec", unit: "bytes/second", merge: (one, other) => one + other },
};
const NONE: Values = { cpu: null, memory: null, load: null, disk: null, receive: null, transmit: null };
const LOOPBACK = "lo";

export interface Node extends NodeInfo {
  level: Level;
  alerts: Alert[];
  values: Values;
  labels: Record<string, string>;
}

const REFRESH = 15_000;

export const infos = signal<NodeInfo[] | null>(null);
export const alerts = signal<Alert[]>([]);
export const nodesError = signal<unknown>(null);
/** When the nodes were received, in milliseconds since 1970. */
export const nodesAt = signal(0);
const values = signal<Map<string, Values>>(new Map());
const labels = signal<Map<string, Record<string, string>>>(new Map());
const health = signal<Map<string, number>>(new Map());

const alertsOfNode = computed(() => {
  const found = new Map<string, Alert[]>();
  for (const alert of alerts.value) {
    const node = alert.labels["node"] ?? "";
    found.set(node, [...(found.get(node) ?? []), alert]);
  }
  return found;
});

/** The nodes by name; null: not known yet. */
export const nodes = computed<Node[] | null>(() => {
  if (!infos.value) return null;
  return infos.value.map((info) => {
    const own = alertsOfNode.value.get(info.node) ?? [];
    return {
      ...info,
      alerts: own,
      level: levelOfNode(info, own),
      values: values.value.get(info.node) ?? NONE,
      labels: { pool: info.pool, ...(labels.value.get(info.node) ?? {}) },
    };
  });
});

function levelOfNode(info: NodeInfo, own: readonly Alert[]): Level {
  const up = health.value.get(info.node);
  if (up === undefined ? info.status === "down" : up === 0) return "down";
  const levels = new Set(own.map(levelByAlert));
  return LEVELS.find((level) => levels.has(level)) ?? "ok";
}

/** Return the level that an alert gives its node: a pending alert is not a fault of the node yet. */
function levelByAlert({ state, labels }: Alert): Level {
  if (state === "pending") return "pending";
  return labels["severity"] === "critical" ? "critical" : "warning";
}

let reading: Promise<void> | null = null;

/** Read the nodes and the alerts. The nodes do not wait for the alerts. */
export function refreshNodes(): Promise<void> {
  reading ??= readNodes().finally(() => {
    reading = null;
  });
  return reading;
}

/** Read the nodes while the hub checks who uses the page: most views need them. */
export function readEarly(): void {
  void refreshNodes();
}

async function readNodes(): Promise<void> {
  const nodes = allNodes().then((found) => {
    if (sessionState.peek() === "signed-out") return;
    infos.value = found;
    nodesAt.value = Date.now();
  });
  const active = activeAlerts().then((found) => {
    if (sessionState.peek() !== "signed-out") alerts.value = found;
  });
  try {
    await Promise.all([nodes, active]); // together, so that no rejection is left unhandled
    nodesError.value = null;
  } catch (error) {
    // Before the sign-in, the views are not shown.
    if (sessionState.peek() === "signed-in") nodesError.value = error;
    await Promise.allSettled([nodes, active]);
  }
}

/** Another user may see other nodes. */
effect(() => {
  if (sessionState.value !== "signed-out") return;
  batch(() => {
    infos.value = null;
    nodesAt.value = 0;
    nodesError.value = null;
    alerts.value = [];
    values.value = new Map();
    labels.value = new Map();
    health.value = new Map();
  });
});

async function allNodes(): Promise<NodeInfo[]> {
  const found: NodeInfo[] = [];
  let cursor: string | null = null;
  do {
    const query: Record<string, string> = { limit: "10000", ...(cursor ? { cursor } : {}) };
    const page: Page<NodeInfo> = await request("GET", "/api/nodes", { query });
    found.push(...page.data);
    cursor = page.next;
  } while (cursor);
  return found;
}

/** Return the alerts that are pending or firing; none if the hub evaluates no rules. */
async function activeAlerts(): Promise<Alert[]> {
  try {
    return (await request<Envelope<{ alerts: Alert[] }>>("GET", "/api/v1/alerts")).data.alerts;
  } catch (error) {
    if (error instanceof ApiError && error.kind === "missing") return [];
    throw error;
  }
}

/** Keep nodes, alerts and values current until the returned function is called. */
export function watchNodes(): () => void {
  let timer: ReturnType<typeof setTimeout>;
  const again = async (): Promise<void> => {
    const isOld = Date.now() - nodesAt.peek() >= REFRESH / 2;
    if (document.visibilityState === "visible" && isOld) await refreshNodes();
    timer = setTimeout(() => void again(), REFRESH);
  };
  void again();
  const measures = Object.values(VALUES).map(({ measure }) => measure);
  const end = subscribe([...measures, "up", "ALERTS"], null, (metrics) => {
    batch(() => {
      values.value = valuesOf(metrics);
      labels.value = labelsOf(metrics.get("load_average_1m"));
      health.value = healthOf(metrics.get("up"));
    });
    if (alertsChanged(metrics.get("ALERTS")) || hasNewNode()) void refreshNodes();
  });
  return () => {
    clearTimeout(timer);
    end();
  };
}

function valuesOf(metrics: ReadonlyMap<string, LiveMetric>): Map<string, Values> {
  const found = new Map<string, Values>();
  for (const [name, { measure, merge }] of Object.entries(VALUES) as [keyof Values, (typeof VALUES)["cpu"]][])
    for (const one of metrics.get(measure)?.values ?? []) {
      if (one.value === null || one.labels?.["device"] === LOOPBACK) continue;
      let own = found.get(one.node);
      if (!own) {
        own = { ...NONE };
        found.set(one.node, own);
      }
      own[name] = own[name] === null ? one.value : merge(own[name], one.value);
    }
  return found;
}

function labelsOf(metric: LiveMetric | undefined): Map<string, Record<string, string>> {
  const common = metric?.labels ?? {};
  return new Map(metric?.values.map((one) => [one.node, { ...common, ...one.labels }]) ?? []);
}

/** Return whether each node's agent was reached. A node with several targets is up if one is. */
function healthOf(metric: LiveMetric | undefined): Map<string, number> {
  const found = new Map<string, number>();
  for (const { node, value } of metric?.values ?? [])
    if (node && value !== null) found.set(node, Math.max(found.get(node) ?? 0, value));
  return found;
}

let known = "";

/** Return whether the alerts of a round differ from those of the round before. */
function alertsChanged(metric: LiveMetric | undefined): boolean {
  const common = metric?.labels ?? {};
  const text = (metric?.values ?? [])
    .map((one) => JSON.stringify([one.node, Object.entries({ ...common, ...one.labels }).sort()]))
    .sort()
    .join();
  const changed = text !== known;
  known = text;
  return changed;
}

function hasNewNode(): boolean {
  const names = new Set(infos.peek()?.map(({ node }) => node));
  return [...values.peek().keys()].some((name) => !names.has(name));
}

/** Whether the newest round is much older than the interval. */
export function isStale(now: number, interval: number): boolean {
  return lastRound.value > 0 && now - lastRound.value > Math.max(3 * interval * 1000, 15_000);
}
