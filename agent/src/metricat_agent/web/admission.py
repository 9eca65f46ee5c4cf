"""Admission control: limits the connections that the server serves at the same time.

Above the limit a client waits in a queue for a free slot. A served connection that sends no request gives up its slot
for a waiting client whose request has begun to arrive. Of several such connections, the server aborts the one that has
waited longest.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from metricat_agent.web.connection_queue import ConnectionQueue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metricat_agent.web.connection import Connection, ConnectionLimits
    from metricat_agent.web.connection_queue import Client


class AdmissionControl:
    """The served connections, and the queue of clients above the limit.

    Only one thread may call `admits`, `admitted`, `expired` and `drain`. Any thread may call the other methods.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._connections: dict[Connection, threading.Thread] = {}
        self._queue = ConnectionQueue(limits.queue_size, limits.queue_timeout)

    @property
    def has_waiting(self) -> bool:
        """Whether a client waits for a slot."""
        return bool(self._queue)

    def admits(self, client: Client) -> bool:
        """Return whether the client may be served immediately; add it to the queue otherwise."""
        if not self._queue and len(self._connections) < self._limits.connections:
            return True
        self._queue.add(client)
        return False

    def admitted(self) -> Iterator[Client]:
        """Remove and yield the waiting clients whose request has begun to arrive, while there are slots for them."""
        while (first := self._queue.ready()) is not None and self._has_slot():
            self._queue.remove(first)
            yield first

    def expired(self) -> Iterator[Client]:
        """Remove and yield the clients that waited too long or exceed the size of the queue."""
        return self._queue.expired()

    def drain(self) -> Iterator[Client]:
        """Remove and yield all waiting clients."""
        return self._queue.drain()

    def add(self, connection: Connection, thread: threading.Thread) -> None:
        """Give a slot to the connection that the thread serves."""
        with self._lock:
            self._connections[connection] = thread

    def discard(self, connection: Connection) -> None:
        """Free the slot of the connection."""
        with self._lock:
            self._connections.pop(connection, None)

    def free_a_slot(self) -> None:
        """Abort the connection that has been waiting longest for a request, without a grace period."""
        with self._lock:
            self._abort_slowest(0)

    def close_idle(self) -> list[threading.Thread]:
        """Abort all idle connections; return the threads of all connections."""
        with self._lock:
            for connection in self._connections:
                if connection.is_idle:
                    connection.abort()
            return list(self._connections.values())

    def _has_slot(self) -> bool:
        with self._lock:
            return len(self._connections) < self._limits.connections or self._abort_slowest(self._limits.grace)

    def _abort_slowest(self, grace: float) -> bool:
        """Abort the connection that has been waiting longest for a request; return whether there was one.

        An idle connection that has had a response may be aborted immediately, any other after `grace` seconds.
        """
        until = time.monotonic() - grace
        waiting = [
            (since, connection)
            for connection in self._connections
            if (since := connection.waits_since) is not None
            and (since <= until or (connection.was_answered and connection.is_idle))
        ]
        if waiting:
            min(waiting, key=lambda pair: pair[0])[1].abort()
        return bool(waiting)
