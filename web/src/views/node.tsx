// A node: its state, charts of all resources, filesystems, processes, alerts and events.
import { useMemo, useState } from "preact/hooks";
import { ApiError } from "../api/client";
import { interval } from "../api/live";
import type { Columns } from "../api/prometheus";
import type { Alert } from "../api/types";
import { Chart, FailedChart, type Series, type Span, type Threshold } from "../components/chart";
import { Icon } from "../components/icon";
import { Meter } from "../components/meter";
import { AlertBadges, LevelBadge, LevelIcon, levelOfSeverity, rankOf } from "../components/severity";
import { Failed, Loading, Message, Show } from "../components/states";
import { type Column, type Sorting, Table } from "../components/table";
import { t } from "../i18n";
import { dateTime, duration, quantity } from "../i18n/format";
import { type Node, nodes, nodesError, refreshNodes } from "../state/nodes";
import { useResource } from "../state/resource";
import { link, parameter, setQuery } from "../state/router";
import { currentRange, rangeKey, relative, stepOf, type TimeRange } from "../state/time_range";
import {
  about,
  type ChartKey,
  errorOf,
  type Filesystem,
  type Firing,
  type Forecast,
  firings,
  type Limit,
  limitsOf,
  type NodeData,
  named,
  type Process,
  readDetails,
  readForecasts,
  readLimits,
  readNode,
  type Subject,
  valueAt,
} from "./node_queries";
import type { ViewProps } from "./registry";

const DETAILS = 15_000;
const FORECASTS = 300_000;
const LEAST_REFRESH = 10_000;
const MOST_REFRESH = 300_000;

export default function NodeView({ parameters }: ViewProps) {
  const name = parameters["node"] ?? "";
  const node = nodes.value?.find((one) => one.node === name) ?? null;
  const range = currentRange();
  const step = stepOf(range, interval.value);
  const refresh = relative.value ? Math.min(Math.max(step * 1000, LEAST_REFRESH), MOST_REFRESH) : 0;
  const charts = useResource(
    `${name} ${rangeKey.value}`,
    (signal) => readNode(name, currentRange(), step, interval.peek(), signal),
    { refresh, keep: true },
  );
  const at = chosenTime(range);
  const details = useResource(`details ${name} ${at}`, (signal) => readDetails(name, signal, at ?? undefined), {
    refresh: at === null ? DETAILS : 0,
    keep: true,
  });
  const limits = useResource("limits", readLimits);
  const ahead = relative.value ? FORECAST_PART * (range.to - range.from) : 0;
  const forecasts = useResource(
    `forecast ${name} ${rangeKey.value}`,
    async (signal) => (ahead > 0 ? readForecasts(name, ahead, signal) : []),
    { refresh: FORECASTS },
  );
  if (nodes.value === null)
    return nodesError.value === null ? (
      <Loading height="24rem" />
    ) : (
      <Failed error={nodesError.value} retry={() => void refreshNodes()} />
    );
  const hasData =
    charts.data && !(charts.data.columns.load1 instanceof ApiError) && charts.data.columns.load1.series.length > 0;
  if (node === null && charts.data && !hasData)
    return (
      <Message icon="unknown" title={t("node.unknown", { node: name })}>
        <p>{t("node.unknown.text")}</p>
        <a class="button" href={link("/")}>
          {t("fleet.title")}
        </a>
      </Message>
    );
  return (
    <>
      {node && <Summary node={node} cores={details.data?.cores ?? 0} />}
      {node?.level === "down" && (
        <div class="notice" role="status">
          <Icon name="offline" />
          {t("node.down")}
        </div>
      )}
      {node && <Alerts alerts={node.alerts} />}
      <Show of={charts} height="40rem">
        {(data) => (
          <Charts
            data={data}
            limits={limits.data ?? []}
            own={{ node: name, pool: node?.pool ?? "" }}
            retry={charts.reload}
            cores={details.data?.cores ?? 0}
            forecasts={forecasts.data ?? []}
            at={at}
          />
        )}
      </Show>
      <Show of={details} height="16rem">
        {({ filesystems, processes }) => (
          <>
            <Filesystems rows={filesystems} />
            <Processes rows={processes} at={at} />
          </>
        )}
      </Show>
      {charts.data && <Events data={charts.data} />}
    </>
  );
}

