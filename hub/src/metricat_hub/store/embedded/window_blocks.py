"""Reads raw samples for range selectors as blocks, with a cache for the blocks of chunks.

A selector of an hour reads the same chunks repeatedly, and decoding and joining them takes several times as long as the
evaluation. See docs/design/0027.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model.ports import SampleBlock, no_reservation
from metricat_hub.store.embedded.chunks import SLICE, ChunkReader
from metricat_hub.store.embedded.segments import SegmentReader
from metricat_hub.store.embedded.windows import RAW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from metricat_hub.model.samples import Times, Values
    from metricat_hub.store.embedded.core import Core
    from metricat_hub.store.embedded.head import Columns, Part
    from metricat_hub.store.embedded.segments import Segment

_MOST_WINDOWS = 4
"""A selector with more windows than this is read by series: its evaluation costs more than the reading."""
_MOST_SERIES = 10_000
BLOCK_BYTES = 16 << 20
"""The size of the cache in bytes."""
_MOST_LISTS = 8
_ENTRY = 500
"""Bytes of memory of an entry or a block in addition to its arrays."""
_SEGMENT = -1
"""The version in the cache keys of segments, which never change."""

_Key = tuple[int, int, bytes]


class BlockCache:
    """A cache of blocks by window, version of the window, and series. Least recently used blocks are dropped first.

    Thread-safe.
    """

    def __init__(self, most_bytes: int = BLOCK_BYTES) -> None:
        self._most = most_bytes
        self._entries: OrderedDict[_Key, tuple[list[SampleBlock], int]] = OrderedDict()
        self._lock = threading.Lock()
        self.bytes = 0

    def get(self, key: _Key) -> list[SampleBlock] | None:
        """Return the cached blocks; None if they are not cached."""
        with self._lock:
            found = self._entries.get(key)
            if found is None:
                return None
            self._entries.move_to_end(key)
            return found[0]

    def put(self, key: _Key, blocks: list[SampleBlock]) -> None:
        """Cache blocks, unless they need more than half of the cache. The caller must not change their arrays."""
        size = _ENTRY + len(key[2])
        for one in blocks:
            size += _ENTRY + one.rows.nbytes + one.times.nbytes + one.values.nbytes
        if size > self._most // 2:
            return
        with self._lock:
            before = self._entries.pop(key, None)
            self.bytes += size - (before[1] if before else 0)
            self._entries[key] = blocks, size
            while self.bytes > self._most:
                self.bytes -= self._entries.popitem(last=False)[1][1]


def raw_blocks(
    core: Core, numbers: NDArray[np.int32], start: int, end: int, reserve: Callable[[int], None] = no_reservation
) -> list[SampleBlock] | None:
    """Return the raw samples of the series `numbers`, which must ascend, from start to end as blocks.

    Return None if the caller must read each series, because a chunk or segment is damaged, samples arrived out of
    order, or there are too many windows or series. For `reserve`, see `Hints`.
    """
    if not len(numbers):
        return []
    lowest, highest = int(numbers[0]), int(numbers[-1])
    windows = range(RAW.window(start), RAW.window(end) + 1)
    with core.mutex:
        in_file = start <= core.memory_from
        if in_file and (len(windows) > _MOST_WINDOWS or len(numbers) > _MOST_SERIES):
            return None
        # All at the same moment: until a version changes, memory and segments have the samples of the new chunks.
        holders = (core.packing, core.head) if in_file else (core.packed, core.packing, core.head)
        tables = [columns for one in holders for columns in one.columns(numbers)]
        runs = [run for one in holders for run in one.runs(lowest, highest)]
        segments = core.segments.overlapping(lowest, highest, start, end) if in_file else []
        versions = {window: core.versions[window] for window in windows} if in_file else {}
    sources = _lists([*_of_tables(tables, start, end), *_blocks_of(runs, numbers, start, end)], len(numbers))
    if sources is not None and in_file:
        stored = _in_file(core, numbers, start, end, (versions, segments), reserve)
        sources = None if stored is None else [*stored, *sources]
    return None if sources is None else _joined(sources, len(numbers), start, end)


def _in_file(  # noqa: PLR0913, PLR0917 -- what to read, and a callback
    core: Core,
    numbers: NDArray[np.int32],
    start: int,
    end: int,
    state: tuple[Mapping[int, int], Sequence[Segment]],
    reserve: Callable[[int], None],
) -> list[list[SampleBlock]] | None:
    """Return the blocks of each window, then those of segments.

    None: something is damaged, or a segment is in chunks by now.
    """
    versions, segments = state
    sources = []
    with core.readers.borrow() as connection:
        of_segments = _of_segments(core, SegmentReader(connection), segments, numbers)
        trimmed = None if of_segments is None else [_trimmed(one, start, end) for one in of_segments]
        kept = None if trimmed is None else _lists(trimmed, len(numbers))
        if kept is None:
            return None
        reserve(sum(one.values.size for blocks in kept for one in blocks))
        reader = ChunkReader(connection)
        series = numbers.tobytes()
        for window in reader.windows(RAW, start, end):
            key = window, versions[window], series
            stored = core.blocks.get(key)
            if stored is None:
                stored = _of_chunks(reader, window, numbers)
                if reader.damaged:
                    return None
                core.blocks.put(key, stored)
            reserve(sum(one.values.size for one in stored))
            sources.append(stored)
    return [*sources, *kept]


def _of_segments(
    core: Core, reader: SegmentReader, segments: Sequence[Segment], numbers: NDArray[np.int32]
) -> list[SampleBlock] | None:
    """Return the blocks of segments; None: one is damaged, or missing, or has too many different times."""
    found: list[SampleBlock] = []
    for segment in segments:
        low = int(numbers.searchsorted(segment.lowest))
        high = int(numbers.searchsorted(segment.highest, "right"))
        own = numbers[low:high]
        if not len(own):  # the segment is between two series
            continue
        key = segment.number, _SEGMENT, own.tobytes()
        blocks = core.blocks.get(key)
        if blocks is None:
            part = reader.read(segment, own)
            if reader.damaged or reader.missing:
                return None
            blocks = [] if part is None else _blocks_of([part], own, segment.first, segment.last)
            core.blocks.put(key, blocks)
        found += [SampleBlock(one.rows + low, one.times, one.values) for one in blocks]
    return found


def _trimmed(block: SampleBlock, start: int, end: int) -> SampleBlock:
    """Return the samples from start to end of a block."""
    if block.times[0] >= start and block.times[-1] <= end:
        return block
    low, high = block.times.searchsorted((start, end + 1)).tolist()
    return SampleBlock(block.rows, block.times[low:high], block.values[:, low:high])


def _of_tables(tables: Sequence[Columns], start: int, end: int) -> Iterator[SampleBlock]:
    """Yield the samples of some columns of tables."""
    for table, rows, columns in tables:
        times, values = table.columns(columns, start, end)
        if len(times):
            yield SampleBlock(rows, times, values)


def _blocks_of(parts: Sequence[Part], numbers: NDArray[np.int32], start: int, end: int) -> list[SampleBlock]:
    """Return the samples of some parts as blocks."""
    lowest, highest = int(numbers[0]), int(numbers[-1])
    found = []
    for part in parts:
        if part.last < start or part.first > end or part.lowest > highest or part.highest < lowest:
            continue
        table = part.as_table()
        if table is not None:
            low = int(numbers.searchsorted(part.lowest))
            high = int(numbers.searchsorted(part.highest, "right"))
            places, times, values = table.block(numbers[low:high], start, end)
            if len(places) and len(times):
                found.append(SampleBlock(places + low, times, values))
        elif picked := list(part.pick(numbers, start, end)):
            rows = np.searchsorted(numbers, np.array([number for number, _, _ in picked], np.int32)).tolist()
            found += _grouped(zip(rows, ((times, values) for _, times, values in picked), strict=True))
    return found


def _lists(found: Iterable[SampleBlock], count: int) -> list[list[SampleBlock]] | None:
    """Return blocks in lists that have each series once; None: samples arrived out of order, or there are many lists.

    Blocks of the same series, such as those of a target before and after a restart of it, become one. `count` is the
    number of all series.
    """
    tables: dict[bytes, list[SampleBlock]] = {}
    for block in found:
        if len(block.times):
            tables.setdefault(block.rows.tobytes(), []).append(block)
    blocks: list[SampleBlock] = []
    for same in tables.values():
        joined = same[0] if len(same) == 1 else _in_one(same)
        if joined is None:
            return None
        blocks.append(joined)
    if len(blocks) < 2 or int(np.bincount(np.concatenate([one.rows for one in blocks]), minlength=count).max()) < 2:
        return [blocks]
    sources: list[tuple[set[int], list[SampleBlock]]] = []
    for joined in blocks:
        rows = set(joined.rows.tolist())
        free = next((one for one in sources if one[0].isdisjoint(rows)), None)
        if free is None:
            free = set(), []
            sources.append(free)
            if len(sources) > _MOST_LISTS:
                return None
        free[0].update(rows)
        free[1].append(joined)
    return [own for _, own in sources]


def _in_one(parts: Sequence[SampleBlock]) -> SampleBlock | None:
    """Return parts of the same series as one block; None if their times overlap."""
    ordered = sorted(parts, key=lambda part: int(part.times[0]))
    if any(before.times[-1] >= after.times[0] for before, after in pairwise(ordered)):
        return None
    times = np.concatenate([part.times for part in ordered])
    return SampleBlock(ordered[0].rows, times, np.concatenate([part.values for part in ordered], axis=1))


def _of_chunks(reader: ChunkReader, window: int, numbers: NDArray[np.int32]) -> list[SampleBlock]:
    """Return the samples of a window."""
    found: list[tuple[int, tuple[Times, Values]]] = []
    for at in range(0, len(numbers), SLICE):
        part = numbers[at : at + SLICE]
        rows = {number: at + place for place, number in enumerate(part.tolist())}
        for number, chunk in reader.read(RAW, window, part):
            found.append((rows[number], (chunk.times, chunk.columns["last"])))
    return _grouped(found)


def _grouped(found: Iterable[tuple[int, tuple[Times, Values]]]) -> list[SampleBlock]:
    """Return blocks of series with the same times."""
    groups: dict[bytes, tuple[Times, list[int], list[Values]]] = {}
    for row, (times, values) in found:
        _, rows, columns = groups.setdefault(times.tobytes(), (times, [], []))
        rows.append(row)
        columns.append(values)
    return [SampleBlock(np.array(rows, np.intp), times, np.stack(columns)) for times, rows, columns in groups.values()]


def _joined(sources: Sequence[Sequence[SampleBlock]], count: int, start: int, end: int) -> list[SampleBlock] | None:
    """Join the blocks of each series; None: some of its times are between those of another block.

    Args:
        sources: lists of blocks that have each series at most once: first those of chunks.
        count: the number of series.
        start: the earliest time.
        end: the latest time.
    """
    if len(sources) == 1:
        return list(sources[0])  # in memory only, and within these times already
    places = np.zeros((len(sources), count), np.intp)
    owners = np.full((len(sources), count), -1, np.intp)
    for source, blocks in enumerate(sources):
        for at, block in enumerate(blocks):
            owners[source, block.rows] = at
            places[source, block.rows] = np.arange(len(block.rows))
    order = np.lexsort(owners)
    ordered = owners[:, order]
    bounds = [0, *(np.flatnonzero((ordered[:, 1:] != ordered[:, :-1]).any(axis=0)) + 1).tolist(), count]
    joined = []
    for low, high in pairwise(bounds):
        rows = order[low:high]
        parts = []
        for source, owner in enumerate(ordered[:, low].tolist()):
            if owner >= 0:
                part = _inside(sources[source][owner], places[source, rows], start, end)
                if len(part[0]):
                    parts.append(part)
        if not parts:
            continue
        one = _one(parts)
        if one is None:
            return None
        joined.append(SampleBlock(rows, *one))
    return joined


def _inside(block: SampleBlock, places: NDArray[np.intp], start: int, end: int) -> tuple[Times, Values]:
    """Return the samples from start to end of some series of a block."""
    low, high = block.times.searchsorted((start, end + 1)).tolist()
    values = block.values[:, low:high]
    return block.times[low:high], values if len(places) == len(block.rows) else values[places]


def _one(parts: list[tuple[Times, Values]]) -> tuple[Times, Values]:
    """Join parts of the same series. Of a time that is in several parts, the first part has the value."""
    if len(parts) == 1:
        return parts[0]
    times = np.concatenate([part for part, _ in parts])
    values = np.concatenate([part for _, part in parts], axis=1)
    if not bool((times[1:] > times[:-1]).all()):
        times, at = np.unique(times, return_index=True)
        values = values[:, at]
    return times, values
