// The fleet: every node as a tile, and a table.
import type { JSX } from "preact";
import { useMemo, useRef, useState } from "preact/hooks";
import { interval, lastRound } from "../api/live";
import { exportCsv } from "../components/export";
import { Select } from "../components/form";
import { Icon } from "../components/icon";
import { Meter } from "../components/meter";
import { LEVELS, type Level, LevelBadge, LevelIcon, levelText } from "../components/severity";
import { Failed, Loading, Message, Stale } from "../components/states";
import { type Column, type Sorting, Table } from "../components/table";
import { type Key, t } from "../i18n";
import { quantity, time } from "../i18n/format";
import { isStale, type Node, nodes, nodesAt, nodesError, refreshNodes } from "../state/nodes";
import { language } from "../state/preferences";
import { link, navigate, parameter, setQuery } from "../state/router";
import { rangeKey } from "../state/time_range";

const COLOURINGS = ["state", "cpu", "memory", "disk"] as const;
type Colouring = (typeof COLOURINGS)[number];

export default function Fleet() {
  const all = nodes.value;
  if (all === null)
    return nodesError.value === null ? (
      <Loading height="24rem" />
    ) : (
      <Failed error={nodesError.value} retry={() => void refreshNodes()} />
    );
  if (all.length === 0)
    return (
      <Message icon="fleet" title={t("fleet.empty")}>
        <p>{t("fleet.empty.text")}</p>
        <code>metricat-agent --push.url={window.location.origin} --push.token-file=FILE</code>
      </Message>
    );
  return <Nodes all={all} />;
}

function Nodes({ all }: { all: readonly Node[] }) {
  const search = parameter("search");
  const pool = parameter("pool");
  const level = parameter("state");
  const label = parameter("label");
  const colouring = COLOURINGS.find((one) => one === parameter("colour")) ?? "state";
  const shown = useMemo(() => filtered(all, { search, pool, level, label }), [all, search, pool, level, label]);
  const pools = [...new Set(all.map((node) => node.pool))].sort();
  const [isChoosing, setChoosing] = useState(false);
  const hasFilter = Boolean(search || pool || level || label);
  return (
    <>
      {nodesError.value !== null && (
        <Stale at={nodesAt.value} error={nodesError.value} retry={() => void refreshNodes()} />
      )}
      {nodesError.value === null && isStale(Date.now(), interval.value) && (
        <div class="notice" role="status">
          <Icon name="warning" />
          {t("fleet.stale", { time: time(lastRound.value) })}
        </div>
      )}
      <Counts all={all} chosen={level} />
      <search class="toolbar">
        <input
          class="input search"
          type="search"
          value={search}
          placeholder={t("filter.search")}
          aria-label={t("filter.search")}
          onInput={(event) => setQuery({ search: event.currentTarget.value })}
        />
        <Select
          label={t("filter.pool")}
          hideLabel
          value={pool}
          options={[["", `${t("filter.pool")}: ${t("filter.all")}`], ...pools.map((one) => [one, one || "–"] as const)]}
          onChange={(value) => setQuery({ pool: value })}
        />
        <input
          class="input"
          value={label}
          list="labels"
          placeholder={`${t("filter.label")}, ${t("filter.label.hint")}`}
          aria-label={t("filter.label")}
          onFocus={() => setChoosing(true)}
          onBlur={() => setChoosing(false)}
          onInput={(event) => setQuery({ label: event.currentTarget.value })}
        />
        {isChoosing && <Labels all={all} />}
        <Select
          label={t("fleet.colour")}
          hideLabel
          value={colouring}
          options={COLOURINGS.map((one) => [
            one,
            `${t("fleet.colour")}: ${t(one === "state" ? "fleet.by.state" : `measure.${one}`)}`,
          ])}
          onChange={(value) => setQuery({ colour: value === "state" ? null : value })}
        />
        <span class="muted" role="status">
          {t("fleet.count", { shown: shown.length, all: all.length })}
        </span>
        {hasFilter && (
          <button
            type="button"
            class="button small"
            onClick={() => setQuery({ search: null, pool: null, state: null, label: null })}
          >
            {t("filter.clear")}
          </button>
        )}
      </search>
      {shown.length === 0 ? (
        <Message icon="filter" title={t("filter.none")} />
      ) : (
        <>
          <Tiles nodes={shown} colouring={colouring} />
          <NodeTable nodes={shown} />
        </>
      )}
    </>
  );
}

interface Filters {
  search: string;
  pool: string;
  level: string;
  label: string;
}

/** Return the nodes that match all filters. A label is `name=value` or a part of a value. */
function filtered(all: readonly Node[], { search, pool, level, label }: Filters): readonly Node[] {
  const text = search.toLowerCase();
  const [name = "", value] = label.split("=", 2);
  return all.filter((node) => {
    if (pool && node.pool !== pool) return false;
    if (level && node.level !== level) return false;
    if (
      text &&
      ![node.node, node.pool, node.operating_system, node.kernel].some((one) => one.toLowerCase().includes(text))
    )
      return false;
    if (!label) return true;
    return value === undefined
      ? Object.entries(node.labels).some(([one, found]) => one.includes(name) || found.includes(name))
      : (node.labels[name] ?? "").startsWith(value);
  });
}

