// Settings: users, API keys, receivers, the own account, and the hub.
import { useState } from "preact/hooks";
import {
  addKey,
  addUser,
  changePassword,
  changeUser,
  deadLetters,
  deleteLetter,
  endSession,
  type Key,
  keys,
  ROLES,
  type Role,
  receivers,
  removeUser,
  retryLetter,
  revokeKey,
  SCOPES,
  type Scope,
  type Session,
  sessions,
  testReceiver,
  type User,
  users,
} from "../api/accounts";
import { request } from "../api/client";
import type { Status } from "../api/types";
import { ActionForm, Confirm, NotAllowed } from "../components/actions";
import { Dialog } from "../components/dialog";
import { Select, TextField } from "../components/form";
import { LevelBadge } from "../components/severity";
import { Message, Show } from "../components/states";
import { Tabs, tabOf } from "../components/tabs";
import { toast, toastError } from "../components/toast";
import { t } from "../i18n";
import { dateTime, duration, number, programOf } from "../i18n/format";
import { useResource } from "../state/resource";
import { LEAST_PASSWORD, may, me } from "../state/session";

const REFRESH = 60_000;
const TABS = ["receivers", "users", "keys", "account", "about"] as const;

export default function Settings() {
  const tab = tabOf(TABS);
  return (
    <>
      <Tabs label={t("settings.title")} tabs={TABS.map((id) => ({ id, text: t(`settings.${id}`) }))} />
      {tab === "receivers" && <Receivers />}
      {tab === "users" && (may("admin") ? <Users /> : <NotAllowed right="admin" />)}
      {tab === "keys" && <Keys />}
      {tab === "account" && <Account />}
      {tab === "about" && <About />}
    </>
  );
}

function Receivers() {
  const found = useResource("receivers", (signal) => receivers(signal), { refresh: REFRESH });
  const [busy, setBusy] = useState("");
  const [results, setResults] = useState<Record<string, string>>({});
  const test = async (name: string): Promise<void> => {
    setBusy(name);
    try {
      const { data } = await testReceiver(name);
      setResults(
        Object.fromEntries(
          data.map((one) => [
            `${name} ${one.channel}`,
            one.outcome === "delivered" ? t("receiver.delivered", { time: one.milliseconds }) : one.error,
          ]),
        ),
      );
      found.reload();
    } catch (error) {
      toastError(error);
    } finally {
      setBusy("");
    }
  };
  return (
    <>
      <Show
        of={found}
        isEmpty={({ data }) => data.length === 0}
        empty={
          <Message icon="alerts" title={t("receiver.none")}>
            {t("receiver.none.text")}
          </Message>
        }
      >
        {({ data }) =>
          data.map((receiver) => (
            <section class="stack" key={receiver.name}>
              <div class="section-head">
                <h2>{receiver.name}</h2>
                {may("admin") && (
                  <button type="button" class="button" disabled={busy !== ""} onClick={() => void test(receiver.name)}>
                    {t("receiver.test")}
                  </button>
                )}
              </div>
              <ul class="entries" aria-label={receiver.name}>
                {receiver.channels.map((one) => (
                  <li key={one.name} class="entry">
                    <LevelBadge
                      level={one.state === "ok" ? "ok" : one.state === "failing" ? "critical" : "unknown"}
                      text={t(`receiver.${one.state}`)}
                    />
                    <div class="entry-text">
                      <p>
                        <strong>{one.kind}</strong> {one.destination}
                      </p>
                      <p class="muted">
                        {t("receiver.counts", {
                          delivered: one.delivered,
                          waiting: one.waiting,
                          dead: one.given_up,
                        })}
                      </p>
                      {one.error && <p class="field-error">{one.error}</p>}
                      {results[`${receiver.name} ${one.name}`] && (
                        <p role="status">
                          {t("receiver.result")}: {results[`${receiver.name} ${one.name}`]}
                        </p>
                      )}
                    </div>
                  </li>
                ))}
              </ul>
            </section>
          ))
        }
      </Show>
      {found.data && found.data.data.length > 0 && <DeadLetters />}
    </>
  );
}

