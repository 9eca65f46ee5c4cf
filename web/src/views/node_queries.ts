// What the view of a node reads: expressions of its charts, and what follows from alerts, boots and forecasts.

import { ApiError, request } from "../api/client";
import { type Columns, instants, type Many, type Point, quoted, ranges } from "../api/prometheus";
import type { AlertingRule, Envelope, RuleGroup } from "../api/types";
import type { Series, Span, Threshold } from "../components/chart";
import type { Level } from "../components/severity";
import type { TimeRange } from "../state/time_range";

/** Interfaces of containers and bridges, which repeat the traffic of the real ones. */
const VIRTUAL = "lo|veth.*|br-.*|docker.*|cni.*|cali.*|cilium.*|lxc.*|flannel.*|vxlan.*|kube-.*|virbr.*|dummy.*|ifb.*";

const LEAST_WINDOW = 60;

/** Return the window of `rate` in seconds: at least 4 samples, and no gap between two points. */
export function rateWindow(step: number, interval: number): number {
  return Math.ceil(Math.max(LEAST_WINDOW, 4 * interval, step));
}

export type ChartKey =
  | "modes"
  | "cores"
  | "load1"
  | "load5"
  | "load15"
  | "used"
  | "cached"
  | "buffers"
  | "free"
  | "swap"
  | "read"
  | "written"
  | "util"
  | "filesystems"
  | "receive"
  | "transmit"
  | "pressureCpu"
  | "pressureMemory"
  | "pressureIo"
  | "temperature"
  | "firing"
  | "boot"
  | "oom";

function expressions(node: string, step: number, interval: number): Record<ChartKey, string> {
  const own = `node=${quoted(node)}`;
  const window = `${rateWindow(step, interval)}s`;
  const memory = (name: string): string => `max(node_memory_${name}_bytes{${own}})`;
  const pressure = (name: string): string =>
    `100 * max(rate(node_pressure_${name}_waiting_seconds_total{${own}}[${window}]))`;
  const reclaimable = `(${memory("SReclaimable")} or vector(0))`;
  return {
    modes: `100 * avg by (mode) (rate(node_cpu_seconds_total{${own},mode!="idle"}[${window}]))`,
    cores: `100 * (1 - sum by (cpu) (rate(node_cpu_seconds_total{${own},mode=~"idle|iowait|steal"}[${window}])))`,
    load1: `max(node_load1{${own}})`,
    load5: `max(node_load5{${own}})`,
    load15: `max(node_load15{${own}})`,
    used: `${memory("MemTotal")} - ${memory("MemFree")} - ${memory("Buffers")} - ${memory("Cached")} - ${reclaimable}`,
    cached: `${memory("Cached")} + ${reclaimable}`,
    buffers: memory("Buffers"),
    free: memory("MemFree"),
    swap: `${memory("SwapTotal")} - ${memory("SwapFree")}`,
    read: `sum by (device) (rate(node_disk_read_bytes_total{${own}}[${window}]))`,
    written: `sum by (device) (rate(node_disk_written_bytes_total{${own}}[${window}]))`,
    util: `100 * max by (device) (rate(node_disk_io_time_seconds_total{${own}}[${window}]))`,
    filesystems: `100 * max by (device, mountpoint) (1 - node_filesystem_avail_bytes{${own}} / node_filesystem_size_bytes{${own}})`,
    receive: `sum by (device) (rate(node_network_receive_bytes_total{${own},device!~"${VIRTUAL}"}[${window}]))`,
    transmit: `sum by (device) (rate(node_network_transmit_bytes_total{${own},device!~"${VIRTUAL}"}[${window}]))`,
    pressureCpu: pressure("cpu"),
    pressureMemory: pressure("memory"),
    pressureIo: pressure("io"),
    temperature: `max by (chip, sensor, type, zone) (node_hwmon_temp_celsius{${own}} or node_thermal_zone_temp{${own}})`,
    firing: `max by (alertname, severity, resource) (ALERTS{${own},alertstate="firing"})`,
    boot: `max(node_boot_time_seconds{${own}})`,
    oom: `increase(max(node_vmstat_oom_kill{${own}})[${window}:])`,
  };
}

export interface NodeData {
  range: TimeRange;
  columns: Many<ChartKey, Columns>;
}

