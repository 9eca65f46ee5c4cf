// The time range of all charts. It is in the URL: `range=1h`, or `from` and `to` in seconds since 1970.
import { computed } from "@preact/signals";
import { parameter, setQuery } from "./router";

export const RANGES = ["15m", "1h", "3h", "6h", "12h", "24h", "2d", "7d", "30d", "90d", "1y"] as const;
export type Range = (typeof RANGES)[number];

const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86400, y: 31536000 };
const POINTS = 300;
const STEPS = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];

/** Seconds since 1970, both. `relative` ranges end now. */
export interface TimeRange {
  from: number;
  to: number;
  relative: Range | null;
}

/** Return the seconds of a text such as `15m`. */
export function seconds(text: string): number {
  const found = /^(\d+)([smhdy])$/.exec(text);
  return found ? Number(found[1]) * (UNITS[found[2] ?? ""] ?? 0) : 0;
}

export const relative = computed<Range | null>(() => {
  if (parameter("from") && parameter("to")) return null;
  return RANGES.find((range) => range === parameter("range")) ?? "1h";
});

/** Return the range now. */
export function currentRange(): TimeRange {
  const to = Date.now() / 1000;
  if (relative.value) return { from: to - seconds(relative.value), to, relative: relative.value };
  const from = Number(parameter("from"));
  const end = Number(parameter("to"));
  if (!(from < end)) return { from: to - 3600, to, relative: "1h" };
  return { from, to: end, relative: null };
}

/** A text that changes when the person chooses another range. */
export const rangeKey = computed(() => relative.value ?? `${parameter("from")}-${parameter("to")}`);

/** Return the step of a query in seconds: about 300 points, and never less than the interval of the samples. */
export function stepOf(range: TimeRange, interval = 10): number {
  const wanted = Math.max((range.to - range.from) / POINTS, interval);
  return STEPS.find((step) => step >= wanted) ?? 86400;
}

export function chooseRelative(range: Range): void {
  setQuery({ range, from: null, to: null }, false);
}

export function chooseAbsolute(from: number, to: number): void {
  const [start, end] = [Math.floor(Math.min(from, to)), Math.ceil(Math.max(from, to))];
  setQuery({ range: null, from: String(start), to: String(Math.max(end, start + 10)) }, false);
}

/** Show twice the range, around the same middle and not beyond now. */
export function zoomOut(): void {
  const { from, to } = currentRange();
  const half = (to - from) / 2;
  const end = Math.min(to + half, Date.now() / 1000);
  chooseAbsolute(end - 4 * half, end);
}

/** Move the range by a part of its length, not beyond now. */
export function shift(part: number): void {
  const { from, to } = currentRange();
  const change = Math.min((to - from) * part, Date.now() / 1000 - to);
  if (Math.abs(change) > 1) chooseAbsolute(from + change, to + change);
}
