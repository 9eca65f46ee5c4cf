"""Raw samples of range selectors as blocks, also from chunks. The blocks of chunks stay in a cache.

A selector of an hour reads the same chunks again and again, and decoding and joining the chunks of each series costs
several times as much as the evaluation. See docs/design/0027.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model.columns import distinct
from metricat_hub.model.ports import SampleBlock, no_reservation
from metricat_hub.store.embedded.chunks import SLICE, ChunkReader
from metricat_hub.store.embedded.windows import RAW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from metricat_hub.model.samples import Times, Values
    from metricat_hub.store.embedded.core import Core
    from metricat_hub.store.embedded.head import Part

_MOST_WINDOWS = 4
"""A selector with more windows than this is read by series: its evaluation costs more than the reading."""
_MOST_SERIES = 10_000
BLOCK_BYTES = 16 << 20
"""The size of the cache."""
_MOST_RUNS = 8
_ENTRY = 500
"""Bytes of an entry or a block beyond its arrays."""

_Key = tuple[int, int, bytes]


class BlockCache:
    """Blocks of chunks by window, its version and the series. The least recently used ones leave first. Thread-safe."""

    def __init__(self, most_bytes: int = BLOCK_BYTES) -> None:
        self._most = most_bytes
        self._entries: OrderedDict[_Key, tuple[list[SampleBlock], int]] = OrderedDict()
        self._lock = threading.Lock()
        self.bytes = 0

    def get(self, key: _Key) -> list[SampleBlock] | None:
        """Return the blocks; None: they are not here."""
        with self._lock:
            found = self._entries.get(key)
            if found is None:
                return None
            self._entries.move_to_end(key)
            return found[0]

    def put(self, key: _Key, blocks: list[SampleBlock]) -> None:
        """Keep blocks, unless they need more than half of the cache. Their arrays must not be changed."""
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
    """Return the raw samples of series from start to end as blocks. `reserve`: see `Hints`.

    None: read them by series, because a chunk is damaged, samples arrived out of order, or there are too many windows.
    """
    if not len(numbers):
        return []
    lowest, highest = int(numbers[0]), int(numbers[-1])
    windows = range(RAW.window(start), RAW.window(end) + 1)
    with core.mutex:
        in_file = start <= core.memory_from
        if in_file and (len(windows) > _MOST_WINDOWS or len(numbers) > _MOST_SERIES):
            return None
        # Memory and versions at the same moment: until a version changes, memory has the samples of the new chunks.
        parts = [*core.packed, *core.packing, *core.head.overlapping(lowest, highest)]
        versions = {window: core.versions[window] for window in windows} if in_file else {}
    sources = _in_memory(parts, numbers, start, end)
    if sources is not None and in_file:
        stored = _in_file(core, numbers, start, end, versions, reserve)
        sources = None if stored is None else [*stored, *sources]
    return None if sources is None else _joined(sources, len(numbers), start, end)


def _in_file(  # noqa: PLR0913, PLR0917 -- what to read, and a callback
    core: Core,
    numbers: NDArray[np.int32],
    start: int,
    end: int,
    versions: Mapping[int, int],
    reserve: Callable[[int], None],
) -> list[list[SampleBlock]] | None:
    """Return the blocks of each window; None: a chunk is damaged."""
    sources = []
    series = numbers.tobytes()
    with core.readers.borrow() as connection:
        reader = ChunkReader(connection)
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
    return sources


def _in_memory(
    parts: Sequence[Part], numbers: NDArray[np.int32], start: int, end: int
) -> list[list[SampleBlock]] | None:
    """Return blocks in memory, in lists that have each series once; None: samples arrived out of order."""
    lowest, highest = int(numbers[0]), int(numbers[-1])
    tables: dict[bytes, list[SampleBlock]] = {}
    sources = []
    for part in parts:
        if part.last < start or part.first > end or part.lowest > highest or part.highest < lowest:
            continue
        table = part.as_table()
        if table is not None:
            low = int(numbers.searchsorted(part.lowest))
            high = int(numbers.searchsorted(part.highest, "right"))
            places, times, values = table.block(numbers[low:high], start, end)
            if len(places) and len(times):
                rows = places + low
                tables.setdefault(rows.tobytes(), []).append(SampleBlock(rows, times, values))
        elif found := list(part.pick(numbers, start, end)):
            rows = np.searchsorted(numbers, np.array([number for number, _, _ in found], np.int32))
            sources.append(_grouped(zip(rows.tolist(), ((times, values) for _, times, values in found), strict=True)))
            if len(sources) > _MOST_RUNS:
                return None
    blocks: list[SampleBlock] = []
    for same in tables.values():
        block = same[0] if len(same) == 1 else _in_one(same)
        if block is None:
            return None
        blocks.append(block)
    rows = np.concatenate([one.rows for one in blocks]) if blocks else np.zeros(0, np.intp)
    return [*sources, blocks] if len(distinct(rows)) == len(rows) else None


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


def _one(parts: list[tuple[Times, Values]]) -> tuple[Times, Values] | None:
    """Join parts of the same series. Of a time that is in several parts, the first part has the value."""
    if len(parts) == 1:
        return parts[0]
    times, values = [parts[0][0]], [parts[0][1]]
    for part_times, part_values in sorted(parts[1:], key=lambda part: int(part[0][0])):
        known = int(part_times.searchsorted(times[-1][-1], "right"))
        if known:
            before = np.concatenate(times)
            if not bool((before[before.searchsorted(part_times[:known])] == part_times[:known]).all()):
                return None
        if known < len(part_times):
            times.append(part_times[known:])
            values.append(part_values[:, known:])
    return np.concatenate(times), np.concatenate(values, axis=1)
