"""The SQLite file of the embedded store: lock, schema, migrations and connections."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
from typing import TYPE_CHECKING

from metricat_hub.model.errors import StoreLockedError, StoreUnavailableError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

SCHEMA_VERSION = 2
FILE = "samples.sqlite3"
LOCK = "lock"
BUSY_TIMEOUT = 10_000
"""Milliseconds for which a statement waits for a lock of another one."""
_PAGE = 8192
_FALLBACK_CHECKPOINT_PAGES = 32_768
"""SQLite itself writes the WAL back at this size (128 MiB), if maintenance does not."""
_WAL_KEPT = 16 << 20

_SEGMENTS = """
CREATE TABLE segments (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    window INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    lowest INTEGER NOT NULL,
    highest INTEGER NOT NULL,
    samples INTEGER NOT NULL,
    data BLOB NOT NULL
)
"""
_SCHEMA = f"""{_SEGMENTS};
CREATE TABLE series (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    hash INTEGER NOT NULL,
    labels BLOB NOT NULL,
    first INTEGER NOT NULL DEFAULT 9223372036854775807,
    last INTEGER NOT NULL DEFAULT 0,
    idle INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX idle_series_by_hash ON series (hash) WHERE idle;
CREATE INDEX idle_series_by_name ON series (name, last) WHERE idle;
CREATE TABLE head (number INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE chunks_raw (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE chunks_1m (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE chunks_1h (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE times (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE outdated (id INTEGER PRIMARY KEY);
CREATE TABLE damaged (tier TEXT NOT NULL, id INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE metadata (metric TEXT PRIMARY KEY, type TEXT NOT NULL, help TEXT NOT NULL, unit TEXT NOT NULL);
CREATE TABLE state (name TEXT PRIMARY KEY, value BLOB NOT NULL);
"""


def _add_segments(connection: sqlite3.Connection) -> None:
    """Add segments. The head gets a key that does not need another page in each transaction."""
    connection.execute(_SEGMENTS)
    connection.execute("CREATE TABLE new_head (number INTEGER PRIMARY KEY, data BLOB NOT NULL)")
    connection.execute("INSERT INTO new_head SELECT number, data FROM head")
    connection.execute("DROP TABLE head")
    connection.execute("ALTER TABLE new_head RENAME TO head")


MIGRATIONS: dict[int, Callable[[sqlite3.Connection], None]] = {1: _add_segments}
"""The migration from each schema version to the next. Each runs in one transaction, after a copy of the file."""


class Lock:
    """The lock of a data directory. The lock file contains the ID of the process that holds the lock."""

    def __init__(self, folder: Path) -> None:
        """Take the lock.

        Raises:
            StoreLockedError: another process has it.
        """
        path = folder / LOCK
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            _lock(self._descriptor)
        except OSError:
            holder = os.read(self._descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(self._descriptor)
            raise StoreLockedError(
                f"{folder}: process {holder} has the store open. Stop that process, or choose another data directory."
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Release the lock. The lock file stays, because after a removal two processes could lock two files."""
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = -1


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        # The lock is behind the process ID, which other processes must be able to read.
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open a connection in autocommit mode. Any thread may use it, but only one at a time."""
    uri = path.absolute().as_uri() + ("?mode=ro" if read_only else "")
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, cached_statements=64)
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT}")
    connection.execute("PRAGMA cache_size = -2048")
    return connection


def open_for_writing(path: Path, migrations: Mapping[int, Callable[[sqlite3.Connection], None]]) -> sqlite3.Connection:
    """Open the connection that writes; create the file or migrate its schema if necessary.

    Raises:
        StoreUnavailableError: the file cannot be opened, is not the file of a store, or has a newer schema.
    """
    connection = None
    try:
        connection = connect(path)
        if not path.stat().st_size:
            # The order matters: a page size and auto_vacuum take effect only before the file has content.
            connection.execute(f"PRAGMA page_size = {_PAGE}")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
        # In WAL mode, NORMAL loses nothing when the process ends, and never damages the file.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_FALLBACK_CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT}")
        _prepare_schema(connection, path, migrations)
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        raise StoreUnavailableError(
            f"{path}: cannot open the store: {error}. Check the path, or restore a backup."
        ) from error
    except StoreUnavailableError:
        if connection is not None:
            connection.close()
        raise
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open a read-only connection, even while another process writes.

    Raises:
        StoreUnavailableError: no store exists, it cannot be read, or it has another schema version.
    """
    if not path.exists():
        raise StoreUnavailableError(f"{path}: no store exists here. Check the data directory.")
    try:
        connection = connect(path)
        connection.execute("PRAGMA query_only = ON")
        version = schema_version(connection)
    except sqlite3.Error as error:
        raise StoreUnavailableError(f"{path}: cannot read the store: {error}. Restore a backup.") from error
    if version != SCHEMA_VERSION:
        connection.close()
        raise StoreUnavailableError(
            f"{path}: the store has schema version {version}, and this program reads {SCHEMA_VERSION}. "
            "Use the version of the program that writes the store."
        )
    return connection


def _prepare_schema(
    connection: sqlite3.Connection, path: Path, migrations: Mapping[int, Callable[[sqlite3.Connection], None]]
) -> None:
    newest = max(migrations, default=SCHEMA_VERSION - 1) + 1
    version = schema_version(connection)
    if version == 0:
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise StoreUnavailableError(f"{path}: this is not the file of a store. Choose another data directory.")
        with transaction(connection):
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {newest}")
        return
    if version > newest:
        raise StoreUnavailableError(
            f"{path}: the store has schema version {version}, but this program supports {newest} at most. "
            "Install the newer version, or restore a backup that this program can read."
        )
    if version < newest:
        copy = path.with_name(f"{path.name}.schema-{version}")
        if not copy.exists():
            with contextlib.closing(sqlite3.connect(copy)) as target:
                connection.backup(target)
    for step in range(version, newest):
        with transaction(connection):
            migrations[step](connection)
            connection.execute(f"PRAGMA user_version = {step + 1}")


def schema_version(connection: sqlite3.Connection) -> int:
    """Return the schema version of a file; 0 for a new file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run a block in a write transaction. An error rolls the transaction back."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has already rolled back after some errors, such as a full disk.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


class Readers:
    """A pool of read-only connections."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._closed = False

    @contextlib.contextmanager
    def borrow(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection. Each statement is a separate read transaction, unless the caller begins one."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = connect(self._path)
            connection.execute("PRAGMA query_only = ON")
        try:
            yield connection
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if self._closed or len(self._idle) >= 4:
                connection.close()
            else:
                self._idle.append(connection)

    def close(self) -> None:
        """Close idle connections now, and the others when their threads return them."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()
