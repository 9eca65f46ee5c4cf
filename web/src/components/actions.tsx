// Buttons and dialogs of actions that change something.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { ApiError } from "../api/client";
import { t } from "../i18n";
import { Dialog } from "./dialog";
import { errorText, errorTitle } from "./states";

interface ActionFormProps {
  /** The text of the button that sends the form. */
  action: string;
  danger?: boolean;
  disabled?: boolean;
  /** What the button does; the form shows an error. */
  run: () => Promise<void>;
  children: ComponentChildren;
}

/** A form that shows the error of its request. */
export function ActionForm({ action, danger = false, disabled = false, run, children }: ActionFormProps) {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const send = async (): Promise<void> => {
    setBusy(true);
    setError(null);
    try {
      await run();
    } catch (reason) {
      setError(reason);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        if (!isBusy && !disabled) void send();
      }}
    >
      {children}
      {error !== null && <ErrorText error={error} />}
      <div class="form-actions">
        <button type="submit" class={`button ${danger ? "danger" : "primary"}`} disabled={isBusy || disabled}>
          {action}
        </button>
      </div>
    </form>
  );
}

export function ErrorText({ error }: { error: unknown }) {
  const isPlain = error instanceof ApiError && error.kind === "invalid";
  return (
    <p class="field-error" role="alert">
      {isPlain ? errorText(error) : `${errorTitle(error)}: ${errorText(error)}`}
    </p>
  );
}

interface ConfirmProps {
  title: string;
  text: string;
  action: string;
  run: () => Promise<void>;
  onClose: () => void;
}

/** A dialog before an action that cannot be undone. */
export function Confirm({ title, text, action, run, onClose }: ConfirmProps) {
  return (
    <Dialog title={title} onClose={onClose}>
      <ActionForm
        action={action}
        danger
        run={async () => {
          await run();
          onClose();
        }}
      >
        <p>{text}</p>
      </ActionForm>
    </Dialog>
  );
}

/** A text where an action is missing, because the role of the person does not allow it. */
export function NotAllowed({ right }: { right: "edit" | "admin" }) {
  return <p class="hint">{t(right === "admin" ? "right.admin" : "right.edit")}</p>;
}