/** Read all charts of a node with one request. */
export async function readNode(
  node: string,
  range: TimeRange,
  step: number,
  interval: number,
  signal: AbortSignal,
): Promise<NodeData> {
  return { range, columns: await ranges(expressions(node, step, interval), range, step, signal) };
}

/** Return the error of the first query that failed; null: none. */
export function errorOf(...columns: (Columns | ApiError)[]): ApiError | null {
  return columns.find((one) => one instanceof ApiError) ?? null;
}

/** Return the series of a chart with a name for each. */
export function named(columns: Columns | ApiError, name: (labels: Record<string, string>) => string): Series[] {
  if (columns instanceof ApiError) return [];
  return columns.series
    .map(({ labels, values }) => ({ label: name(labels), values }))
    .sort((one, other) => one.label.localeCompare(other.label, undefined, { numeric: true }));
}

/** An alert that was firing, with the chart that shows its cause. */
export interface Firing extends Span {
  alert: string;
  resource: string;
  isOpen: boolean;
}

/** Return the spans in which alerts were firing. */
export function firings(columns: Columns | ApiError): Firing[] {
  if (columns instanceof ApiError) return [];
  const { times, step } = columns;
  return columns.series.flatMap(({ labels, values }) => {
    const found: Firing[] = [];
    const alert = labels["alertname"] ?? "";
    const level: Level = labels["severity"] === "critical" ? "critical" : "warning";
    let start = -1;
    for (let index = 0; index <= values.length; index++) {
      const isFiring = index < values.length && values[index] !== null;
      if (isFiring && start < 0) start = index;
      if (!isFiring && start >= 0) {
        const to = times[index - 1] ?? 0;
        const isOpen = index >= values.length - 1;
        found.push({
          from: times[start] ?? 0,
          to: to + step,
          level,
          text: alert,
          alert,
          resource: labels["resource"] ?? "",
          isOpen,
        });
        start = -1;
      }
    }
    return found;
  });
}

export type Subject = "cpu" | "load" | "memory" | "disk" | "filesystem" | "network" | "pressure" | "temperature";

const SUBJECTS: Record<Subject, RegExp> = {
  cpu: /CPU/i,
  load: /Load/,
  memory: /Memory|OOM|Swap|Eviction/,
  disk: /Disk|RAID|IO/,
  filesystem: /Filesystem|Inode/,
  network: /Network|Bond|Interface|Conntrack/,
  pressure: /Pressure/,
  temperature: /Temperature/,
};

/** Return the alerts that a chart explains. */
export function about<T extends { alert: string }>(all: readonly T[], subject: Subject): T[] {
  return all.filter(({ alert }) => SUBJECTS[subject].test(alert));
}

/** A threshold of an alerting rule. */
export interface Limit extends Threshold {
  /** The recorded series, or the title of the measure, that the rule compares. */
  compared: string;
  /** Matchers of the labels `node` and `pool` in the rule's expression. */
  matchers: readonly (readonly [label: "node" | "pool", operator: string, value: string])[];
}

const NUMBER = "([-+]?(?:\\d+\\.?\\d*|\\.\\d+)(?:e[-+]?\\d+)?)";
const COMPARED = new RegExp(`^(metricat:\\w+:\\w+)(?:\\{[^}]*\\})? (?:>=?|<=?|==|!=) ${NUMBER}(?![\\w.])`, "i");
const MEASURED = new RegExp(`^\\([\\s\\S]+\\) (?:>=?|<=?|==|!=) ${NUMBER}$`, "i");
const MATCHER = /\b(node|pool)(=~|!~|!=|=)"((?:[^"\\]|\\.)*)"/g;

