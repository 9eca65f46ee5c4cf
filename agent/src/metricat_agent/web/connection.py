"""One client's connection. Its deadlines are fixed: a client cannot extend them by sending single bytes."""

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
"""Empty lines before a request are ignored (RFC 9112, 2.2)."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits of the time and the number of connections."""

    idle: float = 90
    """Seconds for the next request to begin: longer than the usual scrape intervals."""
    request: float = 5
    """Seconds for a whole request to arrive, and for the TLS handshake."""
    response: float = 10
    """Seconds for the client to receive a response."""
    drain: float = 4
    """Seconds for running responses after the server is stopped."""
    connections: int = 64
    """Connections that are served at the same time."""
    queue_size: int = 512
    """Clients that may wait for one of these slots."""
    queue_timeout: float = 1
    """Seconds that a client may wait for a slot."""
    grace: float = 0.25
    """Seconds until a connection without a whole request must give up its slot for a waiting client.

    An idle connection that has had a response gives it up immediately.
    """


class Connection:
    """One client's socket. One thread uses it; the server may abort the connection from another thread."""

    def __init__(self, client: socket.socket, limits: ConnectionLimits) -> None:
        self._client = client
        self._limits = limits
        self._rest = b""
        self._last: tuple[bytes, Request] | None = None
        """The last request, parsed: the next request is usually the same."""
        self.waits_since: float | None = time.monotonic()
        """Time since which the connection has been waiting for a whole request; None during a response."""
        self.is_idle = True
        """Whether no byte of the next request has arrived."""
        self.was_answered = False
        """Whether a response has been sent."""
        self.is_aborted = False
        self.is_certified = False
        """Whether the client presented a certificate that the TLS context trusts."""

    def secure(self, handshake: Callable[[socket.socket], tuple[socket.socket, bool]]) -> None:
        """Perform the TLS handshake, before the first request."""
        self._client.settimeout(self._limits.request)
        self._client, self.is_certified = handshake(self._client)

    def was_secured_by(self, context: object) -> bool:
        """Return whether this TLS context performed the handshake; for None, whether the connection has no TLS."""
        return getattr(self._client, "context", None) is context

    def next_request(self) -> Request | None:
        """Return the next request; None if the client closed the connection.

        Raises `BadRequestError`, and OSError for a failed read. If the request is not complete at the deadline, a read
        raises TimeoutError; if no read waits then, return None.
        """
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
        """Send all bytes within the deadline for responses (the timeout of sendall applies to the whole)."""
        self._client.settimeout(self._limits.response)
        self._client.sendall(data)
        self.was_answered = True
        self.is_idle = True
        self.waits_since = time.monotonic()

    def abort(self) -> None:
        """Shut down the reading side of the socket, so that the thread that uses the connection ends."""
        self.waits_since = None
        self.is_aborted = True
        with suppress(OSError):
            socket.socket.shutdown(self._client, socket.SHUT_RD)  # not that of TLS, which belongs to its own thread

    def close(self) -> None:
        """Close the socket."""
        with suppress(OSError):
            socket.socket.shutdown(self._client, socket.SHUT_RDWR)
        self._client.close()