/** Return the time whose processes the view shows: the chosen one, the end of an absolute range, or null for now. */
function chosenTime({ from, to }: TimeRange): number | null {
  const chosen = Number(parameter("at"));
  if (chosen >= from && chosen <= to) return chosen;
  return relative.value ? null : to;
}

function Summary({ node, cores }: { node: Node; cores: number }) {
  const { values } = node;
  const up = node.boot_time ? (Date.now() - Date.parse(node.boot_time)) / 1000 : null;
  const facts: [title: string, text: string][] = [
    [t("node.pool"), node.pool],
    [t("node.system"), node.operating_system],
    [t("node.kernel"), `${node.kernel} ${node.architecture}`.trim()],
    [t("node.cores"), cores ? String(cores) : ""],
    [t("node.boot"), up === null ? "" : duration(up)],
    [t("node.seen"), node.level === "down" ? dateTime(Date.parse(node.last_seen)) : ""],
  ];
  return (
    <section class="card summary">
      <div class="summary-head">
        <LevelBadge level={node.level} />
        <dl class="facts">
          {facts
            .filter(([, text]) => text)
            .map(([title, text]) => (
              <div key={title}>
                <dt>{title}</dt>
                <dd>{text}</dd>
              </div>
            ))}
        </dl>
        <a class="button small" href={link("/compare", { nodes: node.node })}>
          <Icon name="compare" size={14} />
          {t("node.compare")}
        </a>
      </div>
      {!relative.value && <p class="hint">{t("node.present")}</p>}
      <dl class="figures" data-live="">
        <Figure title={t("measure.cpu")} value={values.cpu} unit="percent" />
        <Figure title={t("measure.memory")} value={values.memory} unit="percent" />
        <Figure title={t("measure.load")} value={values.load} unit="" />
        <Figure title={t("measure.disk")} value={values.disk} unit="percent" />
        <Figure title={t("measure.receive")} value={values.receive} unit="bytes/second" />
        <Figure title={t("measure.transmit")} value={values.transmit} unit="bytes/second" />
      </dl>
    </section>
  );
}

function Figure({ title, value, unit }: { title: string; value: number | null; unit: string }) {
  return (
    <div class="figure">
      <dt>{title}</dt>
      <dd>{quantity(value, unit)}</dd>
    </div>
  );
}

const SHOWN_ALERTS = 4;

function Alerts({ alerts }: { alerts: readonly Alert[] }) {
  const [isAll, setAll] = useState(false);
  if (alerts.length === 0) return null;
  const ordered = [...alerts].sort((one, other) => rank(one) - rank(other));
  return (
    <section class="stack" aria-label={t("alert.title")}>
      <ul class="alerts">
        {(isAll ? ordered : ordered.slice(0, SHOWN_ALERTS)).map((alert) => (
          <AlertRow key={JSON.stringify(alert.labels)} alert={alert} />
        ))}
      </ul>
      {!isAll && ordered.length > SHOWN_ALERTS && (
        <button type="button" class="button small more" onClick={() => setAll(true)}>
          {t("chart.more", { count: ordered.length - SHOWN_ALERTS })}
        </button>
      )}
    </section>
  );
}

const rank = ({ state, labels }: Alert): number => rankOf({ state, severity: labels["severity"] });

function AlertRow({ alert }: { alert: Alert }) {
  const { summary = "", description = "", action = "" } = alert.annotations;
  const severity = alert.labels["severity"];
  return (
    <li class="alert" data-level={levelOfSeverity(severity)} data-state={alert.state}>
      <LevelIcon level={levelOfSeverity(severity)} />
      <details>
        <summary>
          <strong>{summary || alert.labels["alertname"]}</strong>
          <span class="muted">
            <AlertBadges state={alert.state} severity={severity} />{" "}
            {t("alert.since", { time: dateTime(Date.parse(alert.activeAt)) })}
          </span>
        </summary>
        <p>{description}</p>
        {action && <p class="muted">{action}</p>}
        <p>
          <a
            class="button small"
            href={link("/alerts", { search: `${alert.labels["alertname"]} ${alert.labels["node"]}` })}
          >
            <Icon name="alerts" size={14} />
            {t("alert.open")}
          </a>
        </p>
      </details>
    </li>
  );
}