/** Return the threshold of an alerting rule; null: it does not compare a recorded series or a measure. */
export function limitOf({ query, labels }: Pick<AlertingRule, "query" | "labels">): Limit | null {
  const [, recorded, value] = COMPARED.exec(query) ?? [];
  // The label `resource` of a measure's rule starts with the title of the measure.
  const measured = MEASURED.exec(query)?.[1];
  const compared = recorded ?? labels["resource"]?.replace(/\{\{[\s\S]*/, "");
  const number = value ?? measured;
  if (!compared || number === undefined) return null;
  return {
    compared,
    value: Number(number),
    level: labels["severity"] === "critical" ? "critical" : "warning",
    matchers: [...query.matchAll(MATCHER)].map(([, label, operator = "=", text = ""]) => [
      label as "node" | "pool",
      operator,
      text.replace(/\\(.)/g, "$1"),
    ]),
  };
}

/** Return the thresholds that apply to a node, without duplicates. */
export function limitsOf(
  all: readonly Limit[],
  compared: readonly string[],
  own: { node: string; pool: string },
): Threshold[] {
  const found: Threshold[] = [];
  for (const { compared: name, value, level, matchers } of all) {
    if (!compared.includes(name)) continue;
    if (!matchers.every(([label, operator, text]) => isMatched(own[label], operator, text))) continue;
    if (!found.some((one) => one.value === value && one.level === level)) found.push({ value, level });
  }
  return found;
}

function isMatched(value: string, operator: string, text: string): boolean {
  let isEqual = value === text;
  try {
    if (operator.endsWith("~")) isEqual = new RegExp(`^(?:${text})$`).test(value);
  } catch {
    return true; // a regular expression of RE2 that JavaScript does not have, such as (?i)
  }
  return operator.startsWith("!") ? !isEqual : isEqual;
}

/** Return the thresholds of the alerting rules. */
export async function readLimits(signal: AbortSignal): Promise<Limit[]> {
  let groups: RuleGroup[];
  try {
    const query = { type: "alert", exclude_alerts: "true" };
    groups = (await request<Envelope<{ groups: RuleGroup[] }>>("GET", "/api/v1/rules", { query, signal })).data.groups;
  } catch (error) {
    if (error instanceof ApiError && error.kind === "missing") return [];
    throw error;
  }
  return groups.flatMap((group) => (group.rules as AlertingRule[]).flatMap((rule) => limitOf(rule) ?? []));
}

export interface Filesystem {
  mount: string;
  /** Further mount points of the same filesystem. */
  others: string[];
  device: string;
  type: string;
  size: number;
  free: number;
  /** Percent. */
  used: number;
  /** Seconds until it is full with the growth of the last 6 hours; null: it does not grow. */
  full: number | null;
}

export interface Process {
  node: string;
  pid: string;
  name: string;
  pod: string;
  /** CPUs. */
  cpu: number;
  memory: number | null;
  threads: number | null;
}

const FORECAST = "6h";
const MOST_PROCESSES = 50;

/** Read the filesystems and the processes of a node at a time in seconds since 1970, now by default. */
export async function readDetails(
  node: string,
  signal: AbortSignal,
  at?: number,
): Promise<{ filesystems: Filesystem[]; processes: Process[]; cores: number }> {
  const own = `node=${quoted(node)}`;
  const by = "by (device, mountpoint, fstype)";
  const found = await instants(
    {
      size: `max ${by} (node_filesystem_size_bytes{${own}})`,
      free: `min ${by} (node_filesystem_avail_bytes{${own}})`,
      growth: `max ${by} (-deriv(node_filesystem_avail_bytes{${own}}[${FORECAST}]))`,
      cores: `count(count by (cpu) (node_cpu_seconds_total{${own},mode="idle"}))`,
      ...processExpressions(own, MOST_PROCESSES),
    },
    signal,
    at,
  );
  const key = ({ labels }: Point): string => `${labels["device"]} ${labels["mountpoint"]}`;
  const free = new Map(points(found.free).map((one) => [key(one), one.value]));
  const growth = new Map(points(found.growth).map((one) => [key(one), one.value]));
  const filesystems = withoutBindMounts(points(found.size)).map(({ point: one, others }) => {
    const left = free.get(key(one)) ?? 0;
    const rate = growth.get(key(one)) ?? 0;
    return {
      mount: one.labels["mountpoint"] ?? "",
      others,
      device: one.labels["device"] ?? "",
      type: one.labels["fstype"] ?? "",
      size: one.value,
      free: left,
      used: one.value > 0 ? 100 * (1 - left / one.value) : 0,
      full: rate > 0 ? left / rate : null,
    };
  });
  return { filesystems, processes: processesOf(found), cores: points(found.cores)[0]?.value ?? 0 };
}

/** Return one entry for each device: the shortest mount point, and the others. */
function withoutBindMounts(found: readonly Point[]): { point: Point; others: string[] }[] {
  const mount = (one: Point): string => one.labels["mountpoint"] ?? "";
  const devices = new Map<string, Point[]>();
  for (const one of found) {
    // Devices such as tmpfs are different filesystems with the same name.
    const device = one.labels["device"]?.startsWith("/")
      ? one.labels["device"]
      : `${one.labels["device"]} ${mount(one)}`;
    devices.set(device, [...(devices.get(device) ?? []), one]);
  }
  return [...devices.values()].flatMap((all) => {
    const [point, ...rest] = all.sort((one, other) => mount(one).length - mount(other).length);
    return point ? [{ point, others: rest.map(mount) }] : [];
  });
}

/** The forecast of a filesystem in percent, with one point an hour. */
export interface Forecast {
  mount: string;
  at: number;
  now: number;
  points: { at: number; value: number; low: number; high: number }[];
}

interface ForecastResult {
  time: string;
  data: {
    labels: Record<string, string>;
    value: number | null;
    points: [string, number | null, number | null, number | null][];
  }[];
}

const DAY = 86_400;

/** Read the forecasts of a node's filesystems for some seconds ahead; none if the history is too short. */
export async function readForecasts(node: string, ahead: number, signal: AbortSignal): Promise<Forecast[]> {
  const days = Math.min(30, Math.max(1, Math.ceil(ahead / DAY)));
  const query = { metric: "filesystem_usage_percent", node, days };
  const { time, data } = await request<ForecastResult>("GET", "/api/v1/forecast", { query, signal });
  return data.flatMap(({ labels, value, points: found }) =>
    value === null
      ? []
      : [
          {
            mount: labels["mountpoint"] ?? "",
            at: Date.parse(time) / 1000,
            now: value,
            points: found.flatMap(([at, middle, low, high]) =>
              middle === null
                ? []
                : [{ at: Date.parse(at) / 1000, value: middle, low: low ?? middle, high: high ?? middle }],
            ),
          },
        ],
  );
}

/** Return a value of a forecast at a time, in seconds since 1970, between two of its points. */
export function valueAt(forecast: Forecast, key: "value" | "low" | "high", at: number): number {
  let before = { at: forecast.at, value: forecast.now, low: forecast.now, high: forecast.now };
  for (const point of forecast.points) {
    if (at <= point.at) {
      const part = Math.max(0, at - before.at) / (point.at - before.at);
      return before[key] + part * (point[key] - before[key]);
    }
    before = point;
  }
  return before[key];
}

type ProcessKey = "processCpu" | "processMemory" | "processThreads" | "pods";

/** Return the expressions of the processes that use most CPU, and of those that use most memory. */
export function processExpressions(selector: string, most: number): Record<ProcessKey, string> {
  return {
    processCpu: `topk(${most}, metricat_process_cpu_ratio{${selector}})`,
    processMemory: `topk(${4 * most}, metricat_process_resident_memory_bytes{${selector}})`,
    processThreads: `topk(${4 * most}, metricat_process_threads{${selector}})`,
    pods: "max by (uid, namespace, pod) (kube_pod_info)",
  };
}

/** Return processes by CPU, each with the name of its pod if kube-state-metrics reports it. */
export function processesOf(found: Many<ProcessKey, Point[]>): Process[] {
  const key = ({ labels }: Point): string => `${labels["node"]} ${labels["pid"]} ${labels["name"]}`;
  const memory = new Map(points(found.processMemory).map((one) => [key(one), one.value]));
  const threads = new Map(points(found.processThreads).map((one) => [key(one), one.value]));
  const pods = new Map(
    points(found.pods).map(({ labels }) => [labels["uid"] ?? "", `${labels["namespace"]}/${labels["pod"]}`]),
  );
  return points(found.processCpu)
    .map((one) => ({
      node: one.labels["node"] ?? "",
      pid: one.labels["pid"] ?? "",
      name: one.labels["name"] ?? "",
      pod: pods.get(one.labels["pod_uid"] ?? "") ?? one.labels["pod_uid"] ?? "",
      cpu: one.value,
      memory: memory.get(key(one)) ?? null,
      threads: threads.get(key(one)) ?? null,
    }))
    .sort((one, other) => other.cpu - one.cpu);
}

/** Return the points; throw the error of a failed query, so that the view shows it instead of an empty table. */
function points(found: Point[] | ApiError): Point[] {
  if (found instanceof ApiError) throw found;
  return found;
}
