// The address of the view: a path, and the state of the view in the query, so that every view is a link.
import { computed, signal } from "@preact/signals";

const address = signal(new URL(window.location.href));

export const path = computed(() => address.value.pathname);
export const query = computed(() => address.value.searchParams);

/** Parameters that a link to another view keeps. */
const KEPT = ["range", "from", "to"];

export type Changes = Record<string, string | null>;

/** Return a parameter of the query; empty: it is not there. */
export function parameter(name: string): string {
  return query.value.get(name) ?? "";
}

/** The parameters of a link to another view, as text. A view may have a thousand links. */
const kept = computed(() =>
  new URLSearchParams(
    KEPT.flatMap((name) => (query.value.has(name) ? [[name, parameter(name)] as [string, string]] : [])),
  ).toString(),
);

/** Return the address of a view with parameters. It keeps the time range. */
export function link(to: string, changes?: Changes): string {
  const [pathname = "/", own = ""] = to.split("?");
  if (!changes && !own) return kept.value ? `${pathname}?${kept.value}` : pathname;
  return withQuery(
    pathname,
    new URLSearchParams([...new URLSearchParams(kept.value), ...new URLSearchParams(own)]),
    changes ?? {},
  );
}

/** Go to an address. */
export function navigate(to: string, replace = false): void {
  const next = new URL(to, window.location.href);
  if (next.href === address.value.href) return;
  history[replace ? "replaceState" : "pushState"](null, "", next);
  const isNewView = next.pathname !== address.value.pathname;
  address.value = next;
  if (isNewView) window.scrollTo(0, 0);
}

/** Change parameters of the query; null removes one. */
export function setQuery(changes: Changes, replace = true): void {
  navigate(withQuery(path.value, new URLSearchParams(query.value), changes), replace);
}

function withQuery(pathname: string, parameters: URLSearchParams, changes: Changes): string {
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") parameters.delete(name);
    else parameters.set(name, value);
  }
  const text = parameters.toString();
  return text ? `${pathname}?${text}` : pathname;
}

/** Return the values of a pattern such as `/nodes/:node`; null: the path does not match. */
export function match(pattern: string, pathname: string): Record<string, string> | null {
  const wanted = pattern.split("/");
  const given = pathname.replace(/(.)\/$/, "$1").split("/");
  if (wanted.length !== given.length) return null;
  const values: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const text = given[index] ?? "";
    if (part.startsWith(":")) values[part.slice(1)] = decode(text);
    else if (part !== text) return null;
  }
  return values;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

window.addEventListener("popstate", () => {
  address.value = new URL(window.location.href);
});

/** Links of the page change the view without loading the page again. */
document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
    return;
  const anchor = event.target instanceof Element ? event.target.closest("a") : null;
  if (!anchor || anchor.target || anchor.hasAttribute("download") || anchor.dataset["external"] !== undefined) return;
  const to = new URL(anchor.href, window.location.href);
  if (to.origin !== window.location.origin || to.hash) return;
  event.preventDefault();
  navigate(to.href);
});
