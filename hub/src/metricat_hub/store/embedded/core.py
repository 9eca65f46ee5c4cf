"""The shared state of the embedded store: file, locks, head, index, and progress of maintenance."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.model.metadata import Metadata
from metricat_hub.store.embedded import encoding
from metricat_hub.store.embedded.chunk_cache import ChunkCache
from metricat_hub.store.embedded.database import (
    FILE,
    MIGRATIONS,
    Lock,
    Readers,
    open_for_reading,
    open_for_writing,
    transaction,
)
from metricat_hub.store.embedded.head import Head, Parts, run_of
from metricat_hub.store.embedded.label_index import LabelIndex
from metricat_hub.store.embedded.newest import NewestValues
from metricat_hub.store.embedded.segments import SegmentIndex, load
from metricat_hub.store.embedded.series_times import SeriesTimes
from metricat_hub.store.embedded.window_blocks import BLOCK_BYTES, BlockCache
from metricat_hub.store.embedded.windows import RAW, window_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from metricat_hub.store.embedded.settings import Settings

_ANY_TIME = 2**62
_SPACE_CHECK = 1000
"""Milliseconds between two checks of the free space."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """The progress of maintenance. Each field is the end of a window in milliseconds; 0: not begun."""

    by_minute: int = 0
    """All raw windows that end at or before this time are downsampled to the tier 1m."""
    by_hour: int = 0
    """All windows of the tier 1m that end at or before this time are downsampled to the tier 1h."""
    dropped_raw: int = 0
    """The raw windows that end at or before this time are dropped; likewise for the other tiers."""
    dropped_1m: int = 0
    dropped_1h: int = 0


class Core:
    """The shared state of the store. `mutex` protects it; `index_mutex` protects the index, and is acquired second."""

    _space_checked = -_SPACE_CHECK
    """When the filesystem had enough free space."""

    def __init__(self, folder: Path, settings: Settings, clock: Callable[[], int], *, read_only: bool = False) -> None:
        """Open the files.

        Args:
            folder: the data directory.
            settings: retention and limits.
            clock: returns the time in milliseconds.
            read_only: read the present content of the file without taking the lock, even while another process writes.

        Raises:
            StoreLockedError: another process has the store open.
            StoreUnavailableError: the store cannot be read or written.
        """
        self.folder = folder
        self.path = folder / FILE
        self.settings = settings
        self.clock = clock
        self.mutex = threading.RLock()
        self.index_mutex = threading.Lock()
        self.index = LabelIndex()
        self.times = SeriesTimes()
        self.head = Head()
        self.newest = NewestValues()
        self.chunks = ChunkCache()
        self.blocks = BlockCache(0 if read_only else BLOCK_BYTES)
        """Empty if the store is read-only, because another process writes its file."""
        self.versions: Counter[int] = Counter()
        """How often packing changed each raw window."""
        self.head_row = 0
        """The number of the last row in the table `head`."""
        self.packing = Parts()
        """Samples that maintenance is writing to segments. They are no longer in `head`."""
        self.packed = Parts()
        """A copy in memory of the newest samples in segments and chunks, because most queries need them."""
        self.segments = SegmentIndex()
        self.packed_until = 0
        """No segment or chunk has samples after this time."""
        self.memory_from = 0
        """All samples after this time are in memory."""
        self.metadata: dict[str, Metadata] = {}
        self.damaged_rows: dict[int, str] = {}
        """Damaged rows of the head, with the error of each."""
        self.generation = 0
        self.past_until = 0
        """The latest time until which readers cache samples."""
        self.past_changes = 0
        """Number of stored batches with a sample at or before `past_until`, which invalidate the readers' caches."""
        self.newest_idle = 0
        """The time of the newest sample of any idle series."""
        self.refused_series = 0
        self.rejected = {"conflicting": 0, "too_old": 0, "too_new": 0, "unknown": 0, "unavailable": 0}
        self.progress = Progress()
        self.closed = False
        self._lock = None if read_only else Lock(folder)
        try:
            self.writer = open_for_reading(self.path) if read_only else open_for_writing(self.path, MIGRATIONS)
            self.readers = Readers(self.path)
            self._load()
        except BaseException:
            if self._lock:
                self._lock.release()
            raise

    def close(self) -> None:
        """Close the files and release the lock."""
        with self.mutex:
            if not self.closed:
                self.closed = True
                self.readers.close()
                self.writer.close()
                if self._lock:
                    self._lock.release()

    def check_open(self) -> None:
        """Raise StoreUnavailableError if the store is closed."""
        if self.closed:
            raise StoreUnavailableError(f"{self.folder}: the store is closed. Open it again.")

    def check_space(self, now: int) -> None:
        """Raise StoreUnavailableError if the filesystem has less free space than the reserve.

        After a success, the next check is a second later, because a check costs as much CPU as encoding a small batch.
        """
        if not hasattr(os, "statvfs") or 0 <= now - self._space_checked < _SPACE_CHECK:  # Windows has no statvfs
            return
        state = os.statvfs(self.folder)
        free = state.f_bavail * state.f_frsize
        if free < self.settings.reserve_bytes:
            raise StoreUnavailableError(
                f"{self.folder}: the disk is full: {free / 2**20:.1f} MiB are free, and the store keeps "
                f"{self.settings.reserve_bytes / 2**20:.1f} MiB in reserve. Free space on the disk, or set a smaller "
                "--store.max-size."
            )
        self._space_checked = now

    def write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> int:
        """Run a statement for each row, all in one transaction.

        Returns:
            The number of the inserted row if `rows` has one row, otherwise 0.

        Raises:
            StoreUnavailableError: no row is stored.
        """
        try:
            if len(rows) == 1:
                return self.writer.execute(statement, rows[0]).lastrowid or 0
            with transaction(self.writer):
                self.writer.executemany(statement, rows)
        except sqlite3.Error as error:
            raise self.unavailable(error) from error
        return 0

    def unavailable(self, error: sqlite3.Error) -> StoreUnavailableError:
        """Convert an error of SQLite to an error for users."""
        if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_FULL", "SQLITE_IOERR")):
            return StoreUnavailableError(
                f"{self.folder}: the disk is full or fails: {error}. Free space or replace the disk."
            )
        return StoreUnavailableError(f"{self.folder}: cannot write the store: {error}. Run `metricat store check`.")

    def save_progress(self, progress: Progress) -> None:
        """Store the progress. The caller must have begun a transaction, and assigns `progress` after the commit."""
        self.writer.execute("INSERT OR REPLACE INTO state VALUES ('progress', ?)", (msgspec.json.encode(progress),))

    def size(self) -> int:
        """Return the size of the file without free pages, and of the WAL, in bytes."""
        with self.mutex:
            pages, free, page = (
                int(self.writer.execute(f"PRAGMA {name}").fetchone()[0])
                for name in ("page_count", "freelist_count", "page_size")
            )
        return (pages - free) * page + self.wal_size()

    def wal_size(self) -> int:
        """Return the size of the WAL in bytes."""
        wal = self.path.with_name(self.path.name + "-wal")
        return wal.stat().st_size if wal.exists() else 0

    def _load(self) -> None:
        run = self.writer.execute
        for number, data, first, last in run("SELECT number, labels, first, last FROM series WHERE NOT idle"):
            self.index.add(decode_labels(data), number)
            self.times.add(number, first, last)
        self.newest_idle = run("SELECT max(last) FROM series WHERE idle").fetchone()[0] or 0
        for name, kind, text, unit in run("SELECT metric, type, help, unit FROM metadata"):
            self.metadata[name] = Metadata(kind, text, unit)
        state = dict(run("SELECT name, value FROM state").fetchall())
        if "progress" in state:
            # nosemgrep: json-of-others -- the hub wrote it
            self.progress = msgspec.json.decode(state["progress"], type=Progress)
        if "times" in state:
            self.times.restore(state["times"])
        self.packed_until = int(state["packed"]) if "packed" in state else self._packed_until()
        self.memory_from = self.packed_until
        self.segments.add(load(self.writer))
        for row, data in run("SELECT number, data FROM head ORDER BY number"):
            self.head_row = row
            try:
                batch = run_of(*encoding.decode_batch(data))
            except encoding.DamagedError as error:
                self.damaged_rows[row] = str(error)
                continue
            self.head.add(batch)
            self.newest.add(batch)
            active = self.times.known(batch.series.astype("int64"))
            self.times.update(batch.series[active], batch.times[active])

    def _packed_until(self) -> int:
        """Return the end of the newest window, for a file in which the last packing did not store its time."""
        try:
            [(newest,)] = self.writer.execute("SELECT max(id) FROM chunks_raw")
        except sqlite3.DatabaseError:  # the tree of chunks is damaged; queries report it
            return _ANY_TIME
        return 0 if newest is None else RAW.end(window_of(newest))


def decode_labels(data: bytes) -> tuple[tuple[str, str], ...]:
    """Decode the labels in a row of the table `series`."""
    return msgspec.json.decode(data, type=tuple[tuple[str, str], ...])  # nosemgrep: json-of-others -- the hub wrote it
