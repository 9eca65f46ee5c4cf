// The history of alerts: figures, a timeline and a table.
import { type Episode, episodes, type Statistics, statistics } from "../api/alerts";
import { exportCsv } from "../components/export";
import { Select } from "../components/form";
import { Icon } from "../components/icon";
import { RangeBar } from "../components/range_bar";
import { AlertBadges, levelOfSeverity } from "../components/severity";
import { Message, Show } from "../components/states";
import { type Column, NameAndText, type Sorting, Table } from "../components/table";
import { t } from "../i18n";
import { axisTime, dateTime, duration } from "../i18n/format";
import { useResource } from "../state/resource";
import { link, parameter, setQuery } from "../state/router";
import { chooseRelative, currentRange, rangeKey, type TimeRange } from "../state/time_range";

const REFRESH = 30_000;
const ROWS = 15;
const WEEK = "7d";

export function AlertHistory() {
  const [alert, node, severity] = [parameter("alert"), parameter("node"), parameter("severity")];
  const key = JSON.stringify([rangeKey.value, alert, node, severity]);
  const read = (signal: AbortSignal) => {
    const range = currentRange();
    const time = (seconds: number): string => new Date(seconds * 1000).toISOString();
    const query = {
      start: time(range.from),
      end: time(range.to),
      ...(alert ? { alert } : {}),
      ...(node ? { node } : {}),
      ...(severity ? { severity } : {}),
    };
    return Promise.all([episodes(query, signal), statistics(query, signal), Promise.resolve(range)]);
  };
  const found = useResource(key, read, { refresh: REFRESH });
  return (
    <>
      <search class="toolbar">
        <RangeBar />
        <input
          class="input"
          value={alert}
          placeholder={t("alert.name")}
          aria-label={t("alert.name")}
          onChange={(event) => setQuery({ alert: event.currentTarget.value.trim() })}
        />
        <input
          class="input"
          value={node}
          placeholder={t("node.title")}
          aria-label={t("node.title")}
          onChange={(event) => setQuery({ node: event.currentTarget.value.trim() })}
        />
        <Select
          label={t("alert.severity")}
          hideLabel
          value={severity}
          options={[
            ["", `${t("alert.severity")}: ${t("filter.all")}`],
            ["critical", t("level.critical")],
            ["warning", t("level.warning")],
          ]}
          onChange={(value) => setQuery({ severity: value })}
        />
        {(alert || node || severity) && (
          <button
            type="button"
            class="button small"
            onClick={() => setQuery({ alert: null, node: null, severity: null })}
          >
            {t("filter.clear")}
          </button>
        )}
      </search>
      <Show
        of={found}
        height="24rem"
        isEmpty={([page]) => page.data.length === 0}
        empty={
          <Message icon="clock" title={t("history.none")}>
            <p>{t("history.none.text")}</p>
            {rangeKey.value !== WEEK && (
              <button type="button" class="button" onClick={() => chooseRelative(WEEK)}>
                {t("range.last", { range: WEEK })}
              </button>
            )}
          </Message>
        }
      >
        {([page, figures, range]) => (
          <>
            <Figures of={figures} />
            <Timeline rows={page.data} range={range} />
            <Episodes rows={page.data} isMore={page.next !== null} />
          </>
        )}
      </Show>
    </>
  );
}

const seconds = (value: number | null): string => (value === null ? "–" : duration(value));

