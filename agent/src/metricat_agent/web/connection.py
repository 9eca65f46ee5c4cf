"""One client's connection: its requests come within deadlines that trickling bytes do not move."""

from __future__ import annotations

import re
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_agent.web.http_parser import MAX_HEAD, BadRequestError, Request, parse_head

if TYPE_CHECKING:
    from collections.abc import Callable

_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_EMPTY_LINES = b"\r\n"
"""Before a request they count for nothing (RFC 9112, 2.2)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What clients may take: seconds and connections."""

    idle: float = 90
    """For the next request to begin: longer than the usual intervals of scrapes."""
    request: float = 5
    """For a request to come whole, and for the handshake of TLS."""
    answer: float = 10
    drain: float = 4
    """For answers under way, once we are told to stop."""
    connections: int = 64
    waiting: int = 512
    """Clients that wait for one of these places."""
    patience: float = 1
    """For such a place."""
    grace: float = 0.25
    """Until a client that sends no request must give its place up to one that does."""


class Connection:
    """One client's socket, used by one thread; the server may break it off from another."""

    def __init__(self, client: socket.socket, limits: Limits) -> None:
        self._client = client
        self._limits = limits
        self._rest = b""
        self._last: tuple[bytes, Request] | None = None
        """The last request: the next is the same, mostly."""
        self.waits_since: float | None = time.monotonic()
        """Since when it waits for a request to come, idle or half sent; None while one is answered."""
        self.is_idle = True
        """Whether nothing of the next request has come."""
        self.was_answered = False
        self.is_broken_off = False
        self.is_certified = False
        """Whether the client showed a certificate that we trust."""

    def secure(self, wrap: Callable[[socket.socket], tuple[socket.socket, bool]]) -> None:
        """Shake hands before the first request."""
        self._client.settimeout(self._limits.request)
        self._client, self.is_certified = wrap(self._client)

    def was_secured_by(self, context: object) -> bool:
        """Tell whether the handshake was of this TLS context; of None: whether there was none."""
        return getattr(self._client, "context", None) is context

    def next_request(self) -> Request | None:
        """Return the next request; None if the client is gone or too slow. Raises `BadRequestError`."""
        deadline = time.monotonic() + (self._limits.request if self._rest else self._limits.idle)
        self.is_idle = not self._rest
        while (end := _END_OF_HEAD.search(self._rest)) is None:
            if len(self._rest) > MAX_HEAD:
                raise BadRequestError(431)
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self._client.settimeout(left)
            chunk = self._client.recv(4096)
            if not chunk:
                return None
            self._rest = (self._rest + chunk).lstrip(_EMPTY_LINES)
            if self._rest and self.is_idle:
                self.is_idle = False
                deadline = time.monotonic() + self._limits.request
        self.waits_since = None
        self.is_idle = False
        head, self._rest = self._rest[: end.start()], self._rest[end.end() :].lstrip(_EMPTY_LINES)
        if self._last is None or self._last[0] != head:
            self._last = (head, parse_head(head))
        return self._last[1]

    def send(self, data: bytes) -> None:
        """Send all within the deadline for answers (sendall's timeout is for the whole)."""
        self._client.settimeout(self._limits.answer)
        self._client.sendall(data)
        self.was_answered = True
        self.is_idle = True
        self.waits_since = time.monotonic()

    def break_off(self) -> None:
        """Wake the thread that uses it and let it end."""
        self.waits_since = None
        self.is_broken_off = True
        with suppress(OSError):
            socket.socket.shutdown(self._client, socket.SHUT_RD)  # not TLS' own, which is its thread's business

    def close(self) -> None:
        """Give the socket back."""
        with suppress(OSError):
            socket.socket.shutdown(self._client, socket.SHUT_RDWR)
        self._client.close()
