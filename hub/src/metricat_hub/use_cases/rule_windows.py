"""A cache of the long time ranges of samples (windows) that the rules of a group read in each round.

A round is one evaluation of the group, and reads mostly the same samples as the previous round. Reading hours of
samples from the store's file takes longer than computing the rule. So the samples stay in memory, and a round reads
only the new ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import compress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from metricat_hub.model.ports import BatchReader, Hints, NewestSamples, SampleBlock, SampleBlocks, Selection, Selections
from metricat_hub.model.samples import is_sample
from metricat_hub.promql.prepared.columns import Rows
from metricat_hub.promql.windows import grouped

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from numpy.typing import NDArray

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.ports import Matcher, PastReader, Series
    from metricat_hub.promql.limits import Usage
    from metricat_hub.promql.prepared.columns import Column

_SHORTEST = 330_000
"""The store has shorter ranges in memory, in milliseconds."""
_LONGEST = 43_200_000
_UNSETTLED = 60_000
"""Samples of the last minute may still arrive, so each round reads them."""
_AHEAD = 600_000
"""An instant selector with an offset reads the samples of so many milliseconds of rounds at once."""
_MOST_SAMPLES = 2_000_000
"""Samples of all windows together (8 bytes each)."""


class _Newest(NamedTuple):
    """The newest sample of each series at some times."""

    column: Column
    oldest: int
    """The column has a sample of each series if the start is at or before this time."""
    since: int
    """The first time at which these samples are the newest."""
    before: int
    """The time of the first later sample."""


@dataclass(slots=True)
class _Window:
    """Samples of a selector."""

    start: int
    until: int
    """All samples from start to this time are here."""
    labels: tuple[Labels, ...]
    blocks: Sequence[SampleBlock]
    revision: Hashable
    active: Rows
    """The series with a sample that is not a staleness marker."""
    newest: _Newest | None = None
    """The newest samples of the last round."""

    @property
    def samples(self) -> int:
        """The number of samples."""
        return sum(one.values.size for one in self.blocks)


class Windows:
    """The cached windows of one group of rules. Only one thread at a time may use the object."""

    def __init__(self, reader: PastReader) -> None:
        self._reader = reader
        self._batch_reader = reader if isinstance(reader, BatchReader) else None
        self._windows: dict[tuple[Hashable, ...], _Window] = {}
        self._samples = 0

    def select(self, matchers: tuple[Matcher, ...], start: int, end: int, hints: Hints, at: int) -> Selection | None:
        """Return the samples of a selector at the time of a round; None: read the store instead."""
        if hints.range:
            if not _SHORTEST < end - start < _LONGEST:
                return None
            return self._range(matchers, start, end, hints)
        window = self._instant(matchers, start, end, hints, at) if hints.newest else None
        return None if window is None else Selection(_newest(window, start, end))

    def newest(self, matchers: tuple[Matcher, ...], start: int, end: int, at: int, usage: Usage) -> Column | None:
        """Return the newest sample of each series of a selector with an offset; None: read the store instead."""
        window = self._instant(matchers, start, end, Hints(newest=True, reserve=usage.reading()), at)
        if window is None:
            return None
        known = window.newest
        if known is not None and start <= known.oldest and known.since <= end < known.before:
            return known.column
        found = _newest(window, start, end)
        column = window.active.chosen(tuple(found.labels), found.values, is_sample(found.values))
        window.newest = None
        if len(found) == len(window.labels) and found:
            later = [one.times[one.times.searchsorted(end, "right") :][:1] for one in window.blocks]
            before = int(np.concatenate([*later, [window.until + 1]]).min())
            window.newest = _Newest(column, int(found.times.min()), int(found.times.max()), before)
        return column

    def select_many(
        self, selectors: tuple[tuple[Matcher, ...], ...], start: int, end: int, hints: Hints
    ) -> Selections | None:
        """Return the samples of several range selectors; None: read the store instead."""
        reader = self._batch_reader
        if reader is None or not _SHORTEST < end - start < _LONGEST:
            return None
        found: Selections | None = None

        def read(first: int) -> SampleBlocks | None:
            nonlocal found
            found = reader.select_many(selectors, first, end, hints)
            return found.series if found is not None and isinstance(found.series, SampleBlocks) else None

        key = selectors, hints.range
        series = self._extended(key, start, end, read)
        if series is None or found is None:
            return found
        if series.labels != found.series.labels:  # the places are those of other series
            self._drop(key)
            return reader.select_many(selectors, start, end, hints)
        return Selections(series, found.places)

    def _range(self, matchers: tuple[Matcher, ...], start: int, end: int, hints: Hints) -> Selection | None:
        found: Selection | None = None

        def read(first: int) -> SampleBlocks | None:
            nonlocal found
            found = self._reader.select(matchers, first, end, hints)
            if found.tier != "raw" or found.warnings:
                return None
            return SampleBlocks(*_blocks(found.series))

        series = self._extended((matchers, hints.range, hints.function), start, end, read)
        return found if series is None else Selection(series)

    def _extended(
        self, key: tuple[Hashable, ...], start: int, end: int, read: Callable[[int], SampleBlocks | None]
    ) -> SampleBlocks | None:
        """Return the samples of the round before with those that `read` returns from a time on; None: it failed."""
        revision = self._reader.past(end - _UNSETTLED)
        known = self._windows.get(key)
        if known is not None and known.revision == revision and known.start <= start and known.until <= end:
            recent = read(known.until + 1)
            joined = None if recent is None else _joined(known, recent, start)
            if joined is not None:
                self._keep(key, start, end - _UNSETTLED, known.labels, joined, revision)
                return SampleBlocks(known.labels, joined)
        found = read(start)
        if found is not None and found.labels:
            labels, blocks = _blocks(found)
            self._keep(key, start, end - _UNSETTLED, labels, blocks, revision)
            return SampleBlocks(labels, blocks)
        return found

    def _instant(self, matchers: tuple[Matcher, ...], start: int, end: int, hints: Hints, at: int) -> _Window | None:
        if at - end < _AHEAD + 2 * _UNSETTLED:
            return None
        key = matchers, end - start, at - end
        revision = self._reader.past(end + _AHEAD)
        known = self._windows.get(key)
        if known is None or known.revision != revision or not known.start <= start <= end <= known.until:
            found = self._reader.select(matchers, start, end + _AHEAD, _plain(hints))
            if found.tier != "raw" or found.warnings:
                return None
            labels, blocks = _blocks(found.series)
            known = self._keep(key, start, end + _AHEAD, labels, blocks, revision)
        return known

    def _keep(  # noqa: PLR0913, PLR0917 -- private
        self,
        key: tuple[Hashable, ...],
        start: int,
        until: int,
        labels: tuple[Labels, ...],
        blocks: Sequence[SampleBlock],
        revision: Hashable,
    ) -> _Window:
        before = self._windows.get(key)
        if before is not None and before.labels == labels:
            window = _Window(start, until, before.labels, blocks, revision, before.active)
        else:
            window = _Window(start, until, labels, blocks, revision, Rows())
        self._drop(key)
        if self._samples + window.samples <= _MOST_SAMPLES:
            self._windows[key] = window
            self._samples += window.samples
        return window

    def _drop(self, key: tuple[Hashable, ...]) -> None:
        before = self._windows.pop(key, None)
        self._samples -= before.samples if before else 0


def _blocks(series: Sequence[Series]) -> tuple[tuple[Labels, ...], list[SampleBlock]]:
    """Return the labels of series, and their samples in blocks, whose rows ascend."""
    if isinstance(series, SampleBlocks):
        orders = [np.argsort(one.rows) for one in series.blocks]
        ordered = [
            SampleBlock(one.rows[order], one.times, one.values[order])
            for one, order in zip(series.blocks, orders, strict=True)
        ]
        return tuple(series.labels), ordered
    found = [one for one in series if len(one.times)]
    blocks = [
        SampleBlock(np.array(rows, np.intp), found[rows[0]].times, np.stack([found[row].values for row in rows]))
        for rows in grouped([one.times for one in found])
    ]
    return tuple(one.labels for one in found), blocks


def _joined(known: _Window, recent: Sequence[Series], start: int) -> list[SampleBlock] | None:
    """Return the samples of a window from a new start on, and recent ones behind them; None: read all of them."""
    labels, blocks = (recent.labels, recent.blocks) if isinstance(recent, SampleBlocks) else _blocks(recent)
    row_of = np.arange(len(labels))
    if tuple(labels) != known.labels:
        rows = {own: row for row, own in enumerate(known.labels)}
        if not all(own in rows for own in labels):
            return None
        row_of = np.array([rows[own] for own in labels], np.intp)
    by_rows: dict[bytes, tuple[SampleBlock, NDArray[np.intp]]] = {}
    for one in blocks:
        own = row_of[one.rows]
        order = np.argsort(own)
        by_rows[own[order].tobytes()] = one, order
    joined = []
    for one in known.blocks:
        inside = slice(*one.times.searchsorted((start, known.until + 1)).tolist())
        times, values = one.times[inside], one.values[:, inside]
        if (new := by_rows.pop(one.rows.tobytes(), None)) is not None:
            block, order = new
            times = np.concatenate([times, block.times])
            values = np.concatenate([values, block.values[order]], axis=1)
        if not len(times):
            return None
        joined.append(SampleBlock(one.rows, times, values))
    return None if by_rows else joined


def _plain(hints: Hints) -> Hints:
    return replace(hints, newest=False)


def _newest(known: _Window, start: int, end: int) -> NewestSamples:
    """Return the newest sample of each series from start to end."""
    if len(known.blocks) == 1 and len(known.blocks[0].rows) == len(known.labels):
        only = known.blocks[0]
        at = int(only.times.searchsorted(end, "right")) - 1
        if at >= 0 and only.times[at] >= start:
            rows = only.rows
            return NewestSamples(known.labels, np.full(len(rows), only.times[at]), only.values[:, at])
        return NewestSamples((), only.times[:0], only.values[:0, 0])
    times, values = np.zeros(len(known.labels), np.int64), np.zeros(len(known.labels))
    for one in known.blocks:
        at = int(one.times.searchsorted(end, "right")) - 1
        if at >= 0 and one.times[at] >= start:
            times[one.rows], values[one.rows] = one.times[at], one.values[:, at]
    found = times > 0
    if bool(found.all()):
        return NewestSamples(known.labels, times, values)
    return NewestSamples(tuple(compress(known.labels, found.tolist())), times[found], values[found])
