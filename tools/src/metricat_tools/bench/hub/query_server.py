"""The hub on a data set, with a clock that starts at the newest sample, and with new samples every ten seconds.

`python -m metricat_tools.bench.hub.query_server FOLDER NODES SERIES`
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from pathlib import Path

import numpy as np

from metricat_hub.app import Hub
from metricat_hub.config.settings import parse
from metricat_hub.model.ports import Hints, ManagedStore, Matcher
from metricat_hub.model.samples import Batch
from metricat_hub.store.embedded import EmbeddedStore
from metricat_tools.bench.hub import data_set, pages

_YEAR = 365 * 86_400_000


class _Scrapes(threading.Thread):
    """Appends a page of each node every ten seconds, spread over the interval."""

    def __init__(self, store: ManagedStore, page: pages.Page, nodes: int, hub: Hub) -> None:
        super().__init__(daemon=True)
        self._store = store
        self._hub = hub
        self._numbers = [store.resolve(data_set.labels(page, node)) for node in range(nodes)]
        self._growth = np.array([0.7 * line.is_counter and not line.is_constant for line in page.lines])
        self._values = [_last(store, page, node) for node in range(nodes)]

    def run(self) -> None:
        """Append until the process ends."""
        pause = data_set.STEP / 1000 / len(self._numbers)
        while True:
            for node, numbers in enumerate(self._numbers):
                self._values[node] += self._growth
                times = np.full(len(numbers), self._hub.clock())
                self._store.append(Batch(numbers, times, self._values[node]))
                time.sleep(pause)


def _last(store: ManagedStore, page: pages.Page, node: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the newest values of a node, in the order of the page."""
    only = [Matcher("node", "=", f"node-{node:02}")]
    found = store.select(only, data_set.END - 300_000, data_set.END + _YEAR, Hints(tier="raw")).series
    newest = {one.labels: float(one.values[-1]) for one in found}
    return np.array([newest[labels] for labels in data_set.labels(page, node)])


def _newest(folder: Path) -> int:
    """Return the time of the newest sample: an earlier run may have added some."""
    store = EmbeddedStore.open_read_only(folder)
    try:
        one = [Matcher("__name__", "=", "node_load1"), Matcher("node", "=", "node-00")]
        found = store.select(one, data_set.END - 300_000, data_set.END + _YEAR, Hints(tier="raw")).series
        return max(int(series.times[-1]) for series in found)
    finally:
        store.close()


def main(folder: Path, nodes: int, series: int) -> None:
    """Serve the data set in the folder until SIGTERM or SIGINT."""
    page = pages.parse((folder / data_set.PAGE).read_text(), series)
    start = _newest(folder)
    settings = parse(
        {
            "data": [str(folder)],
            "listen": ["127.0.0.1:0"],
            "access.anonymous-loopback": [True],
            "log.level": ["warn"],
            "rate-limit.keys": ["0"],
            "rate-limit.users": ["0"],
        },
        os.environ,
    )
    begin = time.monotonic()
    with Hub(settings, clock=lambda: start + round((time.monotonic() - begin) * 1000)) as hub:
        _Scrapes(hub.store, page, nodes, hub).start()
        asyncio.run(hub.run(with_agent=False, ready=lambda: print(hub.url, flush=True)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
