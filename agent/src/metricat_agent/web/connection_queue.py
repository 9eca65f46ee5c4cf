"""Queue of connections above the limit: each waits briefly for a free slot, then gets 503."""

from __future__ import annotations

import select
import selectors
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

Client = tuple["socket.socket", str]
"""An accepted socket, and the client's address."""


_MOST_SELECTED = 512
"""Sockets that select(2) accepts in one call on Windows, which has no other call: FD_SETSIZE in CPython."""


class ConnectionQueue:
    """Waiting clients in order of arrival. One thread changes the queue; other threads may read its length."""

    def __init__(
        self,
        size: int,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
        most_selected: int = _MOST_SELECTED if sys.platform == "win32" else 0,
    ) -> None:
        """`size` is the number of clients, `timeout` the seconds that each may wait.

        `most_selected` is the number of sockets that the system can check in one call; 0: any number.
        """
        self._size = size
        self._timeout = timeout
        self._clock = clock
        self._waiting: dict[int, tuple[Client, float]] = {}
        self._most_selected = most_selected
        self._selector = None if most_selected else selectors.DefaultSelector()

    def __len__(self) -> int:
        """Return the number of waiting clients."""
        return len(self._waiting)

    def add(self, client: Client) -> None:
        """Append a client."""
        descriptor = client[0].fileno()
        self._waiting[descriptor] = (client, self._clock() + self._timeout)
        if self._selector is not None:
            self._selector.register(descriptor, selectors.EVENT_READ)

    def ready(self) -> Client | None:
        """Return the first client whose request has begun to arrive, without removing it.

        A thread for any other client would only wait.
        """
        if not self._waiting:
            return None
        begun = self._readable()
        return next((client for descriptor, (client, _) in self._waiting.items() if descriptor in begun), None)

    def _readable(self) -> set[int]:
        """Return the descriptors of the clients whose bytes have arrived."""
        if self._selector is not None:
            return {key.fd for key, _ in self._selector.select(0)}
        waiting, most = list(self._waiting), self._most_selected
        parts = (waiting[at : at + most] for at in range(0, len(waiting), most))
        return {descriptor for part in parts for descriptor in select.select(part, (), (), 0)[0]}

    def remove(self, client: Client) -> None:
        """Remove a client."""
        descriptor = client[0].fileno()
        del self._waiting[descriptor]
        if self._selector is not None:
            self._selector.unregister(descriptor)

    def expired(self) -> Iterator[Client]:
        """Remove and yield clients that waited for the whole timeout or exceed the queue's size, the oldest first."""
        now = self._clock()
        while self._waiting:
            client, until = next(iter(self._waiting.values()))
            if now < until and len(self._waiting) <= self._size:
                return
            self.remove(client)
            yield client

    def drain(self) -> Iterator[Client]:
        """Remove and yield all clients."""
        for client, _ in list(self._waiting.values()):
            self.remove(client)
            yield client
