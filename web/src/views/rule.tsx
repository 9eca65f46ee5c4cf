// One alert rule: settings in a form, dry run, backtest over the history, and versions.
import { useState } from "preact/hooks";
import { range } from "../api/prometheus";
import {
  type Backtest,
  backtest,
  type CompiledRule,
  comparedBy,
  type DryRun,
  dryRun,
  type Rule,
  type RuleBody,
  rule as readRule,
  removeRule,
  restore,
  SEVERITIES,
  type Severity,
  saveRule,
  versions,
  withoutThreshold,
} from "../api/rules";
import { Confirm, ErrorText, NotAllowed } from "../components/actions";
import { Chart, type Span } from "../components/chart";
import { Field, Select, TextField } from "../components/form";
import { LevelFields, numberOf } from "../components/levels";
import { AlertBadges, LevelBadge, levelOfSeverity, severityText } from "../components/severity";
import { Show } from "../components/states";
import { toast, toastError } from "../components/toast";
import { t } from "../i18n";
import { dateTime, duration, number } from "../i18n/format";
import { nodes } from "../state/nodes";
import { useResource } from "../state/resource";
import { link, navigate } from "../state/router";
import { may } from "../state/session";
import { currentRange } from "../state/time_range";
import { measureText, readMeasures } from "./measures";
import type { ViewProps } from "./registry";
import { RuleBadge } from "./rules";

const NEW = "new";
const OPERATORS = [">", ">=", "<", "<=", "==", "!="] as const;

export default function RuleView({ parameters }: ViewProps) {
  const id = parameters["id"] ?? "";
  return id === NEW ? (
    <Editor before={null} done={(saved) => navigate(link(`/rules/${saved.id}`))} />
  ) : (
    <Stored id={id} />
  );
}

function Stored({ id }: { id: string }) {
  const found = useResource(id, (signal) => readRule(id, signal));
  return (
    <Show of={found} height="24rem">
      {(rule) => (
        <>
          <Summary rule={rule} />
          <Editor key={rule.version} before={rule} done={found.reload} />
          {rule.editable && <Versions rule={rule} reload={found.reload} />}
        </>
      )}
    </Show>
  );
}

function Summary({ rule }: { rule: Rule }) {
  const [first] = rule.rules;
  return (
    <section class="card summary">
      <div class="summary-head">
        <RuleBadge rule={rule} />
        <h2>{rule.name}</h2>
        <span class="muted">{t(`rule.source.${rule.source}`)}</span>
        <span class="grow" />
        <a class="button small" href={link("/alerts", { search: rule.name })}>
          {t("alert.title")}
        </a>
      </div>
      {rule.shipped && <p>{rule.shipped.meaning}</p>}
      {rule.shipped?.action && <p class="muted">{rule.shipped.action}</p>}
      {rule.rules.map((one) => (
        <div key={`${one.name} ${one.severity} ${one.expression}`} class="stack">
          <p class="row-actions">
            <LevelBadge level={levelOfSeverity(one.severity)} text={severityText(one.severity)} />
            <code class="wrap">{one.expression}</code>
          </p>
          {one.error && <ErrorLine text={one.error} />}
        </div>
      ))}
      <dl class="facts">
        {first?.evaluated && (
          <div>
            <dt>{t("rule.evaluated")}</dt>
            <dd>{dateTime(Date.parse(first.evaluated))}</dd>
          </div>
        )}
        <div>
          <dt>{t("rule.interval")}</dt>
          <dd>{duration(rule.interval_seconds)}</dd>
        </div>
        {rule.changed && (
          <div>
            <dt>{t("rule.version", { version: rule.version })}</dt>
            <dd>
              {dateTime(Date.parse(rule.changed))}, {rule.changed_by}
            </dd>
          </div>
        )}
      </dl>
    </section>
  );
}

const ErrorLine = ({ text }: { text: string }) => <p class="field-error">{text}</p>;

interface EditorProps {
  before: Rule | null;
  done: (saved: Rule) => void;
}

const FIRST: RuleBody = { measure: "cpu_usage_percent", operator: ">", threshold: 80, for: "5m", severity: "warning" };