const MODES = ["user", "system", "iowait", "irq", "softirq", "steal", "nice"];

interface ChartsProps {
  data: NodeData;
  limits: readonly Limit[];
  /** The labels of the node, which select its thresholds. */
  own: { node: string; pool: string };
  retry: () => void;
  cores: number;
  /** None: the chart of filesystems has no forecast. */
  forecasts: readonly Forecast[];
  /** The time that the charts mark; null: none. */
  at: number | null;
}

function Charts({ data, limits, own, retry, cores, forecasts, at }: ChartsProps) {
  const { columns, range } = data;
  const made = useMemo(() => seriesOf(data, forecasts), [data, forecasts]);
  const firing = useMemo(() => firings(columns.firing), [columns]);
  const common = { from: range.from, to: range.to };
  const chart = (
    title: string,
    unit: string,
    series: Series[],
    options: {
      subject?: Subject;
      stacked?: boolean;
      top?: number;
      thresholds?: readonly Threshold[];
      to?: number;
      times?: readonly number[];
    },
    ...read: readonly ChartKey[]
  ) => {
    const error = errorOf(...read.map((key) => columns[key]));
    if (error) return <FailedChart key={title} title={title} error={error} retry={retry} />;
    if (series.length === 0) return null;
    const { subject, ...rest } = options;
    const spans: Span[] = subject ? about(firing, subject) : [];
    return (
      <Chart
        key={title}
        title={title}
        unit={unit}
        times={timesOf(columns.load1, columns.modes)}
        series={series}
        spans={spans}
        marked={at}
        onPick={(time) => setQuery({ at: String(Math.round(time)) })}
        {...common}
        {...rest}
      />
    );
  };
  const limit = (recorded: string, measure: string): Threshold[] =>
    limitsOf(limits, [`metricat:node_${recorded}`, measure], own);
  const scaled = (found: readonly Threshold[], factor: number): Threshold[] =>
    factor > 0 ? found.map((one) => ({ ...one, value: one.value * factor })) : [];
  const memory = made.memory.reduce((sum, { values }) => sum + (values.findLast((value) => value !== null) ?? 0), 0);
  const charts = [
    chart(
      t("measure.modes"),
      "percent",
      made.modes,
      { stacked: true, top: 100, subject: "cpu", thresholds: limit("cpu_usage:percent", "CPU usage") },
      "modes",
    ),
    chart(
      t("measure.memory"),
      "bytes",
      made.memory,
      {
        stacked: true,
        subject: "memory",
        thresholds: scaled(limit("memory_usage:percent", "memory usage"), memory / 100),
      },
      "used",
      "buffers",
      "cached",
      "free",
    ),
    chart(
      t("measure.load"),
      "",
      made.load,
      {
        subject: "load",
        thresholds: [...scaled(limit("load1_per_cpu:ratio", ""), cores), ...limit("load1", "load 1")],
      },
      "load1",
      "load5",
      "load15",
    ),
    chart(t("measure.cores"), "percent", made.cores, { top: 100, subject: "cpu" }, "cores"),
    chart(t("measure.network"), "bytes/second", made.network, { subject: "network" }, "receive", "transmit"),
    chart(t("measure.disk.io"), "bytes/second", made.disks, { subject: "disk" }, "read", "written"),
    chart(
      t("measure.disk.util"),
      "percent",
      made.util,
      { top: 100, subject: "disk", thresholds: limit("disk_io_util:percent", "disk utilization") },
      "util",
    ),
    chart(
      t("measure.disk"),
      "percent",
      made.filesystems.series,
      {
        top: 100,
        subject: "filesystem",
        thresholds: limit("filesystem_usage:percent", "filesystem usage"),
        times: made.filesystems.times,
        to: made.filesystems.to,
      },
      "filesystems",
    ),
    chart(
      t("measure.pressure"),
      "percent",
      made.pressure,
      { subject: "pressure", thresholds: limit("pressure_cpu_waiting:percent", "") },
      "pressureCpu",
      "pressureMemory",
      "pressureIo",
    ),
    chart(t("measure.temperature"), "celsius", made.temperature, { subject: "temperature" }, "temperature"),
    chart(t("measure.swap"), "bytes", made.swap, { subject: "memory" }, "swap"),
  ].filter((one) => one !== null);
  if (charts.length === 0) return <Message icon="info" title={t("chart.empty")} />;
  return <div class="charts">{charts}</div>;
}