function DeadLetters() {
  const found = useResource("dead", (signal) => deadLetters(signal), { refresh: REFRESH });
  const act = (work: Promise<unknown>): void => void work.then(found.reload, toastError);
  return (
    <section class="stack">
      <div class="section-head">
        <h2>{t("letter.title")}</h2>
        {may("edit") && (found.data?.data.length ?? 0) > 0 && (
          <button type="button" class="button" onClick={() => act(retryLetter(null))}>
            {t("letter.retry.all")}
          </button>
        )}
      </div>
      <Show of={found} isEmpty={({ data }) => data.length === 0} empty={<p class="muted">{t("letter.none")}</p>}>
        {({ data }) => (
          <ul class="entries" aria-label={t("letter.title")}>
            {data.map((one) => (
              <li key={one.id} class="entry">
                <div class="entry-text">
                  <p>
                    <strong>{one.title}</strong> {one.receiver} / {one.channel}
                  </p>
                  <p class="field-error">{one.error}</p>
                  <p class="muted">
                    {dateTime(Date.parse(one.queued))}, {t("letter.attempts", { count: one.attempts })}
                  </p>
                </div>
                {may("edit") && (
                  <span class="row-actions">
                    <button type="button" class="button small" onClick={() => act(retryLetter(one.id))}>
                      {t("letter.retry")}
                    </button>
                    <button type="button" class="button small" onClick={() => act(deleteLetter(one.id))}>
                      {t("action.remove")}
                    </button>
                  </span>
                )}
              </li>
            ))}
          </ul>
        )}
      </Show>
    </section>
  );
}

function Users() {
  const found = useResource("users", (signal) => users(signal), { refresh: REFRESH });
  const [isNew, setNew] = useState(false);
  const [removing, setRemoving] = useState<User | null>(null);
  const act = (work: Promise<unknown>): void =>
    void work.then(
      () => {
        toast(t("user.saved"));
        found.reload();
      },
      (error: unknown) => {
        toastError(error);
        found.reload();
      },
    );
  return (
    <section class="stack">
      <div class="section-head">
        <h2>{t("settings.users")}</h2>
        <button type="button" class="button" onClick={() => setNew(true)}>
          {t("user.add")}
        </button>
      </div>
      <Show
        of={found}
        isEmpty={({ data }) => data.length === 0}
        empty={
          <Message icon="user" title={t("user.none")}>
            {t("user.none.text")}
          </Message>
        }
      >
        {({ data }) => (
          <ul class="entries" aria-label={t("settings.users")}>
            {data.map((user) => (
              <li key={user.name} class="entry" data-off={user.state === "disabled" ? "" : undefined}>
                <LevelBadge level={user.state === "active" ? "ok" : "unknown"} text={t(`user.${user.state}`)} />
                <div class="entry-text">
                  <p>
                    <strong>{user.name}</strong>
                  </p>
                  <p class="muted">
                    {t(`user.login.${user.login}`)}, {dateTime(Date.parse(user.created))}
                  </p>
                </div>
                <span class="row-actions">
                  <Select
                    label={t("user.role.of", { name: user.name })}
                    hideLabel
                    value={user.role}
                    options={ROLES.map((role) => [role, t(`role.${role}`)] as const)}
                    onChange={(role) => act(changeUser(user, { role }))}
                  />
                  <button
                    type="button"
                    class="button"
                    onClick={() => act(changeUser(user, { disabled: user.state === "active" }))}
                  >
                    {t(user.state === "active" ? "action.disable" : "action.enable")}
                  </button>
                  <button type="button" class="button" onClick={() => setRemoving(user)}>
                    {t("action.remove")}
                  </button>
                </span>
              </li>
            ))}
          </ul>
        )}
      </Show>
      {isNew && <UserDialog onClose={() => setNew(false)} onDone={found.reload} />}
      {removing && (
        <Confirm
          title={t("user.remove")}
          text={t("user.remove.text", { name: removing.name })}
          action={t("action.remove")}
          run={async () => {
            await removeUser(removing);
            found.reload();
          }}
          onClose={() => setRemoving(null)}
        />
      )}
    </section>
  );
}

function UserDialog({ onClose, onDone }: { onClose: () => void; onDone: () => void }) {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const run = async (): Promise<void> => {
    await addUser({ name, password, role });
    toast(t("user.saved"));
    onDone();
    onClose();
  };
  return (
    <Dialog title={t("user.add")} onClose={onClose}>
      <ActionForm action={t("user.add")} run={run}>
        <TextField label={t("session.name")} value={name} onInput={setName} required />
        <TextField
          label={t("session.password")}
          type="password"
          autocomplete="new-password"
          value={password}
          onInput={setPassword}
          hint={t("session.password.hint", { least: LEAST_PASSWORD })}
          required
        />
        <Select
          label={t("user.role")}
          value={role}
          options={ROLES.map((one) => [one, `${t(`role.${one}`)}: ${t(`role.${one}.text`)}`] as const)}
          onChange={setRole}
        />
      </ActionForm>
    </Dialog>
  );
}

