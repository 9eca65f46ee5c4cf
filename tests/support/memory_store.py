"""A store in memory with the rules of the ports: for tests of code that writes to any store."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.model.samples import Appended, Batch, Numbers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.metadata import Metadata

WINDOW = 3_600_000
AHEAD = 600_000


class MemoryStore:
    """A `Writer` whose samples can be read as a dictionary. Tests set what it refuses."""

    def __init__(self, now: int, most_series: int = 1_000_000) -> None:
        self.now = now
        self.most_series = most_series
        self.generation = 0
        self.is_full = False
        self.metadata: dict[str, Metadata] = {}
        self.resolved = 0
        self._numbers: dict[Labels, int] = {}
        self._labels: dict[int, Labels] = {}
        self._samples: dict[int, dict[int, float]] = {}
        self._lock = threading.Lock()
        self._next = 0

    @property
    def samples(self) -> dict[Labels, dict[int, float]]:
        """The samples of each series."""
        found: dict[Labels, dict[int, float]] = {}
        with self._lock:
            for number, samples in self._samples.items():
                if samples:
                    found.setdefault(self._labels[number], {}).update(samples)
        return found

    def resolve(self, labels: Sequence[Labels]) -> Numbers:
        with self._lock:
            self.resolved += len(labels)
            return np.array([self._number(one) for one in labels], dtype=np.int64)

    def _number(self, labels: Labels) -> int:
        if labels not in self._numbers:
            if len(self._numbers) >= self.most_series:
                return -1
            self._numbers[labels] = self._next
            self._labels[self._next] = labels
            self._samples[self._next] = {}
            self._next += 1
        return self._numbers[labels]

    def forget(self) -> None:
        """Remove all series, as the store does with those that have ended."""
        with self._lock:
            self.generation += 1
            self._numbers.clear()

    def append(self, batch: Batch) -> Appended:
        with self._lock:
            if self.is_full:
                raise StoreUnavailableError("no space left on the disk. Free space.")
            size = len(batch.times)
            conflicting, old, new, unknown = (np.zeros(size, dtype=bool) for _ in range(4))
            accepted = duplicates = 0
            current = set(self._numbers.values())
            columns = zip(batch.series.tolist(), batch.times.tolist(), batch.values.tolist(), strict=True)
            for index, (number, time, value) in enumerate(columns):
                samples = self._samples.get(number, {})
                if number not in current:
                    unknown[index] = True
                elif time > self.now + AHEAD:
                    new[index] = True
                elif time < self.now - WINDOW:
                    old[index] = True
                elif time not in samples:
                    samples[time] = value
                    accepted += 1
                elif np.float64(samples[time]).tobytes() == np.float64(value).tobytes():
                    duplicates += 1
                else:
                    conflicting[index] = True
            return Appended(accepted, duplicates, conflicting, old, new, unknown)

    def set_metadata(self, metadata: Mapping[str, Metadata]) -> None:
        self.metadata.update(metadata)
