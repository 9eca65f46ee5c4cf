// The alert rules of a cluster: the shipped alerts of each MonitoringTarget.
import { useMemo } from "preact/hooks";
import type { Levels } from "../api/rules";
import {
  type AlertSettings,
  type MonitoringTarget,
  monitoringTargets,
  type TargetAlert,
  targetAlertStates,
} from "../api/targets";
import { Select } from "../components/form";
import { type Level, LevelBadge } from "../components/severity";
import { Message, Show } from "../components/states";
import { type Column, NameAndText, type Sorting, Table } from "../components/table";
import { t } from "../i18n";
import { number } from "../i18n/format";
import { useResource } from "../state/resource";
import { parameter, setQuery } from "../state/router";
import { hasWords } from "../state/search";

const REFRESH = 30_000;

export function TargetRules() {
  const found = useResource("targets", (signal) => monitoringTargets(signal), { refresh: REFRESH });
  return (
    <Show
      of={found}
      height="24rem"
      isEmpty={({ data }) => data.length === 0}
      empty={
        <Message icon="rules" title={t("target.none")}>
          {t("target.none.text")}
        </Message>
      }
    >
      {({ data }) => <Chosen all={data} />}
    </Show>
  );
}

const idOf = (target: MonitoringTarget): string => `${target.namespace}/${target.name}`;

function Chosen({ all }: { all: readonly MonitoringTarget[] }) {
  const target = all.find((one) => idOf(one) === parameter("target")) ?? all[0];
  if (!target) return null;
  return <Alerts key={idOf(target)} all={all} target={target} />;
}

function Alerts({ all, target }: { all: readonly MonitoringTarget[]; target: MonitoringTarget }) {
  const { namespace, name } = target;
  const found = useResource(idOf(target), (signal) => targetAlertStates(namespace, name, signal), { refresh: REFRESH });
  const search = parameter("search");
  const rows = found.data?.data ?? [];
  const shown = useMemo(() => rows.filter((one) => hasWords(search, [one.name, one.shipped.meaning])), [rows, search]);
  const [key = "state", direction = "asc"] = (parameter("sort") || "state.asc").split(".");
  const sorting: Sorting = { key, descending: direction === "desc" };
  return (
    <>
      <search class="toolbar">
        <Select
          label={t("target.title")}
          hideLabel
          value={idOf(target)}
          options={all.map((one) => [idOf(one), `${t("target.title")}: ${idOf(one)}`] as const)}
          onChange={(value) => setQuery({ target: value })}
        />
        <input
          class="input search"
          type="search"
          value={parameter("search")}
          placeholder={t("rule.search")}
          aria-label={t("rule.search")}
          onInput={(event) => setQuery({ search: event.currentTarget.value })}
        />
        <span class="muted" role="status">
          {t("rule.count", { shown: shown.length, all: rows.length })}
        </span>
      </search>
      <Show of={found} height="24rem">
        {() => (
          <Table
            lines={2}
            label={t("rule.title")}
            columns={columns(target)}
            rows={shown}
            rowKey={(one) => one.name}
            sorting={sorting}
            onSort={({ key: by, descending }) => setQuery({ sort: `${by}.${descending ? "desc" : "asc"}` })}
            empty={t("rule.filtered")}
          />
        )}
      </Show>
    </>
  );
}

/** Return the thresholds of an alert, for example `80 / 95 %`. */
function thresholds(alert: TargetAlert, settings: AlertSettings | undefined): string {
  const values = Object.entries(alert.shipped.defaults).flatMap(([severity, level]) => {
    const own = settings?.[severity as keyof Levels];
    const value = own?.threshold ?? level.threshold;
    return typeof value === "number" ? [own?.enabled === false ? "–" : number(value)] : [];
  });
  return values.length > 0 ? `${values.join(" / ")} ${alert.shipped.unit}` : "";
}

const LEVELS: Record<TargetAlert["state"], Level> = {
  firing: "critical",
  pending: "pending",
  inactive: "ok",
  unknown: "unknown",
};
const ORDER: readonly TargetAlert["state"][] = ["firing", "pending", "inactive", "unknown"];

export function TargetAlertBadge({ alert }: { alert: TargetAlert }) {
  if (alert.error) return <LevelBadge level="down" text={t("rule.failed")} />;
  const text = {
    firing: t("event.firing"),
    pending: t("level.pending"),
    inactive: t("rule.inactive"),
    unknown: t("target.alert.unknown"),
  }[alert.state];
  return <LevelBadge level={LEVELS[alert.state]} text={text} />;
}

const columns = (target: MonitoringTarget): Column<TargetAlert>[] => [
  {
    key: "state",
    title: t("filter.level"),
    width: "8rem",
    cell: (alert) => <TargetAlertBadge alert={alert} />,
    sort: (alert) => (alert.error ? -1 : ORDER.indexOf(alert.state)),
  },
  {
    key: "name",
    title: t("alert.name"),
    cell: (alert) => (
      <NameAndText
        to={`/rules/${target.namespace}/${target.name}/${alert.name}`}
        name={alert.name}
        text={alert.shipped.meaning}
      />
    ),
    sort: (alert) => alert.name,
  },
  {
    key: "threshold",
    title: t("rule.threshold"),
    width: "9rem",
    wide: true,
    numeric: true,
    cell: (alert) => thresholds(alert, target.rules[alert.name]),
  },
  {
    key: "pools",
    title: t("target.pools"),
    width: "10rem",
    wide: true,
    cell: (alert) => {
      const own = Object.entries(target.pool_rules).filter(([, rules]) => alert.name in rules);
      return own.map(([pool, rules]) => `${pool}: ${thresholds(alert, rules[alert.name])}`).join(", ") || "–";
    },
  },
];
