// Short messages about an action that ended.
import { signal } from "@preact/signals";
import { t } from "../i18n";
import { Icon } from "./icon";
import { errorText, errorTitle } from "./states";

interface Toast {
  id: number;
  kind: "done" | "failed";
  text: string;
}

const SHOWN = 6_000;
const toasts = signal<Toast[]>([]);
let next = 0;

function add(kind: Toast["kind"], text: string): void {
  const id = next++;
  toasts.value = [...toasts.value, { id, kind, text }];
  // An error stays until the person closes it.
  if (kind === "done") setTimeout(() => remove(id), SHOWN);
}

function remove(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

/** Report that an action succeeded. */
export function toast(text: string): void {
  add("done", text);
}

/** Report that an action failed. */
export function toastError(error: unknown): void {
  add("failed", `${errorTitle(error)}: ${errorText(error)}`);
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((one) => (
        <div key={one.id} class="toast" data-kind={one.kind}>
          <Icon name={one.kind === "done" ? "check" : "critical"} />
          <span>{one.text}</span>
          <button type="button" class="button icon-only" aria-label={t("action.close")} onClick={() => remove(one.id)}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}
