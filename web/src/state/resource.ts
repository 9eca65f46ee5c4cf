// Data of the API with its state: loading, ready, failed, and stale if a refresh fails.
import { useEffect, useRef, useState } from "preact/hooks";

export interface Resource<T> {
  /** The newest data; null: none yet. */
  data: T | null;
  /** The error of the newest request; null: it succeeded. */
  error: unknown;
  loading: boolean;
  /** When the data was received, in milliseconds since 1970. */
  at: number;
  reload: () => void;
}

interface Held<T> {
  data: T | null;
  error: unknown;
  loading: boolean;
  at: number;
  key: string;
}

/**
 * Return the result of `read`, and read again when `key` changes, after `refresh` milliseconds, or on `reload`.
 *
 * While a refresh runs, and if it fails, the data before remains. A change of the key removes it, unless `keep` is set.
 */
export function useResource<T>(
  key: string,
  read: (signal: AbortSignal) => Promise<T>,
  options: { refresh?: number; keep?: boolean } = {},
): Resource<T> {
  const [held, setHeld] = useState<Held<T>>({ data: null, error: null, loading: true, at: 0, key });
  const [round, setRound] = useState(0);
  const reader = useRef(read);
  reader.current = read;
  const { refresh = 0, keep = false } = options;

  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const again = (): void => {
      if (refresh > 0 && !abort.signal.aborted) timer = setTimeout(() => void load(), refresh);
    };
    const load = async (): Promise<void> => {
      if (document.visibilityState === "hidden") {
        again();
        return;
      }
      try {
        const data = await reader.current(abort.signal);
        if (!abort.signal.aborted) setHeld({ data, error: null, loading: false, at: Date.now(), key });
      } catch (error) {
        if (abort.signal.aborted) return;
        setHeld((before) => ({
          ...before,
          error,
          loading: false,
          data: before.key === key || keep ? before.data : null,
          key,
        }));
      }
      again();
    };
    setHeld((before) => ({ ...before, loading: true, data: before.key === key || keep ? before.data : null, key }));
    void load();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [key, refresh, round, keep]);

  const isCurrent = held.key === key || keep;
  return {
    data: isCurrent ? held.data : null,
    error: isCurrent ? held.error : null,
    loading: isCurrent ? held.loading : true,
    at: held.at,
    reload: () => setRound((before) => before + 1),
  };
}
