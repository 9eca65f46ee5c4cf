// Requests to the hub's API, with typed errors.
import { signal } from "@preact/signals";
import { KEY, takeEarly } from "./early";

export type ErrorKind =
  | "network"
  | "unauthorized"
  | "forbidden"
  | "missing"
  | "conflict"
  | "changed"
  | "invalid"
  | "limited"
  | "unavailable"
  | "server";

const KINDS: Record<number, ErrorKind> = {
  400: "invalid",
  401: "unauthorized",
  403: "forbidden",
  404: "missing",
  409: "conflict",
  412: "changed",
  415: "invalid",
  422: "invalid",
  428: "changed",
  429: "limited",
  502: "unavailable",
  503: "unavailable",
  504: "unavailable",
};

/** A request that failed. `message` says what is wrong and what to do. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly kind: ErrorKind;

  constructor(
    readonly status: number,
    message: string,
    /** The parameter that is wrong, if the hub names one. */
    readonly parameter = "",
    /** Seconds until a retry may succeed. */
    readonly retryAfter = 0,
  ) {
    super(message);
    this.kind = status === 0 ? "network" : (KINDS[status] ?? (status >= 500 ? "server" : "invalid"));
  }
}

/** The API key of this tab; empty: the cookies of a session identify the user. */
export const apiKey = signal(sessionStorage.getItem(KEY) ?? "");

/** Use an API key in this tab; empty removes it. */
export function useApiKey(key: string): void {
  apiKey.value = key;
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

/** Set when the hub rejects the credentials of a request; the session shows the sign-in view. */
export const rejected = signal(0);

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

export interface Options {
  query?: Record<string, string | number | readonly string[] | undefined>;
  body?: unknown;
  form?: Record<string, string>;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** Do not refresh the session, nor show the sign-in view, after 401. */
  anonymous?: boolean;
}

export interface Answer<T> {
  data: T;
  etag: string;
}

/** Return the JSON of a response; throw `ApiError`. */
export async function request<T>(method: Method, path: string, options: Options = {}): Promise<T> {
  return (await requestWithTag<T>(method, path, options)).data;
}

/** Return the JSON of a response with its ETag, for a later `If-Match`. */
export async function requestWithTag<T>(method: Method, path: string, options: Options = {}): Promise<Answer<T>> {
  let response = await send(method, path, options);
  if (response.status === 401 && !options.anonymous) {
    if (!apiKey.value && (await refreshSession())) response = await send(method, path, options);
    if (response.status === 401) rejected.value++;
  }
  if (!response.ok) throw await errorOf(response);
  const text = response.status === 204 ? "" : await response.text();
  const data = (text ? JSON.parse(text) : null) as T;
  return { data, etag: response.headers.get("etag") ?? "" };
}

async function send(method: Method, path: string, options: Options): Promise<Response> {
  const headers: Record<string, string> = { Accept: "application/json", ...options.headers };
  if (apiKey.value) headers["Authorization"] = `Bearer ${apiKey.value}`;
  // The hub accepts a changing request with a cookie only with this header.
  if (method !== "GET") headers["X-Metricat-Request"] = "1";
  let body: string | null = null;
  if (options.form) {
    headers["Content-Type"] = "application/x-www-form-urlencoded";
    body = new URLSearchParams(options.form).toString();
  } else if (options.body !== undefined) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(options.body);
  }
  try {
    const url = withQuery(path, options.query);
    const early = method === "GET" && !options.anonymous ? takeEarly(url) : undefined;
    return await (early ?? fetch(url, { method, headers, body, signal: options.signal ?? null }));
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "");
  }
}

function withQuery(path: string, query: Options["query"]): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value === undefined) continue;
    for (const one of typeof value === "object" ? value : [value]) parameters.append(name, String(one));
  }
  const text = parameters.toString();
  return text ? `${path}?${text}` : path;
}

async function errorOf(response: Response): Promise<ApiError> {
  const retryAfter = Number(response.headers.get("retry-after")) || 0;
  try {
    // Problem details (RFC 9457), or an error of Prometheus' API.
    const body = (await response.json()) as { detail?: string; error?: string; parameter?: string };
    const text = body.detail ?? body.error ?? "";
    return new ApiError(response.status, text, body.parameter ?? "", retryAfter);
  } catch {
    return new ApiError(response.status, `${response.status} ${response.statusText}`, "", retryAfter);
  }
}

let refreshing: Promise<boolean> | null = null;

/** Get a new access token with the refresh token's cookie; return whether the session continues. */
export function refreshSession(): Promise<boolean> {
  refreshing ??= send("POST", "/api/v1/sessions/refresh", { body: {} })
    // 409: another tab has just refreshed the session.
    .then((response) => response.ok || response.status === 409)
    .catch(() => false)
    .finally(() => {
      refreshing = null;
    });
  return refreshing;
}
