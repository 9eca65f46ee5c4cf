// The processes that use most CPU across the fleet.
import { useMemo } from "preact/hooks";
import { instants } from "../api/prometheus";
import { exportCsv } from "../components/export";
import { Icon } from "../components/icon";
import { Message, Show } from "../components/states";
import { type Column, type Sorting, Table } from "../components/table";
import { t } from "../i18n";
import { quantity } from "../i18n/format";
import { useResource } from "../state/resource";
import { parameter, setQuery } from "../state/router";
import { hasWords } from "../state/search";
import { processColumns } from "./node";
import { type Process, processExpressions, processesOf } from "./node_queries";

const MOST = 1_000;
const REFRESH = 10_000;

/** Processes with the same name. */
interface Group {
  name: string;
  count: number;
  nodes: number;
  cpu: number;
  memory: number;
}

export default function Processes() {
  const data = useResource(
    "processes",
    async (signal) => processesOf(await instants(processExpressions("", MOST), signal)),
    {
      refresh: REFRESH,
    },
  );
  return (
    <Show
      of={data}
      height="24rem"
      isEmpty={(rows) => rows.length === 0}
      empty={
        <Message icon="processes" title={t("state.empty")}>
          {t("process.none")}
        </Message>
      }
    >
      {(rows) => <Found rows={rows} />}
    </Show>
  );
}

function Found({ rows }: { rows: readonly Process[] }) {
  const search = parameter("search");
  const isGrouped = parameter("group") === "name";
  const shown = useMemo(
    () => rows.filter((row) => hasWords(search, [row.name, row.node, row.pod, row.pid])),
    [rows, search],
  );
  const [key = "cpu", direction = "desc"] = (parameter("sort") || "cpu.desc").split(".");
  const sorting: Sorting = { key, descending: direction === "desc" };
  const onSort = ({ key: by, descending }: Sorting): void => setQuery({ sort: `${by}.${descending ? "desc" : "asc"}` });
  const save = (): void => {
    const cells = shown.map((row) => [
      row.node,
      row.pid,
      row.name,
      row.pod,
      row.cpu,
      row.memory ?? "",
      row.threads ?? "",
    ]);
    exportCsv("processes", [["node", "pid", "name", "pod", "cpus", "memory_bytes", "threads"], ...cells]);
  };
  return (
    <>
      <search class="toolbar">
        <input
          class="input search"
          type="search"
          value={parameter("search")}
          placeholder={t("process.search")}
          aria-label={t("process.search")}
          onInput={(event) => setQuery({ search: event.currentTarget.value })}
        />
        <label class="check">
          <input type="checkbox" checked={isGrouped} onChange={() => setQuery({ group: isGrouped ? null : "name" })} />
          {t("processes.group")}
        </label>
        <span class="grow" />
        <button type="button" class="button small" onClick={save}>
          <Icon name="download" size={14} />
          {t("export.csv")}
        </button>
      </search>
      {isGrouped ? (
        <Table
          label={t("processes.title")}
          columns={groupColumns()}
          rows={groups(shown)}
          rowKey={(row) => row.name}
          sorting={sorting}
          onSort={onSort}
        />
      ) : (
        <Table
          label={t("processes.title")}
          columns={processColumns(true)}
          rows={shown}
          rowKey={(row) => `${row.node} ${row.pid} ${row.name}`}
          sorting={sorting}
          onSort={onSort}
        />
      )}
    </>
  );
}

function groups(rows: readonly Process[]): Group[] {
  const found = new Map<string, Process[]>();
  for (const row of rows) found.set(row.name, [...(found.get(row.name) ?? []), row]);
  return [...found].map(([name, own]) => ({
    name,
    count: own.length,
    nodes: new Set(own.map(({ node }) => node)).size,
    cpu: own.reduce((sum, { cpu }) => sum + cpu, 0),
    memory: own.reduce((sum, { memory }) => sum + (memory ?? 0), 0),
  }));
}

function groupColumns(): Column<Group>[] {
  return [
    {
      key: "name",
      title: t("process.name"),
      sort: (row) => row.name,
      cell: (row) => <span class="mono cell-broken">{row.name}</span>,
    },
    { key: "count", title: t("processes.count"), numeric: true, sort: (row) => row.count, cell: (row) => row.count },
    { key: "nodes", title: t("fleet.table"), numeric: true, sort: (row) => row.nodes, cell: (row) => row.nodes },
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
  ];
}
