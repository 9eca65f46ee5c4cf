// Numbers with units, durations and times.
import { language, zone } from "../state/preferences";

const missing = "–";
const IEC = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const SI = ["", "k", "M", "G", "T"];

const numbers = new Map<string, Intl.NumberFormat>();

/** Return a number with about three significant digits. */
export function number(value: number | null | undefined, digits?: number): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return missing;
  const size = Math.abs(value);
  const places =
    digits ?? (size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : size >= 0.01 || size === 0 ? 2 : 4);
  const key = `${language.value} ${places}`;
  let format = numbers.get(key);
  if (!format) {
    format = new Intl.NumberFormat(language.value, { maximumFractionDigits: places });
    numbers.set(key, format);
  }
  return format.format(value);
}

function scaled(value: number, base: number, units: readonly string[]): string {
  let size = value;
  let index = 0;
  while (Math.abs(size) >= base && index < units.length - 1) {
    size /= base;
    index++;
  }
  const places = index === 0 && Number.isInteger(size) ? 0 : Math.abs(size) >= 100 ? 0 : Math.abs(size) >= 10 ? 1 : 2;
  return `${number(size, places)}\u202f${units[index] ?? ""}`.trimEnd();
}

/** Return a value with its unit, as the API names units. */
export function quantity(value: number | null | undefined, unit: string): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return missing;
  switch (unit) {
    case "percent":
      return `${number(value, Math.abs(value) >= 10 ? 0 : 1)}\u202f%`;
    case "bytes":
      return scaled(value, 1024, IEC);
    case "bytes/second":
      return `${scaled(value, 1024, IEC)}/s`;
    case "seconds":
      return duration(value);
    case "milliseconds":
      return `${number(value)}\u202fms`;
    case "celsius":
      return `${number(value, 1)}\u202f°C`;
    case "":
      return Math.abs(value) >= 10_000 ? scaled(value, 1000, SI) : number(value);
    default: {
      const text = Math.abs(value) >= 10_000 ? scaled(value, 1000, SI) : number(value);
      return unit.endsWith("/second") ? `${text}/s` : text;
    }
  }
}

/** Return a duration with its two largest units. */
export function duration(secondsOf: number): string {
  if (!Number.isFinite(secondsOf)) return missing;
  let left = Math.max(0, Math.round(secondsOf));
  if (left < 1) return secondsOf > 0 ? `${number(secondsOf * 1000)}\u202fms` : "0 s";
  const parts: string[] = [];
  for (const [unit, size] of [
    ["d", 86400],
    ["h", 3600],
    ["min", 60],
    ["s", 1],
  ] as const) {
    const count = Math.floor(left / size);
    if (count > 0) parts.push(`${count}\u202f${unit}`);
    else if (parts.length > 0) break;
    left -= count * size;
    if (parts.length === 2) break;
  }
  return parts.join(" ");
}

const times = new Map<string, Intl.DateTimeFormat>();

function format(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${language.value} ${zone.value} ${JSON.stringify(options)}`;
  let found = times.get(key);
  if (!found) {
    const inZone = zone.value === "utc" ? { timeZone: "UTC" } : {};
    found = new Intl.DateTimeFormat(language.value === "en" ? "en-GB" : "ko-KR", {
      hourCycle: "h23",
      ...inZone,
      ...options,
    });
    times.set(key, found);
  }
  return found;
}

/** Return a time (milliseconds since 1970) in the time zone of the person. */
export function time(at: number): string {
  return format({ hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(at);
}

/** Return date and time; with the zone's name if it is UTC. */
export function dateTime(at: number): string {
  const text = format({ dateStyle: "medium", timeStyle: "medium" }).format(at);
  return zone.value === "utc" ? `${text} UTC` : text;
}

/** Return both ends of a time range. The second one has no date if it has that of the first. */
export function dateTimes(from: number, to: number): string {
  const isSameDay = format({ dateStyle: "medium" }).format(from) === format({ dateStyle: "medium" }).format(to);
  if (!isSameDay) return `${dateTime(from)} – ${dateTime(to)}`;
  const start = format({ dateStyle: "medium", timeStyle: "medium" }).format(from);
  return `${start} – ${time(to)}${zone.value === "utc" ? " UTC" : ""}`;
}

/** Return day, hour and minute of a time, for cells of tables. */
export function shortTime(at: number): string {
  return format({ month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" }).format(at);
}

/** Return parts of a time for the axis of a chart. */
export function axisTime(at: number, spacing: number): string {
  if (spacing >= 86_400) return format({ month: "short", day: "numeric" }).format(at);
  if (spacing >= 60) return format({ hour: "2-digit", minute: "2-digit" }).format(at);
  return time(at);
}

/** Browsers by a part of their `User-Agent`; the first one that occurs counts, because most also have the later ones. */
const BROWSERS = { "Edg/": "Edge", "OPR/": "Opera", "Firefox/": "Firefox", "Chrome/": "Chrome", "Safari/": "Safari" };

/** Return program and system of a `User-Agent`, for example `Firefox, Linux`. */
export function programOf(agent: string): string {
  const program = Object.entries(BROWSERS).find(([part]) => agent.includes(part))?.[1];
  if (!program) return agent.split("/", 1)[0] ?? "";
  const system = /Android|iPhone|iPad|Windows|Mac OS X|CrOS|Linux/.exec(agent)?.[0].replace("Mac OS X", "macOS");
  return [program, system].filter(Boolean).join(", ");
}

export function date(at: number): string {
  return format({ month: "short", day: "numeric" }).format(at);
}

/** Return the time in a `datetime-local` field, in the time zone of the person, as milliseconds since 1970. */
export const timeOfField = (text: string): number => Date.parse(zone.value === "utc" ? `${text}Z` : text);
