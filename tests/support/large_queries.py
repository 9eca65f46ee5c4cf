"""Run four large queries at the same time in a process of their own; print their errors and the growth of memory."""

from __future__ import annotations

import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from metricat_hub.model.errors import HubError
from metricat_hub.model.samples import Batch
from metricat_hub.promql.limits import Limits
from metricat_hub.store.embedded import EmbeddedStore
from metricat_hub.use_cases.cancellation import Cancellation
from metricat_hub.use_cases.queries import Queries
from support.hub_store import BEGIN, DAY, HOUR, labels

SERIES, STEP = 250, 10_000
SAMPLES = SERIES * DAY // STEP
QUERIES = tuple(f"m[1d] offset {minutes}m" for minutes in range(4))
"""The store reads raw samples for them: no function permits points of a coarser tier."""


def fill(folder: Path) -> None:
    """Store `SAMPLES` samples."""
    clock = BEGIN
    store = EmbeddedStore.open(folder, clock=lambda: clock)
    numbers = store.resolve([labels("m", n=str(number)) for number in range(SERIES)])
    for _ in range(DAY // (2 * HOUR)):
        times = np.arange(clock, clock + 2 * HOUR, STEP)
        clock += 2 * HOUR
        values = np.tile(times % 7, SERIES).astype(np.float64)
        store.append(Batch(np.repeat(numbers, len(times)), np.tile(times, SERIES), values))
        store.maintain(clock)
    store.close()


def peak() -> int:
    """Return the largest resident memory so far, in bytes."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024


def main() -> None:
    """Run the queries with the limit of memory (bytes) of the second argument."""
    folder, memory = Path(sys.argv[1]), int(sys.argv[2])
    end = BEGIN + DAY
    store = EmbeddedStore.open(folder, clock=lambda: end)
    queries = Queries(store, Limits(), memory)

    def run(query: str) -> str:
        try:
            queries.instant(query, end, Cancellation(600))
        except HubError as error:
            return f"{type(error).__name__}: {error}"
        return ""

    run("sum(m)")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins with the current value
    before = peak()
    with ThreadPoolExecutor(len(QUERIES)) as threads:
        errors = list(threads.map(run, QUERIES))
    small = run("sum(m)")
    grown = peak() - before
    sys.stdout.write(json.dumps({"errors": errors, "small": small, "grown": grown}))


if __name__ == "__main__":
    main()
