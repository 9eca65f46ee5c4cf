// The JSON of the hub's API, as docs/reference/hub-api.md describes it.
import type { Scope } from "./accounts";

export interface Me {
  name: string;
  kind: "key" | "user" | "anonymous" | string;
  role: "viewer" | "editor" | "admin" | null;
  scopes: Scope[];
  label: string | null;
  owner: string | null;
  session: string | null;
  /** Whether the hub is in a cluster with MonitoringTargets. */
  monitoring_targets: boolean;
  /** Which program sends the notifications. Only the hub has acknowledgements and windows. */
  notifier: "hub" | "alertmanager" | "unknown";
}

export interface NodeInfo {
  node: string;
  hostname: string;
  status: "up" | "down";
  last_seen: string;
  pool: string;
  instance: string;
  operating_system: string;
  kernel: string;
  architecture: string;
  boot_time: string | null;
  /** Whether the shipped alerts read the node's series. */
  has_alerts: boolean;
}

export interface Page<T> {
  data: T[];
  next: string | null;
}

export interface Status {
  status: "ok" | "degraded";
  problems: string[];
  server_id: string;
  version: string;
  timestamp: string;
  started: string;
  uptime_seconds: number;
  targets: { up: number; down: number; unknown: number };
  series: number | null;
  retention: Record<string, string>;
  collect_interval: string;
}

export interface Measure {
  name: string;
  title: string;
  unit: string;
  category: string;
  expression: string;
}

export interface Alert {
  labels: Record<string, string>;
  annotations: Record<string, string>;
  state: "pending" | "firing";
  activeAt: string;
  keepFiringSince?: string;
  value: string;
}

export interface AlertingRule {
  type: "alerting";
  state: "inactive" | "pending" | "firing" | "unknown";
  name: string;
  query: string;
  duration: number;
  keepFiringFor: number;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  alerts: Alert[];
  health: string;
  lastError?: string;
  evaluationTime: number;
  lastEvaluation: string;
}

export interface RecordingRule {
  type: "recording";
  name: string;
  query: string;
  labels: Record<string, string>;
  health: string;
  lastError?: string;
  evaluationTime: number;
  lastEvaluation: string;
}

export interface RuleGroup {
  name: string;
  file: string;
  interval: number;
  rules: (AlertingRule | RecordingRule)[];
}

export type Labels = Record<string, string>;
export type Sample = [time: number, value: string];

export interface Vector {
  resultType: "vector";
  result: { metric: Labels; value: Sample }[];
}

export interface Matrix {
  resultType: "matrix";
  result: { metric: Labels; values: Sample[] }[];
}

export interface Scalar {
  resultType: "scalar" | "string";
  result: Sample;
}

export interface Envelope<T> {
  status: "success";
  data: T;
  warnings?: string[];
  infos?: string[];
}
