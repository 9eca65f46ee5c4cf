"""A reader over series in memory, for tests of queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model.labels import from_mapping
from metricat_hub.model.ports import Selection, Series
from metricat_hub.promql.matchers import predicate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.metadata import Metadata
    from metricat_hub.model.ports import Hints, Matcher


class MemoryReader:
    """Series in memory. Samples may be added in any order; the newest of two with the same time counts."""

    def __init__(self) -> None:
        self._samples: dict[Labels, dict[int, float]] = {}
        self._series: dict[Labels, Series] = {}
        self.hints: list[Hints] = []

    def add(self, labels: Mapping[str, str] | Labels, samples: Iterable[tuple[int, float]]) -> None:
        """Add samples (time in milliseconds, value) of a series."""
        key = from_mapping(dict(labels))
        self._samples.setdefault(key, {}).update(samples)
        self._series.pop(key, None)

    def select(self, matchers: Sequence[Matcher], start: int, end: int, hints: Hints) -> Selection:
        self.hints.append(hints)
        found = []
        for labels in self._matching([matchers]):
            series = self._column(labels)
            low, high = np.searchsorted(series.times, [start, end + 1])
            if low < high:
                found.append(Series(labels, series.times[low:high], series.values[low:high]))
        return Selection(found)

    def series(self, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[Labels]:
        return [
            labels for labels in self._matching(matchers) if any(start <= time <= end for time in self._samples[labels])
        ]

    def label_names(self, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[str]:
        return sorted({name for labels in self.series(matchers, start, end) for name, _ in labels})

    def label_values(self, name: str, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[str]:
        found = {dict(labels).get(name) for labels in self.series(matchers, start, end)}
        return sorted(value for value in found if value)

    def metadata(self) -> Mapping[str, Metadata]:
        return {}

    def _matching(self, matchers: Sequence[Sequence[Matcher]]) -> list[Labels]:
        alternatives = [[(one.name, predicate(one)) for one in every] for every in matchers] or [[]]
        found = []
        for labels in sorted(self._samples):
            values = dict(labels)
            if any(all(holds(values.get(name, "")) for name, holds in every) for every in alternatives):
                found.append(labels)
        return found

    def _column(self, labels: Labels) -> Series:
        if labels not in self._series:
            ordered = sorted(self._samples[labels].items())
            times = np.array([time for time, _ in ordered], dtype=np.int64)
            values = np.array([value for _, value in ordered], dtype=np.float64)
            self._series[labels] = Series(labels, times, values)
        return self._series[labels]
