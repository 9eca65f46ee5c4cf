"""Packing: samples from the head become chunks, one for each series and window."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model.columns import distinct
from metricat_hub.store.embedded import encoding
from metricat_hub.store.embedded.chunks import ChunkReader, join
from metricat_hub.store.embedded.database import transaction
from metricat_hub.store.embedded.head import Head, merge
from metricat_hub.store.embedded.settings import MINUTE
from metricat_hub.store.embedded.windows import RAW, identity, number_of, times_identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from metricat_hub.model.samples import Times, Values
    from metricat_hub.store.embedded.core import Core
    from metricat_hub.store.embedded.head import Part, Run

_AT_ONCE = 256
"""The number of chunks that one transaction writes."""
_KEPT = 6 * MINUTE
"""Packed samples stay in memory for this time: the lookback period of instant queries, and the ranges of most rules."""


@dataclass(frozen=True, slots=True)
class _Part:
    """New samples of one series in one window."""

    chunk: int
    times: Times
    values: Values


def pack(core: Core, now: int) -> int:
    """Write the samples of the head into chunks, and return their number.

    An interruption at any moment loses nothing: the rows of the head are deleted after their samples are in chunks, and
    a chunk has each time once.
    """
    with core.mutex:
        parts = core.head.snapshot()
        last_row = core.head_row
        if not parts:
            return 0
        core.packing = parts
        core.head = Head(core.head)
    try:
        merged = merge(parts)
        _store_packed_until(core, merged.last)
        for window in distinct((merged.times - 1) // RAW.size).tolist():
            _pack_window(core, merged, window, now)
        _finish(core, last_row, now)
    except BaseException:
        with core.mutex:
            core.head.replace([*core.packing, *core.head.snapshot()])
            core.packing = ()
        raise
    return len(merged.series)


def _store_packed_until(core: Core, last: int) -> None:
    """Store until when chunks may have samples. Before the first chunk is written: packing may end at any time."""
    with core.mutex:
        core.packed_until = max(core.packed_until, last)
        core.writer.execute("INSERT OR REPLACE INTO state VALUES ('packed', ?)", (core.packed_until,))


def _pack_window(core: Core, merged: Run, window: int, now: int) -> None:
    complete = RAW.end(window) + core.settings.out_of_order <= now
    level = encoding.SMALL if complete else encoding.FAST
    batch = []
    for part in _parts(merged, window):
        batch.append(part)
        if len(batch) == _AT_ONCE:
            write_parts(core, window, batch, level)
            batch = []
    if batch:
        write_parts(core, window, batch, level)


def _parts(merged: Run, window: int) -> Iterator[_Part]:
    base, end = RAW.base(window), RAW.end(window)
    series, times, values = merged.series, merged.times, merged.values
    if merged.first <= base or merged.last > end:
        inside = (times > base) & (times <= end)
        series, times, values = series[inside], times[inside], values[inside]
    bounds = [0, *(np.flatnonzero(series[1:] != series[:-1]) + 1).tolist(), len(series)]
    for begin, stop in pairwise(bounds):
        yield _Part(identity(window, int(series[begin])), times[begin:stop], values[begin:stop])


def write_parts(core: Core, window: int, parts: list[_Part], level: int) -> None:
    """Merge new samples into the chunks of a window."""
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


def _finish(core: Core, last_row: int, now: int) -> None:
    """Delete the rows of the head whose samples are in chunks. Damaged rows stay, so that a check names them."""
    with core.mutex:
        with transaction(core.writer):
            kept = ",".join(map(str, core.damaged_rows)) or "-1"
            core.writer.execute(
                f"DELETE FROM head WHERE number <= ? AND number NOT IN ({kept})",  # noqa: S608 -- integers
                (last_row,),
            )
            core.writer.execute("INSERT OR REPLACE INTO state VALUES ('times', ?)", (core.times.encode(),))
        core.memory_from = max(core.memory_from, min(now, max(part.last for part in core.packing)) - _KEPT)
        core.packed = tuple(_newest((*core.packed, *core.packing), core.memory_from))
        for part in core.packing:
            core.versions.update(range(RAW.window(part.first), RAW.window(part.last) + 1))
        core.packing = ()


def _newest(parts: Iterable[Part], after: int) -> Iterator[Part]:
    """Yield the samples of some parts after a time."""
    for part in parts:
        kept = part.after(after)
        if kept is not None:
            yield kept
