// Who uses the page.
import { effect, signal } from "@preact/signals";
import { ApiError, apiKey, rejected, request, useApiKey } from "../api/client";
import { keyOfLink } from "../api/early";
import type { Me } from "../api/types";

/** The characters of the shortest password that the hub accepts. */
export const LEAST_PASSWORD = 10;

export type SessionState = "unknown" | "signed-out" | "signed-in" | "failed";

export const me = signal<Me | null>(null);
export const sessionState = signal<SessionState>("unknown");
/** Why the hub did not answer at the start. */
export const sessionError = signal<unknown>(null);
/** Whether users can log in at an OpenID Connect provider. */
export const hasProvider = signal(false);

/** Return whether the user has a scope, for example to show a button. The hub checks each request again. */
export function may(scope: "read" | "write" | "edit" | "admin"): boolean {
  return me.value?.scopes.includes(scope) ?? false;
}

/** Find out who uses the page. A link `#key=KEY`, as `metricat up` prints it, brings an API key or a token of Kubernetes. */
export async function start(): Promise<void> {
  const key = keyOfLink();
  if (key) {
    useApiKey(key);
    history.replaceState(null, "", window.location.pathname + window.location.search);
  }
  await load();
}

async function load(): Promise<void> {
  try {
    me.value = await request<Me>("GET", "/api/v1/me");
    sessionState.value = "signed-in";
  } catch (error) {
    me.value = null;
    if (error instanceof ApiError && error.kind === "unauthorized") {
      sessionState.value = "signed-out";
      void findProvider();
    } else {
      sessionError.value = error;
      sessionState.value = "failed";
    }
  }
}

async function findProvider(): Promise<void> {
  try {
    const response = await fetch("/api/v1/oidc/login", { redirect: "manual" });
    hasProvider.value = response.type === "opaqueredirect";
  } catch {
    hasProvider.value = false;
  }
}

/** Log in with name and password; throw `ApiError`. */
export async function signIn(name: string, password: string): Promise<void> {
  useApiKey("");
  await request("POST", "/api/v1/sessions", { body: { name, password, cookie: true }, anonymous: true });
  await load();
}

/** Use an API key in this tab; throw `ApiError`. */
export async function signInWithKey(key: string): Promise<void> {
  const headers = { Authorization: `Bearer ${key}` };
  me.value = await request<Me>("GET", "/api/v1/me", { headers, anonymous: true });
  useApiKey(key);
  sessionState.value = "signed-in";
}

/** Create the first administrator with the token that the hub printed; throw `ApiError`. */
export async function setUp(token: string, name: string, password: string): Promise<void> {
  await request("POST", "/api/v1/setup", { body: { token, name, password }, anonymous: true });
  await signIn(name, password);
}

export async function signOut(): Promise<void> {
  if (apiKey.value) useApiKey("");
  else await request("DELETE", "/api/v1/sessions", { anonymous: true }).catch(() => null);
  me.value = null;
  sessionState.value = "signed-out";
  void findProvider();
}

effect(() => {
  if (rejected.value > 0 && sessionState.peek() === "signed-in") {
    sessionState.value = "signed-out";
    void findProvider();
  }
});
