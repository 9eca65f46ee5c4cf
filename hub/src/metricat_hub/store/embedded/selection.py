"""Selection: chooses a tier for each part of a query's time range, and reads the samples."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model.errors import LimitError, StoreUnavailableError
from metricat_hub.model.labels import metric_name, text
from metricat_hub.model.ports import NewestSamples, SampleBlocks, Selection, Selections, Series, no_reservation
from metricat_hub.model.samples import STALE
from metricat_hub.store.embedded import registry, tiers
from metricat_hub.store.embedded.chunks import SLICE, ChunkReader, read_raw
from metricat_hub.store.embedded.encoding import Chunk
from metricat_hub.store.embedded.segments import TIER as SEGMENT
from metricat_hub.store.embedded.window_blocks import raw_blocks
from metricat_hub.store.embedded.windows import BY_HOUR, BY_MINUTE, LAYOUTS, RAW, number_of, window_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.ports import Hints, Matcher, Tier
    from metricat_hub.model.samples import Times, Values
    from metricat_hub.store.embedded.core import Core, Progress
    from metricat_hub.store.embedded.label_index import Matches
    from metricat_hub.store.embedded.windows import Layout

_MOST_WARNINGS = 10
_NO_TIMES, _NO_VALUES = np.empty(0, np.int64), np.empty(0)


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a query's time range, with its tier. Both ends are inclusive."""

    layout: Layout
    start: int
    end: int


def select(core: Core, matchers: Sequence[Matcher], start: int, end: int, hints: Hints) -> Selection:
    """Return the samples from start to end of all series that match every matcher. See `Reader.select`."""
    core.check_open()
    most = core.settings.query_series
    try:
        numbers, labels = registry.match(core, matchers, start, end, most + 1)
        if len(numbers) > most:
            raise LimitError(
                f"the selector matches at least {len(numbers)} series, but the limit is {most}. Add label matchers."
            )
        layout = tiers.choose(hints, end - start, len(numbers))
        segments = plan(core.progress, layout, start, end)
        if hints.newest and len(segments) == 1 and segments[0].layout is RAW and not core.damaged_rows:
            newest = _newest(core, numbers, labels, start, end)
            if newest is not None:
                return Selection(newest)
        if hints.range and len(segments) == 1 and segments[0].layout is RAW and not core.damaged_rows:
            blocks = _blocks(core, numbers, labels, start, end, hints.reserve)
            if blocks is not None:
                return Selection(blocks)
        if not hints.range and segments and segments[0].layout is not RAW:
            # An instant selector also finds the point before the start.
            segments = plan(core.progress, layout, start - segments[0].layout.resolution, end)
        return _Selector(core, segments, hints.function, labels, hints.reserve).select(numbers)
    except sqlite3.Error as error:
        raise StoreUnavailableError(f"{core.folder}: cannot read the store: {error}. Retry later.") from error


def select_many(
    core: Core, selectors: tuple[tuple[Matcher, ...], ...], start: int, end: int, hints: Hints
) -> Selections | None:
    """Return the samples of the series of each selector. See `BatchReader.select_many`."""
    core.check_open()
    if core.damaged_rows or (core.newest_idle and core.newest_idle >= start):
        return None
    with core.index_mutex:
        found = core.index.match_many(selectors)
    if not len(found.numbers):
        nothing = NewestSamples((), _NO_TIMES, _NO_VALUES) if hints.newest else SampleBlocks((), [])
        return Selections(nothing, found.places)
    if len(found.numbers) > core.settings.query_series:
        return None
    layout = tiers.choose(hints, end - start, len(found.numbers))
    if [one.layout for one in plan(core.progress, layout, start, end)] != [RAW]:
        return None
    try:
        series = _all_newest(core, found, start, end) if hints.newest else _all_blocks(core, found, start, end, hints)
    except sqlite3.Error as error:
        raise StoreUnavailableError(f"{core.folder}: cannot read the store: {error}. Retry later.") from error
    return None if series is None else Selections(series, found.places)


def _all_newest(core: Core, found: Matches, start: int, end: int) -> NewestSamples | None:
    numbers = found.numbers
    with core.mutex:
        times, values = core.newest.get(numbers)
        newest, first = core.times.newest[numbers], core.times.first[numbers]
    known = (times == newest) & (times >= start) & (times <= end)
    if not bool(known.all()):
        ended = (newest < start) | (first > end)
        have = known | ended
        if not _read_newest(core, numbers, start, end, (times, values, have)):
            return None
        values[ended | ~have] = STALE
    return NewestSamples(found.labels, times, values)


