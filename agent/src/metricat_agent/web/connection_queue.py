"""Clients that came while every place was taken: each waits a moment for one, then is told that there is none."""

from __future__ import annotations

import selectors
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

Client = tuple["socket.socket", str]
"""A socket, and the address that it comes from."""


class Lobby:
    """Waiting clients in the order in which they came. One thread changes it, others may ask for its length."""

    def __init__(self, places: int, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Hold so many clients, each for so many seconds."""
        self._places = places
        self._patience = patience
        self._clock = clock
        self._waiting: dict[int, tuple[Client, float]] = {}
        self._selector = selectors.DefaultSelector()

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def enter(self, client: Client) -> None:
        """Let one wait."""
        descriptor = client[0].fileno()
        self._waiting[descriptor] = (client, self._clock() + self._patience)
        self._selector.register(descriptor, selectors.EVENT_READ)

    def ready(self) -> Client | None:
        """Return the first whose request has begun to come, who stays; a thread would only wait for the others."""
        if not self._waiting:
            return None  # Windows cannot look at nothing
        begun = {key.fd for key, _ in self._selector.select(0)}
        return next((client for descriptor, (client, _) in self._waiting.items() if descriptor in begun), None)

    def leave(self, client: Client) -> None:
        """Let one go."""
        descriptor = client[0].fileno()
        del self._waiting[descriptor]
        self._selector.unregister(descriptor)

    def late(self) -> Iterator[Client]:
        """Let those go, oldest first, who waited for too long or are too many."""
        now = self._clock()
        while self._waiting:
            client, until = next(iter(self._waiting.values()))
            if now < until and len(self._waiting) <= self._places:
                return
            self.leave(client)
            yield client

    def empty(self) -> Iterator[Client]:
        """Let all go."""
        for client, _ in list(self._waiting.values()):
            self.leave(client)
            yield client
