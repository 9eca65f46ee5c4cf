"""The shared state of the PostgreSQL store: connections, lease, index of series, progress of maintenance."""

from __future__ import annotations

import os
import socket
import threading
import time
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from metricat_hub.model.errors import StoreLockedError, StoreUnavailableError
from metricat_hub.model.labels import NAME
from metricat_hub.model.metadata import Metadata
from metricat_hub.store.embedded.core import Progress
from metricat_hub.store.embedded.label_index import LabelIndex
from metricat_hub.store.embedded.series_times import SeriesTimes
from metricat_hub.store.postgresql.migrations import existing_layout, migrate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from psycopg import Connection

    from metricat_hub.model.labels import Labels
    from metricat_hub.store.embedded.settings import Settings
    from metricat_hub.store.postgresql.connections import Connections
    from metricat_hub.store.postgresql.layout import Layout

_LEASE = 0x6D657472696361
"""The key of the advisory lock that one hub holds: `metrica` in ASCII."""
_WAIT = 5.0
"""Seconds to wait for the lease, which a hub that has just stopped may still hold."""
_NEVER = int(np.iinfo(np.int64).max)


class State:
    """The shared state. `mutex` protects writes; `index_mutex` protects the index, and is acquired second."""

    def __init__(
        self, connections: Connections, settings: Settings, clock: Callable[[], int], *, read_only: bool = False
    ) -> None:
        self.connections = connections
        self.read_only = read_only
        """Whether the connection cannot write, and takes no lease, so that a hub can use the database too."""
        connections.prepare = self._only_load if read_only else self._take_lease
        self.settings = settings
        self.clock = clock
        self.mutex = threading.RLock()
        self.index_mutex = threading.Lock()
        self.layout: Layout | None = None
        self.generation = 0
        self.refused_series = 0
        self.rejected = {"conflicting": 0, "too_old": 0, "too_new": 0, "unknown": 0, "unavailable": 0}
        self.epoch = 0
        """The number of times that hubs had taken the lease when this hub last took it; 0: this hub never took it."""
        self.closed = False
        self._session: tuple[int, str] | None = None
        """Process number and start of this hub's last writing session in the database."""
        self._clear()

    def _clear(self) -> None:
        self.index = LabelIndex()
        self.times = SeriesTimes()
        self.metadata: dict[str, Metadata] = {}
        self.newest_idle = 0
        self.progress = Progress()

    def check_open(self) -> None:
        """Raise StoreUnavailableError if the store is closed."""
        if self.closed:
            raise StoreUnavailableError(f"{self.connections.where}: the store is closed. Open it again.")

    def writer(self) -> AbstractContextManager[Connection]:
        """Yield the writing connection, which holds the lease unless the store is read-only."""
        self.check_open()
        return self.connections.writer()

    def ready(self) -> Layout:
        """Return the layout of the tables. The first call loads the index of series.

        Raises:
            StoreUnavailableError: the database is not available.
        """
        self.check_open()
        if self.layout is None:
            with self.mutex, self.writer():
                pass
        if self.layout is None:
            raise StoreUnavailableError(
                f"{self.connections.where}: the index of the series is not loaded. Restart the hub."
            )
        return self.layout

    def save_progress(self, connection: Connection, progress: Progress) -> None:
        """Store the progress. The caller assigns `progress` after its transaction."""
        connection.execute(
            "INSERT INTO metricat.state VALUES ('progress', %s::jsonb) ON CONFLICT (name) DO UPDATE SET "
            "value = EXCLUDED.value",
            (msgspec.json.encode(progress).decode(),),
        )

    def guard_lease(self, connection: Connection) -> None:
        """Prevent other hubs from taking the lease until the transaction ends; raise an error if one has taken it."""
        row = connection.execute("SELECT epoch FROM metricat.lease FOR SHARE").fetchone()
        if row is None or row[0] != self.epoch:
            raise StoreUnavailableError(
                f"{self.connections.where}: another hub writes to this database. Stop one of the hubs."
            )

    def _take_lease(self, connection: Connection) -> None:
        """Take the lease with a new writing connection, migrate the tables, and load what another hub has changed."""
        self._end_own_session(connection)
        end = time.monotonic() + _WAIT
        while not _try_lock(connection):
            if time.monotonic() > end:
                raise self._locked(connection)
            time.sleep(0.1)
        layout = migrate(connection, self.connections.where)
        with connection.transaction():
            row = connection.execute(
                "UPDATE metricat.lease SET epoch = epoch + 1, holder = %s RETURNING epoch",
                (f"{socket.gethostname()} (process {os.getpid()})",),
            ).fetchone()
        epoch = int(row[0]) if row else 1
        session = connection.execute(
            "SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        ).fetchone()
        if self.layout is None or epoch != self.epoch + 1:
            self._load(connection, layout(self))
        self.epoch = epoch
        self._session = (int(session[0]), str(session[1])) if session else None

    def _only_load(self, connection: Connection) -> None:
        """Load the index with a new connection that cannot write."""
        connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        layout = existing_layout(connection, self.connections.where)
        if self.layout is None:
            self._load(connection, layout(self))

    def _end_own_session(self, connection: Connection) -> None:
        """End this hub's earlier session, which the database may not know to be lost."""
        if self._session:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid = %s AND backend_start::text = %s AND pid <> pg_backend_pid()",
                self._session,
            )

    def _locked(self, connection: Connection) -> StoreLockedError | StoreUnavailableError:
        row = connection.execute(
            "SELECT a.application_name, a.client_addr::text, a.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
            "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 "
            "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
            "AND l.classid::bigint << 32 | l.objid::bigint = %s",
            (_LEASE,),
        ).fetchone()
        holder = f"{row[0]} at {row[1] or 'a local socket'}, server process {row[2]}" if row else "another hub"
        text = f"{self.connections.where}: {holder} has the store open. Stop that hub, or use another database."
        return StoreLockedError(text) if self.layout is None else StoreUnavailableError(text)

    def _load(self, connection: Connection, layout: Layout) -> None:
        """Load everything from the database. All numbers of series that others hold become invalid."""
        with self.index_mutex:
            self._clear()
        state: dict[str, object] = dict(connection.execute("SELECT name, value FROM metricat.state").fetchall())
        if "progress" in state:
            self.progress = msgspec.convert(state["progress"], type=Progress)
        layout.prepare(connection)
        for number, labels, first, newest in layout.active_series(connection):
            with self.index_mutex:
                self.index.add(labels, number)
                self.times.add(number, _NEVER if first is None else first, newest or 0)
        row = connection.execute(
            "SELECT (extract(epoch FROM max(last)) * 1000)::bigint FROM metricat.series WHERE idle"
        ).fetchone()
        self.newest_idle = (row[0] if row else 0) or 0
        for metric, kind, text, unit in connection.execute("SELECT metric, type, help, unit FROM metricat.metadata"):
            self.metadata[metric.decode()] = Metadata(kind, text.decode(), unit.decode())
        self.layout = layout
        self.generation += 1