def _all_blocks(core: Core, found: Matches, start: int, end: int, hints: Hints) -> SampleBlocks | None:
    blocks = raw_blocks(core, found.numbers, start, end, hints.reserve)
    if blocks is None or sum(one.values.size for one in blocks) > core.settings.query_samples:
        return None
    return SampleBlocks(found.labels, blocks)


def _newest(
    core: Core, numbers: NDArray[np.int32], labels: Mapping[int, Labels], start: int, end: int
) -> NewestSamples | None:
    """Return the newest sample of each series from start to end; None: a chunk with samples is damaged."""
    with core.mutex:
        times, values = core.newest.get(numbers)
        known = times == core.times.newest[numbers]
    known &= (times >= start) & (times <= end)
    if not bool(known.all()):
        if not _read_newest(core, numbers, start, end, (times, values, known)):
            return None
        numbers, times, values = numbers[known], times[known], values[known]
    return NewestSamples([labels[number] for number in numbers.tolist()], times, values)


def _read_newest(
    core: Core, numbers: NDArray[np.int32], start: int, end: int, columns: tuple[Times, Values, NDArray[np.bool_]]
) -> bool:
    """Read the newest samples that are not known yet into the columns. Return False if a chunk is damaged."""
    times, values, known = columns
    damaged: dict[tuple[str, int], str] = {}
    others = np.flatnonzero(~known)
    for at in range(0, len(others), SLICE):
        places = others[at : at + SLICE]
        at_number = dict(zip(numbers[places].tolist(), places.tolist(), strict=True))
        for number, found, samples in read_raw(core, numbers[places], start, end, damaged.update):
            place = at_number[number]
            times[place], values[place], known[place] = found[-1], samples[-1], True
    return not damaged


def _blocks(  # noqa: PLR0913, PLR0917 -- what to read, and a callback
    core: Core,
    numbers: NDArray[np.int32],
    labels: Mapping[int, Labels],
    start: int,
    end: int,
    reserve: Callable[[int], None],
) -> SampleBlocks | None:
    """Return the samples as blocks; None if this is not possible."""
    blocks = raw_blocks(core, numbers, start, end, reserve)
    if blocks is None or sum(one.values.size for one in blocks) > core.settings.query_samples:
        return None
    own = numbers.tolist()
    kept = np.sort(np.concatenate([one.rows for one in blocks])) if blocks else np.zeros(0, np.intp)
    if len(kept) < len(own):
        own = numbers[kept].tolist()
        blocks = [replace(one, rows=np.searchsorted(kept, one.rows)) for one in blocks]
    return SampleBlocks([labels[number] for number in own], blocks)


def iterate(core: Core, matchers: Sequence[Matcher], start: int, end: int, tier: Tier) -> Iterator[Series]:
    """Yield the matching series sorted by metric name, without limits. Only a few series are in memory at a time.

    Args:
        core: the store.
        matchers: a series must match all of them.
        start: the earliest time.
        end: the latest time.
        tier: the preferred tier: see `plan`.
    """
    core.check_open()
    numbers, labels = registry.match(core, matchers, start, end)
    names: dict[str, list[int]] = {}
    for number in numbers.tolist():
        names.setdefault(metric_name(labels[number]), []).append(number)
    layout = next(one for one in LAYOUTS if one.tier == tier)
    selector = _Selector(core, plan(core.progress, layout, start, end), "", labels)
    for name in sorted(names):
        yield from selector.iterate(np.array(names[name], np.int32))


def plan(progress: Progress, wanted: Layout, start: int, end: int) -> list[Segment]:
    """Choose a tier for each part of a time range; return the parts by ascending time.

    The wanted tier is used where it has points. A finer tier is used where samples are not downsampled yet, and a
    coarser tier where retention has dropped the finer ones.
    """
    raw_from = max(progress.dropped_raw, progress.by_minute if wanted is not RAW else 0)
    minute_from = min(raw_from, max(progress.dropped_1m, progress.by_hour if wanted is BY_HOUR else 0))
    parts = (
        Segment(BY_HOUR, start, min(end, minute_from)),
        Segment(BY_MINUTE, max(start, minute_from + 1), min(end, raw_from)),
        Segment(RAW, max(start, raw_from + 1), end),
    )
    return [part for part in parts if part.start <= part.end]


