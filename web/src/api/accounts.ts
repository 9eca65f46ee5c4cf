// Users, API keys, receivers and their notifications, and the targets of the scraper.
import { request } from "./client";
import type { Envelope, Labels, Page } from "./types";

export const ROLES = ["viewer", "editor", "admin"] as const;
export type Role = (typeof ROLES)[number];
export const SCOPES = ["read", "write", "edit", "admin"] as const;
export type Scope = (typeof SCOPES)[number];

export interface User {
  name: string;
  role: Role;
  state: "active" | "disabled";
  login: "password" | "oidc";
  created: string;
  version: number;
}

/** A login of the user. */
export interface Session {
  id: string;
  /** The `User-Agent` of the login; empty: unknown. */
  client: string;
  created: string;
  expires: string;
  current: boolean;
}

export interface Key {
  id: string;
  label: string;
  scopes: Scope[];
  state: "active" | "expired" | "revoked";
  owner: string | null;
  created: string;
  expires: string | null;
  last_used: string | null;
}

export interface Channel {
  name: string;
  kind: string;
  destination: string;
  state: "ok" | "failing" | "unused";
  delivered: number;
  given_up: number;
  waiting: number;
  last_success: string | null;
  failing_since: string | null;
  error: string;
}

export interface Receiver {
  name: string;
  channels: Channel[];
}

export interface DeadLetter {
  id: number;
  receiver: string;
  channel: string;
  title: string;
  queued: string;
  attempts: number;
  error: string;
}

export interface Target {
  labels: Labels;
  scrapeUrl: string;
  lastError: string;
  lastScrape: string;
  health: "up" | "down" | "unknown";
}

export interface CollectorState {
  node: string;
  collector: string;
  success: boolean;
}

const USERS = "/api/v1/users";
const KEYS = "/api/v1/keys";
const LETTERS = "/api/v1/notifications/dead-letters";
const part = (text: string | number): string => encodeURIComponent(String(text));

export const users = (signal: AbortSignal): Promise<{ data: User[] }> => request("GET", USERS, { signal });

export const addUser = (body: { name: string; password: string; role: Role }): Promise<unknown> =>
  request("POST", USERS, { body });

export const changeUser = (
  user: User,
  body: { role?: Role; disabled?: boolean; password?: string },
): Promise<unknown> =>
  request("PATCH", `${USERS}/${part(user.name)}`, { body, headers: { "If-Match": `"${user.version}"` } });

export const removeUser = (user: User): Promise<unknown> => request("DELETE", `${USERS}/${part(user.name)}`);

export const keys = (signal: AbortSignal): Promise<{ data: Key[] }> => request("GET", KEYS, { signal });

export const addKey = (body: { label: string; scopes: Scope[]; expires: string | null }): Promise<{ key: string }> =>
  request("POST", KEYS, { body });

export const revokeKey = (key: Key): Promise<unknown> => request("DELETE", `${KEYS}/${part(key.id)}`);

export const changePassword = (before: string, password: string): Promise<unknown> =>
  request("POST", "/api/v1/me/password", { body: { old: before, new: password } });

const SESSIONS = "/api/v1/me/sessions";

export const sessions = (signal: AbortSignal): Promise<{ data: Session[] }> => request("GET", SESSIONS, { signal });

export const endSession = (session: Session): Promise<unknown> => request("DELETE", `${SESSIONS}/${part(session.id)}`);

export const receivers = (signal: AbortSignal): Promise<{ data: Receiver[] }> =>
  request("GET", "/api/v1/receivers", { signal });

export const testReceiver = (
  receiver: string,
): Promise<{ data: { channel: string; outcome: string; error: string; milliseconds: number }[] }> =>
  request("POST", "/api/v1/receivers/test", { body: { receiver } });

export const deadLetters = (signal: AbortSignal): Promise<Page<DeadLetter>> => request("GET", LETTERS, { signal });

/** Queue a dead letter again; null: all. */
export const retryLetter = (id: number | null): Promise<unknown> =>
  request("POST", id === null ? `${LETTERS}/retry` : `${LETTERS}/${part(id)}/retry`);

export const deleteLetter = (id: number): Promise<unknown> => request("DELETE", `${LETTERS}/${part(id)}`);

export const targets = async (signal: AbortSignal): Promise<Target[]> =>
  (await request<Envelope<{ activeTargets: Target[] }>>("GET", "/api/v1/targets", { signal })).data.activeTargets;

export const collectors = (signal: AbortSignal): Promise<Page<CollectorState>> =>
  request("GET", "/api/collectors", { query: { limit: 10_000 }, signal });