function Editor({ before, done }: EditorProps) {
  const [body, setBody] = useState<RuleBody>(before ? (before.settings ?? {}) : FIRST);
  const [comment, setComment] = useState("");
  const [busy, setBusy] = useState("");
  const [error, setError] = useState<unknown>(null);
  const [trial, setTrial] = useState<DryRun | null>(null);
  const [test, setTest] = useState<Backtest | null>(null);
  const [isRemoving, setRemoving] = useState(false);
  const isEditable = before === null || before.editable;
  const given = isEditable ? body : null;
  const id = before?.id ?? "";
  const run = async (name: string, work: () => Promise<void>): Promise<void> => {
    setBusy(name);
    setError(null);
    try {
      await work();
    } catch (reason) {
      setError(reason);
    } finally {
      setBusy("");
    }
  };
  const save = async (): Promise<void> => {
    const saved = await saveRule(before, body, comment);
    toast(t("rule.saved", { name: saved.name }));
    done(saved);
  };
  const test24 = async (): Promise<void> => {
    const { from, to } = currentRange();
    const text = (seconds: number): string => new Date(seconds * 1000).toISOString();
    setTest(await backtest(id, given ?? {}, text(from), text(to)));
  };
  const set = (changes: RuleBody): void => setBody({ ...body, ...changes });
  return (
    <>
      <form
        class="card form"
        aria-label={t("rule.settings")}
        onSubmit={(event) => {
          event.preventDefault();
          if (may("edit")) void run("save", save);
        }}
      >
        <h2>{t(before ? "rule.settings" : "rule.new")}</h2>
        {!isEditable && <p class="hint">{t("rule.file", { file: before?.file ?? "" })}</p>}
        {isEditable &&
          (before?.shipped ? (
            <ShippedFields shipped={before.shipped} body={body} set={set} />
          ) : (
            <OwnFields body={body} set={set} />
          ))}
        {isEditable && (
          <>
            <label class="check">
              <input
                type="checkbox"
                checked={body.enabled ?? true}
                onChange={() => set({ enabled: body.enabled === false })}
              />
              {t("rule.enabled")}
            </label>
            {may("edit") && <TextField label={t("rule.why")} value={comment} onInput={setComment} />}
            {error !== null && <ErrorText error={error} />}
            <div class="row-actions">
              {may("edit") && (
                <button type="submit" class="button primary" disabled={busy !== ""}>
                  {t("action.save")}
                </button>
              )}
              <button
                type="button"
                class="button"
                disabled={busy !== ""}
                onClick={() => void run("trial", async () => setTrial(await dryRun(id, body)))}
              >
                {t("rule.try")}
              </button>
              <button type="button" class="button" disabled={busy !== ""} onClick={() => void run("test", test24)}>
                {t("rule.backtest")}
              </button>
              {may("edit") && before?.settings && (
                <button type="button" class="button danger" onClick={() => setRemoving(true)}>
                  {t(before.shipped ? "rule.reset" : "action.remove")}
                </button>
              )}
            </div>
            {!may("edit") && <NotAllowed right="edit" />}
            {busy && busy !== "save" && (
              <p class="hint" role="status">
                {t("state.loading")}
              </p>
            )}
          </>
        )}
      </form>
      {trial && <TrialResult of={trial} />}
      {test && <BacktestResult of={test} />}
      {isRemoving && before && (
        <Confirm
          title={t(before.shipped ? "rule.reset" : "action.remove")}
          text={t(before.shipped ? "rule.reset.text" : "rule.remove.text", { name: before.name })}
          action={t(before.shipped ? "rule.reset" : "action.remove")}
          run={async () => {
            await removeRule(before);
            if (before.shipped) done(before);
            else navigate(link("/rules"));
          }}
          onClose={() => setRemoving(false)}
        />
      )}
    </>
  );
}

interface FieldsProps {
  body: RuleBody;
  set: (changes: RuleBody) => void;
}