def _try_lock(connection: Connection) -> bool:
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", (_LEASE,)).fetchone()
    return bool(row and row[0])


def encode_labels(labels: Labels) -> bytes:
    """Return the labels for the column `encoded` of the table `series`: as JSON, without a change."""
    return msgspec.json.encode(labels)


def decode_labels(data: bytes) -> Labels:
    """Return the labels from the column `encoded` of the table `series`."""
    # nosemgrep: json-of-others -- the hub wrote it
    return tuple((name, value) for name, value in msgspec.json.decode(data, type=list[tuple[str, str]]))


def as_json(labels: Labels) -> str:
    """Return the labels for the column `labels` of the table `series`: a JSON object that jsonb accepts."""
    return msgspec.json.encode({storable(name): storable(value) for name, value in labels}).decode()


def storable(text: str) -> str:
    """Return the text with U+FFFD instead of NUL, which PostgreSQL cannot store."""
    return text.replace("\x00", "\ufffd")


def is_storable(text: str) -> bool:
    """Return whether PostgreSQL stores exactly this text."""
    return "\x00" not in text


def name_filter(values: Iterator[tuple[str, str]]) -> str:
    """Return the JSON object that the column `labels` of a row must contain to have these labels."""
    return msgspec.json.encode(dict(values)).decode()


__all__ = ["NAME", "State", "as_json", "decode_labels", "encode_labels", "is_storable", "name_filter", "storable"]
