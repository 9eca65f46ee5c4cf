"""Reads downsampled chunks, and raw samples from chunks, segments and memory."""

from __future__ import annotations

import sqlite3
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model.ports import no_reservation
from metricat_hub.store.embedded import encoding
from metricat_hub.store.embedded.segments import SegmentReader
from metricat_hub.store.embedded.windows import RAW, identity, number_of, times_identity, window_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from metricat_hub.model.samples import Times, Values
    from metricat_hub.store.embedded.chunk_cache import ChunkCache
    from metricat_hub.store.embedded.core import Core
    from metricat_hub.store.embedded.encoding import Chunk
    from metricat_hub.store.embedded.segments import Segment
    from metricat_hub.store.embedded.windows import Layout

SLICE = 256
"""The most series of one read transaction, to keep read transactions short."""

_PARAMETERS = 256
"""The most parameters of a statement. SQLite before 3.32 allows 999."""


class ChunkReader:
    """Reads chunks through one connection. It skips damaged chunks, and adds them to `damaged`."""

    def __init__(self, connection: sqlite3.Connection, cache: ChunkCache | None = None) -> None:
        self._connection = connection
        self._cache = cache
        self._shared: dict[int, Times] = {}
        self._regular: dict[tuple[int, int, int], Times] = {}
        self.damaged: dict[tuple[str, int], str] = {}
        """The error of each damaged chunk by tier and ID. ID -1: an unknown part of the tier."""

    def read(
        self, layout: Layout, window: int, numbers: NDArray[np.int32], wanted: Sequence[str] | None = None
    ) -> Iterator[tuple[int, Chunk]]:
        """Yield number and chunk of the series that have a chunk in a window. `numbers` must ascend."""
        for chunk, data in self.rows(layout, window, numbers):
            decoded = self.decode(layout, chunk, data, wanted)
            if decoded is not None:
                yield number_of(chunk), decoded

    def windows(self, layout: Layout, start: int, end: int) -> range:
        """Return the numbers of windows between two times, limited to those from the first to the last chunk."""
        statement = f"SELECT min(id), (SELECT max(id) FROM {layout.table}) FROM {layout.table}"  # noqa: S608
        try:
            low, high = self._connection.execute(statement).fetchone()
        except sqlite3.DatabaseError as error:
            self._unreadable(layout, -1, error)
            return range(0)
        if low is None:
            return range(0)
        return range(max(layout.window(start), window_of(low)), min(layout.window(end), window_of(high)) + 1)

    def rows(self, layout: Layout, window: int, numbers: NDArray[np.int32]) -> Iterator[tuple[int, bytes]]:
        """Yield ID and bytes of the chunks of the series `numbers`, which must ascend, in a window, by ascending ID."""
        low, high = identity(window, int(numbers[0])), identity(window, int(numbers[-1]))
        if len(numbers) > 4 and high - low < 4 * len(numbers):
            chosen = set(numbers.tolist())
            yield from (row for row in self.rows_between(layout, low, high) if number_of(row[0]) in chosen)
            return
        chunks = [identity(window, number) for number in numbers.tolist()]
        try:
            yield from self._chosen(layout, chunks)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            # A page of the file is damaged. Only its chunks are missing.
            yield from self._one_by_one(layout, chunks)

    def _chosen(self, layout: Layout, chunks: Sequence[int]) -> list[tuple[int, bytes]]:
        """Return the chunks with these ids. One statement takes a third of the time of one for each chunk."""
        found: list[tuple[int, bytes]] = []
        for at in range(0, len(chunks), _PARAMETERS):
            part = chunks[at : at + _PARAMETERS]
            places = ",".join("?" * len(part))
            statement = f"SELECT id, data FROM {layout.table} WHERE id IN ({places}) ORDER BY id"  # noqa: S608
            found += self._connection.execute(statement, part).fetchall()
        return found

    def _one_by_one(self, layout: Layout, chunks: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        statement = f"SELECT data FROM {layout.table} WHERE id = ?"  # noqa: S608 -- the table is one of three constants
        for chunk in chunks:
            try:
                row = self._connection.execute(statement, (chunk,)).fetchone()
            except sqlite3.DatabaseError as error:
                self._unreadable(layout, chunk, error)
                continue
            if row is not None:
                yield chunk, row[0]

    def rows_between(self, layout: Layout, low: int, high: int, limit: int = -1) -> Iterator[tuple[int, bytes]]:
        """Yield ID and bytes of at most `limit` chunks with IDs from `low` to `high`, both inclusive; -1: no limit."""
        statement = f"SELECT id, data FROM {layout.table} WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?"  # noqa: S608
        read = []
        try:
            for row in self._connection.execute(statement, (low, high, limit)):
                read.append(row)  # noqa: PERF402 -- keeps what was read before an error
        except sqlite3.DatabaseError as error:
            self._unreadable(layout, read[-1][0] + 1 if read else low, error)
        yield from read

    def decode(self, layout: Layout, chunk: int, data: bytes, wanted: Sequence[str] | None = None) -> Chunk | None:
        """Decode a chunk; return None if it is damaged."""
        if self._cache is not None and (known := self._cache.get(layout.tier, chunk, data, wanted)) is not None:
            return known
        window = chunk >> 32
        base = layout.base(window)
        try:
            decoded = encoding.decode_chunk(
                chunk, data, base, lambda reference: self._shared_times(window, reference), wanted, self._regular
            )
            if self._cache is not None and encoding.shared_reference(data) is None:
                self._cache.put(layout.tier, chunk, data, wanted, decoded)
        except encoding.DamagedError as error:
            self.damaged[layout.tier, chunk] = str(error)
            return None
        return decoded

    def _shared_times(self, window: int, reference: int) -> Times:
        row_id = times_identity(window, reference)
        times = self._shared.get(row_id)
        if times is None:
            try:
                row = self._connection.execute("SELECT data FROM times WHERE id = ?", (row_id,)).fetchone()
            except sqlite3.DatabaseError as error:
                raise encoding.DamagedError(str(error)) from error
            if row is None:
                raise encoding.DamagedError("its shared times are missing")
            times = self._shared[row_id] = encoding.decode_shared(row[0], RAW.base(window))
        return times

    def _unreadable(self, layout: Layout, chunk: int, error: sqlite3.DatabaseError) -> None:
        if isinstance(error, sqlite3.OperationalError):
            # The file is busy or gone. The chunk may be intact.
            raise error
        self.damaged[layout.tier, chunk] = str(error)


def samples_in_memory(
    core: Core, numbers: NDArray[np.int32], start: int, end: int
) -> tuple[dict[int, list[tuple[Times, Values]]], bool, list[Segment]]:
    """Return samples in memory by series number, whether the file may have more samples, and segments to read."""
    lowest, highest = int(numbers[0]), int(numbers[-1])
    with core.mutex:
        in_file = start <= core.memory_from
        parts = [*(() if in_file else core.packed), *core.packing, *core.head.overlapping(lowest, highest)]
        segments = core.segments.overlapping(lowest, highest, start, end) if in_file else []
    found: dict[int, list[tuple[Times, Values]]] = {}
    for part in parts:
        if part.first <= end and part.last >= start and part.lowest <= highest and part.highest >= lowest:
            for number, times, values in part.pick(numbers, start, end):
                found.setdefault(number, []).append((times, values))
    return found, in_file, segments


def _with_segments(
    reader: SegmentReader,
    segments: Sequence[Segment],
    newest: dict[int, list[tuple[Times, Values]]],
    wanted: tuple[NDArray[np.int32], int, int],
    reserve: Callable[[int], None],
) -> dict[int, list[tuple[Times, Values]]]:
    """Return the samples of segments, then those in memory, of each series that has any."""
    found: dict[int, list[tuple[Times, Values]]] = {}
    samples = 0
    for segment in segments:
        part = reader.read(segment, wanted[0])
        for number, times, values in part.pick(*wanted) if part else ():
            found.setdefault(number, []).append((times, values))
            samples += len(times)
    reserve(samples)
    for number, parts in newest.items():
        found.setdefault(number, []).extend(parts)
    return found


def read_raw(  # noqa: PLR0913, PLR0917 -- two callbacks
    core: Core,
    numbers: NDArray[np.int32],
    start: int,
    end: int,
    warn: Callable[[dict[tuple[str, int], str]], None],
    reserve: Callable[[int], None] = no_reservation,
) -> Iterator[tuple[int, Times, Values]]:
    """Yield the raw samples from start to end of each series that has any, by ascending series.

    `numbers` must ascend, and have at most `SLICE` series. `warn` gets the damaged chunks and segments, as in
    `ChunkReader.damaged`. For `reserve`, see `Hints`.
    """
    # Memory first, then segments: maintenance removes samples from each of them after it has written them to the next.
    newest, in_file, segments = samples_in_memory(core, numbers, start, end)
    packed: dict[int, list[tuple[Times, Values]]] = {}
    if in_file:
        with core.readers.borrow() as connection:
            of_segments = SegmentReader(connection)
            newest = _with_segments(of_segments, segments, newest, (numbers, start, end), reserve)
            reader = ChunkReader(connection, core.chunks)
            reader.damaged.update(of_segments.damaged)
            for window in reader.windows(RAW, start, end):
                samples = 0
                for number, chunk in reader.read(RAW, window, numbers):
                    packed.setdefault(number, []).append((chunk.times, chunk.columns["last"]))
                    samples += len(chunk.times)
                reserve(samples)
        if reader.damaged:
            warn(reader.damaged)
    joined = Joined(start, end)
    for number in numbers.tolist():
        parts = [*packed.get(number, ()), *newest.get(number, ())]
        if parts:
            times, values = joined.join(parts)
            if len(times):
                yield number, times, values


class Joined:
    """Joins the parts of many series. Series with equal times get the same array of times.

    The series of a scrape target have equal times, so this saves most of the work after the first series.
    """

    def __init__(self, start: int, end: int) -> None:
        self._start = start
        self._end = end
        self._same: dict[bytes, Times] = {}
        self._known: dict[int, tuple[Times, Times]] = {}
        """An array and its replacement, by `id` of the array."""
        self._whole: dict[tuple[int, ...], tuple[Sequence[Times], Times, slice]] = {}
        """The joined times by the `id`s of the parts, with references to the parts, so that the `id`s stay valid."""

    def join(self, parts: Sequence[tuple[Times, Values]]) -> tuple[Times, Values]:
        """Return the samples of all parts between start and end by ascending time, each time once."""
        each = [self._canonical(times) for times, _ in parts]
        key = tuple(map(id, each))
        known = self._whole.get(key)
        if known is not None:
            _, times, inside = known
            values = parts[0][1] if len(parts) == 1 else np.concatenate([one for _, one in parts])
            return times, values[inside]
        times, values = join(list(zip(each, (one for _, one in parts), strict=True)))
        count = sum(map(len, each))
        inside = slice(0, len(times))
        if times[0] < self._start or times[-1] > self._end:
            inside = slice(int(np.searchsorted(times, self._start)), int(np.searchsorted(times, self._end, "right")))
        is_plain = len(times) == count and all(before[-1] < after[0] for before, after in pairwise(each))
        times = times[inside]
        if is_plain:
            self._whole[key] = each, times, inside
        return times, values[inside]

    def _canonical(self, times: Times) -> Times:
        """Return one array for all equal ones."""
        known = self._known.get(id(times))
        if known is None:
            known = self._known[id(times)] = times, self._same.setdefault(times.tobytes(), times)
        return known[1]


def join(parts: Sequence[tuple[Times, Values]]) -> tuple[Times, Values]:
    """Merge parts by ascending time. If several parts have the same time, the first part's value is used."""
    if len(parts) == 1:
        return parts[0]
    times = np.concatenate([one for one, _ in parts])
    values = np.concatenate([one for _, one in parts])
    if not bool((times[1:] > times[:-1]).all()):
        times, at = np.unique(times, return_index=True)
        values = values[at]
    return times, values
