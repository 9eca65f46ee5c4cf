"""A log of stored batches by collector, so that a repeated batch gets the response of the first one.

The responses are in SQLite, so they survive a restart. Samples are stored before the response. A crash between the
two is harmless, because samples that are sent again are duplicates.
"""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING

from metricat_hub.model.errors import StoreUnavailableError

if TYPE_CHECKING:
    from pathlib import Path

FILE = "batches.sqlite"
KEPT = 1000
"""The number of batches kept for each collector."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS batches (
    collector TEXT NOT NULL, sequence INTEGER NOT NULL, digest BLOB NOT NULL, answer BLOB NOT NULL,
    PRIMARY KEY (collector, sequence)
) STRICT, WITHOUT ROWID;
"""


class SequenceLog:
    """The log of batches in a data directory. Thread-safe; its methods block."""

    def __init__(self, folder: Path | None) -> None:
        """Open the file in the folder; without a folder, keep the batches in memory."""
        self._lock = threading.Lock()
        self._db = sqlite3.connect(folder / FILE if folder else ":memory:", check_same_thread=False, timeout=5)
        self._db.execute("PRAGMA journal_mode = wal")
        self._db.execute("PRAGMA synchronous = normal")
        self._db.execute(_SCHEMA)

    def find(self, collector: str, sequence: int) -> tuple[bytes, bytes] | None:
        """Return digest and response of a collector's batch with this sequence number; None if it is not stored."""
        with self._lock:
            found = self._db.execute(
                "SELECT digest, answer FROM batches WHERE collector = ? AND sequence = ?", (collector, sequence)
            ).fetchone()
        return (found[0], found[1]) if found else None

    def add(self, collector: str, sequence: int, batch: tuple[bytes, bytes]) -> None:
        """Store digest and response of a batch. For each collector, keep the `KEPT` highest sequence numbers.

        Raises:
            StoreUnavailableError: the disk is full or fails.
        """
        try:
            with self._lock, self._db:
                self._db.execute("INSERT OR REPLACE INTO batches VALUES (?, ?, ?, ?)", (collector, sequence, *batch))
                self._db.execute(
                    "DELETE FROM batches WHERE collector = ? AND sequence <= (SELECT sequence FROM batches "
                    "WHERE collector = ? ORDER BY sequence DESC LIMIT 1 OFFSET ?)",
                    (collector, collector, KEPT),
                )
        except sqlite3.OperationalError as error:
            raise StoreUnavailableError(
                f"cannot write {FILE}: {error}. Check the free space and the permissions of the data directory."
            ) from None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()
