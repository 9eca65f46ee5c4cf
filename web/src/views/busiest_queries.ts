// What the ranking of nodes reads: figures of a measure over a range, and the processes at each node's peak.

import { ApiError } from "../api/client";
import { instants, type Point, quoted } from "../api/prometheus";
import { quantity } from "../i18n/format";
import type { TimeRange } from "../state/time_range";

export type Measure = "cpu" | "memory" | "disk" | "diskIo" | "receive" | "transmit";

/** The recorded series of each measure: a range of them costs less than the rates of all raw series. */
export const MEASURES: Record<Measure, { series: string; unit: string }> = {
  cpu: { series: "metricat:node_cpu_usage:percent", unit: "percent" },
  memory: { series: "metricat:node_memory_usage:percent", unit: "percent" },
  disk: { series: "metricat:node_filesystem_usage:percent", unit: "percent" },
  diskIo: { series: "metricat:node_disk_io_util:percent", unit: "percent" },
  receive: { series: 'metricat:node_network_bytes:rate{direction="receive",device!="lo"}', unit: "bytes/second" },
  transmit: { series: 'metricat:node_network_bytes:rate{direction="transmit",device!="lo"}', unit: "bytes/second" },
};

/** A node's figures over a range. A node with several devices has those of the device with the greatest value. */
export interface Ranked {
  node: string;
  mean: number;
  /** The 95th percentile. */
  high: number;
  most: number;
  /** When the value was greatest, in seconds since 1970; null: the server has no function for it. */
  peak: number | null;
}

/** Return the figures of all nodes. Throw the error of the first figure that the server refuses. */
export async function readRanking(measure: Measure, range: TimeRange, signal: AbortSignal): Promise<Ranked[]> {
  const window = `${MEASURES[measure].series}[${Math.max(60, Math.round(range.to - range.from))}s]`;
  const most = `max_over_time(${window})`;
  // Prometheus has ts_of_max_over_time only with a feature flag. Without it, the peaks are missing.
  const peak = `ts_of_max_over_time(${window})`;
  const found = await instants(
    {
      mean: `max by (node) (avg_over_time(${window}))`,
      high: `max by (node) (quantile_over_time(0.95, ${window}))`,
      most: `max by (node) (${most})`,
      peak: `max by (node) (${peak} and (${most} == on (node) group_left () max by (node) (${most})))`,
    },
    signal,
    range.to,
  );
  const { mean, high, most: greatest } = found;
  for (const one of [mean, high, greatest]) if (one instanceof ApiError) throw one;
  const peaks = byNode(found.peak);
  const highs = byNode(high);
  const means = byNode(mean);
  return [...byNode(greatest)].map(([node, value]) => ({
    node,
    mean: means.get(node) ?? value,
    high: highs.get(node) ?? value,
    most: value,
    peak: peaks.get(node) ?? null,
  }));
}

function byNode(found: Point[] | ApiError): Map<string, number> {
  return new Map(found instanceof ApiError ? [] : found.map(({ labels, value }) => [labels["node"] ?? "", value]));
}

const PROCESSES = 3;

/** Return the processes that used most at the peak of each node, as texts with what they used. */
export async function readPeakProcesses(
  measure: Measure,
  rows: readonly Ranked[],
  signal: AbortSignal,
): Promise<Map<string, string[]>> {
  const isMemory = measure === "memory";
  const metric = isMemory ? "metricat_process_resident_memory_bytes" : "metricat_process_cpu_ratio";
  const known = rows.filter(({ peak }) => peak !== null);
  if (known.length === 0) return new Map();
  const expressions = Object.fromEntries(
    known.map(({ node, peak }, index) => [
      `node_${index}`,
      `topk(${PROCESSES}, sum by (name) (${metric}{node=${quoted(node)}} @ ${peak}))`,
    ]),
  );
  const found = await instants(expressions, signal);
  const text = ({ labels, value }: Point): string =>
    `${labels["name"]} ${isMemory ? quantity(value, "bytes") : quantity(100 * value, "percent")}`;
  return new Map(
    known.map(({ node }, index) => {
      const points = found[`node_${index}`];
      const own = points === undefined || points instanceof ApiError ? [] : points;
      return [node, own.sort((one, other) => other.value - one.value).map(text)];
    }),
  );
}
