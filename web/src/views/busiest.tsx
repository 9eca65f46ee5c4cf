// The nodes ranked over a time range: mean, 95th percentile and maximum of a measure, and the processes at the peak.
import { useMemo } from "preact/hooks";
import { ApiError } from "../api/client";
import { exportCsv } from "../components/export";
import { Select } from "../components/form";
import { Icon } from "../components/icon";
import { Meter } from "../components/meter";
import { Message, Show } from "../components/states";
import { type Column, type Sorting, sorted, Table } from "../components/table";
import { type Key, t } from "../i18n";
import { dateTime, quantity, shortTime } from "../i18n/format";
import { nodes } from "../state/nodes";
import { useResource } from "../state/resource";
import { link, parameter, setQuery } from "../state/router";
import { currentRange, rangeKey, relative, type TimeRange } from "../state/time_range";
import { MEASURES, type Measure, type Ranked, readPeakProcesses, readRanking } from "./busiest_queries";

const TITLES: Record<Measure, Key> = {
  cpu: "measure.cpu",
  memory: "measure.memory",
  disk: "measure.disk",
  diskIo: "measure.disk.util",
  receive: "measure.receive",
  transmit: "measure.transmit",
};
const REFRESH = 60_000;
/** Nodes whose processes at the peak the table shows. */
const EXPLAINED = 10;

export default function Busiest() {
  const measure = (Object.keys(TITLES) as Measure[]).find((one) => one === parameter("measure")) ?? "cpu";
  const ranking = useResource(
    `${measure} ${rangeKey.value}`,
    async (signal) => {
      const range = currentRange();
      return { range, rows: await readRanking(measure, range, signal) };
    },
    { refresh: relative.value ? REFRESH : 0 },
  );
  return (
    <>
      <div class="toolbar">
        <Select
          label={t("busiest.measure")}
          hideLabel
          value={measure}
          options={(Object.keys(TITLES) as Measure[]).map((one) => [one, `${t("busiest.measure")}: ${t(TITLES[one])}`])}
          onChange={(value) => setQuery({ measure: value === "cpu" ? null : value })}
        />
      </div>
      <Show
        of={ranking}
        height="24rem"
        isEmpty={({ rows }) => rows.length === 0}
        empty={
          <Message icon="ranking" title={t("busiest.none")}>
            {t("busiest.none.text")}
          </Message>
        }
      >
        {({ range, rows }) => <Ranking measure={measure} range={range} rows={rows} />}
      </Show>
    </>
  );
}

interface RankingProps {
  measure: Measure;
  range: TimeRange;
  rows: readonly Ranked[];
}

function Ranking({ measure, range, rows }: RankingProps) {
  const [key = "mean", direction = "desc"] = (parameter("sort") || "mean.desc").split(".");
  const sorting: Sorting = { key, descending: direction === "desc" };
  const pools = new Map(nodes.value?.map(({ node, pool }) => [node, pool]));
  const plain = columns(measure, range, pools, null);
  const first = useMemo(() => sorted(rows, plain, sorting).slice(0, EXPLAINED), [rows, key, direction]);
  const processes = useResource(
    `${measure} ${first.map(({ node, peak }) => `${node} ${peak}`).join()}`,
    (signal) => readPeakProcesses(measure, first, signal),
    { keep: true },
  );
  const save = (): void => {
    const cells = rows.map(({ node, mean, high, most, peak }) => [
      node,
      pools.get(node) ?? "",
      mean,
      high,
      most,
      peak === null ? "" : new Date(peak * 1000).toISOString(),
    ]);
    exportCsv(`busiest ${measure}`, [["node", "pool", "mean", "p95", "max", "peak"], ...cells]);
  };
  return (
    <section class="stack">
      <div class="section-head">
        <h2>{t(TITLES[measure])}</h2>
        <button type="button" class="button small" onClick={save}>
          <Icon name="download" size={14} />
          {t("export.csv")}
        </button>
      </div>
      <Table
        label={t("busiest.title")}
        columns={columns(measure, range, pools, processes.data)}
        rows={rows}
        rowKey={({ node }) => node}
        sorting={sorting}
        onSort={({ key: by, descending }) => setQuery({ sort: `${by}.${descending ? "desc" : "asc"}` })}
      />
      <p class="hint">{t("busiest.hint")}</p>
    </section>
  );
}

function columns(
  measure: Measure,
  range: TimeRange,
  pools: ReadonlyMap<string, string>,
  processes: ReadonlyMap<string, string[]> | ApiError | null,
): Column<Ranked>[] {
  const { unit } = MEASURES[measure];
  const figure = (key: "mean" | "high" | "most", wide = false): Column<Ranked> => ({
    key,
    title: t(`busiest.${key}`),
    numeric: true,
    wide,
    sort: (row) => row[key],
    cell: (row) => (unit === "percent" && key === "most" ? <Meter value={row[key]} /> : quantity(row[key], unit)),
  });
  return [
    {
      key: "node",
      title: t("process.node"),
      sort: ({ node }) => node,
      cell: ({ node }) => <a href={link(`/nodes/${encodeURIComponent(node)}`)}>{node}</a>,
    },
    {
      key: "pool",
      title: t("filter.pool"),
      wide: true,
      sort: ({ node }) => pools.get(node) ?? null,
      cell: ({ node }) => pools.get(node) ?? "",
    },
    figure("mean"),
    figure("high", true),
    figure("most"),
    {
      key: "peak",
      title: t("busiest.peak"),
      sort: ({ peak }) => peak,
      cell: ({ node, peak }) =>
        peak === null ? (
          "–"
        ) : (
          <a href={peakLink(node, peak, range)} title={dateTime(peak * 1000)}>
            {shortTime(peak * 1000)}
          </a>
        ),
    },
    {
      key: "processes",
      title: t("busiest.processes"),
      wide: true,
      cell: ({ node }) =>
        processes === null || processes instanceof ApiError ? "" : (processes.get(node) ?? []).join(", "),
    },
  ];
}

const LEAST_AROUND = 900;
/** The part of the range that the link shows before and after the peak. */
const AROUND = 1 / 48;

/** Return the address of a node at its peak, with the processes at that time. */
function peakLink(node: string, peak: number, { from, to }: TimeRange): string {
  const around = Math.max(LEAST_AROUND, (to - from) * AROUND);
  const end = Math.min(peak + around, Math.max(to, peak));
  return link(`/nodes/${encodeURIComponent(node)}`, {
    range: null,
    from: String(Math.floor(peak - around)),
    to: String(Math.ceil(end)),
    at: String(Math.round(peak)),
  });
}
