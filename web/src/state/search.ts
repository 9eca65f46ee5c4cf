// Search in texts.

/** Return whether the texts contain all words, in any order and in any case. No word matches everything. */
export function hasWords(words: string, texts: readonly string[]): boolean {
  const joined = texts.join("\n").toLowerCase();
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => joined.includes(word));
}