function timesOf(...columns: (Columns | ApiError)[]): readonly number[] {
  return columns.find((one): one is Columns => !(one instanceof ApiError))?.times ?? [];
}

function seriesOf({ columns, range }: NodeData, forecasts: readonly Forecast[]) {
  const one = (key: keyof typeof columns, label: string): Series[] => named(columns[key], () => label);
  const device = (labels: Record<string, string>): string => labels["device"] ?? "";
  const modes = named(columns.modes, (labels) => labels["mode"] ?? "").sort(
    (a, b) => MODES.indexOf(a.label) - MODES.indexOf(b.label),
  );
  const swap = one("swap", t("measure.swap"));
  return {
    modes,
    cores: named(columns.cores, (labels) => `CPU ${labels["cpu"]}`),
    load: [...one("load1", "1 min"), ...one("load5", "5 min"), ...one("load15", "15 min")],
    memory: [
      ...one("used", t("memory.used")),
      ...one("buffers", t("memory.buffers")),
      ...one("cached", t("memory.cached")),
      ...one("free", t("memory.free")).map((free) => ({ ...free, colour: 9 })),
    ],
    network: [
      ...named(columns.receive, (labels) => `${device(labels)} ↓`),
      ...named(columns.transmit, (labels) => `${device(labels)} ↑`),
    ],
    disks: [
      ...named(columns.read, (labels) => `${device(labels)} ${t("disk.read")}`),
      ...named(columns.written, (labels) => `${device(labels)} ${t("disk.written")}`),
    ].filter(isUsed),
    util: named(columns.util, device).filter(isUsed),
    filesystems: withForecast(
      named(onePerDevice(columns.filesystems), (labels) => labels["mountpoint"] ?? ""),
      timesOf(columns.filesystems),
      range.to,
      forecasts,
    ),
    pressure: [
      ...one("pressureCpu", "CPU"),
      ...one("pressureMemory", t("measure.memory")),
      ...one("pressureIo", "I/O"),
    ],
    temperature: named(columns.temperature, ({ chip, sensor, type, zone }) =>
      [chip, sensor, type, zone].filter(Boolean).join(" "),
    ),
    swap: swap.filter(isUsed),
  };
}

/** Return whether a series has a value other than 0. */
const isUsed = ({ values }: Series): boolean => values.some((value) => value !== null && value > 0);

/** The part of a range ahead of now for which the chart shows a forecast. */
const FORECAST_PART = 0.25;
/** Percent. A forecast that grows less is not shown: it would repeat the line. */
const LEAST_GROWTH = 0.5;

