// The requests of the first view. The first script sends them, so that they do not wait for the code of the page.

export const KEY = "metricat.key";

/** The requests that `main.tsx` sends at its start. */
const PATHS = ["/api/v1/me", "/api/nodes?limit=10000", "/api/v1/alerts"];

const sent = new Map<string, Promise<Response>>();

/** Return the API key of a link `#key=KEY`, as `metricat up` prints it; undefined: the address has no key. */
export function keyOfLink(): string | undefined {
  return /^#key=([\w.-]+)$/.exec(window.location.hash)?.[1];
}

/** Send the requests, with the API key of the link or of this tab, or with the cookies of a session. */
export function sendEarly(): void {
  const key = keyOfLink() ?? sessionStorage.getItem(KEY);
  const headers = { Accept: "application/json", ...(key ? { Authorization: `Bearer ${key}` } : {}) };
  for (const path of PATHS) {
    const response = fetch(path, { headers });
    response.catch(() => null); // whoever takes the response handles the error
    sent.set(path, response);
  }
}

/** Return the response of an early request, once; undefined: there is none. */
export function takeEarly(path: string): Promise<Response> | undefined {
  const response = sent.get(path);
  sent.delete(path);
  return response;
}
