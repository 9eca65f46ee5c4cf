// A chart over time. All charts share the crosshair and the time range; dragging zooms all of them.
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { t } from "../i18n";
import { axisTime, dateTime, quantity } from "../i18n/format";
import { isDark, language, zone } from "../state/preferences";
import { chooseAbsolute, zoomOut } from "../state/time_range";
import { exportCsv, exportPng } from "./export";
import { Icon } from "./icon";
import { LEVELS, type Level, levelText } from "./severity";
import { Failed } from "./states";

export interface Series {
  label: string;
  values: readonly (number | null)[];
  /** The number of its colour; its index by default. */
  colour?: number;
  /** Whether the line is dashed, for example a forecast. */
  dashed?: boolean;
  /** The ends of the interval in which the values are expected. */
  interval?: { low: readonly (number | null)[]; high: readonly (number | null)[] };
}

export interface Threshold {
  value: number;
  level: Level;
}

/** A span of time in which an alert was firing or pending. */
export interface Span {
  from: number;
  to: number;
  level: Level;
  text: string;
}

export interface ChartProps {
  title: string;
  unit: string;
  /** Seconds since 1970. */
  times: readonly number[];
  series: readonly Series[];
  from: number;
  to: number;
  stacked?: boolean;
  /** The upper end of the scale if no value is above it. */
  top?: number;
  thresholds?: readonly Threshold[];
  spans?: readonly Span[];
  height?: number;
  /** A time with a vertical line, in seconds since 1970. */
  marked?: number | null;
  /** Called with the time of a click, or with that of the crosshair when a person presses Enter. */
  onPick?: (at: number) => void;
}

/** Charts with the same key share the crosshair. */
const SYNC = "metricat";
const COLOURS = 10;
const LEAST_DRAG = 4;
const SHOWN_IN_LEGEND = 12;

/** Colours of the theme as the canvas needs them: without custom properties. */
function palette() {
  const probe = document.createElement("span");
  document.body.append(probe);
  const read = (colour: string): string => {
    probe.style.color = colour;
    return getComputedStyle(probe).color;
  };
  const lines = Array.from({ length: COLOURS }, (_, index) => read(`var(--line-${index})`));
  const fills = Array.from({ length: COLOURS }, (_, index) =>
    read(`color-mix(in srgb, var(--line-${index}) 40%, transparent)`),
  );
  const pales = Array.from({ length: COLOURS }, (_, index) =>
    read(`color-mix(in srgb, var(--line-${index}) 12%, transparent)`),
  );
  const levels = Object.fromEntries(LEVELS.map((level) => [level, read(`var(--${level})`)])) as Record<Level, string>;
  const found = {
    lines,
    fills,
    pales,
    levels,
    text: read("var(--muted)"),
    grid: read("var(--grid)"),
    back: read("var(--surface)"),
  };
  probe.remove();
  return found;
}

/** Return each value with the values of the series below it. */
function stack(series: readonly Series[]): (number | null)[][] {
  const sum: number[] = [];
  return series.map(({ values }) =>
    values.map((value, index) => {
      if (value === null) return null;
      sum[index] = (sum[index] ?? 0) + value;
      return sum[index];
    }),
  );
}

function rows(props: ChartProps): uPlot.AlignedData {
  const values = props.stacked ? stack(props.series) : props.series.map((one) => one.values as (number | null)[]);
  const ends = intervalsOf(props.series).flatMap(({ interval }) => [interval.low, interval.high]);
  return [props.times as number[], ...values, ...ends] as uPlot.AlignedData;
}

type WithInterval = Series & { interval: NonNullable<Series["interval"]>; number: number };

/** Return the series with an interval, each with the number of its colour. */
function intervalsOf(series: readonly Series[]): WithInterval[] {
  return series.flatMap((one, index) =>
    one.interval ? [{ ...one, interval: one.interval, number: (one.colour ?? index) % COLOURS }] : [],
  );
}

