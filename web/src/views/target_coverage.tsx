// What is not monitored in a cluster, and why: the conditions of each MonitoringTarget in the words of the operator.
import { type MonitoringTarget, monitoringTargets, type TargetCondition } from "../api/targets";
import { type Level, LevelBadge } from "../components/severity";
import { Message, Show } from "../components/states";
import { t } from "../i18n";
import { dateTime } from "../i18n/format";
import { useResource } from "../state/resource";
import { link } from "../state/router";

const REFRESH = 15_000;

export function TargetCoverage() {
  const found = useResource("targets", (signal) => monitoringTargets(signal), { refresh: REFRESH });
  return (
    <Show
      of={found}
      height="24rem"
      isEmpty={({ data }) => data.length === 0}
      empty={
        <Message icon="coverage" title={t("target.none")}>
          {t("target.none.text")}
        </Message>
      }
    >
      {({ data }) => <All targets={data} />}
    </Show>
  );
}

const sum = (targets: readonly MonitoringTarget[], key: "desired" | "ready" | "uncovered"): number =>
  targets.reduce((before, one) => before + one.nodes[key], 0);

function All({ targets }: { targets: readonly MonitoringTarget[] }) {
  const uncovered = sum(targets, "uncovered");
  const failing = targets.filter((one) => one.conditions.some(({ status }) => status !== "True")).length;
  const figures: [text: string, count: number, level: Level][] = [
    [t("target.ready"), sum(targets, "ready"), "ok"],
    [t("target.uncovered"), uncovered, uncovered > 0 ? "warning" : "unknown"],
    [t("target.failing"), failing, failing > 0 ? "down" : "unknown"],
  ];
  return (
    <>
      <ul class="counts" aria-label={t("coverage.title")}>
        {figures.map(([text, count, level]) => (
          <li key={text} class="count">
            <LevelBadge level={level} text={text} />
            <strong>{count}</strong>
          </li>
        ))}
      </ul>
      {targets.map((one) => (
        <One key={`${one.namespace}/${one.name}`} target={one} />
      ))}
    </>
  );
}

const LEVEL: Record<TargetCondition["status"], Level> = { True: "ok", False: "down", Unknown: "pending" };

function One({ target }: { target: MonitoringTarget }) {
  const { nodes } = target;
  const title = `${target.namespace}/${target.name}`;
  const isOld = target.observed_generation !== target.generation;
  // Conditions that are not true first; the operator's order otherwise.
  const conditions = [...target.conditions].sort(
    (one, other) => Number(one.status === "True") - Number(other.status === "True"),
  );
  return (
    <section class="card stack" aria-label={title}>
      <div class="summary-head">
        <h2>{title}</h2>
        <span class="muted">
          {t("target.nodes", { ready: nodes.ready, desired: nodes.desired, scraped: nodes.scraped ?? "–" })}
        </span>
        <span class="grow" />
        <a class="button small" href={link("/rules", { target: title })}>
          {t("rule.title")}
        </a>
      </div>
      {target.paused && <p class="field-error">{t("target.paused")}</p>}
      {isOld && <p class="hint">{t("target.old")}</p>}
      {target.prometheuses.length > 0 && <p class="muted">Prometheus: {target.prometheuses.join(", ")}</p>}
      {target.pools.length > 0 && (
        <p class="muted">
          {target.pools
            .map((one) => `${t("rule.pool", { pool: one.name })}: ${one.ready} / ${one.desired}`)
            .join(" · ")}
        </p>
      )}
      {target.conditions.length === 0 && <p class="hint">{t("target.unclaimed")}</p>}
      <ul class="entries" aria-label={t("target.conditions")}>
        {conditions.map((one) => (
          <li key={one.type} class="entry condition">
            <LevelBadge level={LEVEL[one.status]} text={one.type} />
            <div class="entry-text">
              <p>
                <strong>{one.reason}</strong> {one.message}
              </p>
              <p class="muted">
                {t("target.since", { time: dateTime(Date.parse(one.since)) })}
                {one.status !== "True" && `. ${t("target.remedy", { section: one.type })}`}
              </p>
            </div>
          </li>
        ))}
      </ul>
      {target.uncovered.length > 0 && (
        <>
          <h3>
            {t("target.uncovered")} ({nodes.uncovered})
          </h3>
          <ul class="entries" aria-label={t("target.uncovered")}>
            {target.uncovered.map((one) => (
              <li key={one.node} class="entry">
                <LevelBadge level="warning" text={one.reason} />
                <div class="entry-text">
                  <p>
                    <a class="cell-link" href={link(`/nodes/${encodeURIComponent(one.node)}`)}>
                      {one.node}
                    </a>{" "}
                    {one.pool && <span class="muted">{t("rule.pool", { pool: one.pool })}</span>}
                  </p>
                  <p>{one.message}</p>
                </div>
              </li>
            ))}
          </ul>
          <p class="hint">{t("target.remedy", { section: "AgentsReady" })}</p>
        </>
      )}
    </section>
  );
}
