// What a view shows without data: loading, empty, failed; and the notice above stale data.
import type { ComponentChildren, JSX } from "preact";
import { ApiError, type ErrorKind } from "../api/client";
import { type Key, t } from "../i18n";
import { time } from "../i18n/format";
import type { Resource } from "../state/resource";
import { Icon, type IconName } from "./icon";

const TITLES: Record<ErrorKind, Key> = {
  network: "error.network",
  unauthorized: "error.unauthorized",
  forbidden: "error.forbidden",
  missing: "error.missing",
  conflict: "error.conflict",
  changed: "error.changed",
  invalid: "error.invalid",
  limited: "error.limited",
  unavailable: "error.unavailable",
  server: "error.server",
};

/** Return the title of an error in the language of the person. */
export function errorTitle(error: unknown): string {
  return t(error instanceof ApiError ? TITLES[error.kind] : "error.page");
}

/** Return what is wrong and what to do. */
export function errorText(error: unknown): string {
  if (error instanceof ApiError) return error.kind === "network" ? t("error.network.text") : error.message;
  return error instanceof Error ? error.message : String(error);
}

interface StateProps {
  icon: IconName;
  title: string;
  children?: ComponentChildren;
}

/** A message in the place of data. */
export function Message({ icon, title, children }: StateProps) {
  return (
    <div class="message">
      <Icon name={icon} size={24} />
      <p class="message-title">{title}</p>
      {children && <div class="message-text">{children}</div>}
    </div>
  );
}

/** The place of data while it loads. The skeleton has the size of the data, so that nothing moves. */
export function Loading({ height = "8rem" }: { height?: string }) {
  return (
    <div class="loading" role="status" style={{ minBlockSize: height }}>
      <span class="visually-hidden">{t("state.loading")}</span>
    </div>
  );
}

export function Failed({ error, retry }: { error: unknown; retry?: () => void }) {
  return (
    <div role="alert">
      <Message icon="critical" title={errorTitle(error)}>
        <p>{errorText(error)}</p>
        {retry && (
          <button type="button" class="button" onClick={retry}>
            <Icon name="reload" />
            {t("action.retry")}
          </button>
        )}
      </Message>
    </div>
  );
}

/** A notice that data is from an earlier time, because the refresh failed. */
export function Stale({ at, error, retry }: { at: number; error: unknown; retry?: () => void }) {
  return (
    <div class="notice" role="status">
      <Icon name="warning" />
      <span>{t("state.stale", { time: time(at), reason: errorTitle(error) })}</span>
      {retry && (
        <button type="button" class="button small" onClick={retry}>
          {t("action.retry")}
        </button>
      )}
    </div>
  );
}

interface ShowProps<T> {
  of: Resource<T>;
  height?: string;
  isEmpty?: (data: T) => boolean;
  empty?: JSX.Element;
  children: (data: T) => ComponentChildren;
}

/** Show the data of a resource, or its state. */
export function Show<T>({ of, height, isEmpty, empty, children }: ShowProps<T>) {
  if (of.data === null) {
    if (of.error !== null) return <Failed error={of.error} retry={of.reload} />;
    return height ? <Loading height={height} /> : <Loading />;
  }
  return (
    <>
      {of.error !== null && <Stale at={of.at} error={of.error} retry={of.reload} />}
      {isEmpty?.(of.data) ? (empty ?? <Message icon="info" title={t("state.empty")} />) : children(of.data)}
    </>
  );
}
