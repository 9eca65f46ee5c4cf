"""Operations on a store's file: check, backup and compact."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.store.backup import copy
from metricat_hub.store.embedded import encoding
from metricat_hub.store.embedded.chunks import ChunkReader
from metricat_hub.store.embedded.core import decode_labels
from metricat_hub.store.embedded.database import FILE, Lock, connect, open_for_reading
from metricat_hub.store.embedded.segments import SegmentReader, load
from metricat_hub.store.embedded.selection import describe
from metricat_hub.store.embedded.windows import LAYOUTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from metricat_hub.model.labels import Labels

_AT_ONCE = 1000
_MOST_ERRORS_OF_SQLITE = 20


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of a check: counts, and one sentence for each damaged part."""

    chunks: int
    batches: int
    """Rows of the table `head`, which has the newest samples."""
    samples: int
    """Raw samples in chunks, segments and batches."""
    damaged: tuple[str, ...]


def check(folder: Path) -> Checked:
    """Read and verify the whole store, even while another process has it open.

    Raises:
        StoreUnavailableError: no store exists that this program can read.
    """
    damaged: list[str] = []
    chunks = batches = samples = 0
    with contextlib.closing(open_for_reading(folder / FILE)) as connection:
        try:
            # First the newest samples: they move to chunks, not back.
            for row, data in connection.execute("SELECT number, data FROM head ORDER BY number"):
                batches += 1
                try:
                    samples += len(encoding.decode_batch(data)[0])
                except encoding.DamagedError as error:
                    damaged.append(f"batch {row} of the newest samples is damaged ({error})")
            labels = {
                number: decode_labels(data) for number, data in connection.execute("SELECT number, labels FROM series")
            }
        except sqlite3.DatabaseError as error:
            damaged.append(f"the tables of the newest samples or of the series are damaged ({error})")
            labels = {}
        count, found = _segments(connection, labels)
        samples += count
        damaged += found
        for layout in LAYOUTS:
            reader = ChunkReader(connection)
            low = 0
            while rows := list(reader.rows_between(layout, low, 2**63 - 1, _AT_ONCE)):
                for chunk, data in rows:
                    chunks += 1
                    decoded = reader.decode(layout, chunk, data)
                    samples += len(decoded.times) if decoded and not layout.resolution else 0
                low = rows[-1][0] + 1
            damaged += [describe(tier, chunk, why, labels) for (tier, chunk), why in sorted(reader.damaged.items())]
        damaged += _earlier(connection, labels)
        damaged += _structure(connection)
    return Checked(chunks, batches, samples, tuple(damaged))


def _segments(connection: sqlite3.Connection, labels: dict[int, Labels]) -> tuple[int, list[str]]:
    """Return the number of samples in segments, and a sentence for each damaged segment."""
    samples = 0
    reader = SegmentReader(connection)
    try:
        for segment in list(load(connection)):
            part = reader.read(segment)
            samples += 0 if part is None else len(part)
    except sqlite3.DatabaseError as error:
        return samples, [f"the table of segments is damaged ({error})"]
    return samples, [describe(tier, number, why, labels) for (tier, number), why in sorted(reader.damaged.items())]


def _earlier(connection: sqlite3.Connection, labels: dict[int, Labels]) -> Iterator[str]:
    """Yield a sentence for each damaged chunk that newer samples have replaced."""
    try:
        for tier, chunk in connection.execute("SELECT tier, id FROM damaged ORDER BY tier, id"):
            yield describe(tier, chunk, "found earlier", labels)
    except sqlite3.DatabaseError as error:
        yield f"the table of damaged chunks is damaged ({error})"


def _structure(connection: sqlite3.Connection) -> Iterator[str]:
    try:
        for (line,) in connection.execute(f"PRAGMA quick_check({_MOST_ERRORS_OF_SQLITE})"):
            if line != "ok":
                yield f"the structure of the file is damaged: {line}"
    except sqlite3.DatabaseError as error:
        yield f"the structure of the file is damaged: {error}"


def backup(path: Path, folder: Path) -> int:
    """Copy a snapshot of a store to a new directory, even while it runs; return the size of the copy in bytes.

    Raises:
        StoreUnavailableError: no store exists that this program can read, the directory has a store already, or the
            copy failed.
    """
    target = folder / FILE
    if target.exists():
        raise StoreUnavailableError(f"{target} exists already. Choose another directory for the backup.")
    open_for_reading(path).close()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return copy(path, target)


def compact(folder: Path) -> tuple[int, int]:
    """Rewrite the file without free pages and damaged rows; return its size in bytes before and after.

    Raises:
        StoreLockedError: another process has the store open.
        StoreUnavailableError: no store exists, or the disk has too little space for the copy.
    """
    path = folder / FILE
    open_for_reading(path).close()
    lock = Lock(folder)
    try:
        before = path.stat().st_size
        with contextlib.closing(connect(path)) as connection:
            _remove_damaged(connection)
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return before, path.stat().st_size
    except sqlite3.Error as error:
        raise StoreUnavailableError(f"{folder}: cannot compact the store: {error}. Check the free space.") from error
    finally:
        lock.release()


def _remove_damaged(connection: sqlite3.Connection) -> None:
    """Remove what a check names, so that queries no longer warn about it."""
    for row, data in connection.execute("SELECT number, data FROM head").fetchall():
        try:
            encoding.decode_batch(data)
        except encoding.DamagedError:
            connection.execute("DELETE FROM head WHERE number = ?", (row,))
    segments = SegmentReader(connection)
    for segment in list(load(connection)):
        segments.read(segment)
    connection.executemany("DELETE FROM segments WHERE number = ?", [(number,) for _, number in segments.damaged])
    connection.execute("DELETE FROM damaged")
    for layout in LAYOUTS:
        reader = ChunkReader(connection)
        low = 0
        while rows := list(reader.rows_between(layout, low, 2**63 - 1, _AT_ONCE)):
            for chunk, data in rows:
                reader.decode(layout, chunk, data)
            low = rows[-1][0] + 1
        connection.executemany(
            f"DELETE FROM {layout.table} WHERE id = ?",  # noqa: S608 -- a constant
            [(chunk,) for _, chunk in reader.damaged],
        )
