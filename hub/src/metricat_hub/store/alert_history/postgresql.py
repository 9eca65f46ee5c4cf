"""The alert history in PostgreSQL. Its tables are in the schema of the samples, and have the same migrations."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.store.alert_history.history import SqlHistory
from metricat_hub.store.postgresql.connections import Connections
from metricat_hub.store.postgresql.state import storable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from psycopg import Connection

    from metricat_hub.store.alert_history.database import Row

_LOCK = 0x6D65747269636168
"""The key of the advisory lock for writing transactions: `metricah` in ASCII."""
_READERS = 2
_SIZE = "SELECT pg_total_relation_size('metricat.alert_episodes') + pg_total_relation_size('metricat.alert_events')"


def open_postgresql(url: str, retention: int, query_timeout: int) -> SqlHistory:
    """Open the alert history in a database. While the database is down, its methods raise `StoreUnavailableError`.

    Args:
        url: `postgresql://...`.
        retention: milliseconds for which resolved alerts and their events are kept.
        query_timeout: time limit of a reading statement in milliseconds.

    Raises:
        StoreConfigurationError: the URL is not valid.
    """
    return SqlHistory(_PostgresDatabase(Connections(url, readers=_READERS, query_timeout=query_timeout)), retention)


class _Session:
    """Statements on a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        return self._connection.execute(_translated(statement), parameters).fetchall()

    def integers(self, statement: str, parameters: Sequence[object] = ()) -> NDArray[np.int64]:
        found = self._connection.execute(_translated(statement), parameters, binary=True)
        return np.fromiter(chain.from_iterable(found), np.int64)

    def change(self, statement: str, parameters: Iterable[Sequence[object]]) -> int:
        rows = list(parameters)
        if not rows:
            return 0
        with self._connection.cursor() as cursor:
            cursor.executemany(_translated(statement), rows)
            return cursor.rowcount


class _PostgresDatabase:
    """Connections of its own, so that the history does not wait for samples."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    @contextmanager
    def reading(self) -> Iterator[_Session]:
        """Lend a reading connection."""
        with self._connections.reader() as connection, connection.transaction():
            yield _Session(connection)

    @contextmanager
    def writing(self) -> Iterator[_Session]:
        """Lend the writing connection. Several hubs may have it: only one of them writes at the same time."""
        with self._connections.writer() as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            yield _Session(connection)

    def text(self, value: str) -> str:
        """Return the text without NUL."""
        return storable(value)

    def size(self) -> int:
        """Return the size of the tables with their indexes."""
        with self._connections.reader() as connection:
            row = connection.execute(_SIZE).fetchone()
        return int(row[0]) if row else 0

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()


def _translated(statement: str) -> bytes:
    """Return a statement with the marks of psycopg. No statement has a literal `?` or `%`."""
    return statement.replace("?", "%s").encode()
