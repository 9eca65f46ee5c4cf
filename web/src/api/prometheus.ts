// PromQL queries of the hub.
import type { TimeRange } from "../state/time_range";
import { stepOf } from "../state/time_range";
import { ApiError, request } from "./client";
import type { Envelope, Labels, Matrix, Scalar, Vector } from "./types";

/** Series on common times. A missing value is null. */
export interface Columns {
  times: number[];
  series: { labels: Labels; values: (number | null)[] }[];
  step: number;
}

export interface Point {
  labels: Labels;
  value: number;
}

const MARK = "page_query";

/** Return the values of an expression at one time, now by default. */
export async function instant(expression: string, at?: number, signal?: AbortSignal): Promise<Point[]> {
  const data = await post<Vector | Scalar>(
    "/api/v1/query",
    { query: expression, ...(at ? { time: String(at) } : {}) },
    signal,
  );
  if (data.resultType === "vector")
    return data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  return [{ labels: {}, value: Number((data as Scalar).result[1]) }];
}

/** Return the values of an expression over a range. */
export async function range(
  expression: string,
  over: TimeRange,
  step = stepOf(over),
  signal?: AbortSignal,
): Promise<Columns> {
  const start = Math.ceil(over.from / step) * step;
  const end = Math.max(start, Math.floor(over.to / step) * step);
  const form = { query: expression, start: String(start), end: String(end), step: String(step) };
  const data = await post<Matrix>("/api/v1/query_range", form, signal);
  const length = Math.floor((end - start) / step + 0.5) + 1;
  return {
    step,
    times: Array.from({ length }, (_, index) => start + index * step),
    series: data.result.map(({ metric, values }) => {
      const column = new Array<number | null>(length).fill(null);
      for (const [time, text] of values) {
        const value = Number(text);
        column[Math.round((time - start) / step)] = Number.isFinite(value) ? value : null;
      }
      return { labels: metric, values: column };
    }),
  };
}

export type Many<K extends string, T> = Record<K, T | ApiError>;

/** Return the results of several expressions with one request. An expression that fails does not affect the others. */
export async function ranges<K extends string>(
  expressions: Record<K, string>,
  over: TimeRange,
  step = stepOf(over),
  signal?: AbortSignal,
): Promise<Many<K, Columns>> {
  const split = (all: Columns, key: K): Columns => ({ ...all, series: all.series.flatMap((one) => marked(one, key)) });
  return many(expressions, (joined) => range(joined, over, step, signal), split);
}

/** As `ranges`, at one time, now by default. */
export async function instants<K extends string>(
  expressions: Record<K, string>,
  signal?: AbortSignal,
  at?: number,
): Promise<Many<K, Point[]>> {
  return many(
    expressions,
    (joined) => instant(joined, at, signal),
    (all, key) => all.flatMap((one) => marked(one, key)),
  );
}

/** Evaluate expressions together, each marked with a label. If that fails, evaluate each alone. */
async function many<K extends string, T>(
  expressions: Record<K, string>,
  evaluate: (expression: string) => Promise<T>,
  split: (all: T, key: K) => T,
): Promise<Many<K, T>> {
  const keys = Object.keys(expressions) as K[];
  const joined = keys.map((key) => `label_replace(${expressions[key]}, "${MARK}", "${key}", "", "")`).join(" or ");
  try {
    const all = await evaluate(joined);
    return Object.fromEntries(keys.map((key) => [key, split(all, key)])) as Many<K, T>;
  } catch (error) {
    if (!(error instanceof ApiError) || error.kind !== "invalid" || keys.length === 1) throw error;
  }
  const alone = await Promise.all(
    keys.map((key) =>
      evaluate(expressions[key]).catch((error: unknown) => {
        if (error instanceof ApiError && error.kind === "invalid") return error;
        throw error;
      }),
    ),
  );
  return Object.fromEntries(keys.map((key, index) => [key, alone[index]])) as Many<K, T>;
}

function marked<T extends { labels: Labels }>(one: T, key: string): T[] {
  const { [MARK]: mark, ...labels } = one.labels;
  return mark === key ? [{ ...one, labels }] : [];
}

/** Return a label value as a string literal of PromQL. */
export function quoted(text: string): string {
  return JSON.stringify(text);
}

async function post<T>(path: string, form: Record<string, string>, signal?: AbortSignal): Promise<T> {
  const options = signal ? { form, signal } : { form };
  return (await request<Envelope<T>>("POST", path, options)).data;
}

let names: Promise<string[]> | null = null;

/** Return the names of all metrics. */
export function metricNames(): Promise<string[]> {
  names ??= labelValues("__name__").catch((error: unknown) => {
    names = null;
    throw error;
  });
  return names;
}

/** Return the values of a label. */
export async function labelValues(label: string, selector = ""): Promise<string[]> {
  const query = selector ? { "match[]": selector } : {};
  return (await request<Envelope<string[]>>("GET", `/api/v1/label/${encodeURIComponent(label)}/values`, { query }))
    .data;
}

/** Return the names of the labels of a selector's series. */
export async function labelNames(selector = ""): Promise<string[]> {
  return (
    await request<Envelope<string[]>>("GET", "/api/v1/labels", { query: selector ? { "match[]": selector } : {} })
  ).data;
}
