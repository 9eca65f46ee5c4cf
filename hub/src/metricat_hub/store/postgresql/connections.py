"""Connections to the database: one for writing, which holds the lease, and a bounded pool for reading."""

from __future__ import annotations

import logging
import os
import queue
import random
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.store.postgresql import binary
from metricat_hub.store.postgresql.errors import (
    ConnectionLostError,
    StoreConfigurationError,
    is_lost,
    of_connect,
    of_read,
    unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from metricat_hub.model.errors import HubError

_LOG = logging.getLogger(__name__)
_OLDEST = 150_000
_DEFAULTS = {
    "connect_timeout": "5",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
"""Default connection parameters of libpq, which detect a dead network within half a minute."""
_SESSION = (
    "SET timezone = 'UTC'; SET jit = off; SET statement_timeout = {timeout}; SET lock_timeout = {lock}; "
    "SET search_path = metricat, public; SET tcp_keepalives_idle = 15; SET tcp_keepalives_interval = 5; "
    "SET tcp_keepalives_count = 3"
)
_WRITE_TIMEOUT, _LOCK_TIMEOUT = 120_000, 5_000
"""Milliseconds."""
_FIRST_DELAY, _LONGEST_DELAY = 0.5, 10.0
"""Seconds between two attempts to connect."""


class Connections:
    """All connections of one store."""

    def __init__(self, url: str, *, readers: int, query_timeout: int) -> None:
        """Check the URL; connect later.

        Args:
            url: `postgresql://...`, with any parameter of libpq.
            readers: the largest number of reading connections; 0: read through the writing connection.
            query_timeout: the longest time of a reading statement, in milliseconds.

        Raises:
            StoreConfigurationError: the URL is not valid.
        """
        try:
            given = conninfo_to_dict(url)
        except psycopg.Error:
            # The message of libpq may contain a part of the password.
            raise StoreConfigurationError(
                "--store.url: invalid URL of PostgreSQL. Write postgresql://USER@HOST:PORT/DATABASE, and special "
                "characters as %XX. Put the password into the file of PGPASSFILE."
            ) from None
        name = f"metricat-hub {socket.gethostname()[:32]} {os.getpid()}"
        self._conninfo = make_conninfo("", **{**_DEFAULTS, "application_name": name, **given})
        self.where = _where(given)
        self._timeout = query_timeout
        self.prepare: Callable[[psycopg.Connection], None] = lambda _: None
        """Called with each new writing connection, for example to take the lease. An error closes the connection."""
        self._limit = readers
        self._idle: queue.LifoQueue[psycopg.Connection] = queue.LifoQueue()
        self._slots = threading.BoundedSemaphore(max(1, readers))
        self._writer: psycopg.Connection | None = None
        self._writing = threading.RLock()
        self._closed = False
        self._was_up = False
        self.down_since = 0.0
        """When the database became unavailable, in seconds since 1970; 0: it is available."""
        self.down_reason = ""
        self._attempt_at = 0.0
        self._delay = _FIRST_DELAY

    @contextmanager
    def writer(self) -> Iterator[psycopg.Connection]:
        """Yield the writing connection, in autocommit mode. Calls in the same thread may be nested.

        Raises:
            StoreUnavailableError: the database is not available.
        """
        with self._writing:
            if self._writer is not None and not _is_alive(self._writer):
                self._writer.close()
                self._writer = None
            if self._writer is None:
                self._writer = self._guarded(self._prepared)
            connection = self._writer
            try:
                yield connection
            except psycopg.Error as error:
                raise self._failed(error, connection) or unavailable(self.where, error) from error

    @contextmanager
    def reader(self) -> Iterator[psycopg.Connection]:
        """Yield a reading connection, in autocommit mode.

        Raises:
            StoreUnavailableError: the database is not available, or all connections are in use.
            QueryTimeoutError: a statement took too long.
        """
        if not self._limit:
            with self.writer() as connection:
                yield connection
            return
        if not self._slots.acquire(timeout=self._timeout / 1000):
            raise StoreUnavailableError(
                f"{self.where}: all {self._limit} connections for queries are in use. Retry later."
            )
        try:
            connection = self._idle_reader() or self._guarded(lambda: self.connect(self._timeout))
            try:
                yield connection
            except psycopg.Error as error:
                raise self._failed(error, connection) or of_read(self.where, error) from error
            finally:
                if connection.closed or self._closed:
                    connection.close()
                else:
                    self._idle.put(connection)
        finally:
            self._slots.release()

    def connect(self, timeout: int = _WRITE_TIMEOUT) -> psycopg.Connection:
        """Return a new connection; `timeout` limits each statement, in milliseconds.

        Raises:
            psycopg.Error: the connection failed.
            StoreConfigurationError: the version of PostgreSQL is too old.
        """
        connection = psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=None)
        try:
            binary.register(connection)
            self._check_version(connection.info.server_version)
            connection.execute(_SESSION.format(timeout=timeout, lock=_LOCK_TIMEOUT).encode())
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Close all connections that are not in use; the others close after their use."""
        self._closed = True
        with self._writing:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
        while (connection := self._idle_reader()) is not None:
            connection.close()

    def _check_version(self, version: int) -> None:
        if version < _OLDEST:
            raise StoreConfigurationError(
                f"{self.where}: PostgreSQL {version // 10_000} is too old. Use version 15 or later."
            )

    def _prepared(self) -> psycopg.Connection:
        connection = self.connect()
        try:
            self.prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _idle_reader(self) -> psycopg.Connection | None:
        while True:
            try:
                connection = self._idle.get_nowait()
            except queue.Empty:
                return None
            if self._closed or _is_alive(connection):
                return connection
            connection.close()

    def _guarded(self, open_one: Callable[[], psycopg.Connection]) -> psycopg.Connection:
        """Open a connection, unless an attempt failed a short time ago."""
        if self._closed:
            raise StoreUnavailableError(f"{self.where}: the store is closed. Open it again.")
        if time.monotonic() < self._attempt_at:
            raise StoreUnavailableError(self.down_reason)
        try:
            connection = open_one()
        except psycopg.Error as error:
            failure = of_connect(self.where, error)
            if self._was_up:
                # What worked once may work again: a password that is being changed, a restored database.
                failure = StoreUnavailableError(str(failure))
            raise self._down(failure) from error
        except StoreUnavailableError as error:
            raise self._down(error) from error
        self._was_up = True
        if self.down_since:
            _LOG.warning("%s: available again", self.where)
        self.down_since = 0.0
        self.down_reason = ""
        self._delay = _FIRST_DELAY
        return connection

    def _failed(self, error: psycopg.Error, connection: psycopg.Connection) -> ConnectionLostError | None:
        """Close a connection that is lost, and count the database as down. Another attempt is allowed immediately."""
        if not is_lost(error, connection):
            return None
        connection.close()
        lost = ConnectionLostError(str(unavailable(self.where, error)))
        self._mark(lost)
        return lost

    def _down(self, error: HubError) -> HubError:
        """Count the database as down, and wait before the next attempt."""
        self._mark(error)
        self._attempt_at = time.monotonic() + self._delay * random.uniform(0.5, 1.0)  # noqa: S311 -- a delay
        self._delay = min(2 * self._delay, _LONGEST_DELAY)
        return error

    def _mark(self, error: HubError) -> None:
        if not self.down_since:
            self.down_since = time.time()
            _LOG.error("%s", error)
        self.down_reason = str(error)


def _is_alive(connection: psycopg.Connection) -> bool:
    """Return whether an unused connection is usable, as far as the operating system reports it."""
    try:
        connection.pgconn.consume_input()
    except psycopg.Error:
        return False
    return not connection.closed


def _where(given: Mapping[str, object]) -> str:
    """Return the database in words, without user and password."""
    host = given.get("host") or given.get("hostaddr") or os.environ.get("PGHOST", "localhost")
    name = given.get("dbname") or os.environ.get("PGDATABASE", "")
    port = given.get("port")
    return f"PostgreSQL at {host}{f':{port}' if port else ''}{f'/{name}' if name else ''}"
