// States of nodes and alerts: each has a colour, an icon and a word, so that the colour is never alone.
import { type Key, t } from "../i18n";
import { Icon, type IconName } from "./icon";

export const LEVELS = ["down", "critical", "warning", "pending", "unknown", "ok"] as const;
/** The states of a node, the worst first. */
export type Level = (typeof LEVELS)[number];

const ICONS: Record<Level, IconName> = {
  down: "offline",
  critical: "critical",
  warning: "warning",
  pending: "clock",
  unknown: "unknown",
  ok: "check",
};

export function levelText(level: Level): string {
  return t(`level.${level}` satisfies Key);
}

export function LevelIcon({ level, size = 16 }: { level: Level; size?: number }) {
  return (
    <span class="level" data-level={level}>
      <Icon name={ICONS[level]} size={size} />
    </span>
  );
}

export function LevelBadge({ level, text }: { level: Level; text?: string }) {
  return (
    <span class="badge" data-level={level}>
      <Icon name={ICONS[level]} size={12} />
      {text ?? levelText(level)}
    </span>
  );
}

/** Return the level of a severity; the page has no colour for other severities than these two. */
export function levelOfSeverity(severity: string | null | undefined): Level {
  return severity === "critical" || severity === "warning" ? severity : "unknown";
}

export interface Urgency {
  state: string;
  severity: string | null | undefined;
}

/** Return a severity in the language of the person. */
export function severityText(severity: string | null | undefined): string {
  const level = levelOfSeverity(severity);
  if (severity === "info") return t("level.info");
  return level === "unknown" && severity ? severity : levelText(level);
}

/** The severity of an alert, also while it is pending, and whether it is pending. */
export function AlertBadges({ state, severity }: Urgency) {
  return (
    <span class="badges">
      <LevelBadge level={levelOfSeverity(severity)} text={severityText(severity)} />
      {state === "pending" && <LevelBadge level="pending" />}
    </span>
  );
}

/** Return the place of an alert in a list: firing before pending, then by severity. */
export function rankOf({ state, severity }: Urgency): number {
  return (state === "pending" ? LEVELS.length : 0) + LEVELS.indexOf(levelOfSeverity(severity));
}
