"""Downsampling: complete raw windows become points of the tier 1m, and their complete days points of the tier 1h.

The iterators do a part of the work at each step, with at most one transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from metricat_hub.model.labels import metric_name
from metricat_hub.store.embedded import encoding, tiers
from metricat_hub.store.embedded.chunks import ChunkReader
from metricat_hub.store.embedded.database import transaction
from metricat_hub.store.embedded.windows import BY_HOUR, BY_MINUTE, RAW, identity, number_of, times_identity, window_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from metricat_hub.store.embedded.core import Core
    from metricat_hub.store.embedded.encoding import Chunk
    from metricat_hub.store.embedded.windows import Layout

_AT_ONCE = 256


def due(core: Core, now: int) -> int:
    """Return the end of the last raw window that is complete, in milliseconds."""
    return RAW.base((now - core.settings.out_of_order) // RAW.size)


def downsample_complete(core: Core, now: int) -> Iterator[None]:
    """Downsample every raw window that is complete, then every complete day."""
    yield from _advance(core, RAW, due(core, now), "by_minute", _minutes_of)
    days = core.progress.by_minute // BY_MINUTE.size * BY_MINUTE.size
    yield from _advance(core, BY_MINUTE, days, "by_hour", _hours_of)


def downsample_outdated(core: Core) -> Iterator[None]:
    """Downsample again the raw windows that late samples have changed."""
    while True:
        with core.readers.borrow() as connection:
            rows = connection.execute("SELECT id FROM outdated ORDER BY id LIMIT ?", (_AT_ONCE,)).fetchall()
        if not rows:
            return
        by_window: dict[int, list[int]] = {}
        for (chunk,) in rows:
            by_window.setdefault(window_of(chunk), []).append(number_of(chunk))
        for window, numbers in by_window.items():
            yield from _minutes_of(core, window, numbers)
            day = BY_MINUTE.window(RAW.end(window))
            if BY_MINUTE.end(day) <= core.progress.by_hour:
                yield from _hours_of(core, day, numbers)
        with core.mutex, transaction(core.writer):
            core.writer.executemany("DELETE FROM outdated WHERE id = ?", rows)


def _advance(
    core: Core, layout: Layout, until: int, field: str, run: Callable[[Core, int, Sequence[int] | None], Iterator[None]]
) -> Iterator[None]:
    """Process the windows of a tier that end until a time, in ascending order."""
    while True:
        reached: int = getattr(core.progress, field)
        with core.readers.borrow() as connection:
            found = connection.execute(
                f"SELECT id FROM {layout.table} WHERE id >= ? ORDER BY id LIMIT 1",  # noqa: S608 -- a constant
                (identity(layout.window(reached + 1), 0),),
            ).fetchone()
        end = until if found is None else layout.end(window_of(found[0]))
        if found is not None and end <= until:
            yield from run(core, window_of(found[0]), None)
        else:
            end = until
        if end > reached:
            progress = msgspec.structs.replace(core.progress, **{field: end})
            with core.mutex:
                with transaction(core.writer):
                    core.save_progress(progress)
                core.progress = progress
        if end >= until:
            return


def _minutes_of(core: Core, window: int, numbers: Sequence[int] | None = None) -> Iterator[None]:
    """Write the points of some series in a raw window. None: all series; then also remove times that no chunk uses."""
    start, end = RAW.base(window), RAW.end(window)
    day = BY_MINUTE.window(end)
    used: set[int] = set()
    for rows in _slices(core, RAW, window, numbers):
        with core.readers.borrow() as connection:
            reader = ChunkReader(connection)
            samples = {}
            for chunk, data in rows:
                used.add(encoding.shared_reference(data) or 0)
                decoded = reader.decode(RAW, chunk, data)
                if decoded is not None:
                    samples[number_of(chunk)] = decoded
            chosen = np.array(sorted(samples), np.int32)
            if not len(chosen):
                continue
            stored = dict(reader.read(BY_MINUTE, day, chosen))
            kinds = _kinds(core, connection, chosen)
            previous = _previous(reader, day, chosen, stored, start)
        written = []
        for number, raw in samples.items():
            new = tiers.downsample(raw.times, raw.columns["last"], kinds[number], previous.get(number))
            written.append((number, _merged(stored.get(number), new, start, end)))
        _write(core, BY_MINUTE, day, written, reader.damaged)
        yield
    if numbers is None:
        _remove_unused_times(core, window, used)


def _hours_of(core: Core, day: int, numbers: Sequence[int] | None = None) -> Iterator[None]:
    """Write the points of the tier 1h for a day."""
    start, end = BY_MINUTE.base(day), BY_MINUTE.end(day)
    window = BY_HOUR.window(end)
    for rows in _slices(core, BY_MINUTE, day, numbers):
        with core.readers.borrow() as connection:
            reader = ChunkReader(connection)
            points = {}
            for chunk, data in rows:
                decoded = reader.decode(BY_MINUTE, chunk, data)
                if decoded is not None:
                    points[number_of(chunk)] = decoded
            chosen = np.array(sorted(points), np.int32)
            stored = dict(reader.read(BY_HOUR, window, chosen)) if len(chosen) else {}
        written = [
            (number, _merged(stored.get(number), tiers.coarser(one), start, end)) for number, one in points.items()
        ]
        _write(core, BY_HOUR, window, written, reader.damaged)
        yield


def _slices(
    core: Core, layout: Layout, window: int, numbers: Sequence[int] | None
) -> Iterator[Sequence[tuple[int, bytes]]]:
    """Yield the rows of a window, some at a time, each time in a read transaction of its own."""
    if numbers is not None:
        with core.readers.borrow() as connection:
            rows = list(ChunkReader(connection).rows(layout, window, np.array(sorted(numbers), np.int32)))
        yield rows
        return
    low, high = identity(window, 0), identity(window + 1, 0) - 1
    while True:
        with core.readers.borrow() as connection:
            rows = list(ChunkReader(connection).rows_between(layout, low, high, _AT_ONCE))
        if not rows:
            return
        yield rows
        low = rows[-1][0] + 1


def _previous(
    reader: ChunkReader, day: int, numbers: NDArray[np.int32], stored: dict[int, Chunk], start: int
) -> dict[int, float]:
    """Return the last value of each series before a time, of that day or the day before."""
    previous = {}
    for number, points in reader.read(BY_MINUTE, day - 1, numbers, ("last",)):
        previous[number] = float(points.columns["last"][-1])
    for number, points in stored.items():
        at = int(np.searchsorted(points.times, start, "right"))
        if at:
            previous[number] = float(points.columns["last"][at - 1])
    return previous


def _kinds(core: Core, connection: sqlite3.Connection, numbers: NDArray[np.int32]) -> dict[int, tiers.Kind]:
    with core.index_mutex:
        names = {at: metric_name(core.index.labels[at]) for at in numbers.tolist() if at in core.index.labels}
    for number in numbers.tolist():
        if number not in names:
            row = connection.execute("SELECT name FROM series WHERE number = ?", (number,)).fetchone()
            names[number] = row[0] if row else ""
    return {number: tiers.kind_of(name, core.metadata) for number, name in names.items()}


def _merged(old: Chunk | None, new: Chunk, start: int, end: int) -> Chunk:
    return new if old is None else tiers.merge_points(old, new, start, end)


def _write(
    core: Core, layout: Layout, window: int, chunks: list[tuple[int, Chunk]], damaged: Iterable[tuple[str, int]]
) -> None:
    base = layout.base(window)
    rows = []
    for number, chunk in chunks:
        if len(chunk.times):
            one = identity(window, number)
            times = encoding.encode_times(chunk.times, base)
            rows.append((one, encoding.encode_chunk(one, times, chunk.columns, core.settings.codec)))
    replaced = [(layout.tier, chunk) for tier, chunk in damaged if tier == layout.tier]
    with core.mutex, transaction(core.writer):
        core.writer.executemany(
            f"INSERT INTO damaged SELECT ?, id, data FROM {layout.table} WHERE id = ?",  # noqa: S608 -- a constant
            replaced,
        )
        core.writer.executemany(f"INSERT OR REPLACE INTO {layout.table} VALUES (?, ?)", rows)  # noqa: S608 -- a constant


def _remove_unused_times(core: Core, window: int, used: set[int]) -> None:
    low = times_identity(window, 0)
    with core.mutex, transaction(core.writer):
        rows = core.writer.execute(
            "SELECT id FROM times WHERE id BETWEEN ? AND ?", (low, times_identity(window + 1, 0) - 1)
        ).fetchall()
        core.writer.executemany("DELETE FROM times WHERE id = ?", [row for row in rows if row[0] - low not in used])
