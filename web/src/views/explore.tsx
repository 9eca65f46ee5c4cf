// Explore: PromQL queries as a chart and as a table.
import { useEffect, useMemo, useState } from "preact/hooks";
import { interval } from "../api/live";
import { type Columns, instant, type Point, range as readRange } from "../api/prometheus";
import type { Labels } from "../api/types";
import { Chart, type Series } from "../components/chart";
import { exportCsv } from "../components/export";
import { Choice } from "../components/form";
import { Icon } from "../components/icon";
import { Message, Show } from "../components/states";
import { type Column, type Sorting, Table } from "../components/table";
import { t } from "../i18n";
import { number } from "../i18n/format";
import { useResource } from "../state/resource";
import { parameter, setQuery } from "../state/router";
import { currentRange, rangeKey, relative, stepOf, type TimeRange } from "../state/time_range";
import { measureText, readMeasures } from "./measures";
import { QueryField } from "./query_field";

const MOST_QUERIES = 4;
const MOST_LINES = 100;
const REFRESH = 15_000;
const EXAMPLE = "topk(5, metricat_process_cpu_ratio)";

const nameOf = (index: number): string => (index === 0 ? "q" : `q${index + 1}`);

/** Return the queries of the address. */
function queriesOfAddress(): string[] {
  const found = Array.from({ length: MOST_QUERIES }, (_, index) => parameter(nameOf(index)));
  return found.filter(Boolean);
}

export default function Explore() {
  const run = queriesOfAddress();
  const address = run.join("\n\n");
  const [drafts, setDrafts] = useState<string[]>(run.length > 0 ? run : [""]);
  // The back button changes the address.
  useEffect(() => {
    if (run.join("\n\n") !== drafts.filter(Boolean).join("\n\n")) setDrafts(run.length > 0 ? run : [""]);
  }, [address]);
  const isTable = parameter("view") === "table";
  const execute = (queries: readonly string[] = drafts): void => {
    const kept = queries.map((query) => query.trim()).filter(Boolean);
    const changes = Object.fromEntries(
      Array.from({ length: MOST_QUERIES }, (_, index) => [nameOf(index), kept[index] ?? null]),
    );
    setQuery(changes, false);
  };
  const change = (index: number, value: string): void =>
    setDrafts(drafts.map((draft, at) => (at === index ? value : draft)));
  const remove = (index: number): void => {
    const rest = drafts.filter((_, at) => at !== index);
    setDrafts(rest);
    execute(rest);
  };
  return (
    <>
      <section class="queries" aria-label={t("explore.title")}>
        {drafts.map((draft, index) => (
          <div class="query" key={index.toString()}>
            <QueryField
              value={draft}
              label={drafts.length > 1 ? `${t("explore.query")} ${index + 1}` : t("explore.query")}
              onInput={(value) => change(index, value)}
              onRun={execute}
            />
            {drafts.length > 1 && (
              <button
                type="button"
                class="button icon-only"
                aria-label={t("explore.remove")}
                title={t("explore.remove")}
                onClick={() => remove(index)}
              >
                <Icon name="close" />
              </button>
            )}
          </div>
        ))}
        <div class="toolbar">
          <button type="button" class="button primary" onClick={() => execute()}>
            {t("explore.run")}
          </button>
          {drafts.length < MOST_QUERIES && (
            <button type="button" class="button" onClick={() => setDrafts([...drafts, ""])}>
              {t("explore.add")}
            </button>
          )}
          <Measures choose={(expression) => change(drafts.length - 1, expression)} />
          <span class="grow" />
          <Choice
            label={t("explore.chart")}
            value={isTable ? "table" : "chart"}
            options={[
              { value: "chart", text: t("explore.chart") },
              { value: "table", text: t("explore.table") },
            ]}
            onChange={(value) => setQuery({ view: value === "table" ? value : null })}
          />
        </div>
      </section>
      {run.length === 0 ? (
        <Message icon="explore" title={t("explore.empty")}>
          <p>{t("explore.empty.text", { example: EXAMPLE })}</p>
          <button type="button" class="button" onClick={() => execute([EXAMPLE])}>
            <code>{EXAMPLE}</code>
          </button>
        </Message>
      ) : (
        run.map((query) =>
          isTable ? <TableResult key={query} query={query} /> : <ChartResult key={query} query={query} />,
        )
      )}
    </>
  );
}