function Figures({ of }: { of: Statistics }) {
  const figures: [title: string, value: string][] = [
    [t("history.episodes"), String(of.episodes)],
    [t("history.firing"), String(of.firing)],
    [t("history.acknowledged"), String(of.acknowledged)],
    [t("history.to.acknowledge"), seconds(of.time_to_acknowledge.median_seconds)],
    [t("history.to.resolve"), seconds(of.time_to_resolve.median_seconds)],
    [t("history.notifications"), String(of.notifications)],
    [t("history.failed"), String(of.failed_notifications)],
  ];
  return (
    <section class="card stack" aria-label={t("history.figures")}>
      <dl class="figures">
        {figures.map(([title, value]) => (
          <div class="figure" key={title}>
            <dt>{title}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {of.flapping.length > 0 && (
        <p>
          <strong>{t("history.flapping")}:</strong>{" "}
          {of.flapping.map((one, index) => (
            <>
              {index > 0 && ", "}
              <a key={one.fingerprint} href={link(`/alerts/${one.fingerprint}`)}>
                {one.alert} {one.node}
              </a>{" "}
              ({one.episodes})
            </>
          ))}
        </p>
      )}
    </section>
  );
}

const startOf = (one: Episode): number => Date.parse(one.fired ?? one.started) / 1000;
const endOf = (one: Episode, to: number): number => (one.resolved ? Date.parse(one.resolved) / 1000 : to);

/** Each alert as a row, each episode as a bar. */
function Timeline({ rows, range }: { rows: readonly Episode[]; range: TimeRange }) {
  const grouped = new Map<string, Episode[]>();
  for (const row of rows) grouped.set(row.fingerprint, [...(grouped.get(row.fingerprint) ?? []), row]);
  const shown = [...grouped].slice(0, ROWS);
  const length = range.to - range.from;
  const percent = (at: number): number => Math.max(0, Math.min(100, ((at - range.from) / length) * 100));
  return (
    <figure class="card stack" aria-label={t("history.timeline")}>
      <figcaption>
        <h2>{t("history.timeline")}</h2>
      </figcaption>
      <ul class="gantt">
        {shown.map(([fingerprint, own]) => (
          <li key={fingerprint}>
            <a href={link(`/alerts/${fingerprint}`)}>
              {own[0]?.alert} <span class="muted">{own[0]?.node}</span>
            </a>
            <span class="gantt-row">
              {own.map((one) => {
                const from = percent(startOf(one));
                const to = percent(endOf(one, range.to));
                return (
                  <span
                    key={one.started}
                    class="gantt-bar"
                    data-level={levelOfSeverity(one.severity)}
                    title={`${dateTime(startOf(one) * 1000)}, ${duration(endOf(one, Date.now() / 1000) - startOf(one))}`}
                    style={{ insetInlineStart: `${from}%`, inlineSize: `${Math.max(0.4, to - from)}%` }}
                  />
                );
              })}
            </span>
          </li>
        ))}
        <li class="gantt-axis" aria-hidden="true">
          <span />
          <span class="gantt-times">
            {[0, 1, 2, 3, 4].map((part) => (
              <span key={part}>
                {axisTime((range.from + (length * part) / 4) * 1000, length > 172_800 ? 86_400 : 60)}
              </span>
            ))}
          </span>
        </li>
      </ul>
      {grouped.size > ROWS && <p class="hint">{t("chart.more", { count: grouped.size - ROWS })}</p>}
    </figure>
  );
}

function Episodes({ rows, isMore }: { rows: readonly Episode[]; isMore: boolean }) {
  const [key = "fired", direction = "desc"] = (parameter("sort") || "fired.desc").split(".");
  const sorting: Sorting = { key, descending: direction === "desc" };
  const save = (): void =>
    exportCsv("alert-history", [
      ["alert", "severity", "node", "state", "started", "fired", "resolved", "acknowledged", "acknowledged_by"],
      ...rows.map((one) => [
        one.alert,
        one.severity,
        one.node,
        one.state,
        one.started,
        one.fired ?? "",
        one.resolved ?? "",
        one.acknowledged ?? "",
        one.acknowledged_by,
      ]),
    ]);
  return (
    <section class="stack">
      <div class="section-head">
        <h2>{t("history.episodes")}</h2>
        <button type="button" class="button small" onClick={save}>
          <Icon name="download" size={14} />
          {t("export.csv")}
        </button>
      </div>
      <Table
        lines={2}
        label={t("history.episodes")}
        columns={COLUMNS()}
        rows={rows}
        rowKey={(one) => `${one.fingerprint} ${one.started}`}
        sorting={sorting}
        onSort={({ key: by, descending }) => setQuery({ sort: `${by}.${descending ? "desc" : "asc"}` })}
      />
      {isMore && <p class="hint">{t("history.more", { count: rows.length })}</p>}
    </section>
  );
}

const COLUMNS = (): Column<Episode>[] => [
  {
    key: "severity",
    title: t("alert.severity"),
    width: "7rem",
    cell: (one) => <AlertBadges {...one} />,
    sort: (one) => one.severity,
  },
  {
    key: "alert",
    title: t("alert.name"),
    cell: (one) => (
      <NameAndText to={`/alerts/${one.fingerprint}`} name={one.alert} text={one.annotations["summary"] ?? ""} />
    ),
    sort: (one) => one.alert,
  },
  { key: "node", title: t("node.title"), wide: true, cell: (one) => one.node || "–", sort: (one) => one.node },
  {
    key: "fired",
    title: t("alert.fired"),
    wide: true,
    cell: (one) => dateTime(Date.parse(one.fired ?? one.started)),
    sort: (one) => startOf(one),
  },
  {
    key: "duration",
    title: t("field.duration"),
    numeric: true,
    cell: (one) =>
      one.resolved ? seconds(one.duration_seconds) : t(`alert.${one.state === "pending" ? "pending" : "firing"}.now`),
    sort: (one) => one.duration_seconds,
  },
  {
    key: "acknowledged",
    title: t("history.acknowledged.by"),
    wide: true,
    cell: (one) => one.acknowledged_by || "–",
    sort: (one) => one.acknowledged_by,
  },
  {
    key: "notifications",
    title: t("history.notifications"),
    wide: true,
    numeric: true,
    cell: (one) =>
      one.failed_notifications ? `${one.notifications} (+${one.failed_notifications} ✕)` : one.notifications,
    sort: (one) => one.notifications,
  },
];