function OwnFields({ body, set }: FieldsProps) {
  const measures = useResource("measures", readMeasures);
  const isMeasure = body.expression === undefined;
  const pool = body.match?.["pool"] ?? "";
  const pools = [...new Set([pool, ...(nodes.value ?? []).map((node) => node.pool)])].filter(Boolean).sort();
  return (
    <>
      {measures.error !== null && <ErrorText error={measures.error} />}
      <Select
        label={t("rule.kind")}
        value={isMeasure ? "measure" : "expression"}
        options={[
          ["measure", t("rule.kind.measure")],
          ["expression", t("rule.kind.expression")],
        ]}
        onChange={(kind) => {
          const { measure: _, operator: __, threshold: ___, expression: ____, match: _____, ...rest } = body;
          // `set` merges; a property that is undefined is not sent.
          set(
            kind === "measure"
              ? ({ ...FIRST, ...rest, expression: undefined } as unknown as RuleBody)
              : ({
                  ...rest,
                  measure: undefined,
                  operator: undefined,
                  threshold: undefined,
                  match: undefined,
                  expression: "",
                } as unknown as RuleBody),
          );
        }}
      />
      <TextField
        label={t("field.name")}
        value={body.name ?? ""}
        placeholder="DiskAlmostFull"
        required={!isMeasure}
        onInput={(name) => set({ name })}
      />
      {isMeasure ? (
        <div class="columns">
          <Select
            label={t("rule.measure")}
            value={body.measure ?? ""}
            options={(measures.data?.data ?? []).map((one) => [one.name, measureText(one)] as const)}
            onChange={(measure) => set({ measure })}
          />
          <Select
            label={t("rule.operator")}
            value={(body.operator ?? ">") as ">"}
            options={OPERATORS.map((one) => [one, one] as const)}
            onChange={(operator) => set({ operator })}
          />
          <TextField
            label={t("rule.threshold")}
            value={String(body.threshold ?? "")}
            required
            onInput={(text) => set({ threshold: numberOf(text) })}
          />
          <Select
            label={t("filter.pool")}
            value={pool}
            options={[["", t("rule.all")], ...pools.map((one) => [one, one] as const)]}
            onChange={(chosen) => {
              const { pool: _, ...others } = body.match ?? {};
              set({ match: chosen ? { ...others, pool: chosen } : others });
            }}
          />
        </div>
      ) : (
        <Field label={t("explore.query")}>
          {(attributes) => (
            <textarea
              {...attributes}
              class="input mono"
              rows={3}
              required
              spellcheck={false}
              value={body.expression}
              onInput={(event) => set({ expression: event.currentTarget.value })}
            />
          )}
        </Field>
      )}
      <div class="columns">
        <TextField
          label={t("rule.for")}
          value={body.for ?? ""}
          placeholder="5m"
          onInput={(text) => set({ for: text })}
        />
        <TextField
          label={t("rule.cooldown")}
          value={String(body.cooldown_minutes ?? "")}
          placeholder="0"
          onInput={(text) => set({ cooldown_minutes: numberOf(text) })}
        />
        <Select
          label={t("alert.severity")}
          value={(body.severity || "warning") as Severity}
          options={SEVERITIES.map((one) => [one, severityText(one)] as const)}
          onChange={(severity) => set({ severity })}
        />
      </div>
      <TextField
        label={t("rule.summary")}
        value={body.annotations?.["summary"] ?? ""}
        onInput={(summary) => {
          const { summary: _, ...others } = body.annotations ?? {};
          set({ annotations: summary ? { ...others, summary } : others });
        }}
      />
    </>
  );
}

function ShippedFields({ shipped, body, set }: FieldsProps & { shipped: NonNullable<Rule["shipped"]> }) {
  const [pool, setPool] = useState("");
  const pools = [...new Set((nodes.value ?? []).map((node) => node.pool).filter(Boolean))]
    .filter((one) => !(one in (body.pools ?? {})))
    .sort();
  return (
    <>
      <LevelFields
        title={t("rule.all")}
        unit={shipped.unit}
        defaults={shipped.defaults}
        levels={body.levels ?? {}}
        set={(levels) => set({ levels })}
      />
      {Object.entries(body.pools ?? {}).map(([name, levels]) => (
        <LevelFields
          key={name}
          title={t("rule.pool", { pool: name })}
          unit={shipped.unit}
          defaults={shipped.defaults}
          levels={levels}
          set={(changed) => set({ pools: { ...body.pools, [name]: changed } })}
          remove={() => {
            const { [name]: _, ...others } = body.pools ?? {};
            set({ pools: others });
          }}
        />
      ))}
      {pools.length > 0 && (
        <div class="toolbar">
          <Select
            label={t("filter.pool")}
            hideLabel
            value={pool}
            options={[["", t("rule.pool.choose")], ...pools.map((one) => [one, one] as const)]}
            onChange={setPool}
          />
          <button
            type="button"
            class="button"
            disabled={!pool}
            onClick={() => {
              set({ pools: { ...body.pools, [pool]: {} } });
              setPool("");
            }}
          >
            {t("rule.pool.add")}
          </button>
        </div>
      )}
    </>
  );
}