/** The measures of the hub, each with its expression. */
function Measures({ choose }: { choose: (expression: string) => void }) {
  const measures = useResource("measures", readMeasures);
  return (
    <select
      class="input"
      aria-label={t("explore.measures")}
      value=""
      onChange={(event) => {
        const measure = measures.data?.data.find(({ name }) => name === event.currentTarget.value);
        if (measure) choose(measure.expression);
        event.currentTarget.value = "";
      }}
    >
      <option value="">{t("explore.measures")}</option>
      {measures.data?.data.map((one) => (
        <option key={one.name} value={one.name}>
          {measureText(one)}
        </option>
      ))}
    </select>
  );
}

/** Return a series as PromQL writes it. */
function seriesName({ __name__ = "", ...labels }: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return pairs.length > 0 ? `${__name__}{${pairs.join(", ")}}` : __name__ || "value";
}

/** Return names of series without the labels that all have. */
function shortNames(all: readonly Labels[]): string[] {
  const first = all[0] ?? {};
  const common = new Set(
    all.length > 1 ? Object.keys(first).filter((name) => all.every((labels) => labels[name] === first[name])) : [],
  );
  return all.map((labels) =>
    seriesName(Object.fromEntries(Object.entries(labels).filter(([name]) => !common.has(name)))),
  );
}

function ChartResult({ query }: { query: string }) {
  const step = stepOf(currentRange(), interval.value);
  const result = useResource<{ range: TimeRange; columns: Columns }>(
    `${query} ${rangeKey.value}`,
    async (signal) => {
      const over = currentRange();
      return { range: over, columns: await readRange(query, over, step, signal) };
    },
    { refresh: relative.value ? Math.max(REFRESH, step * 1000) : 0, keep: true },
  );
  return (
    <Show
      of={result}
      height="24rem"
      isEmpty={({ columns }) => columns.series.length === 0}
      empty={<Message icon="info" title={t("explore.none")} />}
    >
      {({ range, columns }) => <Lines query={query} range={range} columns={columns} />}
    </Show>
  );
}

function Lines({ query, range, columns }: { query: string; range: TimeRange; columns: Columns }) {
  const series = useMemo<Series[]>(() => {
    const names = shortNames(columns.series.map(({ labels }) => labels));
    return columns.series.slice(0, MOST_LINES).map(({ values }, index) => ({ label: names[index] ?? "", values }));
  }, [columns]);
  return (
    <>
      <Chart title={query} unit="" times={columns.times} series={series} from={range.from} to={range.to} height={360} />
      <p class="muted">
        {t("explore.series", { count: columns.series.length })}
        {columns.series.length > MOST_LINES && ` · ${t("explore.first", { count: MOST_LINES })}`}
      </p>
    </>
  );
}

function TableResult({ query }: { query: string }) {
  const result = useResource(`table ${query}`, (signal) => instant(query, undefined, signal), { refresh: REFRESH });
  return (
    <Show
      of={result}
      height="16rem"
      isEmpty={(rows) => rows.length === 0}
      empty={<Message icon="info" title={t("explore.none")} />}
    >
      {(rows) => <Values query={query} rows={rows} />}
    </Show>
  );
}

function Values({ query, rows }: { query: string; rows: readonly Point[] }) {
  const [sorting, setSorting] = useState<Sorting>({ key: "value", descending: true });
  const names = [...new Set(rows.flatMap(({ labels }) => Object.keys(labels)))].sort();
  const columns: Column<Point>[] = [
    ...names.map((name) => ({
      key: `label ${name}`,
      title: name,
      sort: ({ labels }: Point) => labels[name] ?? "",
      cell: ({ labels }: Point) => labels[name] ?? "",
    })),
    {
      key: "value",
      title: t("explore.value"),
      numeric: true,
      sort: ({ value }) => value,
      cell: ({ value }) => number(value),
    },
  ];
  const save = (): void =>
    exportCsv(query, [
      [...names, "value"],
      ...rows.map(({ labels, value }) => [...names.map((name) => labels[name] ?? ""), value]),
    ]);
  return (
    <section class="stack">
      <div class="section-head">
        <h2 class="mono">{query}</h2>
        <span class="muted">{t("explore.series", { count: rows.length })}</span>
        <button type="button" class="button small" onClick={save}>
          <Icon name="download" size={14} />
          {t("export.csv")}
        </button>
      </div>
      <Table
        label={query}
        columns={columns}
        rows={rows}
        rowKey={({ labels }) => JSON.stringify(labels)}
        sorting={sorting}
        onSort={setSorting}
      />
    </section>
  );
}