function Keys() {
  const found = useResource("keys", (signal) => keys(signal), { refresh: REFRESH });
  const [isNew, setNew] = useState(false);
  const [revoking, setRevoking] = useState<Key | null>(null);
  return (
    <section class="stack">
      <div class="section-head">
        <h2>{t("settings.keys")}</h2>
        {found.data && (
          <button type="button" class="button" onClick={() => setNew(true)}>
            {t("key.new")}
          </button>
        )}
      </div>
      <Show of={found} isEmpty={({ data }) => data.length === 0} empty={<p class="muted">{t("key.none")}</p>}>
        {({ data }) => (
          <ul class="entries" aria-label={t("settings.keys")}>
            {[...data].reverse().map((key) => (
              <li key={key.id} class="entry" data-off={key.state === "active" ? undefined : ""}>
                <LevelBadge level={key.state === "active" ? "ok" : "unknown"} text={t(`key.${key.state}`)} />
                <div class="entry-text">
                  <p>
                    <strong>{key.label}</strong> <code>{key.id}</code>{" "}
                    {key.scopes.map((scope) => t(`scope.${scope}`)).join("; ")}
                  </p>
                  <p class="muted">
                    {key.owner && `${key.owner}, `}
                    {key.last_used ? t("key.used", { time: dateTime(Date.parse(key.last_used)) }) : t("key.unused")}
                    {key.expires && `, ${t("key.expires", { time: dateTime(Date.parse(key.expires)) })}`}
                  </p>
                </div>
                {key.state === "active" && (
                  <button type="button" class="button small" onClick={() => setRevoking(key)}>
                    {t("key.revoke")}
                  </button>
                )}
              </li>
            ))}
          </ul>
        )}
      </Show>
      {isNew && <KeyDialog onClose={() => setNew(false)} onDone={found.reload} />}
      {revoking && (
        <Confirm
          title={t("key.revoke")}
          text={t("key.revoke.text", { name: revoking.label })}
          action={t("key.revoke")}
          run={async () => {
            await revokeKey(revoking);
            found.reload();
          }}
          onClose={() => setRevoking(null)}
        />
      )}
    </section>
  );
}

const DAY = 86_400_000;
const LIVES = [
  ["30", "30 d"],
  ["90", "90 d"],
  ["365", "365 d"],
] as const;

function KeyDialog({ onClose, onDone }: { onClose: () => void; onDone: () => void }) {
  const [label, setLabel] = useState("");
  const [scope, setScope] = useState<Scope>("read");
  const [days, setDays] = useState("90");
  const [key, setKey] = useState("");
  const run = async (): Promise<void> => {
    const expires = days ? new Date(Date.now() + Number(days) * DAY).toISOString() : null;
    const created = await addKey({ label, scopes: scope === "edit" ? ["read", "edit"] : [scope], expires });
    setKey(created.key);
    onDone();
  };
  if (key)
    return (
      <Dialog title={t("key.created")} onClose={onClose}>
        <div class="form">
          <p>{t("key.once")}</p>
          <code class="secret">{key}</code>
          <div class="form-actions">
            <button
              type="button"
              class="button primary"
              onClick={() => navigator.clipboard.writeText(key).then(() => toast(t("key.copied")), toastError)}
            >
              {t("key.copy")}
            </button>
          </div>
        </div>
      </Dialog>
    );
  return (
    <Dialog title={t("key.new")} onClose={onClose}>
      <ActionForm action={t("key.create")} run={run}>
        <TextField label={t("field.name")} value={label} onInput={setLabel} required />
        <Select
          label={t("key.scope")}
          value={scope}
          options={SCOPES.filter((one) => may(one)).map((one) => [one, t(`scope.${one}`)] as const)}
          onChange={setScope}
        />
        <Select label={t("key.life")} value={days} options={[...LIVES, ["", t("key.forever")]]} onChange={setDays} />
      </ActionForm>
    </Dialog>
  );
}

