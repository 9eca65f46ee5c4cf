"""Nodes whose samples are recorded ones: those of a machine that built and tested Metricat.

The recording has the 427 series that existed for all of 65 minutes, as Metricat's agent exposed them every ten seconds.
It repeats, and its counters continue.
"""

import sqlite3
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model.labels import from_mapping
from metricat_hub.model.metadata import Metadata
from metricat_hub.model.samples import Batch
from metricat_hub.store.embedded import EmbeddedStore

if TYPE_CHECKING:
    from numpy.typing import NDArray

DAY = 86_400_000
BEGIN = 20_000 * DAY
STEP = 10_000


class Clock:
    """A clock whose time the benchmark sets."""

    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> int:
        """Return the time in milliseconds."""
        return self.now


class RecordedNodes:
    """Simulated nodes whose samples are the recorded ones."""

    def __init__(self, store: EmbeddedStore, clock: Clock, count: int, *, shuffled: bool = False) -> None:
        """Add the series of `count` nodes.

        Args:
            store: the store that gets the samples.
            clock: the clock of the store.
            count: the number of nodes.
            shuffled: whether each repetition has the changes of each series in another order. A compressor that looks
                back further than the recording would otherwise store each value once.
        """
        recorded = np.load(str(files(__package__).joinpath("agent_pages.npz")))
        self._values: NDArray[np.float64] = recorded["values"]
        counters: NDArray[np.bool_] = recorded["counters"]
        self._growth = np.where(counters, self._values[-1] - self._values[0], 0)
        self._store = store
        self._clock = clock
        self.series = len(counters)
        names = [f"recorded_{at}{'_total' if counter else ''}" for at, counter in enumerate(counters)]
        store.set_metadata(
            {name: Metadata("gauge") for name, counter in zip(names, counters, strict=True) if not counter}
        )
        self._numbers = [
            store.resolve(
                [
                    from_mapping({"__name__": name, "node": f"node-{node}", "job": "agent", "pool": "all"})
                    for name in names
                ]
            )
            for node in range(count)
        ]
        self._round = 0
        self._shuffled = shuffled
        self._random = np.random.default_rng(1)

    def scrape(self, step: int = STEP) -> int:
        """Append one scrape of each node after `step` milliseconds, and return the number of samples."""
        cycle, row = divmod(self._round, len(self._values))
        self._round += 1
        if self._shuffled and row == 0:
            changes = np.diff(self._values, axis=0)
            self._values[1:] = self._values[0] + np.cumsum(self._random.permuted(changes, axis=0), axis=0)
            self._values = np.round(self._values, 6)
        self._clock.now += step
        values = self._values[row] + cycle * self._growth
        times = np.full(self.series, self._clock.now)
        for numbers in self._numbers:
            self._store.append(Batch(numbers, times, values))
        return self.series * len(self._numbers)


def table_bytes(file: Path) -> dict[str, int]:
    """Return the size of each table of an SQLite file, in bytes."""
    connection = sqlite3.connect(file)
    try:
        return dict(connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name").fetchall())
    finally:
        connection.close()
