"""A SQLite file of the data directory, with schema version, transactions, and error messages with remedies."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Literal

from metricat_hub.model.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class SqliteFile:
    """A SQLite file with one connection. Thread-safe; its methods block.

    All methods raise `StoreUnavailableError` if the file cannot be read or written, for example on a full disk.
    """

    def __init__(
        self, path: Path, schema: str, version: int, *, synchronous: Literal["full", "normal"] = "full"
    ) -> None:
        """Open or create the file, which only its owner can read.

        Args:
            path: where the file is.
            schema: statements that create what is missing.
            version: the newest schema version that this release reads.
            synchronous: `full` survives a power failure; `normal` may lose the newest transactions.

        Raises:
            StoreUnavailableError: the file cannot be opened, or a newer release wrote it.
        """
        self._path = path
        self._lock = threading.Lock()
        with self._errors(), contextlib.ExitStack() as opened:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
            opened.callback(self._db.close)
            self._db.execute("PRAGMA journal_mode = wal")
            self._db.execute(f"PRAGMA synchronous = {synchronous}")
            [(found,)] = self._db.execute("PRAGMA user_version")
            if found > version:
                raise StoreUnavailableError(
                    f"{path} has the schema version {found}, and this release reads up to {version}. "
                    "Install the newer release."
                )
            self._db.executescript(schema)
            self._db.execute(f"PRAGMA user_version = {version}")
            opened.pop_all()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection for single statements."""
        with self._lock, self._errors():
            yield self._db

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection in a transaction. It commits at the end, and rolls back on an error."""
        with self._lock, self._errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file after the running statement."""
        with self._lock:
            self._db.close()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise StoreUnavailableError(f"{self._path}: {error}. {_remedy(error)}") from None


def _remedy(error: Exception) -> str:
    """Return what to do about an error of SQLite."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return (
            "The file is damaged. Restore it from a backup, or move it to another directory: the hub then creates "
            "an empty file."
        )
    if code == sqlite3.SQLITE_FULL:
        return "Free space on the disk. The hub retries."
    return "Check the file, its directory and the disk."
