// Alert rules with their state and their last evaluation.
import { useMemo } from "preact/hooks";
import { type Rule, rules } from "../api/rules";
import { Select } from "../components/form";
import { Icon } from "../components/icon";
import { type Level, LevelBadge } from "../components/severity";
import { Message, Show } from "../components/states";
import { type Column, NameAndText, type Sorting, Table } from "../components/table";
import { t } from "../i18n";
import { duration, number, time } from "../i18n/format";
import { useAlertChanges } from "../state/alert_changes";
import { useResource } from "../state/resource";
import { link, parameter, setQuery } from "../state/router";
import { hasWords } from "../state/search";
import { may, me } from "../state/session";
import { TargetRules } from "./target_rules";

const REFRESH = 30_000;
const SOURCES = ["shipped", "api", "file"] as const;

export default function Rules() {
  return me.value?.monitoring_targets ? <TargetRules /> : <OwnRules />;
}

function OwnRules() {
  const found = useResource("rules", (signal) => rules(signal), { refresh: REFRESH });
  useAlertChanges(found.reload);
  return (
    <Show
      of={found}
      height="24rem"
      isEmpty={({ data }) => data.length === 0}
      empty={
        <Message icon="rules" title={t("rule.none")}>
          <p>{t("rule.none.text")}</p>
          {may("edit") && (
            <a class="button primary" href={link("/rules/new")}>
              {t("rule.new")}
            </a>
          )}
        </Message>
      }
    >
      {({ data }) => <Found all={data} />}
    </Show>
  );
}

export function levelOfRule(rule: Rule): Level {
  if (!rule.enabled) return "unknown";
  if (rule.rules.some((one) => one.health === "err")) return "down";
  const firing = rule.rules.filter((one) => one.state === "firing");
  if (firing.length > 0) return firing.some((one) => one.severity === "critical") ? "critical" : "warning";
  if (rule.rules.some((one) => one.state === "pending")) return "pending";
  return rule.rules.some((one) => one.state === "inactive") ? "ok" : "unknown";
}

export function RuleBadge({ rule }: { rule: Rule }) {
  const level = levelOfRule(rule);
  const text = !rule.enabled
    ? t("rule.disabled")
    : level === "down"
      ? t("rule.failed")
      : level === "critical" || level === "warning"
        ? t("event.firing")
        : level === "ok"
          ? t("rule.inactive")
          : t(`level.${level}`);
  return <LevelBadge level={level} text={text} />;
}

const LEVELS: readonly Level[] = ["down", "critical", "warning", "pending", "ok", "unknown"];

/** Return the thresholds of a rule, for example `≥ 80 / 95 %`. */
function thresholdsOf(rule: Rule): string {
  const settings = rule.settings;
  if (rule.shipped) {
    const { defaults, unit } = rule.shipped;
    const values = Object.entries(defaults).map(
      ([severity, level]) => settings?.levels?.[severity as "warning"]?.threshold ?? level.threshold,
    );
    const texts = values.filter((value) => typeof value === "number").map((value) => number(value));
    return texts.length > 0 ? `${texts.join(" / ")} ${unit}` : "";
  }
  return settings?.measure ? `${settings.operator ?? ">"} ${number(settings.threshold ?? null)}` : "";
}

function Found({ all }: { all: readonly Rule[] }) {
  const search = parameter("search");
  const source = parameter("source");
  const shown = useMemo(
    () =>
      all.filter(
        (rule) =>
          (!source || rule.source === source) &&
          hasWords(search, [rule.name, rule.shipped?.meaning ?? "", ...rule.rules.map((one) => one.expression)]),
      ),
    [all, search, source],
  );
  const [key = "state", direction = "asc"] = (parameter("sort") || "state.asc").split(".");
  const sorting: Sorting = { key, descending: direction === "desc" };
  return (
    <>
      <search class="toolbar">
        <input
          class="input search"
          type="search"
          value={parameter("search")}
          placeholder={t("rule.search")}
          aria-label={t("rule.search")}
          onInput={(event) => setQuery({ search: event.currentTarget.value })}
        />
        <Select
          label={t("rule.source")}
          hideLabel
          value={source}
          options={[
            ["", `${t("rule.source")}: ${t("filter.all")}`],
            ...SOURCES.map((one) => [one, t(`rule.source.${one}`)] as const),
          ]}
          onChange={(value) => setQuery({ source: value })}
        />
        <span class="muted" role="status">
          {t("rule.count", { shown: shown.length, all: all.length })}
        </span>
        <span class="grow" />
        {may("edit") && (
          <a class="button primary" href={link("/rules/new")}>
            {t("rule.new")}
          </a>
        )}
      </search>
      <Table
        lines={2}
        label={t("rule.title")}
        columns={columns()}
        rows={shown}
        rowKey={(rule) => rule.id}
        sorting={sorting}
        onSort={({ key: by, descending }) => setQuery({ sort: `${by}.${descending ? "desc" : "asc"}` })}
        empty={t("rule.filtered")}
      />
    </>
  );
}

const columns = (): Column<Rule>[] => [
  {
    key: "state",
    title: t("filter.level"),
    width: "7rem",
    cell: (rule) => <RuleBadge rule={rule} />,
    sort: (rule) => LEVELS.indexOf(levelOfRule(rule)),
  },
  {
    key: "name",
    title: t("alert.name"),
    cell: (rule) => (
      <NameAndText
        to={`/rules/${encodeURIComponent(rule.id)}`}
        name={rule.name}
        text={rule.shipped?.meaning ?? rule.settings?.annotations?.["summary"] ?? ""}
      />
    ),
    sort: (rule) => rule.name,
  },
  {
    key: "threshold",
    title: t("rule.threshold"),
    width: "9rem",
    wide: true,
    numeric: true,
    cell: (rule) => (
      <span class="cell-short" title={thresholdsOf(rule)}>
        {thresholdsOf(rule)}
      </span>
    ),
  },
  {
    key: "source",
    title: t("rule.source"),
    width: "8rem",
    wide: true,
    cell: (rule) => (
      <>
        {t(`rule.source.${rule.source}`)}
        {rule.source === "shipped" && rule.version > 0 && rule.settings && (
          <span title={t("rule.changed", { name: rule.changed_by })}>
            {" "}
            <Icon name="user" size={12} />
            <span class="visually-hidden">{t("rule.changed", { name: rule.changed_by })}</span>
          </span>
        )}
      </>
    ),
    sort: (rule) => rule.source,
  },
  {
    key: "evaluated",
    title: t("rule.evaluated"),
    width: "8rem",
    wide: true,
    numeric: true,
    cell: (rule) => {
      const at = rule.rules[0]?.evaluated;
      const seconds = rule.rules.reduce((sum, one) => sum + one.evaluation_seconds, 0);
      return at ? <span title={duration(seconds)}>{time(Date.parse(at))}</span> : "–";
    },
    sort: (rule) => rule.rules.reduce((sum, one) => sum + one.evaluation_seconds, 0),
  },
];