class _Selector:
    """One selection."""

    def __init__(
        self,
        core: Core,
        segments: Sequence[Segment],
        function: str,
        labels: Mapping[int, Labels],
        reserve: Callable[[int], None] = no_reservation,
    ) -> None:
        self._core = core
        self._reserve = reserve
        self._segments = segments
        self._function = function
        self._labels = labels
        self._coarsest = RAW
        self._damaged: dict[tuple[str, int], str] = {}

    def select(self, numbers: NDArray[np.int32]) -> Selection:
        series: list[Series] = []
        total = 0
        most = self._core.settings.query_samples
        for one in self.iterate(numbers):
            total += len(one.times)
            if total > most:
                raise LimitError(
                    f"the query needs more than {most} samples. Use a shorter range or a longer step, or add label "
                    "matchers."
                )
            series.append(one)
        return Selection(series, self._coarsest.tier, self._warnings())

    def iterate(self, numbers: NDArray[np.int32]) -> Iterator[Series]:
        for at in range(0, len(numbers), SLICE):
            yield from self._read(numbers[at : at + SLICE])

    def _read(self, numbers: NDArray[np.int32]) -> Iterator[Series]:
        if len(self._segments) == 1 and self._segments[0].layout is RAW:
            only = self._segments[0]
            warn, reserve = self._damaged.update, self._reserve
            for number, times, values in read_raw(self._core, numbers, only.start, only.end, warn, reserve):
                yield Series(self._labels[number], times, values)
            return
        parts: dict[int, list[tuple[Layout, Chunk]]] = {}
        for segment in self._segments:
            for number, chunk in self._points(segment, numbers):
                parts.setdefault(number, []).append((segment.layout, chunk))
                if LAYOUTS.index(segment.layout) > LAYOUTS.index(self._coarsest):
                    self._coarsest = segment.layout
        same: dict[bytes, Times] = {}
        for number in numbers.tolist():
            if number in parts:
                times = np.concatenate([chunk.times for _, chunk in parts[number]])
                # The series of a scrape target get one array of times, so that queries need not compare them.
                times = same.setdefault(times.tobytes(), times)
                yield Series(self._labels[number], times, tiers.values_for(self._function, parts[number]))

    def _points(self, segment: Segment, numbers: NDArray[np.int32]) -> Iterator[tuple[int, Chunk]]:
        layout = segment.layout
        if layout is RAW:
            for number, times, values in read_raw(
                self._core, numbers, segment.start, segment.end, self._damaged.update, self._reserve
            ):
                yield number, Chunk(times, {"last": values})
            return
        wanted = tiers.wanted_columns(self._function)
        with self._core.readers.borrow() as connection:
            reader = ChunkReader(connection, self._core.chunks)
            for window in reader.windows(layout, segment.start, segment.end):
                samples = 0
                for number, chunk in reader.read(layout, window, numbers, wanted):
                    times = chunk.times
                    samples += len(times) * len(chunk.columns)
                    part = slice(np.searchsorted(times, segment.start), np.searchsorted(times, segment.end, "right"))
                    if part.start < part.stop:
                        yield number, tiers.column_part(chunk, part)
                self._reserve(samples)
            self._damaged.update(reader.damaged)

    def _warnings(self) -> tuple[str, ...]:
        rows = [f"batch {row} of the newest samples is damaged ({why})" for row, why in self._core.damaged_rows.items()]
        chunks = [describe(tier, chunk, why, self._labels) for (tier, chunk), why in sorted(self._damaged.items())]
        found = [*rows, *chunks]
        if len(found) <= _MOST_WARNINGS:
            return tuple(found)
        more = len(found) - _MOST_WARNINGS
        return (*found[:_MOST_WARNINGS], f"{more} more parts of the store are damaged; run `metricat store check`")


def describe(tier: str, chunk: int, why: str, labels: Mapping[int, Labels]) -> str:
    """Return a warning about a damaged chunk or segment. A `chunk` below 0 means an unknown part of the tier."""
    if tier == SEGMENT:
        return f"segment {chunk} of the newest hours is damaged ({why}); its samples are missing"
    if chunk < 0:
        return f"chunks of the tier {tier} are damaged ({why}); their samples are missing"
    layout = next(one for one in LAYOUTS if one.tier == tier)
    number, window = number_of(chunk), window_of(chunk)
    series = text(labels[number]) if number in labels else f"series {number}"
    begin = np.datetime64(layout.base(window), "ms").astype("datetime64[m]")
    end = np.datetime64(layout.end(window), "ms").astype("datetime64[m]")
    return f"the {tier} chunk of {series} from {begin}Z to {end}Z is damaged ({why}); its samples are missing"