/** Add a quarter of the range, with the hub's forecast as a dashed line in its interval. */
function withForecast(
  series: Series[],
  times: readonly number[],
  end: number,
  forecasts: readonly Forecast[],
): { series: Series[]; times: readonly number[]; to: number } {
  const unchanged = { series, times, to: end };
  const last = times.at(-1) ?? 0;
  const step = last - (times.at(-2) ?? last);
  if (step === 0 || Date.now() / 1000 - last > 3 * step) return unchanged;
  const ahead = Math.ceil(times.length * FORECAST_PART);
  const future = Array.from({ length: ahead }, (_, index) => last + (index + 1) * step);
  const predicted = series.flatMap((one, index) => {
    const own = forecasts.find(({ mount }) => mount === one.label);
    if (!own || Math.abs(valueAt(own, "value", future.at(-1) ?? 0) - own.now) < LEAST_GROWTH) return [];
    const line = (key: "value" | "low" | "high"): (number | null)[] => [
      ...new Array<null>(times.length - 1).fill(null),
      ...[last, ...future].map((at) => Math.min(100, Math.max(0, valueAt(own, key, at)))),
    ];
    return [
      {
        label: t("chart.forecast", { name: one.label }),
        colour: index,
        dashed: true,
        values: line("value"),
        interval: { low: line("low"), high: line("high") },
      },
    ];
  });
  if (predicted.length === 0) return unchanged;
  const padded = series.map((one) => ({ ...one, values: [...one.values, ...future.map(() => null)] }));
  return { series: [...padded, ...predicted], times: [...times, ...future], to: future.at(-1) ?? end };
}

function MountPoint({ row }: { row: Filesystem }) {
  return (
    <span title={[row.mount, ...row.others].join("\n")}>
      {row.mount} {row.others.length > 0 && <span class="muted">+{row.others.length}</span>}
    </span>
  );
}

/** Return the series of one mount point for each device: bind mounts repeat its values. */
function onePerDevice(columns: Columns | ApiError): Columns | ApiError {
  if (columns instanceof ApiError) return columns;
  const mount = (labels: Record<string, string>): string => labels["mountpoint"] ?? "";
  const shortest = new Map<string, string>();
  for (const { labels } of columns.series) {
    const device = labels["device"] ?? "";
    const before = shortest.get(device);
    if (before === undefined || mount(labels).length < before.length) shortest.set(device, mount(labels));
  }
  const isFirst = (labels: Record<string, string>): boolean =>
    !labels["device"]?.startsWith("/") || shortest.get(labels["device"]) === mount(labels);
  return { ...columns, series: columns.series.filter(({ labels }) => isFirst(labels)) };
}

const SOON = 30 * 86_400;

function Filesystems({ rows }: { rows: readonly Filesystem[] }) {
  const [sorting, setSorting] = useState<Sorting>({ key: "used", descending: true });
  if (rows.length === 0) return null;
  const columns: Column<Filesystem>[] = [
    { key: "mount", title: t("fs.mount"), sort: (row) => row.mount, cell: (row) => <MountPoint row={row} /> },
    {
      key: "device",
      title: t("fs.device"),
      wide: true,
      sort: (row) => row.device,
      cell: (row) => `${row.device} ${row.type}`,
    },
    {
      key: "used",
      title: t("fs.used"),
      numeric: true,
      sort: (row) => row.used,
      cell: (row) => <Meter value={row.used} />,
    },
    {
      key: "free",
      title: t("fs.free"),
      numeric: true,
      sort: (row) => row.free,
      cell: (row) => quantity(row.free, "bytes"),
    },
    {
      key: "size",
      title: t("fs.size"),
      numeric: true,
      wide: true,
      sort: (row) => row.size,
      cell: (row) => quantity(row.size, "bytes"),
    },
    {
      key: "full",
      title: t("fs.full"),
      numeric: true,
      sort: (row) => row.full,
      cell: (row) =>
        row.full !== null && row.full < SOON ? duration(row.full) : <span class="muted">{t("fs.full.never")}</span>,
    },
  ];
  return (
    <section class="stack">
      <h2>{t("measure.disk")}</h2>
      <Table
        label={t("measure.disk")}
        columns={columns}
        rows={rows}
        rowKey={(row) => `${row.device} ${row.mount}`}
        sorting={sorting}
        onSort={setSorting}
      />
    </section>
  );
}

