// Acknowledge an alert, silence alerts, and plan a maintenance window.
import { useState } from "preact/hooks";
import {
  type AlertEntry,
  acknowledge,
  activeAlerts,
  addSilence,
  DAYS,
  type Day,
  type MaintenanceWindow,
  matches,
  saveWindow,
} from "../api/alerts";
import type { Labels } from "../api/types";
import { ActionForm } from "../components/actions";
import { Dialog } from "../components/dialog";
import { Field, Select, TextField } from "../components/form";
import { toast } from "../components/toast";
import { t } from "../i18n";
import { dateTime, timeOfField } from "../i18n/format";
import { nodes } from "../state/nodes";
import { zone } from "../state/preferences";
import { useResource } from "../state/resource";

const DURATIONS = ["1h", "2h", "4h", "8h", "1d", "3d", "7d"] as const;

interface DialogProps {
  onClose: () => void;
  onDone: () => void;
}

export function AcknowledgeDialog({ alert, onClose, onDone }: DialogProps & { alert: AlertEntry }) {
  const [comment, setComment] = useState("");
  const [duration, setDuration] = useState("");
  const run = async (): Promise<void> => {
    await acknowledge(alert.fingerprint, { comment, ...(duration ? { duration } : {}) });
    toast(t("alert.acknowledge.done", { alert: alert.name }));
    onDone();
    onClose();
  };
  return (
    <Dialog title={t("alert.acknowledge.title", { alert: alert.name })} onClose={onClose}>
      <ActionForm action={t("alert.acknowledge")} run={run}>
        <p class="hint">{t("alert.acknowledge.text")}</p>
        <TextField label={t("field.comment")} value={comment} onInput={setComment} />
        <Select
          label={t("field.until")}
          value={duration}
          options={[["", t("alert.until.resolved")], ...DURATIONS.map((one) => [one, one] as const)]}
          onChange={setDuration}
        />
      </ActionForm>
    </Dialog>
  );
}

/** The labels that identify an alert for people. Silences from an alert select these; the others can be added. */
const USUAL = ["alertname", "node", "severity", "pool", "device", "mountpoint"];

const matcher = (name: string, value: string): string => `${name}=${JSON.stringify(value)}`;

export function SilenceDialog({ labels, onClose, onDone }: DialogProps & { labels: Labels | null }) {
  const names = Object.keys(labels ?? {}).sort((one, other) => rank(one) - rank(other) || one.localeCompare(other));
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set(names.filter((name) => rank(name) < 2)));
  const [more, setMore] = useState("");
  const [duration, setDuration] = useState<string>("2h");
  const [comment, setComment] = useState("");
  const active = useResource("silenced", (signal) => activeAlerts(signal));
  const [place, setPlace] = useState<Place>({});
  const [start, setStart] = useState("");
  const matchers = [
    ...ofPlace(place),
    ...names.filter((name) => chosen.has(name)).map((name) => matcher(name, labels?.[name] ?? "")),
    ...lines(more),
  ];
  const found = (active.data?.data ?? []).map((alert) => matches(matchers, alert.labels));
  const isInvalid = matches(matchers, {}) === null;
  const run = async (): Promise<void> => {
    const starts = start ? timeOfField(start) : null;
    await addSilence({
      matchers,
      duration,
      comment,
      ...(starts === null ? {} : { starts: new Date(starts).toISOString() }),
    });
    toast(
      starts !== null && starts > Date.now()
        ? t("silence.later", { time: dateTime(starts) })
        : t("silence.done", { time: duration }),
    );
    onDone();
    onClose();
  };
  const toggle = (name: string): void => {
    const next = new Set(chosen);
    if (!next.delete(name)) next.add(name);
    setChosen(next);
  };
  return (
    <Dialog title={t("silence.new")} onClose={onClose}>
      <ActionForm action={t("silence.create")} run={run} disabled={matchers.length === 0 || isInvalid}>
        {names.length > 0 && (
          <fieldset class="field checks">
            <legend>{t("silence.matchers")}</legend>
            {names.map((name) => (
              <label key={name} class="check">
                <input type="checkbox" checked={chosen.has(name)} onChange={() => toggle(name)} />
                <code>{matcher(name, labels?.[name] ?? "")}</code>
              </label>
            ))}
          </fieldset>
        )}
        {!labels && <PlaceFields value={place} onChange={setPlace} />}
        <Matchers
          label={t(names.length > 0 ? "silence.more" : "silence.matchers")}
          value={more}
          onInput={setMore}
          isInvalid={isInvalid}
        />
        {matchers.length === 0 && <p class="hint">{t("silence.matchers.missing")}</p>}
        <div class="columns">
          <TextField label={t("field.start")} type="datetime-local" value={start} onInput={setStart} />
          <Select
            label={t("field.duration")}
            value={duration}
            options={DURATIONS.map((one) => [one, one] as const)}
            onChange={setDuration}
          />
        </div>
        <p class="hint">
          {t("silence.start.hint")} {t(zone.value === "utc" ? "zone.utc" : "zone.local")}
        </p>
        <TextField label={t("field.comment")} value={comment} onInput={setComment} placeholder={t("silence.why")} />
        {matchers.length > 0 && !isInvalid && active.data && (
          <p class="hint" role="status">
            {t("silence.preview", { count: found.filter(Boolean).length })}
          </p>
        )}
      </ActionForm>
    </Dialog>
  );
}

