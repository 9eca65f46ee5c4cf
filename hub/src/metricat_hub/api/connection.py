"""One connection of the HTTP server. It limits the request head, slow clients, and the connections of an address.

uvicorn has no such limits. It waits without a timeout for the rest of a head or a body, and for a client that does not
read. A few hundred such clients (slowloris) would occupy all connections, or all memory with unsent responses. See
docs/design/0034.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

_RESPONSE = (
    b"HTTP/1.1 %b\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b\n"
)
_FIRST_READ = 1 << 20
"""Bytes that a client seems to have read when its response begins to wait: otherwise, the newest is the slowest."""


@dataclass(slots=True)
class ConnectionLimits:
    """The limits of connections, and the count of open connections by address."""

    connections: int = 1_000
    """The most open connections."""
    per_address: int = 0
    """The most open connections of one address that is not loopback; 0: half of `connections`."""
    head_bytes: int = 64 << 10
    head_seconds: float = 10.0
    """Seconds to receive the head of a request, from its first byte or the start of the connection."""
    body_seconds: float = 20.0
    """Seconds within which a client must send each `body_bytes` of the body."""
    body_bytes: int = 20 << 10
    write_seconds: float = 60.0
    """Seconds within which a client must read each `write_bytes` of the response."""
    write_bytes: int = 60 << 10
    unsent_bytes: int = 64 << 20
    """The most bytes of responses that wait for their clients, except for the newest response."""
    open: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    """Number of connections that the hub closed, by reason."""
    waiting: set[LimitedConnection] = field(default_factory=set)
    """Connections whose client reads more slowly than the hub writes."""

    def drop_slowest(self, newest: LimitedConnection) -> None:
        """Close the connections with the slowest clients, until all unsent bytes are within the limit."""
        total = sum(one.unsent for one in self.waiting)
        for one in sorted(self.waiting - {newest}, key=lambda other: other.bytes_per_second):
            if total <= self.unsent_bytes:
                return
            total -= one.unsent
            one.drop("unsent_bytes")

    def admits(self, address: str) -> bool:
        """Return whether the limits allow one more connection of an address."""
        if self.open.total() >= self.connections:
            return False
        own = self.per_address or self.connections // 2
        return self.open[address] < own or _is_loopback(address)


class LimitedConnection(HttpToolsProtocol):
    """An HTTP connection that enforces `limits`, which subclasses set."""

    limits: ConnectionLimits

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._head = 0
        """Bytes received of the current request head."""
        self._in_head = False
        self._body = 0
        """Bytes received of the body since the last check."""
        self._read_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._unsent = 0
        """Unsent bytes of the response at the last check."""
        self._paused = (0.0, 0)
        """When the response began to wait for the client, and its unsent bytes at that time."""
        self._address = "-"
        """The address for which the connection is counted; `-`: it is not counted."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection, or close it if it exceeds a limit."""
        super().connection_made(transport)
        address = self.client[0] if self.client else ""
        if self.limits.admits(address):
            self._address = address
            self.limits.open[address] += 1
            self._await_head()
        else:
            self._refuse("connections", b"503 Service Unavailable", b"too many connections; retry later")

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers, and no longer count the connection."""
        self._release()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """Pass the connection to the WebSocket protocol, which has its own limits."""
        self._release()
        super().handle_websocket_upgrade()

    def data_received(self, data: bytes) -> None:
        """Parse received bytes; check the size of the head."""
        if self.transport.is_closing():
            return
        if not self._in_head and self._is_idle:
            self._await_head()
        if self._in_head:
            self._head += len(data)
        super().data_received(data)
        if self._in_head and self._head > self.limits.head_bytes:
            self._refuse(
                "head_bytes",
                b"431 Request Header Fields Too Large",
                b"the head of the request is larger than %d bytes; send fewer or shorter headers"
                % self.limits.head_bytes,
            )

    @property
    def _is_idle(self) -> bool:
        """Whether the next byte begins a request."""
        return self.cycle is None or self.cycle.response_complete

    def on_message_begin(self) -> None:
        """Handle the start of a request: start the timer of its head."""
        super().on_message_begin()
        if not self._in_head:
            self._await_head()

    def on_headers_complete(self) -> None:
        """Handle the end of a request head: stop its timer."""
        self._cancel_read_timer()
        self._in_head, self._head = False, 0
        super().on_headers_complete()
        self._body = self.limits.body_bytes  # the first period begins now
        self._read_timer = self.loop.call_later(self.limits.body_seconds, self._check_body)

    def on_body(self, body: bytes) -> None:
        """Handle a part of the body: count its bytes."""
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Handle the end of a request: stop the timer of its body."""
        self._cancel_read_timer()
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Start the timer of a client that reads more slowly than the hub writes."""
        super().pause_writing()
        self._unsent = self.unsent
        self._paused = (self.loop.time(), self._unsent)
        self._write_timer = self.loop.call_later(self.limits.write_seconds, self._check_writing)
        self.limits.waiting.add(self)
        self.limits.drop_slowest(self)

    def resume_writing(self) -> None:
        """Stop the timer: the client has read."""
        self._cancel_write_timer()
        super().resume_writing()

    @property
    def unsent(self) -> int:
        """Bytes of the response that wait for the client."""
        return self.transport.get_write_buffer_size()

    @property
    def bytes_per_second(self) -> float:
        """How fast the client reads the response that waits."""
        since, unsent = self._paused
        return (_FIRST_READ + unsent - self.unsent) / (1 + self.loop.time() - since)

    def drop(self, reason: str) -> None:
        """Close the connection without sending the rest of the response."""
        self.limits.refused[reason] += 1
        self._cancel_write_timer()
        self.transport.abort()

    def _await_head(self) -> None:
        self._cancel_read_timer()
        self._in_head, self._head = True, 0
        self._read_timer = self.loop.call_later(self.limits.head_seconds, self._check_head)

    def _check_head(self) -> None:
        if self.flow.read_paused:  # the hub does not read while earlier requests wait
            self._await_head()
            return
        self._refuse(
            "slow_head",
            b"408 Request Timeout",
            b"the head of the request did not arrive within %d seconds; send the request again"
            % self.limits.head_seconds,
        )

    def _check_body(self) -> None:
        """Close the connection if the body arrives too slowly, except while the hub does not read it."""
        if self._body < self.limits.body_bytes and not self.flow.read_paused:
            self.limits.refused["slow_body"] += 1
            self.transport.abort()
            return
        self._body = 0
        self._read_timer = self.loop.call_later(self.limits.body_seconds, self._check_body)

    def _check_writing(self) -> None:
        """Close the connection if the client has read less than `write_bytes`."""
        unsent = self.unsent
        if unsent > self._unsent - self.limits.write_bytes:
            self.drop("slow_reader")
            return
        self._unsent = unsent
        self._write_timer = self.loop.call_later(self.limits.write_seconds, self._check_writing)

    def _refuse(self, reason: str, status: bytes, text: bytes) -> None:
        """Send an error and close the connection."""
        self._cancel_read_timer()
        if self.transport.is_closing():
            return
        self.limits.refused[reason] += 1
        self.transport.write(_RESPONSE % (status, len(text) + 1, text))
        self.transport.close()

    def _release(self) -> None:
        """End the timers, and give the place of the connection back."""
        self._cancel_read_timer()
        self._cancel_write_timer()
        if self._address != "-":
            self.limits.open[self._address] -= 1
            if not self.limits.open[self._address]:
                del self.limits.open[self._address]
            self._address = "-"

    def _cancel_read_timer(self) -> None:
        if self._read_timer:
            self._read_timer.cancel()
            self._read_timer = None

    def _cancel_write_timer(self) -> None:
        self.limits.waiting.discard(self)
        if self._write_timer:
            self._write_timer.cancel()
            self._write_timer = None


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
