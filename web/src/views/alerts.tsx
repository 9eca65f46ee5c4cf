// Alerts: now, their history, and silences.
import { useMemo, useState } from "preact/hooks";
import { type AlertEntry, activeAlerts, unacknowledge } from "../api/alerts";
import { Select } from "../components/form";
import { Icon } from "../components/icon";
import { AlertBadges, LevelBadge, rankOf } from "../components/severity";
import { Message, Show } from "../components/states";
import { type Column, NameAndText, type Sorting, Table } from "../components/table";
import { Tabs, tabOf } from "../components/tabs";
import { toast, toastError } from "../components/toast";
import { t } from "../i18n";
import { dateTime, duration } from "../i18n/format";
import { useAlertChanges } from "../state/alert_changes";
import { useResource } from "../state/resource";
import { link, parameter, setQuery } from "../state/router";
import { hasWords } from "../state/search";
import { may, me } from "../state/session";
import { AcknowledgeDialog, SilenceDialog } from "./alert_dialogs";
import { AlertHistory } from "./alert_history";
import { Silences } from "./silences";

const REFRESH = 30_000;
const TABS = ["now", "history", "silences"] as const;

export default function Alerts() {
  const tab = tabOf(TABS);
  const active = useResource("active", (signal) => activeAlerts(signal), { refresh: REFRESH });
  useAlertChanges(active.reload);
  const range = parameter("range") || (parameter("from") ? "" : "7d");
  return (
    <>
      <Tabs
        label={t("alert.title")}
        tabs={[
          { id: "now", text: t("alert.now"), count: active.data?.data.length },
          { id: "history", text: t("alert.history"), ...(range ? { changes: { range } } : {}) },
          { id: "silences", text: t("silence.tab") },
        ]}
      />
      {me.value?.notifier !== "hub" && tab !== "history" && (
        <p class="hint">{t(me.value?.notifier === "alertmanager" ? "alert.alertmanager" : "alert.elsewhere")}</p>
      )}
      {tab === "now" && (
        <Show
          of={active}
          height="24rem"
          isEmpty={({ data }) => data.length === 0}
          empty={
            <Message icon="check" title={t("alert.none")}>
              <p>{t("alert.none.text")}</p>
              <a class="button" href={link("/alerts", { tab: "history", range: range || null })}>
                {t("alert.history")}
              </a>
            </Message>
          }
        >
          {({ data }) => <Now all={data} reload={active.reload} />}
        </Show>
      )}
      {tab === "history" && <AlertHistory />}
      {tab === "silences" && <Silences />}
    </>
  );
}

/** What happened to an alert after it fired. */
export type Handling = "open" | "acknowledged" | "silenced" | "inhibited";
const HANDLINGS: readonly Handling[] = ["open", "acknowledged", "silenced", "inhibited"];

export function handlingOf(alert: AlertEntry): Handling {
  if (alert.silenced_by.length > 0) return "silenced";
  if (alert.inhibited_by) return "inhibited";
  return alert.acknowledgement ? "acknowledged" : "open";
}

const CHOICES = ["critical", "warning", "pending"] as const;

/** Return whether an alert has the badge of a choice. A pending alert has two: its severity, and that it is pending. */
const hasBadge = (alert: AlertEntry, choice: string): boolean => alert.state === choice || alert.severity === choice;

/** An alert, and the action that its dialog is about. */
type Acting = { kind: "acknowledge" | "silence"; alert: AlertEntry } | null;

function Now({ all, reload }: { all: readonly AlertEntry[]; reload: () => void }) {
  const [acting, setActing] = useState<Acting>(null);
  const search = parameter("search");
  const level = parameter("state");
  const handling = parameter("handling");
  const shown = useMemo(
    () =>
      all.filter(
        (alert) =>
          (!level || hasBadge(alert, level)) &&
          (!handling || handlingOf(alert) === handling) &&
          hasWords(search, [alert.annotations["summary"] ?? "", ...Object.values(alert.labels)]),
      ),
    [all, search, level, handling],
  );
  const [key = "level", direction = "asc"] = (parameter("sort") || "level.asc").split(".");
  const sorting: Sorting = { key, descending: direction === "desc" };
  return (
    <>
      <Counts all={all} chosen={level} />
      <search class="toolbar">
        <input
          class="input search"
          type="search"
          value={parameter("search")}
          placeholder={t("alert.search")}
          aria-label={t("alert.search")}
          onInput={(event) => setQuery({ search: event.currentTarget.value })}
        />
        <Select
          label={t("alert.handling")}
          hideLabel
          value={handling}
          options={[
            ["", `${t("alert.handling")}: ${t("filter.all")}`],
            ...HANDLINGS.map((one) => [one, t(`handling.${one}`)] as const),
          ]}
          onChange={(value) => setQuery({ handling: value })}
        />
        <span class="muted" role="status">
          {t("alert.count", { shown: shown.length, all: all.length })}
        </span>
      </search>
      <Table
        label={t("alert.title")}
        lines={2}
        columns={columns(setActing, reload)}
        rows={shown}
        rowKey={(alert) => alert.fingerprint}
        sorting={sorting}
        onSort={({ key: by, descending }) => setQuery({ sort: `${by}.${descending ? "desc" : "asc"}` })}
        empty={t("alert.filtered")}
      />
      {acting?.kind === "acknowledge" && (
        <AcknowledgeDialog alert={acting.alert} onClose={() => setActing(null)} onDone={reload} />
      )}
      {acting?.kind === "silence" && (
        <SilenceDialog labels={acting.alert.labels} onClose={() => setActing(null)} onDone={reload} />
      )}
    </>
  );
}