function TrialResult({ of }: { of: DryRun }) {
  return (
    <section class="card stack" aria-label={t("rule.try")}>
      <p role="status">
        <strong>{t("rule.tried", { count: of.alerts.length })}</strong>
      </p>
      {of.errors.map((text) => (
        <ErrorLine key={text} text={text} />
      ))}
      <ul class="events">
        {of.alerts.slice(0, 50).map((one) => (
          <li key={JSON.stringify(one.labels)}>
            <AlertBadges state={one.state} severity={one.labels["severity"]} />
            <strong>{one.labels["node"] ?? one.labels["alertname"]}</strong>
            <span>{number(one.value)}</span>
            <span class="muted">{one.annotations["summary"] ?? ""}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Return the pool that a rule of a shipped alert selects; empty: all nodes without settings of a pool. */
const poolOf = ({ expression }: CompiledRule): string => /\bpool="([^"]*)"/.exec(expression)?.[1] ?? "";

const poolText = (rule: CompiledRule): string =>
  poolOf(rule) ? t("rule.pool", { pool: poolOf(rule) }) : t("rule.pool.others");

function BacktestResult({ of }: { of: Backtest }) {
  const over = { from: Date.parse(of.start) / 1000, to: Date.parse(of.end) / 1000, relative: null };
  const expression = comparedBy(of.rules.map(({ rule }) => rule.expression));
  const values = useResource(JSON.stringify([expression, of.start, of.end]), (signal) =>
    range(expression, over, undefined, signal),
  );
  const spans: Span[] = of.rules.flatMap(({ rule, episodes }) =>
    episodes
      .filter((one) => one.fired)
      .map((one) => ({
        from: Date.parse(one.fired ?? one.active) / 1000,
        to: one.ended ? Date.parse(one.ended) / 1000 : over.to,
        level: levelOfSeverity(rule.severity),
        text: `${rule.severity} ${one.labels["node"] ?? ""}`,
      })),
  );
  const thresholds = of.rules.flatMap(({ rule }) => {
    const { threshold } = withoutThreshold(rule.expression);
    return threshold === null ? [] : [{ value: threshold, level: levelOfSeverity(rule.severity) }];
  });
  return (
    <section class="stack" aria-label={t("rule.backtest")}>
      <ul class="card events">
        {of.rules.map(({ rule, fired, firing_seconds, pending_only }) => (
          <li key={`${rule.severity} ${rule.expression}`}>
            <LevelBadge level={levelOfSeverity(rule.severity)} text={severityText(rule.severity)} />
            {of.rules.some((one) => poolOf(one.rule)) && <span>{poolText(rule)}</span>}
            <strong>{t("rule.fired", { count: fired, time: duration(firing_seconds) })}</strong>
            <span class="muted">{t("rule.pending.only", { count: pending_only })}</span>
          </li>
        ))}
      </ul>
      <Show of={values} height="14rem">
        {({ times, series }) => (
          <Chart
            title={t("rule.backtest.chart")}
            unit=""
            times={times}
            series={series.slice(0, 20).map(({ labels, values: column }, index) => ({
              label:
                ["node", "device", "mountpoint"]
                  .map((name) => labels[name])
                  .filter(Boolean)
                  .join(" ") || String(index),
              values: column,
            }))}
            from={over.from}
            to={over.to}
            thresholds={thresholds}
            spans={spans}
          />
        )}
      </Show>
    </section>
  );
}

function Versions({ rule, reload }: { rule: Rule; reload: () => void }) {
  const found = useResource(`${rule.id} ${rule.version}`, (signal) => versions(rule.id, signal));
  const back = (version: number | null): void => {
    restore(rule, version).then((restored) => {
      toast(t("rule.restored"));
      if (restored === null && !rule.shipped) navigate(link("/rules"));
      else reload();
    }, toastError);
  };
  return (
    <section class="card stack">
      <div class="section-head">
        <h2>{t("rule.versions")}</h2>
        {may("edit") && (found.data?.data.length ?? 0) > 0 && (
          <button type="button" class="button small" onClick={() => back(null)}>
            {t("rule.undo")}
          </button>
        )}
      </div>
      <Show of={found} isEmpty={({ data }) => data.length === 0} empty={<p class="muted">{t("rule.versions.none")}</p>}>
        {({ data }) => (
          <ol class="events">
            {data.map((one, index) => (
              <li key={one.version}>
                <strong>{t("rule.version", { version: one.version })}</strong>
                <time dateTime={one.at}>{dateTime(Date.parse(one.at))}</time>
                <span>
                  {one.actor}: {t(`rule.action.${one.action}`)}
                </span>
                {one.comment && <span class="muted">{one.comment}</span>}
                {may("edit") && index > 0 && (
                  <button type="button" class="button small" onClick={() => back(one.version)}>
                    {t("rule.restore")}
                  </button>
                )}
                <details class="whole">
                  <summary>{t("rule.difference")}</summary>
                  <p class="matchers">
                    {differences(one.before, one.after).map((text) => (
                      <code key={text}>{text}</code>
                    ))}
                  </p>
                </details>
              </li>
            ))}
          </ol>
        )}
      </Show>
    </section>
  );
}

/** Return the settings that differ, for example `levels.warning.threshold: 80 → 70`. */
export function differences(before: RuleBody | null, after: RuleBody | null): string[] {
  const [one, other] = [flat(before ?? {}), flat(after ?? {})];
  return [...new Set([...one.keys(), ...other.keys()])]
    .filter((name) => one.get(name) !== other.get(name))
    .map((name) => `${name}: ${one.get(name) ?? "–"} → ${other.get(name) ?? "–"}`);
}

function flat(value: object, prefix = ""): Map<string, string> {
  return new Map(
    Object.entries(value).flatMap(([name, own]): [string, string][] =>
      typeof own === "object" && own !== null
        ? [...flat(own as object, `${prefix}${name}.`)]
        : [[`${prefix}${name}`, String(own)]],
    ),
  );
}