export function Chart(props: ChartProps) {
  const frame = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const current = useRef(props);
  current.current = props;
  const cursor = useSignal<number | null>(null);
  const hidden = useSignal<ReadonlySet<string>>(new Set());
  const structure = JSON.stringify([
    props.series.map((one) => [one.label, one.colour, one.dashed, Boolean(one.interval)]),
    props.unit,
    props.stacked,
    props.height,
    isDark(),
    zone.value,
    language.value,
  ]);

  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    const made = new uPlot(options(current, element.clientWidth, cursor), rows(current.current), element);
    plot.current = made;
    const observer = new ResizeObserver(() => {
      const width = element.clientWidth;
      if (width > 0 && width !== made.width) made.setSize({ width, height: made.height });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [structure, cursor]);

  useEffect(() => {
    const made = plot.current;
    if (!made) return;
    made.setData(rows(props), false);
    made.setScale("x", { min: props.from, max: props.to });
    made.redraw(false);
  }, [props.times, props.series, props.from, props.to, props.thresholds, props.spans, props.marked]);

  const toggle = (label: string, index: number): void => {
    const next = new Set(hidden.value);
    if (!next.delete(label)) next.add(label);
    hidden.value = next;
    plot.current?.setSeries(index + 1, { show: !next.has(label) });
    const place = intervalsOf(props.series).findIndex((one) => one.label === label);
    if (place < 0) return;
    for (const end of [1, 2])
      plot.current?.setSeries(props.series.length + 2 * place + end, { show: !next.has(label) });
  };

  return (
    <figure class="chart" aria-label={props.title}>
      <figcaption class="chart-head">
        <h2>{props.title}</h2>
        <ChartTime cursor={cursor} times={props.times} />
        <span class="chart-actions">
          <button
            type="button"
            class="button icon-only"
            title={t("export.png")}
            aria-label={`${props.title}: ${t("export.png")}`}
            onClick={() => plot.current && exportPng(plot.current, props.title, palette())}
          >
            <Icon name="image" size={14} />
          </button>
          <button
            type="button"
            class="button icon-only"
            title={t("export.csv")}
            aria-label={`${props.title}: ${t("export.csv")}`}
            onClick={() => exportSeries(props)}
          >
            <Icon name="download" size={14} />
          </button>
        </span>
      </figcaption>
      <section
        class="chart-canvas"
        ref={frame}
        style={{ blockSize: `${props.height ?? HEIGHT}px` }}
        // The crosshair moves with the arrow keys.
        // biome-ignore lint/a11y/noNoninteractiveTabindex: keyboard access to the values
        tabIndex={0}
        aria-label={`${props.title}. ${summary(props)} ${t("chart.keys")}`}
        onKeyDown={(event) => onKey(event, plot.current, props.onPick)}
      />
      <Legend {...props} cursor={cursor} hidden={hidden} toggle={toggle} />
    </figure>
  );
}

/** The place of a chart whose query failed. */
export function FailedChart({ title, error, retry }: { title: string; error: unknown; retry: () => void }) {
  return (
    <figure class="chart" aria-label={title}>
      <figcaption class="chart-head">
        <h2>{title}</h2>
      </figcaption>
      <Failed error={error} retry={retry} />
    </figure>
  );
}

const HEIGHT = 160;

/** Return what the canvas shows, for screen readers: the newest values, the thresholds and the alerts. */
function summary({ series, unit, thresholds = [], spans = [] }: ChartProps): string {
  return [
    ...series.slice(0, SHOWN_IN_LEGEND).map(({ label, values }) => `${label}: ${quantity(lastOf(values), unit)}.`),
    ...thresholds.map(({ level, value }) =>
      t("chart.threshold", { level: levelText(level), value: quantity(value, unit) }),
    ),
    ...spans
      .slice(0, SHOWN_IN_LEGEND)
      .map(({ text, from }) => t("chart.alert", { alert: text, time: dateTime(from * 1000) })),
  ].join(" ");
}

function lastOf(values: readonly (number | null)[]): number | null {
  for (let index = values.length - 1; index >= 0; index--) if (values[index] !== null) return values[index] ?? null;
  return null;
}

function exportSeries({ title, times, series, unit }: ChartProps): void {
  const head = ["time", ...series.map(({ label }) => (unit ? `${label} (${unit})` : label))];
  exportCsv(title, [
    head,
    ...times.map((at, index) => [
      new Date(at * 1000).toISOString(),
      ...series.map(({ values }) => values[index] ?? ""),
    ]),
  ]);
}

function ChartTime({ cursor, times }: { cursor: Signal<number | null>; times: readonly number[] }) {
  const at = cursor.value === null ? undefined : times[cursor.value];
  return <span class="chart-time">{at === undefined ? "" : dateTime(at * 1000)}</span>;
}

interface LegendProps extends ChartProps {
  cursor: Signal<number | null>;
  hidden: Signal<ReadonlySet<string>>;
  toggle: (label: string, index: number) => void;
}

/** The series with their values under the crosshair, or their newest values. A click hides a series. */
function Legend({ series, unit, cursor, hidden, toggle }: LegendProps) {
  const [isAll, setAll] = useState(false);
  const shown = isAll ? series : series.slice(0, SHOWN_IN_LEGEND);
  const at = cursor.value;
  return (
    <ul class="legend">
      {shown.map(({ label, values, colour, dashed }, index) => (
        <li key={label}>
          <button type="button" aria-pressed={!hidden.value.has(label)} onClick={() => toggle(label, index)}>
            <span class="swatch" data-line={(colour ?? index) % COLOURS} data-dashed={dashed ? "" : undefined} />
            <span class="legend-label">{label}</span>
            <span class="legend-value">{quantity(at === null ? lastOf(values) : values[at], unit)}</span>
          </button>
        </li>
      ))}
      {series.length > shown.length && (
        <li>
          <button type="button" onClick={() => setAll(true)}>
            {t("chart.more", { count: series.length - shown.length })}
          </button>
        </li>
      )}
    </ul>
  );
}

function onKey(event: KeyboardEvent, plot: uPlot | null, onPick: ChartProps["onPick"]): void {
  const at = plot?.cursor.idx == null ? undefined : plot.data[0][plot.cursor.idx];
  if (event.key === "Enter" && onPick && at !== undefined) onPick(at);
  else moveCursor(event, plot);
}

function moveCursor(event: KeyboardEvent, plot: uPlot | null): void {
  if (!plot) return;
  const times = plot.data[0];
  const step = event.shiftKey ? 10 : 1;
  const index = plot.cursor.idx ?? times.length - 1;
  let next: number;
  if (event.key === "ArrowLeft") next = index - step;
  else if (event.key === "ArrowRight") next = index + step;
  else if (event.key === "Home") next = 0;
  else if (event.key === "End") next = times.length - 1;
  else if (event.key === "-") {
    zoomOut();
    return;
  } else if (event.key === "+") {
    const at = times[index] ?? 0;
    const quarter = ((plot.scales["x"]?.max ?? 0) - (plot.scales["x"]?.min ?? 0)) / 4;
    chooseAbsolute(at - quarter, at + quarter);
    return;
  } else return;
  event.preventDefault();
  const at = times[Math.max(0, Math.min(times.length - 1, next))];
  if (at === undefined) return;
  // The types lack the third parameter, with which the other charts follow.
  const setCursor = plot.setCursor as (to: { left: number; top: number }, fire: boolean, publish: boolean) => void;
  setCursor({ left: plot.valToPos(at, "x"), top: plot.over.clientHeight / 2 }, true, true);
}

function options(props: { current: ChartProps }, width: number, cursor: Signal<number | null>): uPlot.Options {
  const { series, unit, stacked, height } = props.current;
  const colours = palette();
  const font = `11px ${getComputedStyle(document.body).fontFamily}`;
  return {
    width: Math.max(width, 50),
    height: height ?? HEIGHT,
    legend: { show: false },
    padding: [8, 8, 0, 0],
    tzDate: (at) => (zone.peek() === "utc" ? uPlot.tzDate(new Date(at * 1000), "Etc/UTC") : new Date(at * 1000)),
    cursor: {
      sync: { key: SYNC, setSeries: false },
      drag: { x: true, y: false, setScale: false, dist: LEAST_DRAG },
      points: { size: 6 },
      bind: {
        dblclick: () => () => {
          zoomOut();
          return null;
        },
      },
    },
    scales: {
      x: { time: true, range: () => [props.current.from, props.current.to] },
      y: { range: (_, low, high) => scaleOf(props.current, low, high) },
    },
    axes: [
      {
        stroke: colours.text,
        font,
        grid: { stroke: colours.grid, width: 1 },
        ticks: { show: false },
        gap: 4,
        size: 24,
        space: 70,
        values: (_, splits, _axis, _space, spacing) => splits.map((at) => axisTime(at * 1000, spacing)),
      },
      {
        stroke: colours.text,
        font,
        grid: { stroke: colours.grid, width: 1 },
        ticks: { show: false },
        gap: 4,
        size: 62,
        space: 32,
        ...(unit.startsWith("bytes") ? { incrs: BINARY } : {}),
        values: (_, splits) => splits.map((value) => quantity(value, unit)),
      },
    ],
    series: [
      {},
      ...series.map(({ label, colour, dashed }, index) => {
        const number = (colour ?? index) % COLOURS;
        return {
          label,
          stroke: colours.lines[number] ?? "",
          width: 1.5,
          points: { show: false },
          ...(dashed ? { dash: [5, 4] } : {}),
          ...(stacked
            ? { fill: colours.fills[number] }
            : series.length === 1 && !dashed
              ? { fill: colours.pales[number] }
              : {}),
        };
      }),
      ...intervalsOf(series).flatMap(() => [INVISIBLE, INVISIBLE]),
    ],
    // Each band is filled down to the series below it, so that the colours do not mix.
    bands: stacked
      ? series.slice(1).map((_, index) => ({ series: [index + 2, index + 1] as [number, number] }))
      : intervalsOf(series).map(({ number }, index) => {
          const low = series.length + 1 + 2 * index;
          return { series: [low + 1, low] as [number, number], fill: colours.pales[number] ?? "" };
        }),
    hooks: {
      ready: [
        (plot) => {
          // uPlot stops the click that ends a drag.
          plot.over.addEventListener("click", () => {
            const at = plot.cursor.idx == null ? undefined : plot.data[0][plot.cursor.idx];
            if (at !== undefined) props.current.onPick?.(at);
          });
        },
      ],
      setCursor: [
        (plot) => {
          cursor.value = plot.cursor.left !== undefined && plot.cursor.left >= 0 ? (plot.cursor.idx ?? null) : null;
        },
      ],
      setSelect: [
        (plot) => {
          if (plot.select.width < LEAST_DRAG) return;
          chooseAbsolute(
            plot.posToVal(plot.select.left, "x"),
            plot.posToVal(plot.select.left + plot.select.width, "x"),
          );
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
      drawClear: [(plot) => drawSpans(plot, props.current.spans ?? [], colours.levels)],
      draw: [
        (plot) => drawThresholds(plot, props.current.thresholds ?? [], colours.levels),
        (plot) => drawMark(plot, props.current.marked ?? null, colours.text),
      ],
    },
  };
}

/** The ends of an interval, between which a band is filled. */
const INVISIBLE: uPlot.Series = { width: 0, points: { show: false } };

/** Distances of the axis of bytes. */
const BINARY = Array.from({ length: 50 }, (_, index) => 2 ** index);

/** Return the ends of the scale: from 0, and with the thresholds if the values are near them. */
function scaleOf({ top, thresholds = [] }: ChartProps, low: number | null, high: number | null): [number, number] {
  const most = high ?? 0;
  const least = Math.min(low ?? 0, 0);
  const near = thresholds.map(({ value }) => value).filter((value) => most > value * 0.6);
  const end = Math.max(most * 1.08, top ?? 0, ...near.map((value) => value * 1.05));
  return [least * 1.08, end > least ? end : least + 1];
}

function drawSpans(plot: uPlot, spans: readonly Span[], colours: Record<Level, string>): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const { from, to, level } of spans) {
    const left = plot.valToPos(from, "x", true);
    const width = Math.max(plot.valToPos(to, "x", true) - left, 2 * devicePixelRatio);
    ctx.fillStyle = colours[level];
    ctx.globalAlpha = 0.07;
    ctx.fillRect(left, bbox.top, width, bbox.height);
    ctx.globalAlpha = 1;
    ctx.fillRect(left, bbox.top, width, 3 * devicePixelRatio);
  }
  ctx.restore();
}

function drawThresholds(plot: uPlot, thresholds: readonly Threshold[], colours: Record<Level, string>): void {
  const { ctx, bbox } = plot;
  const most = plot.scales["y"]?.max ?? 0;
  ctx.save();
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
  for (const { value, level } of thresholds) {
    if (value > most) continue;
    const top = Math.round(plot.valToPos(value, "y", true));
    ctx.strokeStyle = colours[level];
    ctx.beginPath();
    ctx.moveTo(bbox.left, top);
    ctx.lineTo(bbox.left + bbox.width, top);
    ctx.stroke();
  }
  ctx.restore();
}

function drawMark(plot: uPlot, at: number | null, colour: string): void {
  const left = at === null ? -1 : Math.round(plot.valToPos(at, "x", true));
  const { ctx, bbox } = plot;
  if (left < bbox.left || left > bbox.left + bbox.width) return;
  ctx.save();
  ctx.lineWidth = devicePixelRatio;
  ctx.strokeStyle = colour;
  ctx.beginPath();
  ctx.moveTo(left, bbox.top);
  ctx.lineTo(left, bbox.top + bbox.height);
  ctx.stroke();
  ctx.restore();
}

interface SparkProps {
  values: readonly (number | null)[];
  label: string;
}

/** A small line without axes. */
export function Spark({ values, label }: SparkProps) {
  const points = useMemo(() => {
    const known = values.filter((value) => value !== null);
    const most = Math.max(...known, 1e-9);
    const width = Math.max(values.length - 1, 1);
    return values
      .flatMap((value, index) => (value === null ? [] : [`${(100 * index) / width},${20 - (19 * value) / most}`]))
      .join(" ");
  }, [values]);
  return (
    <svg class="spark" viewBox="0 0 100 20" preserveAspectRatio="none" role="img" aria-label={label}>
      <polyline points={points} />
    </svg>
  );
}
