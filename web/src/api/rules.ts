// Alert rules: reading, changing with versions, dry run and backtest.
import { request, requestWithTag } from "./client";
import type { Labels } from "./types";

export const SEVERITIES = ["info", "warning", "critical"] as const;
export type Severity = (typeof SEVERITIES)[number];

export interface LevelSettings {
  threshold?: number | null;
  for?: string | null;
  enabled?: boolean;
}

export type Levels = Partial<Record<Severity, LevelSettings>>;

export interface RuleBody {
  name?: string;
  expression?: string;
  measure?: string;
  operator?: string;
  threshold?: number | null;
  match?: Labels;
  cooldown_minutes?: number | null;
  for?: string;
  severity?: string;
  annotations?: Labels;
  enabled?: boolean;
  levels?: Levels;
  pools?: Record<string, Levels>;
}

export interface CompiledRule {
  name: string;
  severity: string;
  expression: string;
  for_seconds: number;
}

export interface EvaluatedRule extends CompiledRule {
  state: "firing" | "pending" | "inactive" | "unknown";
  health: "ok" | "err" | "unknown";
  error: string;
  evaluated: string | null;
  evaluation_seconds: number;
  firing: number;
  pending: number;
}

export interface Rule {
  id: string;
  source: "shipped" | "file" | "api";
  name: string;
  file: string;
  group: string;
  interval_seconds: number;
  enabled: boolean;
  editable: boolean;
  version: number;
  changed: string | null;
  changed_by: string;
  settings: RuleBody | null;
  rules: EvaluatedRule[];
  shipped: { meaning: string; unit: string; action: string; defaults: Levels } | null;
}

export interface Version {
  version: number;
  at: string;
  actor: string;
  action: "create" | "update" | "delete" | "restore";
  comment: string;
  before: RuleBody | null;
  after: RuleBody | null;
}

export interface DryRun {
  time: string;
  rules: CompiledRule[];
  alerts: { state: "firing" | "pending"; labels: Labels; annotations: Labels; value: number | null }[];
  errors: string[];
}

export interface Backtest {
  start: string;
  end: string;
  step_seconds: number;
  rules: {
    rule: CompiledRule;
    fired: number;
    firing_seconds: number;
    pending_only: number;
    episodes: { labels: Labels; active: string; fired: string | null; ended: string | null; value: number | null }[];
  }[];
}

const BASE = "/api/v1/alert-rules";
const path = (id: string): string => `${BASE}/${encodeURIComponent(id)}`;
const tag = (version: number): Record<string, string> => ({ "If-Match": `"${version}"` });

export const rules = (signal: AbortSignal): Promise<{ data: Rule[] }> => request("GET", BASE, { signal });

export const rule = async (id: string, signal: AbortSignal): Promise<Rule> =>
  (await requestWithTag<Rule>("GET", path(id), { signal })).data;

/** Store a rule; a new one without `before`. */
export const saveRule = (before: Rule | null, body: RuleBody, comment: string): Promise<Rule> =>
  before
    ? request("PUT", path(before.id), { body: { ...body, comment }, headers: tag(before.version) })
    : request("POST", BASE, { body: { ...body, comment } });

/** Delete a rule, or reset a shipped alert to its defaults. */
export const removeRule = (one: Rule): Promise<unknown> =>
  request("DELETE", path(one.id), { headers: tag(one.version) });

export const versions = (id: string, signal: AbortSignal): Promise<{ data: Version[] }> =>
  request("GET", `${path(id)}/versions`, { signal });

/** Return to a version; null: undo the last change. */
export const restore = (one: Rule, version: number | null): Promise<Rule | null> =>
  version === null
    ? request("POST", `${path(one.id)}/undo`, { body: {}, headers: tag(one.version) })
    : request("POST", `${path(one.id)}/restore`, { body: { version }, headers: tag(one.version) });

export const dryRun = (id: string, body: RuleBody): Promise<DryRun> =>
  request("POST", `${id ? path(id) : BASE}/dry-run`, { body: { rule: body } });

export const backtest = (id: string, body: RuleBody, start: string, end: string): Promise<Backtest> =>
  request("POST", `${id ? path(id) : BASE}/backtest`, { body: { rule: body, start, end } });

const COMPARISON = /^([\s\S]*?[^\s<>=!])\s*(?:>=|<=|==|!=|>|<)\s*([-+]?[\d.]+(?:e[-+]?\d+)?)\s*$/i;

/** Return an expression without the comparison at its end, and the value that it compares with. */
export function withoutThreshold(expression: string): { expression: string; threshold: number | null } {
  const [, left, value] = COMPARISON.exec(expression) ?? [];
  // An operator of sets binds less than a comparison: the end is only a part of the expression then.
  if (!left || !value || /\b(?:and|or|unless)\b/.test(left)) return { expression, threshold: null };
  return { expression: left, threshold: Number(value) };
}

/** Return an expression of the values that rules compare: a rule with settings for pools consists of several. */
export function comparedBy(expressions: readonly string[]): string {
  const parts = expressions.map(withoutThreshold);
  const compared = new Set(parts.filter(({ threshold }) => threshold !== null).map(({ expression }) => expression));
  if (compared.size === 0) return expressions[0] ?? "";
  return [...compared].map((one) => `(${one})`).join(" or ");
}
