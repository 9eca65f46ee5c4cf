// Alerts, silences, maintenance windows and the history of alerts.
import { ApiError, request } from "./client";
import type { Labels, Page } from "./types";

export interface Acknowledgement {
  author: string;
  at: string;
  comment: string;
  expires: string | null;
}

export interface AlertEntry {
  fingerprint: string;
  name: string;
  state: "pending" | "firing";
  severity: string | null;
  node: string | null;
  labels: Labels;
  annotations: Labels;
  value: number | null;
  active_at: string;
  fired_at: string | null;
  notified_at: string | null;
  receivers: string[];
  silenced_by: string[];
  inhibited_by: string | null;
  acknowledgement: Acknowledgement | null;
  expression: string;
}

export interface Silence {
  id: string;
  matchers: string[];
  starts: string;
  ends: string;
  state: "pending" | "active" | "expired";
  author: string;
  comment: string;
  version: number;
}

export const DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] as const;
export type Day = (typeof DAYS)[number];

export interface NewWindow {
  name: string;
  weekdays: Day[];
  start: string;
  duration: string;
  time_zone: string;
  matchers: string[];
  comment: string;
  enabled: boolean;
}

export interface MaintenanceWindow extends NewWindow {
  id: string;
  author: string;
  is_open: boolean;
  occurrence: { starts: string; ends: string } | null;
  version: number;
}

export interface Episode {
  fingerprint: string;
  alert: string;
  severity: string;
  node: string;
  state: "pending" | "firing" | "resolved" | "inactive";
  labels: Labels;
  annotations: Labels;
  value: number | null;
  started: string;
  fired: string | null;
  resolved: string | null;
  duration_seconds: number | null;
  acknowledged: string | null;
  acknowledged_by: string;
  silenced: string | null;
  notifications: number;
  failed_notifications: number;
}

export interface AlertEvent {
  time: string;
  kind: string;
  episode: string;
  actor: string;
  value: number | null;
  details: Labels;
}

export interface Timeline {
  fingerprint: string;
  alert: string;
  labels: Labels;
  data: AlertEvent[];
  next: string | null;
}

export interface Durations {
  count: number;
  mean_seconds: number | null;
  median_seconds: number | null;
  p95_seconds: number | null;
}

export interface Statistics {
  episodes: number;
  firing: number;
  acknowledged: number;
  notifications: number;
  failed_notifications: number;
  time_to_acknowledge: Durations;
  time_to_resolve: Durations;
  alerts: { name: string; episodes: number }[];
  nodes: { name: string; episodes: number }[];
  flapping: { fingerprint: string; alert: string; node: string; episodes: number; most_per_hour: number }[];
}

type Query = Record<string, string | undefined>;
const ACTIVE = "/api/v1/alerts/active";
const path = (base: string, id: string): string => `${base}/${encodeURIComponent(id)}`;
const tag = (version: number): Record<string, string> => ({ "If-Match": `"${version}"` });

/** Return the alerts that are pending or firing, at most 10,000. */
export const activeAlerts = (signal: AbortSignal): Promise<Page<AlertEntry>> =>
  request("GET", ACTIVE, { query: { limit: 10_000 }, signal });

/** Return an alert that is pending or firing; null: it is neither. */
export async function activeAlert(fingerprint: string, signal: AbortSignal): Promise<AlertEntry | null> {
  return orNull(request<AlertEntry>("GET", path(ACTIVE, fingerprint), { signal }));
}

export const timeline = (fingerprint: string, signal: AbortSignal): Promise<Timeline | null> =>
  orNull(request<Timeline>("GET", `${path("/api/v1/alerts", fingerprint)}/history`, { query: { limit: 500 }, signal }));

async function orNull<T>(found: Promise<T>): Promise<T | null> {
  try {
    return await found;
  } catch (error) {
    if (error instanceof ApiError && error.kind === "missing") return null;
    throw error;
  }
}

export const acknowledge = (fingerprint: string, body: { comment: string; duration?: string }): Promise<unknown> =>
  request("POST", `${path("/api/v1/alerts", fingerprint)}/acknowledge`, { body });

export const unacknowledge = (fingerprint: string): Promise<unknown> =>
  request("DELETE", `${path("/api/v1/alerts", fingerprint)}/acknowledge`);

export const silences = (signal: AbortSignal): Promise<Page<Silence>> =>
  request("GET", "/api/v1/silences", { query: { limit: 1000 }, signal });

export const addSilence = (body: {
  matchers: string[];
  starts?: string;
  duration: string;
  comment: string;
}): Promise<Silence> => request("POST", "/api/v1/silences", { body });

export const expireSilence = (one: Silence): Promise<unknown> =>
  request("DELETE", path("/api/v1/silences", one.id), { headers: tag(one.version) });

export const windows = (signal: AbortSignal): Promise<Page<MaintenanceWindow>> =>
  request("GET", "/api/v1/maintenance-windows", { query: { limit: 1000 }, signal });

export const saveWindow = (body: NewWindow, before: MaintenanceWindow | null): Promise<unknown> =>
  before
    ? request("PUT", path("/api/v1/maintenance-windows", before.id), { body, headers: tag(before.version) })
    : request("POST", "/api/v1/maintenance-windows", { body });

export const deleteWindow = (one: MaintenanceWindow): Promise<unknown> =>
  request("DELETE", path("/api/v1/maintenance-windows", one.id), { headers: tag(one.version) });

export const episodes = (query: Query, signal: AbortSignal): Promise<Page<Episode>> =>
  request("GET", "/api/v1/alerts/history", { query: { limit: 1000, ...query }, signal });

export const statistics = (query: Query, signal: AbortSignal): Promise<Statistics> =>
  request("GET", "/api/v1/alerts/statistics", { query: { top: 5, ...query }, signal });

const MATCHER = /^\s*([^=!~\s]+)\s*(=~|!~|!=|=)\s*"?(.*?)"?\s*$/;

/** Return whether labels match all matchers; null: a matcher is not valid. The hub decides; this is for a preview. */
export function matches(matchers: readonly string[], labels: Labels): boolean | null {
  let all = true;
  for (const text of matchers) {
    const [, name = "", operator, value = ""] = MATCHER.exec(text) ?? [];
    if (!operator) return null;
    const own = labels[name] ?? "";
    let isMatch = own === value;
    if (operator.includes("~")) {
      try {
        isMatch = new RegExp(`^(?:${value})$`).test(own);
      } catch {
        return null;
      }
    }
    if (isMatch === operator.startsWith("!")) all = false;
  }
  return all;
}
