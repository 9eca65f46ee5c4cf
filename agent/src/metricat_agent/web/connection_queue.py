"""Queue of connections above the limit: each waits briefly for a free slot, then gets 503."""

from __future__ import annotations

import selectors
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

Client = tuple["socket.socket", str]
"""An accepted socket, and the client's address."""


class ConnectionQueue:
    """Waiting clients in order of arrival. One thread changes the queue; other threads may read its length."""

    def __init__(self, size: int, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`size` is the number of clients, `timeout` the seconds that each may wait."""
        self._size = size
        self._timeout = timeout
        self._clock = clock
        self._waiting: dict[int, tuple[Client, float]] = {}
        self._selector = selectors.DefaultSelector()

    def __len__(self) -> int:
        """Return the number of waiting clients."""
        return len(self._waiting)

    def add(self, client: Client) -> None:
        """Append a client."""
        descriptor = client[0].fileno()
        self._waiting[descriptor] = (client, self._clock() + self._timeout)
        self._selector.register(descriptor, selectors.EVENT_READ)

    def ready(self) -> Client | None:
        """Return the first client whose request has begun to arrive, without removing it.

        A thread for any other client would only wait.
        """
        if not self._waiting:
            return None  # Windows cannot select from an empty set
        begun = {key.fd for key, _ in self._selector.select(0)}
        return next((client for descriptor, (client, _) in self._waiting.items() if descriptor in begun), None)

    def remove(self, client: Client) -> None:
        """Remove a client."""
        descriptor = client[0].fileno()
        del self._waiting[descriptor]
        self._selector.unregister(descriptor)

    def expired(self) -> Iterator[Client]:
        """Remove and yield, oldest first, the clients that waited for the timeout or exceed the size."""
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
