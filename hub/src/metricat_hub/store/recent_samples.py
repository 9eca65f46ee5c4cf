"""The newest samples in memory: a cache that queries read while the store is down."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from metricat_hub.model.columns import distinct
from metricat_hub.model.errors import LimitError
from metricat_hub.model.ports import Selection, Series
from metricat_hub.promql.matchers import predicate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.metadata import Metadata
    from metricat_hub.model.ports import Hints, Matcher
    from metricat_hub.model.samples import Times, Values
    from metricat_hub.remote.records import Samples

_ROW = 20
"""Bytes of memory of a sample: series number (4 bytes), time, value."""
_ENTRY = 600
"""Bytes of a batch beyond its samples."""
_SERIES = 400
"""Bytes of a series: its labels and its places in dictionaries."""


class _Rows(NamedTuple):
    series: NDArray[np.int32]
    times: Times
    values: Values
    newest: int


class RecentSamples:
    """A `Reader` over the newest samples, limited by size and age. Thread-safe."""

    def __init__(self, most_bytes: int, most_age: int, most_samples: int) -> None:
        """Begin without samples.

        Args:
            most_bytes: the most bytes of memory. Above it, the oldest samples are removed.
            most_age: the most milliseconds by which a sample may be older than the newest one.
            most_samples: the most samples that one call of `select` returns.
        """
        self.begin: int | None = None
        """The time in milliseconds since which the cache has all samples; None: the cache has no samples."""
        self._most_bytes = most_bytes
        self._most_age = most_age
        self._most_samples = most_samples
        self._rows: deque[_Rows] = deque()
        self._bytes = 0
        self._newest = 0
        self._numbers: dict[Labels, int] = {}
        self._labels: list[Labels] = []
        self._lock = threading.Lock()

    def add(self, samples: Samples) -> None:
        """Add samples, and remove the oldest ones above `most_bytes` and `most_age`."""
        if not len(samples.times):
            return
        with self._lock:
            places = np.fromiter(map(self._number, samples.labels), np.int32, len(samples.labels))
            newest = int(samples.times.max())
            rows = _Rows(places[samples.index], np.array(samples.times), np.array(samples.values), newest)
            if self.begin is None:
                self.begin = int(samples.times.min())
            self._rows.append(rows)
            self._bytes += _ENTRY + _ROW * len(rows.times)
            self._newest = max(self._newest, newest)
            self._limit()

    def select(self, matchers: Sequence[Matcher], start: int, end: int, hints: Hints) -> Selection:  # noqa: ARG002 -- one tier
        """Return the samples from start to end. See `Reader.select`."""
        with self._lock:
            chosen = np.array(self._matching([matchers]), np.int32)
            rows = [one for one in self._rows if one.newest >= start]
            labels = self._labels
        if not len(chosen) or not rows:
            return Selection([])
        series = np.concatenate([one.series for one in rows])
        times = np.concatenate([one.times for one in rows])
        kept = np.flatnonzero(np.isin(series, chosen) & (times >= start) & (times <= end))
        if len(kept) > self._most_samples:
            raise LimitError(
                f"the query reads {len(kept)} samples, above the limit of {self._most_samples}."
                " Use a shorter time range or more label matchers."
            )
        if not len(kept):
            return Selection([])
        values = np.concatenate([one.values for one in rows])[kept]
        series, times = series[kept], times[kept]
        order = np.lexsort((times, series))
        series, times, values = series[order], times[order], values[order]
        # Of two samples with the same time, the first one counts, as in a store.
        first = np.concatenate(([True], (series[1:] != series[:-1]) | (times[1:] != times[:-1])))
        series, times, values = series[first], times[first], values[first]
        starts = np.flatnonzero(np.concatenate(([True], series[1:] != series[:-1]))).tolist()
        found = [
            Series(labels[int(series[at])], times[at:stop], values[at:stop])
            for at, stop in zip(starts, [*starts[1:], len(series)], strict=True)
        ]
        return Selection(found)

    def series(self, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[Labels]:
        """Return the labels of series that match any list of matchers and have samples from start to end."""
        with self._lock:
            matching = self._matching(matchers)
            rows = [one for one in self._rows if one.newest >= start]
            labels = self._labels
        inside = [one.series[(one.times >= start) & (one.times <= end)] for one in rows]
        present = set(distinct(np.concatenate(inside)).tolist()) if inside else set()
        return [labels[number] for number in matching if number in present]

    def label_names(self, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[str]:
        """Return the sorted label names of the series that `series` returns. See `Reader.label_names`."""
        return sorted({name for labels in self.series(matchers or [[]], start, end) for name, _ in labels})

    def label_values(self, name: str, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[str]:
        """Return the sorted values of a label in the series that `series` returns. See `Reader.label_values`."""
        found = self.series(matchers or [[]], start, end)
        return sorted({value for labels in found for label, value in labels if label == name})

    def metadata(self) -> Mapping[str, Metadata]:
        """Return no metadata: the cache has only samples."""
        return {}

    def _number(self, labels: Labels) -> int:
        number = self._numbers.get(labels)
        if number is None:
            number = self._numbers[labels] = len(self._labels)
            self._labels.append(labels)
            self._bytes += _SERIES
        return number

    def _matching(self, matchers: Sequence[Sequence[Matcher]]) -> list[int]:
        alternatives = [[(one.name, predicate(one)) for one in selector] for selector in matchers]
        found = []
        for number, labels in enumerate(self._labels):
            values = dict(labels)
            if any(all(holds(values.get(name, "")) for name, holds in selector) for selector in alternatives):
                found.append(number)
        return found

    def _limit(self) -> None:
        """Remove the oldest batches above the bounds; all, with the series, if the series alone exceed them."""
        while self._rows and (self._bytes > self._most_bytes or self._rows[0].newest < self._newest - self._most_age):
            removed = self._rows.popleft()
            self._bytes -= _ENTRY + _ROW * len(removed.times)
            self.begin = max(self.begin or 0, removed.newest + 1)
        if not self._rows:
            self._numbers, self._labels, self._bytes = {}, [], 0
