// One alert: what it means, its value over time, what happened to it, and what to do.
import { useState } from "preact/hooks";
import {
  type AlertEntry,
  type AlertEvent,
  activeAlert,
  type Episode,
  episodes,
  type Timeline,
  timeline,
} from "../api/alerts";
import { quoted, range } from "../api/prometheus";
import { withoutThreshold } from "../api/rules";
import type { Labels } from "../api/types";
import { Chart } from "../components/chart";
import { Icon, type IconName } from "../components/icon";
import { AlertBadges, LevelBadge, levelOfSeverity } from "../components/severity";
import { Message, Show } from "../components/states";
import { t } from "../i18n";
import { dateTime, number } from "../i18n/format";
import { useAlertChanges } from "../state/alert_changes";
import { useResource } from "../state/resource";
import { link } from "../state/router";
import { currentRange, rangeKey } from "../state/time_range";
import type { ViewProps } from "../views/registry";
import { AcknowledgeDialog, SilenceDialog } from "./alert_dialogs";
import { Actions, HandlingText } from "./alerts";

const REFRESH = 30_000;

export default function AlertView({ parameters }: ViewProps) {
  const fingerprint = parameters["fingerprint"] ?? "";
  const found = useResource(
    fingerprint,
    (signal) =>
      Promise.all([activeAlert(fingerprint, signal), timeline(fingerprint, signal)]) as Promise<
        [AlertEntry | null, Timeline | null]
      >,
    { refresh: REFRESH },
  );
  useAlertChanges(found.reload);
  return (
    <Show
      of={found}
      height="24rem"
      isEmpty={([alert, events]) => alert === null && events === null}
      empty={
        <Message icon="unknown" title={t("alert.unknown")}>
          <p>{t("alert.unknown.text")}</p>
          <a class="button" href={link("/alerts")}>
            {t("alert.title")}
          </a>
        </Message>
      }
    >
      {([alert, events]) => (
        <>
          {alert ? <Active alert={alert} reload={found.reload} /> : events && <Resolved of={events} />}
          {alert && <Value alert={alert} />}
          <Events events={events?.data ?? []} />
        </>
      )}
    </Show>
  );
}

/** An alert that is not active: its newest episode, and the node at that time. */
function Resolved({ of }: { of: Timeline }) {
  const { alert: name, labels, fingerprint } = of;
  const node = labels["node"] ?? "";
  const started = of.data[0]?.episode ?? "";
  const found = useResource(`${fingerprint} ${started}`, async (signal) => {
    const query = { alert: name, start: started, end: of.data[0]?.time ?? started, ...(node ? { node } : {}) };
    return (await episodes(query, signal)).data.find((one) => one.fingerprint === fingerprint) ?? null;
  });
  const { summary, description, action } = found.data?.annotations ?? {};
  return (
    <section class="card summary">
      <div class="summary-head">
        <LevelBadge level="ok" text={t("alert.resolved")} />
        <h2>{name}</h2>
      </div>
      {summary && <p>{summary}</p>}
      {description && <p class="muted">{description}</p>}
      {action && (
        <p>
          <span class="muted">{t("alert.action")}:</span> {action}
        </p>
      )}
      <LabelList labels={labels} />
      {node && found.data && (
        <p class="row-actions">
          <a class="button small" href={nodeLink(node, found.data)}>
            {t("alert.node.then", { node })}
          </a>
        </p>
      )}
    </section>
  );
}

/** Seconds before and after an episode that the link to the node shows. */
const AROUND = 900;

/** Return the address of the node while an episode lasted, with the processes at the time when the alert fired. */
function nodeLink(node: string, { started, fired, resolved }: Episode): string {
  const at = Date.parse(fired ?? started) / 1000;
  const end = resolved ? Date.parse(resolved) / 1000 : at;
  return link(`/nodes/${encodeURIComponent(node)}`, {
    range: null,
    from: String(Math.floor(Date.parse(started) / 1000 - AROUND)),
    to: String(Math.ceil(Math.max(end, at) + AROUND)),
    at: String(Math.round(at)),
  });
}

