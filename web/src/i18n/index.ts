// The texts of the page, and numbers and times as the person reads them.
import { language } from "../state/preferences";
import { en } from "./en";
import { ko } from "./ko";

export type Key = keyof typeof en;
export type Catalogue = Record<Key, string>;

const CATALOGUES: Record<"en" | "ko", Catalogue> = { en, ko };

const isKey = (key: string): key is Key => key in en;

/** Return the text of a key that the hub names; `other` if the catalogue lacks the key. */
export const textOr = (key: string, other: string): string => (isKey(key) ? t(key) : other);

/** Return a text in the language of the person. `{name}` in the text is replaced by the value. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  const text = CATALOGUES[language.value][key];
  if (!text.includes("{")) return text;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole));
}
