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

/** Return the level of an alert. */
export function levelOf(alert: { state: string; labels: Record<string, string> }): Level {
  if (alert.state === "pending") return "pending";
  return alert.labels["severity"] === "critical" ? "critical" : "warning";
}
