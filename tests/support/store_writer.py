"""A process that appends samples and prints each acknowledgement, for tests that kill it.

Arguments: the folder, and the number of the first step. Each step writes one batch and advances the clock by a minute.
Maintenance runs all the time in a thread. Retention and the head are small, so that each part of it runs often.
"""

import sys
import threading
from pathlib import Path

import numpy as np

from metricat_hub.model.labels import Labels, from_mapping
from metricat_hub.model.samples import Batch
from metricat_hub.store.embedded import EmbeddedStore, Settings
from support.hub_store import BEGIN, DAY, HOUR, MINUTE, Clock

SERIES = 40
STEP = MINUTE
RAW_KEPT = 8 * HOUR
SETTINGS = Settings(head_samples=2000, raw_retention=RAW_KEPT, minute_retention=DAY, out_of_order=HOUR)


def value(series: int, step: int) -> float:
    """Return the value of a sample: a counter with resets, a gauge, or a constant."""
    kind = series % 3
    if kind == 0:
        return float(step % 977 * (series + 1))
    return float((step * 7919 + series * 31) % 1013) / 8 if kind == 1 else 1.0


def name(series: int) -> Labels:
    """Return the labels of a series."""
    return from_mapping({"__name__": "m_total" if series % 3 == 0 else "m", "at": str(series)})


def main() -> None:
    folder, step = Path(sys.argv[1]), int(sys.argv[2])
    clock = Clock(BEGIN + step * STEP)
    store = EmbeddedStore.open(folder, SETTINGS, clock)
    numbers = store.resolve([name(at) for at in range(SERIES)])
    threading.Thread(target=_maintain, args=(store, clock), daemon=True).start()
    while True:
        clock.now = BEGIN + step * STEP
        values = np.array([value(at, step) for at in range(SERIES)])
        result = store.append(Batch(numbers, np.full(SERIES, clock.now, np.int64), values))
        sys.stdout.write(f"{step} {result.accepted + result.duplicates}\n")
        sys.stdout.flush()
        step += 1


def _maintain(store: EmbeddedStore, clock: Clock) -> None:
    while True:
        store.maintain(clock.now)


if __name__ == "__main__":
    main()