/** How many nodes have each state; a click filters. */
function Counts({ all, chosen }: { all: readonly Node[]; chosen: string }) {
  const counts = new Map<Level, number>();
  for (const node of all) counts.set(node.level, (counts.get(node.level) ?? 0) + 1);
  return (
    <ul class="counts">
      {LEVELS.filter((level) => counts.has(level) || level === chosen || level === "ok").map((level) => (
        <li key={level}>
          <button
            type="button"
            class="count"
            data-level={level}
            aria-pressed={chosen === level}
            onClick={() => setQuery({ state: chosen === level ? null : level })}
          >
            <LevelIcon level={level} />
            <strong>{counts.get(level) ?? 0}</strong>
            <span>{levelText(level)}</span>
          </button>
        </li>
      ))}
    </ul>
  );
}

/** The labels of all nodes as completions of the filter. */
function Labels({ all }: { all: readonly Node[] }) {
  const pairs = new Set(all.flatMap((node) => Object.entries(node.labels).map(([name, value]) => `${name}=${value}`)));
  return (
    <datalist id="labels">
      {[...pairs]
        .filter((pair) => !/^(instance|node|__name__)=/.test(pair))
        .sort()
        .slice(0, 200)
        .map((pair) => (
          <option key={pair} value={pair} />
        ))}
    </datalist>
  );
}

const STEPS: Record<string, (tiles: HTMLElement[], index: number) => number> = {
  ArrowRight: (_, index) => index + 1,
  ArrowLeft: (_, index) => index - 1,
  ArrowDown: (tiles, index) => index + perRow(tiles),
  ArrowUp: (tiles, index) => index - perRow(tiles),
  Home: () => 0,
  End: (tiles) => tiles.length - 1,
};

function perRow(tiles: HTMLElement[]): number {
  const top = tiles[0]?.offsetTop;
  const next = tiles.findIndex((tile) => tile.offsetTop !== top);
  return next < 0 ? tiles.length : next;
}

/** Every node as a tile, the worst first. The tiles are one stop of the tab key; the arrow keys move between them. */
function Tiles({ nodes: shown, colouring }: { nodes: readonly Node[]; colouring: Colouring }) {
  const list = useRef<HTMLUListElement>(null);
  const ordered = useMemo(
    () =>
      // Stable: within a state, the nodes remain in the order of their names.
      [...shown].sort((one, other) => LEVELS.indexOf(one.level) - LEVELS.indexOf(other.level)),
    [shown],
  );
  const size = shown.length > 300 ? "small" : shown.length > 60 ? "medium" : "large";
  const move = (event: KeyboardEvent): void => {
    const step = STEPS[event.key];
    if (!step || !list.current) return;
    event.preventDefault();
    const tiles = [...list.current.querySelectorAll("a")];
    const index = tiles.indexOf(document.activeElement as HTMLAnchorElement);
    tiles[Math.max(0, Math.min(tiles.length - 1, step(tiles, index)))]?.focus();
  };
  return (
    <ul class="tiles" data-size={size} ref={list} aria-label={t("fleet.tiles")} onKeyDown={move}>
      {ordered.map((node, index) => tile({ node, colouring, size, isFirst: index === 0 }))}
    </ul>
  );
}

interface TileProps {
  node: Node;
  colouring: Colouring;
  size: "small" | "medium" | "large";
  isFirst: boolean;
}

const drawn = new Map<string, { seen: string; element: JSX.Element }>();

/** Return the element of a tile: the same as before if nothing that it shows changed, so that it is not drawn again. */
function tile(props: TileProps): JSX.Element {
  const { node, colouring, size, isFirst } = props;
  const { cpu, memory, disk } = node.values;
  const shown =
    size === "small" ? [colouring === "state" ? null : heatOf(node.values[colouring])] : [cpu, memory, disk];
  const seen = JSON.stringify([node.level, colouring, size, isFirst, language.value, rangeKey.value, ...shown]);
  const before = drawn.get(node.node);
  if (before?.seen === seen) return before.element;
  const element = drawTile(props);
  drawn.set(node.node, { seen, element });
  return element;
}

const heatOf = (value: number | null): number | undefined =>
  value === null ? undefined : Math.min(9, Math.max(0, Math.floor(value / 10)));

