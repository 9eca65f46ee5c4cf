"""A round is one evaluation of a group of rules. Later rules read the samples that earlier rules record in the round.

The hub stores the samples together at the end of the round, because a commit takes longer than evaluating most rules.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from metricat_hub.model.labels import NAME
from metricat_hub.model.ports import (
    BatchReader,
    Hints,
    NewestSamples,
    PastReader,
    SampleBlock,
    SampleBlocks,
    Selection,
    Series,
)
from metricat_hub.model.samples import is_sample
from metricat_hub.promql.matchers import predicate
from metricat_hub.promql.prepared.columns import NOTHING, Column, Rows
from metricat_hub.use_cases.rule_windows import Windows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from metricat_hub.evaluation.samples import Samples
    from metricat_hub.model.labels import Labels
    from metricat_hub.model.metadata import Metadata
    from metricat_hub.model.ports import Matcher, Reader, Selections
    from metricat_hub.model.samples import Times, Values
    from metricat_hub.promql.limits import Usage
    from metricat_hub.promql.prepared.columns import LabelSets
    from metricat_hub.promql.vector import Mask

_MOST_OVERLAYS = 1000
_NONE: Final[list[Samples]] = []


class RoundReader:
    """A `Reader` that also has the samples of the round. Rules that select the same series share one selection."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._at = 0
        self._recorded: dict[str, list[Samples]] = {}
        """By metric name."""
        self._overlays: dict[tuple[Matcher, ...], _Overlay] = {}
        self._batch_reader = reader if isinstance(reader, BatchReader) else None
        self._newest = _NewestTogether(self._batch_reader) if self._batch_reader else None
        self._windows = Windows(reader) if isinstance(reader, PastReader) else None

    def begin(self, at: int) -> None:
        """Begin a round. `at` is the time of its samples in milliseconds."""
        self._at = at
        self._recorded = {}
        if self._newest is not None:
            self._newest.begin()

    def record(self, name: str, samples: Samples) -> None:
        """Add the samples of a rule, which have one metric name."""
        self._recorded.setdefault(name, []).append(samples)

    def select(self, matchers: Sequence[Matcher], start: int, end: int, hints: Hints) -> Selection:
        """Return the samples from start to end of all series that match every matcher. See `Reader.select`."""
        key = tuple(matchers)
        found = None
        if self._newest is not None and hints.newest and end == self._at:
            newest = self._newest.select(key, start, end, hints.reserve)
            found = None if newest is None else Selection(newest)
        elif self._windows is not None:
            found = self._windows.select(key, start, end, hints, self._at)
        if found is None:
            found = self._reader.select(matchers, start, end, hints)
        if not self._recorded or not start <= self._at <= end:
            return found
        own = self._matching(matchers)
        return replace(found, series=self._overlay(key).united(found.series, own, self._at)) if own else found

    def newest(self, matchers: tuple[Matcher, ...], start: int, end: int, usage: Usage) -> Column | None:
        """Return the newest sample of each series that has not ended; None: read with `select`. See `NewestReader`."""
        if end != self._at:
            return None if self._windows is None else self._windows.newest(matchers, start, end, self._at, usage)
        if self._newest is None:
            return None
        own = self._matching(matchers) if self._recorded else None
        if not own:
            return self._newest.column(matchers, start, end, usage)
        found = self._newest.select(matchers, start, end, usage.reading())
        if found is None:
            return None
        return self._overlay(matchers).column(found, own)

    def _overlay(self, matchers: tuple[Matcher, ...]) -> _Overlay:
        overlay = self._overlays.get(matchers)
        if overlay is None:
            if len(self._overlays) >= _MOST_OVERLAYS:
                self._overlays = {}
            overlay = self._overlays[matchers] = _Overlay(matchers)
        return overlay

    def select_many(
        self, selectors: tuple[tuple[Matcher, ...], ...], start: int, end: int, hints: Hints
    ) -> Selections | None:
        """Return the samples of the series of each selector; None: read each selector with `select`."""
        if self._batch_reader is None or (self._recorded and any(map(self._matching, selectors))):
            return None
        found = self._windows.select_many(selectors, start, end, hints) if self._windows and hints.range else None
        return found or self._batch_reader.select_many(selectors, start, end, hints)

    def _matching(self, matchers: Sequence[Matcher]) -> list[Samples]:
        """Return the samples of the metrics that match."""
        names = [one for one in matchers if one.name == NAME]
        if len(names) == 1 and names[0].operator == "=":
            return self._recorded.get(names[0].value, _NONE)
        return [
            samples
            for name, recorded in self._recorded.items()
            if all(predicate(one)(name) for one in names)
            for samples in recorded
        ]

    def series(self, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[Labels]:
        """Return the series in the store, without those of the round."""
        return self._reader.series(matchers, start, end)

    def label_names(self, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[str]:
        """Return the label names in the store, without those of the round."""
        return self._reader.label_names(matchers, start, end)

    def label_values(self, name: str, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[str]:
        """Return the values of a label in the store, without those of the round."""
        return self._reader.label_values(name, matchers, start, end)

    def metadata(self) -> Mapping[str, Metadata]:
        """Return the metadata of the store."""
        return self._reader.metadata()


class _NewestTogether:
    """Reads the newest samples of all selectors of a round at once, as soon as one of them is needed.

    The selectors are those of the round before.
    """

    def __init__(self, reader: BatchReader) -> None:
        self._reader = reader
        self._selectors: tuple[tuple[Matcher, ...], ...] = ()
        self._used: dict[tuple[Matcher, ...], int] = {}
        """The selectors of this round, each with its place in `selectors`, or -1."""
        self._places: dict[tuple[Matcher, ...], int] = {}
        self._window: tuple[int, int] | None = None
        """The time that was read."""
        self._from: Sequence[NDArray[np.intp]] | None = None
        """The places of the series of each selector."""
        self._joined: NDArray[np.intp] = np.empty(0, np.intp)
        """These places, one selector after the other."""
        self._bounds: list[tuple[int, int]] = []
        """The part of each selector."""
        self._labels: list[LabelSets] = []
        """The labels of each selector."""
        self._rows: dict[int, Rows] = {}
        """The series of a selector that have not ended, by its place."""
        self._times: Times | None = None
        """The samples of all selectors, one after the other; None: they were not read."""
        self._values: Values = np.empty(0)
        self._fresh: Mask = np.empty(0, np.bool_)
        self._ended: list[int] = []
        """The number of series that have ended before each bound; empty: no series has ended."""

    def begin(self) -> None:
        """Begin a round."""
        if len(self._used) != len(self._selectors) or -1 in self._used.values():
            self._selectors = tuple(self._used)
            self._places = {selector: place for place, selector in enumerate(self._selectors)}
            self._from, self._labels, self._rows = None, [], {}
        self._used, self._times, self._window = {}, None, None

    def column(self, matchers: tuple[Matcher, ...], start: int, end: int, usage: Usage) -> Column | None:
        """Return the newest sample of each series that has not ended; None: they were not read together."""
        place = self._used[matchers] = self._places.get(matchers, -1)
        if place < 0:
            return None
        if self._window is None:
            self._read(start, end, usage.reading())
        if self._times is None or self._window != (start, end):
            return None
        low, high = self._bounds[place]
        if low == high:
            return NOTHING
        labels, values = self._labels[place], self._values[low:high]
        if not self._ended or self._ended[low] == self._ended[high]:
            return Column(labels, values)
        rows = self._rows.get(place)
        if rows is None:
            rows = self._rows[place] = Rows()
        return rows.chosen(labels, values, self._fresh[low:high])

    def select(
        self, matchers: tuple[Matcher, ...], start: int, end: int, reserve: Callable[[int], None]
    ) -> NewestSamples | None:
        """Return the newest samples of one selector, with staleness markers; None: they were not read together."""
        place = self._used[matchers] = self._places.get(matchers, -1)
        if place < 0:
            return None
        if self._window is None:
            self._read(start, end, reserve)
        if self._times is None or self._window != (start, end):
            return None
        low, high = self._bounds[place]
        return NewestSamples(self._labels[place], self._times[low:high], self._values[low:high])

    def _read(self, start: int, end: int, reserve: Callable[[int], None]) -> None:
        """Read the samples of all selectors."""
        self._window = start, end
        found = self._reader.select_many(self._selectors, start, end, Hints(newest=True, reserve=reserve))
        if found is None or not isinstance(found.series, NewestSamples):
            return
        series = found.series
        if found.places is not self._from:
            self._join(found.places, series.labels)
        self._times, self._values = series.times[self._joined], series.values[self._joined]
        self._fresh = is_sample(self._values)
        self._ended = [] if bool(self._fresh.all()) else [0, *np.cumsum(~self._fresh).tolist()]

    def _join(self, places: Sequence[NDArray[np.intp]], labels: Sequence[Labels]) -> None:
        before: Sequence[NDArray[np.intp] | None] = self._from or [None] * len(places)
        known = self._labels or [()] * len(places)
        self._labels = [
            kept if own is last else tuple(map(labels.__getitem__, own.tolist()))
            for own, last, kept in zip(places, before, known, strict=True)
        ]
        self._joined = np.concatenate(places)
        ends = np.cumsum([len(one) for one in places]).tolist()
        self._bounds = list(pairwise([0, *ends]))
        self._from = places


class _Overlay:
    """The samples of the round behind those of the store, for one selector. It remembers what labels have in common."""

    def __init__(self, matchers: Sequence[Matcher]) -> None:
        self._accepts = [(one.name, predicate(one)) for one in matchers if one.name != NAME]
        self._from: Sequence[Sequence[Labels]] = ()
        self._rows: NDArray[np.intp] | None = None
        """The rows of the samples of the round that match; None: all."""
        self._labels: tuple[Labels, ...] = ()
        self._with: Sequence[Labels] | None = None
        self._places: NDArray[np.intp] = np.empty(0, np.intp)
        """For each series of the store its row in the samples of the round; -1: it has no sample."""
        self._united: tuple[Labels, ...] = ()
        self._active = Rows()
        self._last = NOTHING
        """The column of the last round, if it had samples of the round only."""
        self._last_from: Values | None = None
        """The values in `last`, with staleness markers."""

    def column(self, found: NewestSamples, recorded: Sequence[Samples]) -> Column:
        """Return the newest sample of each series that has not ended."""
        values = self._matching(recorded)
        if not len(values):
            return self._active.chosen(tuple(found.labels), found.values, is_sample(found.values))
        is_same = found.labels is self._with and values is self._last_from
        self._join(found.labels)
        if self._united:
            values = np.concatenate([found.values[self._places < 0], values])
            return self._active.chosen(self._united, values, is_sample(values))
        if not is_same:
            self._last = self._active.chosen(self._labels, values, is_sample(values))
            self._last_from = values
        return self._last

    def _matching(self, recorded: Sequence[Samples]) -> Values:
        """Return the values of the samples of the round that match."""
        self._choose(recorded)
        values = recorded[0].values if len(recorded) == 1 else np.concatenate([one.values for one in recorded])
        return values if self._rows is None else values[self._rows]

    def united(self, found: Sequence[Series], recorded: Sequence[Samples], at: int) -> Sequence[Series]:
        """Return the series of the store with the samples of the round."""
        values = self._matching(recorded)
        if not len(values):
            return found
        if isinstance(found, NewestSamples):
            self._join(found.labels)
            if not self._united:
                return NewestSamples(self._labels, np.full(len(values), at), values)
            others = self._places < 0
            return NewestSamples(
                self._united,
                np.concatenate([found.times[others], np.full(len(values), at)]),
                np.concatenate([found.values[others], values]),
            )
        if isinstance(found, SampleBlocks):
            self._join(found.labels)
            blocks = self._appended(found, values, at)
            if blocks is not None:
                return SampleBlocks(found.labels, blocks)
        return _united(found, dict(zip(self._labels, values.tolist(), strict=True)), at)

    def _choose(self, recorded: Sequence[Samples]) -> None:
        """Find the samples of the round that match. Of two samples of a series, the first one counts."""
        if len(recorded) == len(self._from) and all(
            one.labels is before for one, before in zip(recorded, self._from, strict=True)
        ):
            return
        first: dict[Labels, int] = {}
        for row, labels in enumerate(labels for one in recorded for labels in one.labels):
            first.setdefault(labels, row)
        chosen = {labels: row for labels, row in first.items() if self._matches(labels)}
        is_all = len(chosen) == sum(len(one.labels) for one in recorded)
        self._rows = None if is_all else np.fromiter(chosen.values(), np.intp, len(chosen))
        self._labels = recorded[0].labels if is_all and len(recorded) == 1 else tuple(chosen)
        self._from = [one.labels for one in recorded]
        self._with = None

    def _matches(self, labels: Labels) -> bool:
        own = dict(labels)
        return all(accepts(own.get(name, "")) for name, accepts in self._accepts)

    def _join(self, found: Sequence[Labels]) -> None:
        """Find the series of the store that have a sample of the round."""
        if found is self._with:
            return
        rows = {labels: row for row, labels in enumerate(self._labels)}
        places = [rows.get(labels, -1) for labels in found]
        self._places = np.array(places, np.intp)
        others = [labels for labels, place in zip(found, places, strict=True) if place < 0]
        self._united = (*others, *self._labels) if others else ()
        self._with = found

    def _appended(self, found: SampleBlocks, values: Values, at: int) -> list[SampleBlock] | None:
        """Return the blocks with the samples of the round; None: some series have none, or are not in the store."""
        if bool((self._places < 0).any()) or len(found.labels) != len(self._labels):
            return None
        if any(one.times[-1] >= at for one in found.blocks):
            return None
        return [
            SampleBlock(
                one.rows,
                np.append(one.times, at),
                np.concatenate([one.values, values[self._places[one.rows]][:, None]], axis=1),
            )
            for one in found.blocks
        ]


def _united(found: Sequence[Series], own: Mapping[Labels, float], at: int) -> Sequence[Series]:
    """Return the series with the samples of the round behind those of the store."""
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
