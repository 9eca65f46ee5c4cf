// Nodes next to each other: one chart for each measure, one line for each node.
import { useMemo } from "preact/hooks";
import { ApiError } from "../api/client";
import { interval } from "../api/live";
import { type Columns, type Many, quoted, ranges } from "../api/prometheus";
import { Chart, FailedChart } from "../components/chart";
import { Icon } from "../components/icon";
import { LevelIcon } from "../components/severity";
import { Message, Show } from "../components/states";
import { type Key, t } from "../i18n";
import { nodes } from "../state/nodes";
import { useResource } from "../state/resource";
import { link, parameter, setQuery } from "../state/router";
import { currentRange, rangeKey, relative, stepOf, type TimeRange } from "../state/time_range";
import { named, rateWindow } from "./node_queries";

type Measure = "cpu" | "memory" | "load" | "disk" | "receive" | "transmit" | "pressure" | "diskIo";

const TITLES: Record<Measure, { title: Key; unit: string; top?: number }> = {
  cpu: { title: "measure.cpu", unit: "percent", top: 100 },
  memory: { title: "measure.memory", unit: "percent", top: 100 },
  load: { title: "measure.load.cpu", unit: "" },
  disk: { title: "measure.disk", unit: "percent", top: 100 },
  receive: { title: "measure.receive", unit: "bytes/second" },
  transmit: { title: "measure.transmit", unit: "bytes/second" },
  pressure: { title: "measure.pressure.cpu", unit: "percent" },
  diskIo: { title: "measure.disk.util", unit: "percent", top: 100 },
};
const MOST = 10;
const REFRESH = 15_000;

function expressions(chosen: readonly string[], step: number): Record<Measure, string> {
  const pattern = chosen.map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|");
  const own = `node=~${quoted(pattern)}`;
  const window = `${rateWindow(step, interval.peek())}s`;
  return {
    cpu: `100 - 100 * sum by (node) (avg by (node, mode) (rate(node_cpu_seconds_total{${own},mode=~"idle|iowait|steal"}[${window}])))`,
    memory: `100 * (1 - max by (node) (node_memory_MemAvailable_bytes{${own}}) / max by (node) (node_memory_MemTotal_bytes{${own}}))`,
    load: `max by (node) (node_load1{${own}}) / count by (node) (count by (node, cpu) (node_cpu_seconds_total{${own},mode="idle"}))`,
    disk: `100 * max by (node) (1 - node_filesystem_avail_bytes{${own}} / node_filesystem_size_bytes{${own}})`,
    receive: `sum by (node) (rate(node_network_receive_bytes_total{${own},device!="lo"}[${window}]))`,
    transmit: `sum by (node) (rate(node_network_transmit_bytes_total{${own},device!="lo"}[${window}]))`,
    pressure: `100 * max by (node) (rate(node_pressure_cpu_waiting_seconds_total{${own}}[${window}]))`,
    diskIo: `100 * max by (node) (rate(node_disk_io_time_seconds_total{${own}}[${window}]))`,
  };
}

interface Data {
  range: TimeRange;
  columns: Many<Measure, Columns>;
}

export default function Compare() {
  const chosen = parameter("nodes").split(",").filter(Boolean).slice(0, MOST);
  return (
    <>
      <Chosen chosen={chosen} />
      {chosen.length === 0 ? (
        <Message icon="compare" title={t("compare.choose")}>
          <p>{t("compare.choose.text")}</p>
        </Message>
      ) : (
        <Charts chosen={chosen} />
      )}
    </>
  );
}

const choose = (chosen: readonly string[]): void => setQuery({ nodes: chosen.join(",") });

function Chosen({ chosen }: { chosen: readonly string[] }) {
  const all = nodes.value ?? [];
  const rest = all.filter(({ node }) => !chosen.includes(node));
  const busiest = [...all].sort((one, other) => (other.values.cpu ?? 0) - (one.values.cpu ?? 0)).slice(0, 5);
  return (
    <div class="toolbar">
      <ul class="chips">
        {chosen.map((name, index) => (
          <li key={name} class="chip">
            <span class="swatch" data-line={index} />
            <LevelIcon level={all.find(({ node }) => node === name)?.level ?? "unknown"} size={12} />
            <a href={link(`/nodes/${encodeURIComponent(name)}`)}>{name}</a>
            <button
              type="button"
              aria-label={t("compare.remove", { node: name })}
              onClick={() => choose(chosen.filter((one) => one !== name))}
            >
              <Icon name="close" size={12} />
            </button>
          </li>
        ))}
      </ul>
      {chosen.length < MOST && (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            const field = event.currentTarget.elements.namedItem("node") as HTMLInputElement;
            if (rest.some(({ node }) => node === field.value)) choose([...chosen, field.value]);
            field.value = "";
          }}
        >
          <input
            class="input"
            name="node"
            list="nodes"
            autocomplete="off"
            placeholder={t("compare.add")}
            aria-label={t("compare.add")}
            onInput={(event) => {
              // A click on a suggestion adds the node at once.
              const isChoice = !(event instanceof InputEvent) || event.inputType === "insertReplacementText";
              if (isChoice && rest.some(({ node }) => node === event.currentTarget.value)) {
                choose([...chosen, event.currentTarget.value]);
                event.currentTarget.value = "";
              }
            }}
          />
          <datalist id="nodes">
            {rest.map(({ node }) => (
              <option key={node} value={node} />
            ))}
          </datalist>
        </form>
      )}
      <button type="button" class="button small" onClick={() => choose(busiest.map(({ node }) => node))}>
        {t("compare.busiest")}
      </button>
    </div>
  );
}

function Charts({ chosen }: { chosen: readonly string[] }) {
  const step = stepOf(currentRange(), interval.value);
  const data = useResource<Data>(
    `${chosen.join(",")} ${rangeKey.value}`,
    async (signal) => {
      const range = currentRange();
      return { range, columns: await ranges(expressions(chosen, step), range, step, signal) };
    },
    { refresh: relative.value ? Math.max(REFRESH, step * 1000) : 0, keep: true },
  );
  return (
    <Show
      of={data}
      height="40rem"
      isEmpty={({ columns }) =>
        Object.values(columns).every((one) => !(one instanceof ApiError) && one.series.length === 0)
      }
      empty={<Message icon="info" title={t("chart.empty")} />}
    >
      {(found) => (
        <div class="charts">
          {(Object.keys(TITLES) as Measure[]).map((key) => (
            <Comparison key={key} measure={key} data={found} chosen={chosen} retry={data.reload} />
          ))}
        </div>
      )}
    </Show>
  );
}

interface ComparisonProps {
  measure: Measure;
  data: Data;
  chosen: readonly string[];
  retry: () => void;
}

function Comparison({ measure, data, chosen, retry }: ComparisonProps) {
  const columns = data.columns[measure];
  const { title, ...rest } = TITLES[measure];
  // A node has the same colour in all charts.
  const series = useMemo(
    () =>
      named(columns, ({ node = "" }) => node).map((one) => ({
        ...one,
        colour: Math.max(0, chosen.indexOf(one.label)),
      })),
    [columns, chosen],
  );
  if (columns instanceof ApiError) return <FailedChart title={t(title)} error={columns} retry={retry} />;
  if (series.length === 0) return null;
  return (
    <Chart title={t(title)} times={columns.times} series={series} from={data.range.from} to={data.range.to} {...rest} />
  );
}
