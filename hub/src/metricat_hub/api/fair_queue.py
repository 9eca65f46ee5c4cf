"""A bounded queue for places that clients use for a time. The waiting clients take turns.

So a client with many requests delays its own requests only. All methods run in the event loop and do not wait.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque


class QueueFullError(Exception):
    """As many requests wait as may wait."""


class FairQueue:
    """The free places, and the requests that wait for one."""

    def __init__(self, places: int, most_waiting: int) -> None:
        self.free = places
        self.waiting = 0
        self._most_waiting = most_waiting
        self._clients: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        """The waiting requests of each client; the first client has the next turn."""

    def enter(self, client: str) -> asyncio.Future[None]:
        """Return a future that is done when the request has a place. Call `leave` with it in any case.

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
        """Give the place of a request to the next one, or end its waiting."""
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