/** A function and not a component: an instance for each of 1,000 tiles takes as long as its elements. */
function drawTile({ node, colouring, size, isFirst }: TileProps): JSX.Element {
  const { level, values } = node;
  const value = colouring === "state" ? null : values[colouring];
  const heat = heatOf(value);
  // The label of a small tile has no values, so that most rounds do not change it.
  const text =
    size === "small"
      ? `${node.node}: ${levelText(level)}`
      : `${node.node}: ${levelText(level)}. ${t("measure.cpu")} ${quantity(values.cpu, "percent")}, ${t("measure.memory")} ${quantity(values.memory, "percent")}`;
  return (
    <li key={node.node}>
      <a
        class="tile"
        href={link(`/nodes/${encodeURIComponent(node.node)}`)}
        data-level={level}
        data-heat={heat}
        data-node={node.node}
        tabIndex={isFirst ? 0 : -1}
        title={text}
      >
        {size !== "small" && (
          <span class="tile-head">
            <LevelIcon level={level} size={12} />
            <span class="tile-name">{node.node}</span>
            <span class="visually-hidden">{levelText(level)}</span>
          </span>
        )}
        {size === "large" && (
          <>
            <TileBar name={t("measure.cpu")} value={values.cpu} />
            <TileBar name={t("measure.memory")} value={values.memory} />
            <TileBar name={t("measure.disk.short")} value={values.disk} />
          </>
        )}
        {size === "medium" && <span class="tile-value">{quantity(value ?? values.cpu, "percent")}</span>}
      </a>
    </li>
  );
}

function TileBar({ name, value }: { name: string; value: number | null }) {
  return (
    <span class="tile-bar">
      <span class="muted">{name}</span>
      <Meter value={value} />
    </span>
  );
}

function columns(): Column<Node>[] {
  const value = (key: keyof Node["values"], unit: string, wide = false): Column<Node> => ({
    key,
    title: t(`measure.${key}` satisfies Key),
    numeric: true,
    wide,
    sort: (node) => node.values[key],
    cell: (node) => (unit === "percent" ? <Meter value={node.values[key]} /> : quantity(node.values[key], unit)),
  });
  return [
    {
      key: "state",
      title: t("filter.level"),
      sort: (node) => LEVELS.indexOf(node.level),
      cell: (node) => <LevelBadge level={node.level} />,
    },
    {
      key: "node",
      title: t("process.node"),
      sort: (node) => node.node,
      cell: (node) => <a href={link(`/nodes/${encodeURIComponent(node.node)}`)}>{node.node}</a>,
    },
    { key: "pool", title: t("filter.pool"), wide: true, sort: (node) => node.pool, cell: (node) => node.pool },
    value("cpu", "percent"),
    value("memory", "percent"),
    value("disk", "percent", true),
    value("load", "", true),
    value("receive", "bytes/second", true),
    value("transmit", "bytes/second", true),
    {
      key: "alerts",
      title: t("alert.title"),
      numeric: true,
      wide: true,
      sort: (node) => node.alerts.length,
      cell: (node) => node.alerts.length || "",
    },
    {
      key: "system",
      title: t("node.system"),
      wide: true,
      sort: (node) => node.operating_system,
      cell: (node) => (
        <span class="cell-shorter" title={node.operating_system}>
          {node.operating_system}
        </span>
      ),
    },
  ];
}

function NodeTable({ nodes: shown }: { nodes: readonly Node[] }) {
  const [key = "state", direction] = (parameter("sort") || "state").split(".");
  const sorting: Sorting = { key, descending: direction === "desc" };
  const all = columns();
  const save = (): void => {
    const head = [
      "node",
      "state",
      "pool",
      "cpu_percent",
      "memory_percent",
      "filesystem_percent",
      "load1",
      "receive_bytes_per_second",
      "transmit_bytes_per_second",
      "system",
      "kernel",
    ];
    const rows = shown.map(({ node, level, pool, values, operating_system, kernel }) => [
      node,
      level,
      pool,
      ...[values.cpu, values.memory, values.disk, values.load, values.receive, values.transmit].map(
        (value) => value ?? "",
      ),
      operating_system,
      kernel,
    ]);
    exportCsv("nodes", [head, ...rows]);
  };
  return (
    <section class="stack">
      <div class="section-head">
        <h2>{t("fleet.table")}</h2>
        <button type="button" class="button small" onClick={save}>
          <Icon name="download" size={14} />
          {t("export.csv")}
        </button>
        <a class="button small" href={link("/busiest", { range: "24h", from: null, to: null })}>
          <Icon name="ranking" size={14} />
          {t("busiest.link")}
        </a>
        <button
          type="button"
          class="button small"
          onClick={() => navigate(link("/compare", { nodes: busiest(shown).join(",") }))}
        >
          <Icon name="compare" size={14} />
          {t("compare.busiest")}
        </button>
      </div>
      <Table
        label={t("fleet.table")}
        columns={all}
        rows={shown}
        rowKey={(node) => node.node}
        sorting={sorting}
        onSort={({ key: by, descending }) => setQuery({ sort: `${by}${descending ? ".desc" : ""}` })}
      />
    </section>
  );
}

const COMPARED = 5;

function busiest(shown: readonly Node[]): string[] {
  return [...shown]
    .sort((one, other) => (other.values.cpu ?? 0) - (one.values.cpu ?? 0))
    .slice(0, COMPARED)
    .map(({ node }) => node);
}