function Account() {
  return (
    <>
      <OwnAccount />
      {me.value?.session && <Sessions />}
    </>
  );
}

/** The logins of the user, so that a lost device can be logged out. */
function Sessions() {
  const found = useResource("sessions", (signal) => sessions(signal), { refresh: REFRESH });
  const [ending, setEnding] = useState<Session | null>(null);
  return (
    <section class="stack">
      <h2>{t("account.sessions.title")}</h2>
      <Show of={found}>
        {({ data }) => (
          <ul class="entries" aria-label={t("account.sessions.title")}>
            {data.map((one) => (
              <li key={one.id} class="entry">
                <div class="entry-text">
                  <p>
                    <strong title={one.client}>{programOf(one.client) || t("account.session.unknown")}</strong>{" "}
                    {one.current && <span class="muted">{t("account.session.current")}</span>}
                  </p>
                  <p class="muted">
                    {t("account.session.times", {
                      created: dateTime(Date.parse(one.created)),
                      expires: dateTime(Date.parse(one.expires)),
                    })}
                  </p>
                </div>
                {!one.current && (
                  <button type="button" class="button small" onClick={() => setEnding(one)}>
                    {t("account.session.end")}
                  </button>
                )}
              </li>
            ))}
          </ul>
        )}
      </Show>
      {ending && (
        <Confirm
          title={t("account.session.end")}
          text={t("account.session.end.text", { client: programOf(ending.client) || t("account.session.unknown") })}
          action={t("account.session.end")}
          run={async () => {
            await endSession(ending);
            found.reload();
          }}
          onClose={() => setEnding(null)}
        />
      )}
    </section>
  );
}

function OwnAccount() {
  const [before, setBefore] = useState("");
  const [password, setPassword] = useState("");
  const own = me.value;
  const run = async (): Promise<void> => {
    await changePassword(before, password);
    setBefore("");
    setPassword("");
    toast(t("account.changed"));
  };
  return (
    <section class="card stack narrow">
      <dl class="facts">
        <div>
          <dt>{t("session.name")}</dt>
          <dd>{own?.label || own?.name}</dd>
        </div>
        <div>
          <dt>{t("user.role")}</dt>
          <dd>{own?.role ? t(`role.${own.role}`) : own?.scopes.map((scope) => t(`scope.${scope}`)).join("; ")}</dd>
        </div>
      </dl>
      {own?.session ? (
        <ActionForm action={t("account.change")} run={run}>
          <TextField
            label={t("account.before")}
            type="password"
            autocomplete="current-password"
            value={before}
            onInput={setBefore}
            required
          />
          <TextField
            label={t("account.password")}
            type="password"
            autocomplete="new-password"
            value={password}
            onInput={setPassword}
            hint={t("session.password.hint", { least: LEAST_PASSWORD })}
            required
          />
          <p class="hint">{t("account.sessions")}</p>
        </ActionForm>
      ) : (
        <p class="hint">{t("account.key")}</p>
      )}
    </section>
  );
}

function About() {
  const found = useResource("status", (signal) => request<Status>("GET", "/api/status", { signal }), {
    refresh: REFRESH,
  });
  return (
    <Show of={found}>
      {(status) => (
        <>
          {status.problems.length > 0 && (
            <section class="stack">
              <h2>{t("about.problems")}</h2>
              <ul class="entries">
                {status.problems.map((text) => (
                  <li key={text} class="entry">
                    <LevelBadge level="warning" />
                    <p class="entry-text">{text}</p>
                  </li>
                ))}
              </ul>
            </section>
          )}
          <section class="card stack">
            <dl class="figures">
              {(
                [
                  [t("about.version"), status.version],
                  [t("node.boot"), duration(status.uptime_seconds)],
                  [t("about.targets"), `${status.targets.up} / ${status.targets.up + status.targets.down}`],
                  [t("about.series"), number(status.series)],
                  [t("rule.interval"), status.collect_interval],
                ] as const
              ).map(([title, value]) => (
                <div class="figure" key={title}>
                  <dt>{title}</dt>
                  <dd>{value}</dd>
                </div>
              ))}
            </dl>
            <p class="row-actions">
              <a class="button small" href="/docs" data-external="" target="_blank" rel="noreferrer">
                {t("about.api")}
              </a>
            </p>
          </section>
        </>
      )}
    </Show>
  );
}
