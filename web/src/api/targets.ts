// MonitoringTargets of a cluster: their statuses, and the settings of their alerts.
import { request, requestWithTag } from "./client";
import type { Levels } from "./rules";
import type { Labels } from "./types";

export interface TargetCondition {
  type: string;
  status: "True" | "False" | "Unknown";
  reason: string;
  message: string;
  since: string;
}

export interface UncoveredNode {
  node: string;
  reason: string;
  message: string;
  pool: string;
}

/** Settings of an alert as a MonitoringTarget has them: levels, and labels. */
export type AlertSettings = Levels & { labels?: Labels };

export interface MonitoringTarget {
  namespace: string;
  name: string;
  generation: number;
  observed_generation: number;
  paused: boolean;
  conditions: TargetCondition[];
  nodes: { desired: number; ready: number; updated: number; uncovered: number; scraped: number | null };
  pools: { name: string; desired: number; ready: number }[];
  uncovered: UncoveredNode[];
  prometheuses: string[];
  rules: Record<string, AlertSettings>;
  pool_rules: Record<string, Record<string, AlertSettings>>;
}

export interface TargetAlert {
  name: string;
  shipped: { meaning: string; unit: string; action: string; defaults: Levels };
  state: "firing" | "pending" | "inactive" | "unknown";
  error: string;
  expressions: Record<string, string>;
}

/** The settings of alerts in one target, and its generation as ETag. */
export interface TargetAlerts {
  namespace: string;
  name: string;
  generation: number;
  rules: Record<string, AlertSettings>;
  pools: Record<string, Record<string, AlertSettings>>;
}

export interface AlertChange {
  levels: Levels;
  labels: Labels;
  pools: Record<string, Levels>;
}

const BASE = "/api/v1/monitoring-targets";
const path = (namespace: string, name: string): string =>
  `${BASE}/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`;

export const monitoringTargets = (signal: AbortSignal): Promise<{ data: MonitoringTarget[] }> =>
  request("GET", BASE, { signal });

export const targetAlertStates = (
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<{ data: TargetAlert[] }> => request("GET", `${path(namespace, name)}/alert-states`, { signal });

/** Return the settings as the API server has them now, read with the rights of the user. */
export const targetAlerts = async (namespace: string, name: string, signal: AbortSignal): Promise<TargetAlerts> =>
  (await requestWithTag<TargetAlerts>("GET", `${path(namespace, name)}/alerts`, { signal })).data;

/** Set the settings of an alert with the rights of the user; null removes those that the page has set. */
export const changeTargetAlert = (
  target: TargetAlerts,
  alert: string,
  change: AlertChange | null,
  isDryRun: boolean,
): Promise<TargetAlerts> =>
  request(change ? "PUT" : "DELETE", `${path(target.namespace, target.name)}/alerts/${encodeURIComponent(alert)}`, {
    ...(change ? { body: change } : {}),
    headers: { "If-Match": `"${target.generation}"` },
    ...(isDryRun ? { query: { dry_run: "true" } } : {}),
  });
