// One shipped alert of a MonitoringTarget: its thresholds in a form, changed with the rights of the user.
import { useState } from "preact/hooks";
import type { Levels } from "../api/rules";
import { SEVERITIES } from "../api/rules";
import {
  type AlertSettings,
  changeTargetAlert,
  monitoringTargets,
  type TargetAlert,
  type TargetAlerts,
  targetAlertStates,
  targetAlerts,
} from "../api/targets";
import { Confirm, ErrorText } from "../components/actions";
import { Select } from "../components/form";
import { LevelFields } from "../components/levels";
import { severityText } from "../components/severity";
import { Message, Show } from "../components/states";
import { toast } from "../components/toast";
import { t } from "../i18n";
import { useResource } from "../state/resource";
import { link } from "../state/router";
import type { ViewProps } from "./registry";
import { TargetAlertBadge } from "./target_rules";

export default function TargetRule({ parameters }: ViewProps) {
  const { namespace = "", target = "", alert = "" } = parameters;
  const found = useResource(`${namespace}/${target}`, async (signal) => {
    const [states, settings, { data }] = await Promise.all([
      targetAlertStates(namespace, target, signal),
      targetAlerts(namespace, target, signal),
      monitoringTargets(signal),
    ]);
    const pools = data.find((one) => one.namespace === namespace && one.name === target)?.pools ?? [];
    return { state: states.data.find((one) => one.name === alert), settings, pools: pools.map((one) => one.name) };
  });
  return (
    <Show of={found} height="24rem">
      {({ state, settings, pools }) =>
        state ? (
          <>
            <Summary alert={state} target={settings} />
            <Editor key={settings.generation} alert={state} target={settings} pools={pools} done={found.reload} />
          </>
        ) : (
          <Message icon="unknown" title={t("error.missing")} />
        )
      }
    </Show>
  );
}

function Summary({ alert, target }: { alert: TargetAlert; target: TargetAlerts }) {
  return (
    <section class="card summary">
      <div class="summary-head">
        <TargetAlertBadge alert={alert} />
        <h2>{alert.name}</h2>
        <span class="muted">
          {t("target.title")} {target.namespace}/{target.name}
        </span>
        <span class="grow" />
        <a class="button small" href={link("/alerts", { search: alert.name })}>
          {t("alert.title")}
        </a>
      </div>
      <p>{alert.shipped.meaning}</p>
      <p class="muted">{alert.shipped.action}</p>
      {alert.error && <p class="field-error">{alert.error}</p>}
      {Object.entries(alert.expressions).map(([severity, expression]) => (
        <p key={severity} class="row-actions">
          <span class="muted">{severityText(severity)}</span> <code class="wrap">{expression}</code>
        </p>
      ))}
    </section>
  );
}

/** Return the levels of settings, without the labels. */
function levelsOf(settings: AlertSettings | undefined): Levels {
  return Object.fromEntries(SEVERITIES.flatMap((one) => (settings?.[one] ? [[one, settings[one]]] : [])));
}

interface EditorProps {
  alert: TargetAlert;
  target: TargetAlerts;
  pools: readonly string[];
  done: () => void;
}

function Editor({ alert, target, pools, done }: EditorProps) {
  const before = target.rules[alert.name];
  const [levels, setLevels] = useState<Levels>(levelsOf(before));
  const [own, setOwn] = useState<Record<string, Levels>>(
    Object.fromEntries(
      Object.entries(target.pools).flatMap(([pool, rules]) =>
        alert.name in rules ? [[pool, levelsOf(rules[alert.name])]] : [],
      ),
    ),
  );
  const [pool, setPool] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [isRemoving, setRemoving] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [accepted, setAccepted] = useState(false);
  const free = pools.filter((one) => !(one in own));
  const run = async (isDryRun: boolean): Promise<void> => {
    setBusy(true);
    setError(null);
    setAccepted(false);
    try {
      const change = { levels, labels: before?.labels ?? {}, pools: own };
      await changeTargetAlert(target, alert.name, change, isDryRun);
      if (isDryRun) setAccepted(true);
      else {
        toast(t("target.saved", { name: alert.name }));
        done();
      }
    } catch (reason) {
      setError(reason);
    } finally {
      setBusy(false);
    }
  };
  const fields = { unit: alert.shipped.unit, defaults: alert.shipped.defaults };
  return (
    <form
      class="card form"
      aria-label={t("rule.settings")}
      onSubmit={(event) => {
        event.preventDefault();
        void run(false);
      }}
    >
      <h2>{t("rule.settings")}</h2>
      <p class="hint">{t("target.rights")}</p>
      <LevelFields title={t("rule.all")} {...fields} levels={levels} set={setLevels} />
      {Object.entries(own).map(([name, settings]) => (
        <LevelFields
          key={name}
          title={t("rule.pool", { pool: name })}
          {...fields}
          levels={settings}
          set={(changed) => setOwn({ ...own, [name]: changed })}
          remove={() => {
            const { [name]: _, ...others } = own;
            setOwn(others);
          }}
        />
      ))}
      {free.length > 0 ? (
        <div class="toolbar">
          <Select
            label={t("filter.pool")}
            hideLabel
            value={pool}
            options={[["", t("rule.pool.choose")], ...free.map((one) => [one, one] as const)]}
            onChange={setPool}
          />
          <button
            type="button"
            class="button"
            disabled={!pool}
            onClick={() => {
              setOwn({ ...own, [pool]: {} });
              setPool("");
            }}
          >
            {t("rule.pool.add")}
          </button>
        </div>
      ) : (
        pools.length === 0 && <p class="hint">{t("target.pools.none")}</p>
      )}
      {error !== null && <ErrorText error={error} />}
      {accepted && (
        <p class="hint" role="status">
          {t("target.accepted")}
        </p>
      )}
      <div class="row-actions">
        <button type="submit" class="button primary" disabled={isBusy}>
          {t("action.save")}
        </button>
        <button type="button" class="button" disabled={isBusy} onClick={() => void run(true)}>
          {t("target.check")}
        </button>
        <button type="button" class="button danger" disabled={isBusy} onClick={() => setRemoving(true)}>
          {t("rule.reset")}
        </button>
      </div>
      {isRemoving && (
        <Confirm
          title={t("rule.reset")}
          text={t("target.reset.text", { name: alert.name })}
          action={t("rule.reset")}
          run={async () => {
            await changeTargetAlert(target, alert.name, null, false);
            done();
          }}
          onClose={() => setRemoving(false)}
        />
      )}
    </form>
  );
}