export function processColumns(withNode: boolean): Column<Process>[] {
  return [
    {
      key: "name",
      title: t("process.name"),
      sort: (row) => row.name,
      cell: (row) => <span class="mono cell-broken">{row.name}</span>,
    },
    ...(withNode
      ? [
          {
            key: "node",
            title: t("process.node"),
            sort: (row: Process) => row.node,
            cell: (row: Process) => <a href={link(`/nodes/${encodeURIComponent(row.node)}`)}>{row.node}</a>,
          },
        ]
      : []),
    { key: "pod", title: t("process.pod"), wide: true, sort: (row) => row.pod, cell: (row) => row.pod },
    {
      key: "pid",
      title: t("process.pid"),
      numeric: true,
      wide: true,
      sort: (row) => Number(row.pid),
      cell: (row) => row.pid,
    },
    {
      key: "cpu",
      title: t("process.cpu"),
      numeric: true,
      sort: (row) => row.cpu,
      cell: (row) => quantity(100 * row.cpu, "percent"),
    },
    {
      key: "memory",
      title: t("process.memory"),
      numeric: true,
      sort: (row) => row.memory,
      cell: (row) => quantity(row.memory, "bytes"),
    },
    {
      key: "threads",
      title: t("process.threads"),
      numeric: true,
      wide: true,
      sort: (row) => row.threads,
      cell: (row) => quantity(row.threads, ""),
    },
  ];
}

function Processes({ rows, at }: { rows: readonly Process[]; at: number | null }) {
  const [sorting, setSorting] = useState<Sorting>({ key: "cpu", descending: true });
  return (
    <section class="stack">
      <div class="section-head">
        <h2>{at === null ? t("process.top") : t("process.at", { time: dateTime(at * 1000) })}</h2>
        {at === null ? (
          <span class="hint">{t("process.at.hint")}</span>
        ) : (
          <button type="button" class="button small" onClick={showPresent}>
            {t("process.at.remove")}
          </button>
        )}
      </div>
      <Table
        label={t("process.top")}
        columns={processColumns(false)}
        rows={rows}
        rowKey={(row) => `${row.pid} ${row.name}`}
        sorting={sorting}
        onSort={setSorting}
        empty={t("process.none")}
      />
    </section>
  );
}

function showPresent(): void {
  setQuery({ at: null, ...(relative.value ? {} : { from: null, to: null }) });
}

interface Event {
  at: number;
  level: "critical" | "warning" | "ok";
  text: string;
}

function Events({ data }: { data: NodeData }) {
  const events = useMemo(() => eventsOf(data), [data]);
  return (
    <section class="stack">
      <h2>{t("node.events")}</h2>
      {events.length === 0 ? (
        <p class="card muted">{t("node.events.none")}</p>
      ) : (
        <ol class="card events">
          {events.map((event) => (
            <li key={`${event.at} ${event.text}`}>
              <LevelIcon level={event.level} />
              <time dateTime={new Date(event.at * 1000).toISOString()}>{dateTime(event.at * 1000)}</time>
              <span>{event.text}</span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}

const MOST_EVENTS = 50;

/** Return boots, kills by the kernel and alerts of the range, the newest first. */
function eventsOf({ columns, range }: NodeData): Event[] {
  const found: Event[] = firings(columns.firing).map((one: Firing) => ({
    at: one.from,
    level: one.level === "critical" ? "critical" : "warning",
    text: `${
      one.isOpen
        ? t("node.event.alert.now", { alert: one.alert })
        : t("node.event.alert", { alert: one.alert, time: duration(one.to - one.from) })
    }${one.resource ? ` (${one.resource})` : ""}`,
  }));
  const boots = columns.boot instanceof ApiError ? [] : (columns.boot.series[0]?.values ?? []);
  for (const at of new Set(boots.filter((value) => value !== null)))
    if (at >= range.from && at <= range.to) found.push({ at, level: "ok", text: t("node.event.boot") });
  if (!(columns.oom instanceof ApiError))
    for (const [index, value] of (columns.oom.series[0]?.values ?? []).entries())
      if (value !== null && value >= 1)
        found.push({
          at: columns.oom.times[index] ?? 0,
          level: "critical",
          text: t("node.event.oom", { count: Math.round(value) }),
        });
  return found.sort((one, other) => other.at - one.at).slice(0, MOST_EVENTS);
}
