// The layout: navigation, head, and the view of the path.

import { useEffect, useState } from "preact/hooks";
import { lastRound, liveState } from "./api/live";
import { Choice } from "./components/form";
import { Icon } from "./components/icon";
import { RangeBar } from "./components/range_bar";
import { Failed, Loading, Message } from "./components/states";
import { Toasts } from "./components/toast";
import { t } from "./i18n";
import { time } from "./i18n/format";
import { watchNodes } from "./state/nodes";
import { language, theme, zone } from "./state/preferences";
import { link, match, path } from "./state/router";
import { me, sessionError, sessionState, signOut, start } from "./state/session";
import { VIEWS, type View, type ViewComponent } from "./views/registry";
import { SignIn } from "./views/sign_in";

export function App() {
  if (sessionState.value === "unknown") return <Loading height="100vh" />;
  if (sessionState.value === "failed")
    return (
      <main class="alone">
        <Failed error={sessionError.value} retry={() => void start()} />
      </main>
    );
  if (sessionState.value === "signed-out") return <SignIn />;
  return <Layout />;
}

function current(): { view: View; parameters: Record<string, string> } | null {
  for (const view of VIEWS) {
    const parameters = match(view.path, path.value);
    if (parameters) return { view, parameters };
  }
  return null;
}

function Layout() {
  const [isOpen, setOpen] = useState(false);
  useEffect(watchNodes, []);
  const found = current();
  const title = found ? (found.parameters["node"] ?? t(found.view.title)) : t("error.missing");
  useEffect(() => {
    document.title = `${title} · Metricat`;
  }, [title]);
  useEffect(() => setOpen(false), [path.value]);
  return (
    <div class="layout">
      <a class="skip" href="#content" data-external="">
        {t("nav.skip")}
      </a>
      <Navigation isOpen={isOpen} view={found?.view ?? null} close={() => setOpen(false)} />
      <header class="head">
        <button
          type="button"
          class="button icon-only menu-button"
          aria-label={t("nav.title")}
          aria-expanded={isOpen}
          onClick={() => setOpen(!isOpen)}
        >
          <Icon name="menu" />
        </button>
        <h1>{title}</h1>
        <Live />
        <span class="grow" />
        {found?.view.range && <RangeBar />}
      </header>
      <main id="content" class="content" tabIndex={-1}>
        {found ? (
          <ViewOf {...found} />
        ) : (
          <Message icon="unknown" title={t("error.missing")}>
            {t("error.path")}
          </Message>
        )}
      </main>
      <Toasts />
    </div>
  );
}

interface NavigationProps {
  isOpen: boolean;
  view: View | null;
  close: () => void;
}

function Navigation({ isOpen, view, close }: NavigationProps) {
  return (
    <nav
      class="nav"
      data-open={isOpen ? "" : undefined}
      aria-label={t("nav.title")}
      onKeyDown={(event) => event.key === "Escape" && close()}
    >
      <a class="brand" href={link("/")}>
        <svg width="22" height="22" viewBox="0 0 32 32" aria-hidden="true">
          <path class="brand-back" d="M4 3l7 5h10l7-5v14a12 12 0 0 1-24 0z" />
          <path class="brand-line" d="M8 18h4l2-5 3 9 2.500-6 1 2H24" />
        </svg>
        Metricat
      </a>
      <ul>
        {VIEWS.map((one) =>
          one.icon ? (
            <li key={one.path}>
              <a href={link(one.path)} aria-current={one === view ? "page" : undefined}>
                <Icon name={one.icon} />
                {t(one.title)}
              </a>
            </li>
          ) : null,
        )}
      </ul>
      <div class="nav-foot">
        <Choice
          label={t("theme.title")}
          value={theme.value}
          onChange={(chosen) => {
            theme.value = chosen;
          }}
          options={[
            { value: "light", text: t("theme.light"), icon: "sun" },
            { value: "system", text: t("theme.system"), icon: "system" },
            { value: "dark", text: t("theme.dark"), icon: "moon" },
          ]}
        />
        <Choice
          label={t("zone.title")}
          value={zone.value}
          onChange={(chosen) => {
            zone.value = chosen;
          }}
          options={[
            { value: "local", text: t("zone.local.short") },
            { value: "utc", text: "UTC" },
          ]}
        />
        <Choice
          label={t("language.title")}
          value={language.value}
          onChange={(chosen) => {
            language.value = chosen;
          }}
          options={[
            { value: "en", text: "English" },
            { value: "ko", text: "한국어" },
          ]}
        />
        <div class="account">
          <Icon name="user" />
          <span class="account-name">
            {me.value?.kind === "key" ? (me.value.label ?? me.value.name) : (me.value?.name ?? "")}
          </span>
          {(me.value?.kind === "key" || me.value?.session) && (
            <button
              type="button"
              class="button icon-only"
              aria-label={t("session.out")}
              title={t("session.out")}
              onClick={() => void signOut()}
            >
              <Icon name="logout" />
            </button>
          )}
        </div>
      </div>
    </nav>
  );
}

/** Whether values arrive, and when the newest did. */
function Live() {
  const state = liveState.value;
  const text = state === "live" && lastRound.value ? t("live.at", { time: time(lastRound.value) }) : t(`live.${state}`);
  return (
    <span class="live" data-state={state} title={text}>
      <span class="live-dot" />
      <span class="live-text">{text}</span>
    </span>
  );
}

const loaded = new Map<View, ViewComponent>();

/** Load the code of the present view, while the hub checks who uses the page. */
export function preload(): void {
  const view = current()?.view;
  view?.load().then(
    (component) => loaded.set(view, component),
    () => null, // the view itself tries again, and shows the error
  );
}

/** The view, whose code is loaded at its first use. */
function ViewOf({ view, parameters }: { view: View; parameters: Record<string, string> }) {
  const [, setShown] = useState<View | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    if (loaded.has(view)) {
      setShown(view); // it may have been loaded since it was drawn
      return;
    }
    let isCurrent = true;
    view.load().then(
      (component) => {
        loaded.set(view, component);
        if (isCurrent) setShown(view);
      },
      (reason: unknown) => isCurrent && setError(reason),
    );
    return () => {
      isCurrent = false;
    };
  }, [view, attempt]);
  if (error !== null)
    return (
      <Failed
        error={error}
        retry={() => {
          setError(null);
          setAttempt(attempt + 1);
        }}
      />
    );
  const Component = loaded.get(view);
  return Component ? (
    <Component key={JSON.stringify(parameters)} parameters={parameters} />
  ) : (
    <Loading height="24rem" />
  );
}
