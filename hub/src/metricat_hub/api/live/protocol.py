"""The WebSocket protocol of the server: uvicorn's wsproto implementation, which also aborts dead connections here.

The server imports this module with the first WebSocket.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

from metricat_hub.api.live.transport import EXTENSION, Transport

if TYPE_CHECKING:
    import asyncio

    from wsproto import events

_UNSENT_BYTES = 128 << 10
"""Limit of unsent bytes in the kernel's buffer.

By default, the buffer has up to 4 MiB: a slow client would get old values.
"""
_END_SECONDS = 15
"""Seconds for the closing handshake before the connection is aborted."""


class Protocol(WSProtocol):
    """One WebSocket. `close` waits until the client has read all data, so this class aborts dead connections."""

    def handle_connect(self, event: events.Request) -> None:
        """Pass the transport of the connection to the application, and call it."""
        super().handle_connect(event)
        _limit_kernel_buffer(self.transport)
        extensions = self.scope["extensions"]
        assert extensions is not None  # noqa: S101 -- set by the base class
        extensions[EXTENSION] = {"transport": Transport(self.writable.wait, self.transport.abort)}

    def keepalive_timeout(self) -> None:
        """Abort a connection whose client did not respond to a ping."""
        super().keepalive_timeout()
        self.transport.abort()

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """Close the connection after the application has returned; abort it after a timeout."""
        super().on_task_complete(task)
        self.loop.call_later(_END_SECONDS, self.transport.abort)


def _limit_kernel_buffer(transport: asyncio.Transport) -> None:
    connection = transport.get_extra_info("socket")
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if connection is not None and option is not None:
        connection.setsockopt(socket.IPPROTO_TCP, option, _UNSENT_BYTES)
