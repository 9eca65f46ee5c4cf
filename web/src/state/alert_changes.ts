// Read data again when an alert begins, changes its state, or ends.
import { computed } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { alerts } from "./nodes";

/** A text that differs when the alerts differ. Live values keep it current, so views need few requests. */
const signature = computed(() =>
  alerts.value
    .map(({ labels, state }) => state + JSON.stringify(Object.entries(labels).sort()))
    .sort()
    .join("\n"),
);

/** Call `reload` after each change of the alerts. */
export function useAlertChanges(reload: () => void): void {
  const current = signature.value;
  const before = useRef(current);
  useEffect(() => {
    if (before.current === current) return;
    before.current = current;
    reload();
  }, [current]);
}
