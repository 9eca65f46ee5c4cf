"""Packing: moves samples from the head to segments, and from the segments of complete windows to chunks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.store.embedded import encoding, segments
from metricat_hub.store.embedded.chunks import ChunkReader, Joined, join
from metricat_hub.store.embedded.database import transaction
from metricat_hub.store.embedded.head import Head, Parts
from metricat_hub.store.embedded.segments import SegmentReader
from metricat_hub.store.embedded.settings import MINUTE
from metricat_hub.store.embedded.windows import RAW, identity, number_of, times_identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from metricat_hub.model.samples import Times, Values
    from metricat_hub.store.embedded.core import Core
    from metricat_hub.store.embedded.head import Part
    from metricat_hub.store.embedded.segments import Segment

_AT_ONCE = 256
"""The number of chunks that one transaction writes."""
_SERIES = 1024
"""The range of series whose samples of a window are in memory at a time while they are packed."""
_KEPT = 6 * MINUTE
"""Samples of segments stay in memory for this time: the lookback period of instant queries, and the ranges of most
rules."""


@dataclass(frozen=True, slots=True)
class _Part:
    """New samples of one series in one window."""

    chunk: int
    times: Times
    values: Values


def spill(core: Core, now: int) -> int:
    """Move the samples of the head to segments; return their number.

    One transaction writes the segments and deletes the rows of the head. So an interruption loses nothing.
    """
    with core.mutex:
        parts = core.head.snapshot()
        last_row = core.head_row
        if not parts:
            return 0
        core.packing = Parts(parts)
        core.head = Head(core.head)
    try:
        encoded = [segments.encode(part) for part in segments.divided(parts)]
        _write_segments(core, encoded, last_row, now)
    except BaseException:
        with core.mutex:
            core.head.replace([*core.packing, *core.head.snapshot()])
            core.packing = Parts()
        raise
    return sum(map(len, parts))


def _write_segments(core: Core, encoded: Sequence[tuple[Segment, bytes]], last_row: int, now: int) -> None:
    """Write segments instead of the rows of the head. Damaged rows stay, so that a check names them."""
    with core.mutex:
        last = max(part.last for part in core.packing)
        packed_until = max(core.packed_until, last)
        with transaction(core.writer):
            written = [segments.insert(core.writer, segment, data) for segment, data in encoded]
            kept = ",".join(map(str, core.damaged_rows)) or "-1"
            core.writer.execute(
                f"DELETE FROM head WHERE number <= ? AND number NOT IN ({kept})",  # noqa: S608 -- integers
                (last_row,),
            )
            core.writer.execute("INSERT OR REPLACE INTO state VALUES ('times', ?)", (core.times.encode(),))
            core.writer.execute("INSERT OR REPLACE INTO state VALUES ('packed', ?)", (packed_until,))
        core.segments.add(written)
        core.packed_until = packed_until
        core.memory_from = max(core.memory_from, min(now, last) - _KEPT)
        core.packed = Parts(_newest((*core.packed, *core.packing), core.memory_from))
        core.packing = Parts()


def _newest(parts: Iterable[Part], after: int) -> Iterator[Part]:
    """Yield the samples of some parts after a time."""
    for part in parts:
        kept = part.after(after)
        if kept is not None:
            yield kept


def pack_window(core: Core, window: int, now: int) -> Iterator[None]:
    """Write the samples of a window's segments into chunks. Yield after each transaction.

    An interruption at any moment loses nothing: segments are deleted after their samples are in chunks, and a chunk has
    each time once.
    """
    complete = RAW.end(window) + core.settings.out_of_order <= now
    level = encoding.SMALL if complete else encoding.FAST
    with core.mutex:
        own = core.segments.of_window(window)
    damaged: set[int] = set()
    for low, overlapping in _ranges(own):
        batch = []
        for part in _parts(core, window, low, overlapping, damaged):
            batch.append(part)
            if len(batch) == _AT_ONCE:
                write_parts(core, window, batch, level)
                yield
                batch = []
        if batch:
            write_parts(core, window, batch, level)
            yield
    _remove(core, window, own, damaged)


def _ranges(own: Sequence[Segment]) -> Iterator[tuple[int, Sequence[Segment]]]:
    """Yield the first series of each range that has samples, and the segments with series of the range."""
    low = 0
    while rest := [one for one in own if one.highest >= low]:
        low = max(low, min(one.lowest for one in rest))
        yield low, [one for one in rest if one.lowest < low + _SERIES]
        low += _SERIES


def _parts(core: Core, window: int, low: int, overlapping: Sequence[Segment], damaged: set[int]) -> Iterator[_Part]:
    """Yield the samples of the series from a number on, by ascending series."""
    numbers = np.arange(low, low + _SERIES, dtype=np.int32)
    found: dict[int, list[tuple[Times, Values]]] = {}
    start, end = RAW.base(window) + 1, RAW.end(window)
    with core.readers.borrow() as connection:
        reader = SegmentReader(connection)
        for segment in overlapping:
            part = reader.read(segment, numbers)
            if part is not None:
                for number, times, values in part.pick(numbers, start, end):
                    found.setdefault(number, []).append((times, values))
        damaged.update(number for _, number in reader.damaged)
    joined = Joined(start, end)
    for number in sorted(found):
        yield _Part(identity(window, number), *joined.join(found[number]))


def _remove(core: Core, window: int, own: Sequence[Segment], damaged: set[int]) -> None:
    """Remove segments whose samples are in chunks. Damaged ones stay."""
    packed = [one for one in own if one.number not in damaged]
    with core.mutex:
        with transaction(core.writer):
            core.writer.executemany("DELETE FROM segments WHERE number = ?", [(one.number,) for one in packed])
        core.segments.remove(packed)
        core.segments.set_aside(damaged)
        core.versions[window] += 1


def write_parts(core: Core, window: int, parts: list[_Part], level: int) -> None:
    """Merge new samples into the chunks of a window. `level` is the compression level of the chunks."""
    numbers = np.array([number_of(part.chunk) for part in parts], np.int32)
    with core.readers.borrow() as connection:
        reader = ChunkReader(connection)
        stored = dict(reader.read(RAW, window, numbers))
        damaged = list(reader.damaged)
    joined = []
    for part in parts:
        old = stored.get(number_of(part.chunk))
        before = [] if old is None else [(old.times, old.columns["last"])]
        joined.append(join([*before, (part.times, part.values)]))
    base = RAW.base(window)
    irregular = [times.tobytes() for times, _ in joined if not encoding.is_regular(times)]
    rows = []
    shared: dict[bytes, int] = {}
    for data, count in Counter(irregular).items():
        if count > 1:
            times = np.frombuffer(data, np.int64)
            shared[data] = reference = encoding.times_reference(times)
            rows.append((times_identity(window, reference), encoding.encode_shared(times, base)))
    chunks = []
    for part, (times, values) in zip(parts, joined, strict=True):
        place = shared.get(times.tobytes()) if shared else None
        encoded = encoding.encode_times(times, base, level) if place is None else encoding.encode_reference(place)
        chunks.append(
            (part.chunk, encoding.encode_chunk(part.chunk, encoded, {"last": values}, core.settings.codec, level))
        )
    with core.mutex, transaction(core.writer):
        for tier, chunk in damaged:
            core.writer.execute("INSERT INTO damaged SELECT ?, id, data FROM chunks_raw WHERE id = ?", (tier, chunk))
        core.writer.executemany("INSERT OR REPLACE INTO times VALUES (?, ?)", rows)
        core.writer.executemany("INSERT OR REPLACE INTO chunks_raw VALUES (?, ?)", chunks)
        if RAW.end(window) <= core.progress.by_minute:
            # The next window counts from the last sample of this one.
            outdated = [(one,) for part in parts for one in (part.chunk, part.chunk + identity(1, 0))]
            core.writer.executemany("INSERT OR IGNORE INTO outdated VALUES (?)", outdated)
