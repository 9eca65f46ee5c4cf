// Sign in with name and password, an API key, a provider, or create the first administrator.
import { useState } from "preact/hooks";
import { Choice, TextField } from "../components/form";
import { Icon } from "../components/icon";
import { errorText, errorTitle } from "../components/states";
import { t } from "../i18n";
import { hasProvider, LEAST_PASSWORD, setUp, signIn, signInWithKey } from "../state/session";

type Way = "password" | "key" | "setup";

export function SignIn() {
  const [way, setWay] = useState<Way>("password");
  const [name, setName] = useState("");
  const [secret, setSecret] = useState("");
  const [token, setToken] = useState("");
  const [error, setError] = useState<unknown>(null);
  const [isBusy, setBusy] = useState(false);
  const submit = async (): Promise<void> => {
    setBusy(true);
    setError(null);
    try {
      if (way === "key") await signInWithKey(secret.trim());
      else if (way === "setup") await setUp(token.trim(), name, secret);
      else await signIn(name, secret);
    } catch (reason) {
      setError(reason);
      setBusy(false);
    }
  };
  const choose = (next: Way): void => {
    setWay(next);
    setSecret("");
    setError(null);
  };
  return (
    <main class="alone">
      <form
        class="form card sign-in"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <h1>
          <svg width="28" height="28" viewBox="0 0 32 32" aria-hidden="true">
            <path class="brand-back" d="M4 3l7 5h10l7-5v14a12 12 0 0 1-24 0z" />
            <path class="brand-line" d="M8 18h4l2-5 3 9 2.500-6 1 2H24" />
          </svg>
          {t("session.in")}
        </h1>
        <Choice
          label={t("session.way")}
          value={way}
          onChange={choose}
          options={[
            { value: "password", text: t("session.password") },
            { value: "key", text: t("session.key") },
            { value: "setup", text: t("session.setup") },
          ]}
        />
        {way === "setup" && (
          <TextField
            label={t("session.token")}
            value={token}
            onInput={setToken}
            hint={t("session.token.hint")}
            required
          />
        )}
        {way !== "key" && (
          <TextField label={t("session.name")} value={name} onInput={setName} autocomplete="username" required />
        )}
        {way === "key" ? (
          <TextField
            label={t("session.key")}
            type="password"
            value={secret}
            onInput={setSecret}
            placeholder="metricat_…"
            hint={t("session.key.hint")}
            required
          />
        ) : (
          <TextField
            label={t("session.password")}
            type="password"
            value={secret}
            onInput={setSecret}
            autocomplete={way === "setup" ? "new-password" : "current-password"}
            {...(way === "setup" ? { hint: t("session.password.hint", { least: LEAST_PASSWORD }) } : {})}
            required
          />
        )}
        {error !== null && (
          <p class="field-error" role="alert">
            <Icon name="critical" /> {errorTitle(error)}. {errorText(error)}
          </p>
        )}
        <button type="submit" class="button primary" disabled={isBusy}>
          {t(way === "setup" ? "session.create" : "session.in")}
        </button>
        {hasProvider.value && (
          <a class="button" href="/api/v1/oidc/login" data-external="">
            <Icon name="external" />
            {t("session.provider")}
          </a>
        )}
      </form>
    </main>
  );
}