function Counts({ all, chosen }: { all: readonly AlertEntry[]; chosen: string }) {
  return (
    <fieldset class="counts">
      <legend class="visually-hidden">{t("filter.level")}</legend>
      {CHOICES.map((level) => (
        <button
          type="button"
          key={level}
          class="count"
          data-level={level}
          aria-pressed={chosen === level}
          onClick={() => setQuery({ state: chosen === level ? null : level })}
        >
          <LevelBadge level={level} />
          <strong>{all.filter((alert) => hasBadge(alert, level)).length}</strong>
        </button>
      ))}
    </fieldset>
  );
}

function columns(act: (acting: Acting) => void, reload: () => void): Column<AlertEntry>[] {
  return [
    {
      key: "level",
      title: t("filter.level"),
      width: "6.5rem",
      cell: (alert) => <AlertBadges {...alert} />,
      sort: rankOf,
    },
    {
      key: "alert",
      title: t("alert.name"),
      cell: (alert) => (
        <NameAndText to={`/alerts/${alert.fingerprint}`} name={alert.name} text={alert.annotations["summary"] ?? ""}>
          {handlingOf(alert) !== "open" && (
            <span class="only-narrow">
              <HandlingText alert={alert} />{" "}
            </span>
          )}
        </NameAndText>
      ),
      sort: (alert) => alert.name,
    },
    {
      key: "node",
      title: t("node.title"),
      width: "7rem",
      wide: true,
      cell: (alert) => (alert.node ? <a href={link(`/nodes/${encodeURIComponent(alert.node)}`)}>{alert.node}</a> : "–"),
      sort: (alert) => alert.node,
    },
    {
      key: "since",
      title: t("alert.age"),
      width: "4.5rem",
      wide: true,
      numeric: true,
      cell: (alert) => <Since at={alert.fired_at ?? alert.active_at} />,
      sort: (alert) => -Date.parse(alert.fired_at ?? alert.active_at),
    },
    {
      key: "handling",
      title: t("alert.handling"),
      width: "8rem",
      wide: true,
      cell: (alert) => <HandlingText alert={alert} />,
      sort: (alert) => HANDLINGS.indexOf(handlingOf(alert)),
    },
    {
      key: "actions",
      title: t("field.actions"),
      width: "11rem",
      wide: true,
      cell: (alert) => <Actions alert={alert} act={act} reload={reload} />,
    },
  ];
}

function Since({ at }: { at: string }) {
  const time = Date.parse(at);
  return (
    <time dateTime={at} title={dateTime(time)}>
      {duration(Math.max(0, (Date.now() - time) / 1000))}
    </time>
  );
}

export function HandlingText({ alert }: { alert: AlertEntry }) {
  const handling = handlingOf(alert);
  if (handling === "open") return <span class="muted">{t("handling.open")}</span>;
  const text =
    handling === "acknowledged"
      ? t("handling.acknowledged.by", { name: alert.acknowledgement?.author ?? "" })
      : t(`handling.${handling}`);
  return (
    <span class="badge" title={alert.acknowledgement?.comment ?? ""}>
      <Icon name={handling === "acknowledged" ? "check" : handling === "silenced" ? "silence" : "filter"} size={12} />
      {text}
    </span>
  );
}

interface ActionsProps {
  alert: AlertEntry;
  act: (acting: Acting) => void;
  reload: () => void;
}

export function Actions({ alert, act, reload }: ActionsProps) {
  if (!may("edit") || me.value?.notifier === "unknown") return <span class="muted">–</span>;
  const remove = (): void => {
    unacknowledge(alert.fingerprint).then(() => {
      toast(t("alert.unacknowledge.done", { alert: alert.name }));
      reload();
    }, toastError);
  };
  return (
    <span class="row-actions">
      {me.value?.notifier !== "hub" ? null : alert.acknowledgement ? (
        <button type="button" class="button small" onClick={remove}>
          {t("alert.unacknowledge")}
        </button>
      ) : (
        alert.state === "firing" && (
          <button type="button" class="button small" onClick={() => act({ kind: "acknowledge", alert })}>
            {t("alert.acknowledge")}
          </button>
        )
      )}
      <button type="button" class="button small" onClick={() => act({ kind: "silence", alert })}>
        {t("alert.silence")}
      </button>
    </span>
  );
}