function Active({ alert, reload }: { alert: AlertEntry; reload: () => void }) {
  const [acting, setActing] = useState<{ kind: "acknowledge" | "silence"; alert: AlertEntry } | null>(null);
  const { summary, description, runbook_url: runbook, ...more } = alert.annotations;
  const acknowledged = alert.acknowledgement;
  const facts: [title: string, text: string][] = [
    [t("explore.value"), number(alert.value)],
    [t("alert.active"), dateTime(Date.parse(alert.active_at))],
    [t("alert.fired"), alert.fired_at ? dateTime(Date.parse(alert.fired_at)) : ""],
    [t("alert.notified"), alert.notified_at ? dateTime(Date.parse(alert.notified_at)) : ""],
    [t("alert.receivers"), alert.receivers.join(", ")],
    [t("field.comment"), acknowledged?.comment ?? ""],
  ];
  return (
    <section class="card summary">
      <div class="summary-head">
        <AlertBadges {...alert} />
        <h2>{alert.name}</h2>
        <HandlingText alert={alert} />
        <span class="grow" />
        <Actions alert={alert} act={setActing} reload={reload} />
      </div>
      {summary && <p>{summary}</p>}
      {description && <p class="muted">{description}</p>}
      {Object.entries(more).map(([name, text]) => (
        <p key={name}>
          <span class="muted">{name === "action" ? t("alert.action") : name}:</span> {text}
        </p>
      ))}
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
      <LabelList labels={alert.labels} />
      <p class="row-actions">
        {alert.node && (
          <a class="button small" href={link(`/nodes/${encodeURIComponent(alert.node)}`)}>
            {t("node.title")}: {alert.node}
          </a>
        )}
        <a class="button small" href={link(`/explore?q=${encodeURIComponent(alert.expression)}`)}>
          {t("explore.title")}
        </a>
        {runbook && /^https?:/.test(runbook) && (
          <a class="button small" href={runbook} target="_blank" rel="noreferrer">
            <Icon name="external" size={14} />
            {t("alert.runbook")}
          </a>
        )}
        {alert.inhibited_by && (
          <a class="button small" href={link(`/alerts/${alert.inhibited_by}`)}>
            {t("alert.inhibitor")}
          </a>
        )}
      </p>
      {acting?.kind === "acknowledge" && (
        <AcknowledgeDialog alert={alert} onClose={() => setActing(null)} onDone={reload} />
      )}
      {acting?.kind === "silence" && (
        <SilenceDialog labels={alert.labels} onClose={() => setActing(null)} onDone={reload} />
      )}
    </section>
  );
}

function LabelList({ labels }: { labels: Labels }) {
  return (
    <p class="matchers">
      {Object.entries(labels)
        .sort()
        .map(([name, value]) => (
          <code key={name}>
            {name}={quoted(value)}
          </code>
        ))}
    </p>
  );
}

function Value({ alert }: { alert: AlertEntry }) {
  const { expression, threshold } = withoutThreshold(alert.expression);
  const node = alert.node;
  const found = useResource(`${alert.fingerprint} ${rangeKey.value}`, async (signal) => {
    const over = currentRange();
    const columns = await range(expression, over, undefined, signal);
    const own = columns.series.filter(({ labels }) =>
      Object.entries(labels).every(([name, value]) => name === "__name__" || (alert.labels[name] ?? value) === value),
    );
    return { over, columns, series: own.slice(0, 10) };
  });
  const level = levelOfSeverity(alert.severity);
  return (
    <Show of={found} height="14rem">
      {({ over, columns, series }) => (
        <Chart
          title={t("alert.value")}
          unit=""
          times={columns.times}
          series={series.map(({ values, labels }, index) => ({
            label: labels["device"] ?? labels["mountpoint"] ?? labels["node"] ?? node ?? String(index),
            values,
          }))}
          from={over.from}
          to={over.to}
          thresholds={threshold === null ? [] : [{ value: threshold, level }]}
          spans={[{ from: Date.parse(alert.active_at) / 1000, to: over.to, level, text: alert.name }]}
        />
      )}
    </Show>
  );
}

const ICONS: Record<string, IconName> = {
  pending: "clock",
  firing: "warning",
  acknowledged: "user",
  unacknowledged: "user",
  silenced: "silence",
  unsilenced: "alerts",
  inhibited: "filter",
  notified: "external",
  resolved: "check",
};
const KINDS = [
  "pending",
  "firing",
  "acknowledged",
  "unacknowledged",
  "silenced",
  "unsilenced",
  "inhibited",
  "notified",
  "resolved",
] as const;

const DETAILS = [
  ...(["attempts", "channel", "comment", "error", "expires", "outcome"] as const),
  ...(["reason", "receiver", "source"] as const),
];

/** Return a detail of an event with its name. */
function detail(name: string, text: string): string {
  const known = DETAILS.find((one) => one === name);
  const title = known ? t(`detail.${known}`) : name;
  if (known === "expires") return `${title}: ${dateTime(Number(text))}`;
  if (known === "outcome" && (text === "delivered" || text === "failed")) return `${title}: ${t(`outcome.${text}`)}`;
  return `${title}: ${text}`;
}

function Events({ events }: { events: readonly AlertEvent[] }) {
  if (events.length === 0) return null;
  return (
    <section class="card stack">
      <h2>{t("history.timeline")}</h2>
      <ol class="events">
        {events.map((one) => {
          const kind = KINDS.find((known) => known === one.kind);
          const details = Object.entries(one.details)
            .filter(([, text]) => text)
            .map(([name, text]) => detail(name, text));
          return (
            <li key={`${one.time} ${one.kind} ${details.join()}`}>
              <Icon name={ICONS[one.kind] ?? "info"} size={14} />
              <time dateTime={one.time}>{dateTime(Date.parse(one.time))}</time>
              <strong>{kind ? t(`event.${kind}`) : one.kind}</strong>
              {one.actor && <span>{one.actor}</span>}
              {details.length > 0 && <span class="muted">{details.join(", ")}</span>}
            </li>
          );
        })}
      </ol>
    </section>
  );
}
