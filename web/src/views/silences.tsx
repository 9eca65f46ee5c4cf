// Silences and maintenance windows.
import { useState } from "preact/hooks";
import {
  deleteWindow,
  expireSilence,
  type MaintenanceWindow,
  type Silence,
  saveWindow,
  silences,
  windows,
} from "../api/alerts";
import { Confirm } from "../components/actions";
import { Icon } from "../components/icon";
import { LevelBadge } from "../components/severity";
import { Message, Show } from "../components/states";
import { toast, toastError } from "../components/toast";
import { t } from "../i18n";
import { dateTime } from "../i18n/format";
import { useResource } from "../state/resource";
import { may, me } from "../state/session";
import { SilenceDialog, WindowDialog } from "./alert_dialogs";

const REFRESH = 60_000;

export function Silences() {
  return (
    <>
      {me.value?.notifier !== "unknown" && <SilenceList />}
      {me.value?.notifier === "hub" && <WindowList />}
    </>
  );
}

const ORDER = { active: 0, pending: 1, expired: 2 };

function SilenceList() {
  const found = useResource("silences", (signal) => silences(signal), { refresh: REFRESH });
  const [isNew, setNew] = useState(false);
  const [ending, setEnding] = useState<Silence | null>(null);
  return (
    <section class="stack">
      <div class="section-head">
        <h2>{t("silence.title")}</h2>
        {may("edit") && (
          <button type="button" class="button" onClick={() => setNew(true)}>
            {t("silence.new")}
          </button>
        )}
      </div>
      <Show
        of={found}
        isEmpty={({ data }) => data.length === 0}
        empty={
          <Message icon="silence" title={t("silence.none")}>
            {t("silence.none.text")}
          </Message>
        }
      >
        {({ data }) => (
          <ul class="entries" aria-label={t("silence.title")}>
            {[...data]
              .sort((one, other) => ORDER[one.state] - ORDER[other.state])
              .map((one) => (
                <li key={one.id} class="entry" data-off={one.state === "expired" ? "" : undefined}>
                  <LevelBadge
                    level={one.state === "active" ? "ok" : one.state === "pending" ? "pending" : "unknown"}
                    text={t(`silence.${one.state}`)}
                  />
                  <div class="entry-text">
                    <Matchers texts={one.matchers} />
                    <p class="muted">
                      {dateTime(Date.parse(one.starts))} – {dateTime(Date.parse(one.ends))}, {one.author}
                      {one.comment && `: ${one.comment}`}
                    </p>
                  </div>
                  {may("edit") && one.state !== "expired" && (
                    <button type="button" class="button small" onClick={() => setEnding(one)}>
                      {t("silence.end")}
                    </button>
                  )}
                </li>
              ))}
          </ul>
        )}
      </Show>
      {isNew && <SilenceDialog labels={null} onClose={() => setNew(false)} onDone={found.reload} />}
      {ending && (
        <Confirm
          title={t("silence.end")}
          text={t("silence.end.text")}
          action={t("silence.end")}
          run={async () => {
            await expireSilence(ending);
            toast(t("silence.ended"));
            found.reload();
          }}
          onClose={() => setEnding(null)}
        />
      )}
    </section>
  );
}

function Matchers({ texts }: { texts: readonly string[] }) {
  return (
    <p class="matchers">
      {texts.map((text) => (
        <code key={text}>{text}</code>
      ))}
    </p>
  );
}

function WindowList() {
  const found = useResource("windows", (signal) => windows(signal), { refresh: REFRESH });
  const [editing, setEditing] = useState<MaintenanceWindow | "new" | null>(null);
  const [removing, setRemoving] = useState<MaintenanceWindow | null>(null);
  const toggle = (one: MaintenanceWindow): void => {
    const { name, weekdays, start, duration, time_zone, matchers, comment } = one;
    const body = { name, weekdays, start, duration, time_zone, matchers, comment, enabled: !one.enabled };
    saveWindow(body, one).then(found.reload, toastError);
  };
  return (
    <section class="stack">
      <div class="section-head">
        <h2>{t("window.title")}</h2>
        {may("edit") && (
          <button type="button" class="button" onClick={() => setEditing("new")}>
            {t("window.new")}
          </button>
        )}
      </div>
      <Show
        of={found}
        isEmpty={({ data }) => data.length === 0}
        empty={
          <Message icon="clock" title={t("window.none")}>
            {t("window.none.text")}
          </Message>
        }
      >
        {({ data }) => (
          <ul class="entries" aria-label={t("window.title")}>
            {data.map((one) => (
              <li key={one.id} class="entry" data-off={one.enabled ? undefined : ""}>
                <LevelBadge
                  level={one.is_open ? "ok" : one.enabled ? "pending" : "unknown"}
                  text={t(one.is_open ? "window.open" : one.enabled ? "window.planned" : "window.off")}
                />
                <div class="entry-text">
                  <p>
                    <strong>{one.name}</strong> {one.weekdays.map((day) => t(`day.${day}`)).join(", ")}, {one.start}{" "}
                    {one.time_zone}, {one.duration}
                  </p>
                  <Matchers texts={one.matchers} />
                  <p class="muted">
                    {one.occurrence && t("window.next", { time: dateTime(Date.parse(one.occurrence.starts)) })}{" "}
                    {one.author}
                    {one.comment && `: ${one.comment}`}
                  </p>
                </div>
                {may("edit") && (
                  <span class="row-actions">
                    <button type="button" class="button small" onClick={() => toggle(one)}>
                      {t(one.enabled ? "action.disable" : "action.enable")}
                    </button>
                    <button type="button" class="button small" onClick={() => setEditing(one)}>
                      {t("range.edit")}
                    </button>
                    <button
                      type="button"
                      class="button small icon-only"
                      aria-label={`${t("action.remove")}: ${one.name}`}
                      title={t("action.remove")}
                      onClick={() => setRemoving(one)}
                    >
                      <Icon name="trash" size={14} />
                    </button>
                  </span>
                )}
              </li>
            ))}
          </ul>
        )}
      </Show>
      {editing && (
        <WindowDialog
          before={editing === "new" ? null : editing}
          onClose={() => setEditing(null)}
          onDone={found.reload}
        />
      )}
      {removing && (
        <Confirm
          title={t("action.remove")}
          text={t("window.remove.text", { name: removing.name })}
          action={t("action.remove")}
          run={async () => {
            await deleteWindow(removing);
            found.reload();
          }}
          onClose={() => setRemoving(null)}
        />
      )}
    </section>
  );
}
