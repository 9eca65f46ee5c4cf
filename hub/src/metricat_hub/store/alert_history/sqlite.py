"""The alert history in a SQLite file of the data directory."""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
import threading
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.store.alert_history.history import SqlHistory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from metricat_hub.store.alert_history.database import Row

FILE = "alert-history.sqlite"
_SCHEMAS = (
    """
    CREATE TABLE alert_episodes (
        number INTEGER PRIMARY KEY,
        fingerprint TEXT NOT NULL,
        labels TEXT NOT NULL,
        started INTEGER NOT NULL,
        annotations TEXT NOT NULL,
        value REAL,
        fired INTEGER,
        resolved INTEGER,
        acknowledged INTEGER,
        acknowledged_by TEXT NOT NULL,
        silenced INTEGER,
        inhibited INTEGER,
        delivered INTEGER NOT NULL,
        failed INTEGER NOT NULL,
        source TEXT NOT NULL,
        state TEXT NOT NULL,
        name TEXT NOT NULL,
        severity TEXT NOT NULL,
        node TEXT NOT NULL,
        namespace TEXT NOT NULL
    ) STRICT;
    CREATE INDEX alert_episodes_started ON alert_episodes (started);
    CREATE INDEX alert_episodes_fingerprint ON alert_episodes (fingerprint, started);
    CREATE INDEX alert_episodes_name ON alert_episodes (name, started);
    CREATE INDEX alert_episodes_node ON alert_episodes (node, started);
    CREATE INDEX alert_episodes_state ON alert_episodes (state, resolved);
    CREATE TABLE alert_events (
        number INTEGER PRIMARY KEY,
        episode INTEGER NOT NULL,
        at INTEGER NOT NULL,
        kind TEXT NOT NULL,
        actor TEXT NOT NULL,
        receiver TEXT NOT NULL,
        value REAL,
        details TEXT NOT NULL,
        digest BLOB NOT NULL UNIQUE
    ) STRICT;
    CREATE INDEX alert_events_episode ON alert_events (episode, at);
    CREATE INDEX alert_events_at ON alert_events (at);
    CREATE TABLE alert_history_state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
    """,
    """
    CREATE INDEX alert_episodes_statistics ON alert_episodes (
        fingerprint, fired / 3600000, started, resolved, fired, acknowledged, state, name, severity, node, namespace,
        delivered, failed
    ) WHERE fired IS NOT NULL;
    """,
)
"""The statements that migrate each version of the schema to the next one."""
_VERSION = len(_SCHEMAS)
_CACHE_KIB = 512


def open_sqlite(folder: Path, retention: int) -> SqlHistory:
    """Open the alert history of a data directory; create or migrate it if necessary.

    Raises:
        StoreUnavailableError: the file cannot be opened, or a newer release has written it.
    """
    return SqlHistory(_SqliteDatabase(folder / FILE), retention)


class _Session:
    """Statements on a connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        return self._connection.execute(statement, parameters).fetchall()

    def integers(self, statement: str, parameters: Sequence[object] = ()) -> NDArray[np.int64]:
        return np.fromiter(itertools.chain.from_iterable(self._connection.execute(statement, parameters)), np.int64)

    def change(self, statement: str, parameters: Iterable[Sequence[object]]) -> int:
        return self._connection.executemany(statement, parameters).rowcount


class _SqliteDatabase:
    """One connection that writes, and one that reads at the same time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._locks = {"write": threading.Lock(), "read": threading.Lock()}
        with self._errors(), contextlib.ExitStack() as opened:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._writer = self._connect(opened)
            # Only an empty file can change how it returns free pages.
            self._writer.execute("PRAGMA auto_vacuum = INCREMENTAL")
            self._writer.execute("PRAGMA journal_mode = WAL")
            self._writer.execute("PRAGMA synchronous = NORMAL")
            self._migrate()
            self._reader = self._connect(opened)
            opened.pop_all()

    def _connect(self, opened: contextlib.ExitStack) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=10, isolation_level=None, check_same_thread=False)
        opened.callback(connection.close)
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        return connection

    def _migrate(self) -> None:
        with self._transaction(self._writer, "BEGIN IMMEDIATE"):
            [[version]] = self._writer.execute("PRAGMA user_version")
            if version > _VERSION:
                raise StoreUnavailableError(
                    f"{self._path} has the schema version {version}, and this release reads up to {_VERSION}. "
                    "Install the newer release."
                )
            for schema in _SCHEMAS[version:]:
                for statement in schema.split(";"):  # executescript would commit first
                    self._writer.execute(statement)
            self._writer.execute(f"PRAGMA user_version = {_VERSION}")

    @contextlib.contextmanager
    def reading(self) -> Iterator[_Session]:
        """Lend the reading connection."""
        with self._locks["read"], self._errors(), self._transaction(self._reader, "BEGIN"):
            yield _Session(self._reader)

    @contextlib.contextmanager
    def writing(self) -> Iterator[_Session]:
        """Lend the writing connection."""
        with self._locks["write"], self._errors(), self._transaction(self._writer, "BEGIN IMMEDIATE"):
            yield _Session(self._writer)

    def text(self, value: str) -> str:
        """Return the text: SQLite stores any."""
        return value

    def size(self) -> int:
        """Return the size of the file, after free pages are given back."""
        with self._locks["write"], self._errors():
            self._writer.executescript("PRAGMA incremental_vacuum(1000)")  # execute would free one page
            [[pages]] = self._writer.execute("PRAGMA page_count")
            [[bytes_]] = self._writer.execute("PRAGMA page_size")
        return int(pages * bytes_)

    def close(self) -> None:
        """Close both connections, after the statements that run."""
        for name, connection in (("read", self._reader), ("write", self._writer)):
            with self._locks[name]:
                connection.close()

    @contextlib.contextmanager
    def _transaction(self, connection: sqlite3.Connection, begin: str) -> Iterator[None]:
        connection.execute(begin)
        try:
            yield
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise StoreUnavailableError(
                f"{self._path}: {error}. Check the file, its directory and the free space of the disk."
            ) from None
