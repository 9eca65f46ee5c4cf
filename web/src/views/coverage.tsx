// What is not monitored, and why: targets that are down, nodes without samples, and collectors that fail.
import { type CollectorState, collectors, type Target, targets } from "../api/accounts";
import { type Level, LevelBadge } from "../components/severity";
import { Failed, Message, Show } from "../components/states";
import { t } from "../i18n";
import { dateTime } from "../i18n/format";
import { type Node, nodes, nodesError, refreshNodes } from "../state/nodes";
import { useResource } from "../state/resource";
import { link } from "../state/router";
import { me } from "../state/session";
import { TargetCoverage } from "./target_coverage";

const REFRESH = 30_000;

export default function Coverage() {
  return (
    <>
      {me.value?.monitoring_targets && <TargetCoverage />}
      <Scraped />
    </>
  );
}

function Scraped() {
  const found = useResource("coverage", (signal) => Promise.all([targets(signal), collectors(signal)]), {
    refresh: REFRESH,
  });
  return (
    <Show of={found} height="24rem">
      {([all, { data }]) =>
        nodes.value === null && nodesError.value !== null ? (
          <Failed error={nodesError.value} retry={() => void refreshNodes()} />
        ) : (
          <Found all={all} failing={data.filter((one) => !one.success)} known={nodes.value ?? []} />
        )
      }
    </Show>
  );
}

interface FoundProps {
  all: readonly Target[];
  failing: readonly CollectorState[];
  known: readonly Node[];
}

const nameOf = (target: Target): string => target.labels["node"] ?? target.labels["instance"] ?? target.scrapeUrl;

function Found({ all, failing, known }: FoundProps) {
  const down = all.filter((one) => one.health === "down");
  const waiting = all.filter((one) => one.health === "unknown");
  const scraped = new Set(all.map(nameOf));
  // Nodes that push samples have no target.
  const silent = known.filter((node) => node.status === "down" && !scraped.has(node.node));
  const withoutAlerts = known.filter((node) => !node.has_alerts);
  const covered = new Set([
    ...known.filter((node) => node.status === "up").map(({ node }) => node),
    ...all.filter((one) => one.health === "up").map(nameOf),
  ]);
  for (const one of down) covered.delete(nameOf(one));
  const figures: [text: string, count: number, level: Level][] = [
    [t("coverage.covered"), covered.size, "ok"],
    [t("coverage.down"), down.length, "down"],
    [t("coverage.silent"), silent.length, "warning"],
    [t("coverage.waiting"), waiting.length, "pending"],
    [t("coverage.alerts"), withoutAlerts.length, "warning"],
    [t("coverage.collectors"), failing.length, "warning"],
  ];
  const isCluster = me.value?.monitoring_targets ?? false;
  const isComplete = down.length + silent.length + failing.length + waiting.length + withoutAlerts.length === 0;
  return (
    <>
      {!isCluster && (
        <ul class="counts" aria-label={t("coverage.title")}>
          {figures.map(([text, count, level]) => (
            <li key={text} class="count">
              <LevelBadge level={count === 0 && level !== "ok" ? "unknown" : level} text={text} />
              <strong>{count}</strong>
            </li>
          ))}
        </ul>
      )}
      {isComplete && !isCluster && (
        <Message icon="check" title={t("coverage.complete")}>
          {t("coverage.complete.text")}
        </Message>
      )}
      <List
        title={t("coverage.down")}
        rows={down.map((one) => ({
          key: one.scrapeUrl,
          node: nameOf(one),
          level: "down",
          reason: one.lastError,
          hint: `${one.scrapeUrl}, ${dateTime(Date.parse(one.lastScrape))}`,
        }))}
      />
      <List
        title={t("coverage.silent")}
        rows={silent.map((one) => ({
          key: one.node,
          node: one.node,
          level: "warning",
          reason: t("coverage.silent.text"),
          hint: dateTime(Date.parse(one.last_seen)),
        }))}
      />
      <List
        title={t("coverage.waiting")}
        rows={waiting.map((one) => ({
          key: one.scrapeUrl,
          node: nameOf(one),
          level: "pending",
          reason: t("coverage.waiting.text"),
          hint: one.scrapeUrl,
        }))}
      />
      <List
        title={t("coverage.alerts")}
        rows={withoutAlerts.map((one) => ({
          key: one.node,
          node: one.node,
          level: "warning",
          reason: t("coverage.alerts.text"),
          hint: one.instance,
        }))}
      />
      <List
        title={t("coverage.collectors")}
        rows={failing.map((one) => ({
          key: `${one.node} ${one.collector}`,
          node: one.node,
          level: "warning",
          reason: t("coverage.collector.text", { collector: one.collector }),
          hint: "",
        }))}
      />
    </>
  );
}

interface ListProps {
  title: string;
  rows: readonly { key: string; node: string; level: Level; reason: string; hint: string }[];
}

const SHOWN = 200;

function List({ title, rows }: ListProps) {
  if (rows.length === 0) return null;
  return (
    <section class="stack">
      <h2>
        {title} ({rows.length})
      </h2>
      <ul class="entries" aria-label={title}>
        {rows.slice(0, SHOWN).map((row) => (
          <li key={row.key} class="entry">
            <LevelBadge level={row.level} />
            <div class="entry-text">
              <p>
                <a class="cell-link" href={link(`/nodes/${encodeURIComponent(row.node)}`)}>
                  {row.node}
                </a>
              </p>
              <p>{row.reason}</p>
              {row.hint && <p class="muted">{row.hint}</p>}
            </div>
          </li>
        ))}
      </ul>
      {rows.length > SHOWN && <p class="hint">{t("chart.more", { count: rows.length - SHOWN })}</p>}
    </section>
  );
}
