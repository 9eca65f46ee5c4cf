"""A bounded queue for a limited number of slots. Waiting clients get free slots in turn.

A client with many requests therefore delays only its own requests. All methods run in the event loop without waiting.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque


class QueueFullError(Exception):
    """The queue has its maximum of waiting requests."""


class FairQueue:
    """The free slots, and the requests that wait for a slot."""

    def __init__(self, places: int, most_waiting: int) -> None:
        self.free = places
        self.waiting = 0
        self._most_waiting = most_waiting
        self._clients: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        """The waiting requests of each client. The first client gets the next free slot."""

    def enter(self, client: str) -> asyncio.Future[None]:
        """Return a future that is done when the request has a slot. The caller must call `leave` with the future.

        Raises:
            QueueFullError: too many requests wait.
        """
        if self.waiting >= self._most_waiting:
            raise QueueFullError
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.free:
            self.free -= 1
            future.set_result(None)
        else:
            self._clients.setdefault(client, deque()).append(future)
            self.waiting += 1
        return future

    def leave(self, client: str, future: asyncio.Future[None]) -> None:
        """Release the slot of a request, or remove the waiting request from the queue."""
        if future.done():
            self._next()
            return
        queue = self._clients[client]
        queue.remove(future)
        self.waiting -= 1
        if not queue:
            del self._clients[client]

    def _next(self) -> None:
        if not self._clients:
            self.free += 1
            return
        client, queue = self._clients.popitem(last=False)
        future = queue.popleft()
        if queue:
            self._clients[client] = queue  # at the end: the other clients are first
        self.waiting -= 1
        future.set_result(None)
