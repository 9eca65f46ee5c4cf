// What a person prefers on this device: theme, language, time zone. The URL has everything else.
import { effect, signal } from "@preact/signals";
import { applyTheme, readTheme, storeTheme, type Theme } from "./theme_choice";

export const LANGUAGES = ["en", "ko"] as const;
export type Language = (typeof LANGUAGES)[number];
export const ZONES = ["local", "utc"] as const;
export type Zone = (typeof ZONES)[number];

const stored = <T extends string>(key: string, choices: readonly T[], otherwise: T): T => {
  const found = localStorage.getItem(key);
  return choices.find((choice) => choice === found) ?? otherwise;
};

export const theme = signal<Theme>(readTheme());
export const language = signal<Language>(
  stored("metricat.language", LANGUAGES, navigator.language.startsWith("ko") ? "ko" : "en"),
);
export const zone = signal<Zone>(stored("metricat.zone", ZONES, "local"));

const systemIsDark = window.matchMedia("(prefers-color-scheme: dark)");
const system = signal(systemIsDark.matches);
systemIsDark.addEventListener("change", (event) => {
  system.value = event.matches;
});

/** Return whether the page is dark now. Charts read their colours again when it changes. */
export function isDark(): boolean {
  return theme.value === "system" ? system.value : theme.value === "dark";
}

effect(() => {
  storeTheme(theme.value);
  applyTheme(theme.value);
});
effect(() => {
  localStorage.setItem("metricat.language", language.value);
  document.documentElement.lang = language.value;
});
effect(() => localStorage.setItem("metricat.zone", zone.value));
