// Completion of PromQL: what may stand at the cursor.
import { labelNames, labelValues, metricNames } from "../api/prometheus";

export type Kind = "function" | "aggregation" | "metric" | "label" | "value" | "duration" | "keyword";

export interface Completion {
  text: string;
  kind: Kind;
}

/** What stands before the cursor, and where its last word begins. */
export interface Context {
  what: "expression" | "label" | "value" | "duration";
  /** The last word, which a completion replaces. */
  word: string;
  /** The metric before the braces; empty: unknown. */
  metric: string;
  /** The label whose value stands at the cursor. */
  label: string;
}

const AGGREGATIONS = "sum avg min max count topk bottomk quantile stddev stdvar group count_values".split(" ");
const FUNCTIONS = (
  "abs absent absent_over_time avg_over_time ceil changes clamp clamp_max clamp_min count_over_time day_of_month day_of_week " +
  "days_in_month delta deriv double_exponential_smoothing exp floor histogram_quantile hour idelta increase irate label_join label_replace " +
  "last_over_time ln log10 log2 max_over_time min_over_time minute month predict_linear present_over_time quantile_over_time rate " +
  "resets round scalar sgn sort sort_desc sqrt stddev_over_time sum_over_time time timestamp vector year"
).split(" ");
const KEYWORDS = "by without on ignoring group_left group_right and or unless offset bool".split(" ");
const DURATIONS = "1m 5m 15m 30m 1h 6h 1d 7d".split(" ");
const MOST = 40;

/** Return what may stand at the end of a text. */
export function contextOf(before: string): Context {
  const none = { metric: "", label: "" };
  const value = /([\w:]*)\s*\{[^{}]*?(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)$/.exec(before);
  if (value && quotes(before) % 2 === 1)
    return { what: "value", word: value[3] ?? "", metric: value[1] ?? "", label: value[2] ?? "" };
  const label = /([\w:]*)\s*\{(?:[^{}]*,)?\s*(\w*)$/.exec(before);
  if (label) return { what: "label", word: label[2] ?? "", metric: label[1] ?? "", label: "" };
  const grouping = /\b(?:by|without|on|ignoring|group_left|group_right)\s*\((?:[^()]*,)?\s*(\w*)$/.exec(before);
  if (grouping) return { what: "label", word: grouping[1] ?? "", ...none };
  const window = /\[(\w*)$/.exec(before);
  if (window) return { what: "duration", word: window[1] ?? "", ...none };
  return { what: "expression", word: /[\w:]*$/.exec(before)?.[0] ?? "", ...none };
}

const quotes = (text: string): number => (text.match(/(?<!\\)"/g) ?? []).length;

/** Return the completions at the end of a text. */
export async function complete(before: string): Promise<Completion[]> {
  const context = contextOf(before);
  return ranked(await candidates(context), context.word);
}

async function candidates({ what, metric, label }: Context): Promise<Completion[]> {
  const of = (kind: Kind, texts: readonly string[]): Completion[] => texts.map((text) => ({ text, kind }));
  if (what === "duration") return of("duration", DURATIONS);
  if (what === "label")
    return of(
      "label",
      (await labelNames(metric)).filter((name) => name !== "__name__"),
    );
  if (what === "value") return of("value", await labelValues(label, metric));
  return [
    ...of("aggregation", AGGREGATIONS),
    ...of("function", FUNCTIONS),
    ...of("metric", await metricNames()),
    ...of("keyword", KEYWORDS),
  ];
}

/** Return the candidates that contain the word: those that begin with it first. */
export function ranked(all: readonly Completion[], word: string): Completion[] {
  const text = word.toLowerCase();
  const begin: Completion[] = [];
  const contain: Completion[] = [];
  for (const one of all) {
    const at = one.text.toLowerCase().indexOf(text);
    if (at === 0 && one.text !== word) begin.push(one);
    else if (at > 0) contain.push(one);
  }
  return [...begin, ...contain].slice(0, MOST);
}

/** Return the text to insert instead of the word, and how far the cursor is before its end. */
export function insertion({ text, kind }: Completion): { text: string; back: number } {
  if (kind === "function") return { text: `${text}()`, back: text === "time" ? 0 : 1 };
  if (kind === "aggregation") return { text: `${text}()`, back: 1 };
  return { text, back: 0 };
}
