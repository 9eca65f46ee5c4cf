// Live values: one WebSocket for all views, with one subscription to everything that they need.
import { effect, signal } from "@preact/signals";
import { apiKey, request } from "./client";
import { metricNames } from "./prometheus";

export interface LiveValue {
  node: string;
  value: number | null;
  labels?: Record<string, string>;
}

export interface LiveMetric {
  metric: string;
  unit: string;
  values: LiveValue[];
  labels?: Record<string, string>;
  error?: string;
}

interface Round {
  type: "round";
  time: string;
  skipped: number;
  replayed?: boolean;
  data: LiveMetric[];
}

type Message =
  | Round
  | { type: "subscribed"; interval_seconds: number }
  | { type: "error"; status: number; detail: string }
  | { type: "unsubscribed" | "pong" };

export type LiveState = "idle" | "connecting" | "live" | "broken";
type Handler = (metrics: Map<string, LiveMetric>, time: number) => void;

interface Subscriber {
  metrics: readonly string[];
  nodes: readonly string[] | null;
  handle: Handler;
}

export const liveState = signal<LiveState>("idle");
/** When the newest round was evaluated, in milliseconds since 1970; 0: there was none. */
export const lastRound = signal(0);
/** Seconds between two rounds. */
export const interval = signal(10);

const FIRST_DELAY = 500;
const LONGEST_DELAY = 15_000;
const subscribers = new Set<Subscriber>();
let socket: WebSocket | null = null;
let delay = FIRST_DELAY;
let sent = "";
let timer: ReturnType<typeof setTimeout> | undefined;
let opening = false;

/**
 * Call `handle` with each round until the returned function is called.
 *
 * @param metrics measures, such as `cpu_usage_percent`, or names of metrics; unknown names are left out.
 * @param nodes null: all nodes.
 */
export function subscribe(metrics: readonly string[], nodes: readonly string[] | null, handle: Handler): () => void {
  const subscriber = { metrics, nodes, handle };
  subscribers.add(subscriber);
  void update();
  return () => {
    subscribers.delete(subscriber);
    void update();
  };
}

/** Connect again at once, for example with other credentials. */
export function reconnect(): void {
  socket?.close();
  delay = FIRST_DELAY;
  void update();
}

async function update(): Promise<void> {
  // Views replace each other: the subscriptions of one change together.
  await Promise.resolve();
  if (subscribers.size === 0) {
    sent = "";
    clearTimeout(timer);
    socket?.close();
    liveState.value = "idle";
  } else if (!socket) await open();
  else if (socket.readyState === WebSocket.OPEN) await send();
}

async function open(): Promise<void> {
  if (opening) return;
  opening = true;
  clearTimeout(timer);
  liveState.value = "connecting";
  try {
    const url = new URL("/api/v1/live", window.location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const { ticket } = await request<{ ticket: string }>("POST", "/api/v1/live/ticket");
    url.searchParams.set("ticket", ticket);
    connect(url);
  } catch {
    later();
  } finally {
    opening = false;
  }
}

function connect(url: URL): void {
  const own = new WebSocket(url);
  socket = own;
  sent = "";
  own.onopen = () => void send();
  own.onmessage = (event) => receive(JSON.parse(String(event.data)) as Message);
  own.onclose = () => {
    if (socket !== own) return;
    socket = null;
    if (subscribers.size > 0) later();
  };
}

function later(): void {
  liveState.value = "broken";
  clearTimeout(timer);
  timer = setTimeout(() => void update(), delay * (0.75 + Math.random() / 2));
  delay = Math.min(delay * 2, LONGEST_DELAY);
}

async function send(): Promise<void> {
  const wanted = new Set([...subscribers].flatMap((one) => one.metrics));
  const nodes = [...subscribers].some((one) => one.nodes === null)
    ? null
    : [...new Set([...subscribers].flatMap((one) => one.nodes ?? []))];
  const metrics = await known([...wanted]);
  const text = JSON.stringify({ type: "subscribe", metrics, ...(nodes ? { nodes } : {}) });
  if (text === sent || metrics.length === 0 || socket?.readyState !== WebSocket.OPEN) return;
  sent = text;
  socket.send(text);
}

/** Return the names without those that no series has: the hub refuses a subscription to them. */
async function known(metrics: string[]): Promise<string[]> {
  if (metrics.every(isMeasure)) return metrics;
  const names = new Set(await metricNames().catch(() => []));
  return metrics.filter((name) => isMeasure(name) || names.has(name));
}

const isMeasure = (name: string): boolean => /^(cpu|memory|swap|disk|network|filesystem|load)_/.test(name);

function receive(message: Message): void {
  if (message.type === "subscribed") {
    interval.value = message.interval_seconds;
    liveState.value = "live";
    delay = FIRST_DELAY;
  } else if (message.type === "error") {
    console.warn(`live values: ${message.status} ${message.detail}`);
  } else if (message.type === "round") {
    const time = Date.parse(message.time);
    const metrics = new Map(message.data.map((one) => [one.metric, one]));
    lastRound.value = time;
    for (const one of [...subscribers]) one.handle(metrics, time);
  }
}

// A tab in the background gets rounds late; connect again when it is visible.
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && !socket && subscribers.size > 0) {
    delay = FIRST_DELAY;
    void update();
  }
});

let before = apiKey.peek();
effect(() => {
  if (apiKey.value === before) return;
  before = apiKey.value;
  reconnect();
});
