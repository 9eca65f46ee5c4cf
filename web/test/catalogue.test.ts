import assert from "node:assert/strict";
import { test } from "node:test";
import { en } from "../src/i18n/en";
import { ko } from "../src/i18n/ko";

const placeholders = (text: string): string[] => (text.match(/\{\w+\}/g) ?? []).sort();

test("both catalogues have the same keys", () => {
  assert.deepEqual(Object.keys(ko).sort(), Object.keys(en).sort());
});

test("both texts of a key have the same placeholders", () => {
  for (const [key, text] of Object.entries(en))
    assert.deepEqual(placeholders(ko[key as keyof typeof en]), placeholders(text), key);
});

test("no text is empty", () => {
  for (const text of [...Object.values(en), ...Object.values(ko)]) assert.notEqual(text.trim(), "");
});