function rank(name: string): number {
  const found = USUAL.indexOf(name);
  return found < 0 ? USUAL.length : found;
}

const lines = (text: string): string[] =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);

interface MatchersProps {
  label: string;
  value: string;
  onInput: (value: string) => void;
  isInvalid: boolean;
}

function Matchers({ label, value, onInput, isInvalid }: MatchersProps) {
  return (
    <Field
      label={label}
      hint={t("silence.matchers.hint")}
      {...(isInvalid ? { error: t("silence.matchers.invalid") } : {})}
    >
      {(attributes) => (
        <textarea
          {...attributes}
          class="input mono"
          rows={2}
          value={value}
          spellcheck={false}
          onInput={(event) => onInput(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

/** The pool or the node whose alerts a person silences. */
interface Place {
  pool?: string;
  node?: string;
}

const ofPlace = (place: Place): string[] => Object.entries(place).map(([name, value]) => matcher(name, value));

/** A choice of a pool or of a node, so that users need not write its matcher. */
function PlaceFields({ value, onChange }: { value: Place; onChange: (place: Place) => void }) {
  const all = nodes.value ?? [];
  const names = {
    pool: [...new Set(all.map((node) => node.pool).filter(Boolean))].sort(),
    node: all.map(({ node }) => node).sort(),
  };
  const titles = { pool: t("filter.pool"), node: t("node.title") };
  return (
    <div class="columns">
      {(["pool", "node"] as const)
        .filter((kind) => names[kind].length > 0)
        .map((kind) => (
          <Select
            key={kind}
            label={titles[kind]}
            value={value[kind] ?? ""}
            options={[["", "–"], ...names[kind].map((one) => [one, one] as const)]}
            onChange={(chosen) => onChange(chosen ? { [kind]: chosen } : {})}
          />
        ))}
    </div>
  );
}

export function WindowDialog({ before, onClose, onDone }: DialogProps & { before: MaintenanceWindow | null }) {
  const [name, setName] = useState(before?.name ?? "");
  const [days, setDays] = useState<readonly Day[]>(before?.weekdays ?? ["saturday"]);
  const [start, setStart] = useState(before?.start ?? "22:00");
  const [duration, setDuration] = useState(before?.duration ?? "2h");
  const [timeZone, setTimeZone] = useState(before?.time_zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone);
  const [text, setText] = useState(before?.matchers.join("\n") ?? "");
  const [place, setPlace] = useState<Place>({});
  const [comment, setComment] = useState(before?.comment ?? "");
  const matchers = [...lines(text), ...ofPlace(place)];
  const isInvalid = matches(matchers, {}) === null;
  const run = async (): Promise<void> => {
    const body = {
      name,
      weekdays: DAYS.filter((day) => days.includes(day)),
      start,
      duration,
      time_zone: timeZone,
      matchers,
      comment,
      enabled: before?.enabled ?? true,
    };
    await saveWindow(body, before);
    toast(t("window.done", { name }));
    onDone();
    onClose();
  };
  return (
    <Dialog title={t(before ? "window.edit" : "window.new")} onClose={onClose}>
      <ActionForm
        action={t("action.save")}
        run={run}
        disabled={isInvalid || matchers.length === 0 || days.length === 0}
      >
        <TextField label={t("field.name")} value={name} onInput={setName} required />
        <fieldset class="field days">
          <legend>{t("window.days")}</legend>
          {DAYS.map((day) => (
            <label key={day} class="check">
              <input
                type="checkbox"
                checked={days.includes(day)}
                onChange={() => setDays(days.includes(day) ? days.filter((one) => one !== day) : [...days, day])}
              />
              {t(`day.${day}`)}
            </label>
          ))}
        </fieldset>
        <div class="columns">
          <TextField label={t("window.start")} value={start} onInput={setStart} required />
          <TextField label={t("field.duration")} value={duration} onInput={setDuration} required />
        </div>
        <TextField label={t("zone.title")} value={timeZone} onInput={setTimeZone} required />
        {!before && <PlaceFields value={place} onChange={setPlace} />}
        <Matchers label={t("silence.matchers")} value={text} onInput={setText} isInvalid={isInvalid} />
        {matchers.length === 0 && <p class="hint">{t("silence.matchers.missing")}</p>}
        <TextField label={t("field.comment")} value={comment} onInput={setComment} />
      </ActionForm>
    </Dialog>
  );
}
