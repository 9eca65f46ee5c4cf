// A percentage as a bar and a number.
import { quantity } from "../i18n/format";
import type { Level } from "./severity";

const WARNING = 80;
const CRITICAL = 90;

/** Return how full a resource is; the usual thresholds of the shipped rules. */
export function levelOfPercent(value: number | null): Level {
  if (value === null) return "unknown";
  return value >= CRITICAL ? "critical" : value >= WARNING ? "warning" : "ok";
}

export function Meter({ value }: { value: number | null }) {
  return (
    <span class="meter-cell">
      <span class="meter" data-level={levelOfPercent(value)} aria-hidden="true">
        <span class="meter-fill" style={{ inlineSize: `${Math.max(0, Math.min(100, value ?? 0))}%` }} />
      </span>
      {quantity(value, "percent")}
    </span>
  );
}
