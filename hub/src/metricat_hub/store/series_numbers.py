"""Assigns numbers to series, for stores that have no index of series."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.remote.records import Samples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.samples import Batch, Numbers

_MOST = 1_000_000


class SeriesNumbers:
    """A number for each label set. Above a limit, all numbers become invalid. Thread-safe."""

    def __init__(self, most: int = _MOST) -> None:
        self.generation = 0
        self._most = most
        self._numbers: dict[Labels, int] = {}
        self._labels: dict[int, Labels] = {}
        self._next = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many series have a number."""
        return len(self._labels)

    def resolve(self, labels: Sequence[Labels]) -> Numbers:
        """Return the number of each series. A number is never reused for another series."""
        with self._lock:
            if len(self._numbers) + len(labels) > self._most and self._numbers:
                self._numbers, self._labels = {}, {}
                self.generation += 1
            found = np.empty(len(labels), np.int64)
            for at, one in enumerate(labels):
                number = self._numbers.get(one)
                if number is None:
                    number = self._numbers[one] = self._next
                    self._labels[number] = one
                    self._next += 1
                found[at] = number
            return found

    def samples(self, batch: Batch) -> tuple[Samples, NDArray[np.bool_] | None]:
        """Return the samples whose series number is known, with labels, and a mask of the other samples.

        The mask is None if all numbers are known.
        """
        labels = self._labels
        numbers, index = np.unique(batch.series, return_inverse=True)
        found = list(map(labels.get, numbers.tolist()))
        if None not in found:
            return Samples(found, index.astype(np.int32), batch.times, batch.values), None  # type: ignore[arg-type] # without None
        missing = np.array([one is None for one in found])
        unknown = missing[index]
        kept = ~unknown
        places = np.cumsum(~missing) - 1
        known = [one for one in found if one is not None]
        return (
            Samples(known, places[index[kept]].astype(np.int32), batch.times[kept], batch.values[kept]),
            unknown,
        )
