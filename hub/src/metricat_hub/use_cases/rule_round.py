"""One evaluation of a group of rules: the samples that its rules record, which its later rules read.

The samples enter the store together at the end: a commit for each rule costs more than most rules.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model.labels import NAME, metric_name
from metricat_hub.model.ports import NewestSamples, Series
from metricat_hub.promql.label_memo import remembered
from metricat_hub.promql.matchers import predicate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from metricat_hub.evaluation.evaluate import Sample
    from metricat_hub.model.labels import Labels
    from metricat_hub.model.metadata import Metadata
    from metricat_hub.model.ports import Hints, Matcher, Reader, Selection

_MOST_SAMPLES = 1_000_000
"""Samples of selections that are kept until the end of the round."""


class RoundReader:
    """A `Reader` that also has the samples of the round. Rules that select the same series share one selection."""

    def __init__(self, reader: Reader, at: int) -> None:
        """Read at a time in milliseconds: that of the samples of the round."""
        self._reader = reader
        self._at = at
        self._recorded: dict[str, dict[Labels, float]] = {}
        self._selections: dict[tuple[object, ...], Selection] = {}
        self._kept = 0

    def record(self, samples: Iterable[Sample]) -> None:
        """Add the samples of a rule."""
        for one in samples:
            self._recorded.setdefault(metric_name(one.labels), {}).setdefault(one.labels, one.value)

    def select(self, matchers: Sequence[Matcher], start: int, end: int, hints: Hints) -> Selection:
        """Return the samples from start to end of all series that match every matcher. See `Reader.select`."""
        key = (tuple(matchers), start, end, hints)
        found = self._selections.get(key)
        if found is None:
            found = self._reader.select(matchers, start, end, hints)
            self._kept += len(found.series)
            if self._kept <= _MOST_SAMPLES and not hints.range:
                self._selections[key] = found
        own = self._matching(matchers) if start <= self._at <= end else {}
        return replace(found, series=_united(found.series, own, self._at)) if own else found

    def _matching(self, matchers: Sequence[Matcher]) -> dict[Labels, float]:
        names = [one for one in matchers if one.name == NAME]
        found: dict[Labels, float] = {}
        for name, samples in self._recorded.items():
            if all(one.value == name if one.operator == "=" else predicate(one)(name) for one in names):
                found.update(_selected(samples, matchers))
        return found

    def series(self, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[Labels]:
        """Return the series of the store."""
        return self._reader.series(matchers, start, end)

    def label_names(self, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[str]:
        """Return the label names of the store."""
        return self._reader.label_names(matchers, start, end)

    def label_values(self, name: str, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[str]:
        """Return the values of a label in the store."""
        return self._reader.label_values(name, matchers, start, end)

    def metadata(self) -> Mapping[str, Metadata]:
        """Return the metadata of the store."""
        return self._reader.metadata()


def _selected(samples: Mapping[Labels, float], matchers: Sequence[Matcher]) -> Iterator[tuple[Labels, float]]:
    """Return the samples whose labels match."""
    series = list(samples)
    places = remembered(("select", tuple(matchers)), series, lambda: _places(series, matchers))
    return ((series[place], samples[series[place]]) for place in places)


def _places(series: Sequence[Labels], matchers: Sequence[Matcher]) -> tuple[int, ...]:
    """Return the places of the series that match the matchers of labels other than the name."""
    others = [(one.name, predicate(one)) for one in matchers if one.name != NAME]
    by_name = map(dict, series)
    return tuple(
        place for place, own in enumerate(by_name) if all(accepts(own.get(name, "")) for name, accepts in others)
    )


def _united(found: Sequence[Series], own: Mapping[Labels, float], at: int) -> Sequence[Series]:
    """Return the series with the samples of the round behind those of the store."""
    if isinstance(found, NewestSamples):
        others = [place for place, labels in enumerate(found.labels) if labels not in own]
        return NewestSamples(
            [*(found.labels[place] for place in others), *own],
            np.concatenate([found.times[others], np.full(len(own), at)]),
            np.concatenate([found.values[others], np.fromiter(own.values(), np.float64, len(own))]),
        )
    united = []
    rest = dict(own)
    for series in found:
        value = rest.pop(series.labels, None)
        if value is None or series.times[-1] >= at:
            united.append(series)
        else:
            times, values = np.append(series.times, at), np.append(series.values, value)
            united.append(Series(series.labels, times, values))
    return united + [Series(labels, np.array([at]), np.array([value])) for labels, value in rest.items()]
