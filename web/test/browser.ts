// The part of a browser that modules need when they are loaded: storage and address. Tests of views run in Chromium.

const storage = (): Storage => {
  const values = new Map<string, string>();
  return {
    get length() {
      return values.size;
    },
    clear: () => values.clear(),
    getItem: (key) => values.get(key) ?? null,
    key: (index) => [...values.keys()][index] ?? null,
    removeItem: (key) => void values.delete(key),
    setItem: (key, value) => void values.set(key, value),
  };
};
const listen = { addEventListener: () => undefined, removeEventListener: () => undefined };
const address = new URL("http://hub.test/");
const define = (name: string, value: unknown): void => {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
};

define("localStorage", storage());
define("sessionStorage", storage());
define("navigator", { language: "en-GB" });
define("document", { ...listen, documentElement: { dataset: {}, lang: "" }, visibilityState: "visible" });
define("window", {
  ...listen,
  location: address,
  matchMedia: () => ({ ...listen, matches: false }),
  scrollTo: () => undefined,
});
define("history", {
  pushState: (_: unknown, __: string, to: URL) => {
    address.href = to.href;
  },
  replaceState: (_: unknown, __: string, to: URL) => {
    address.href = to.href;
  },
});
