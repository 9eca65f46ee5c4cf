"""Access to the connection of a WebSocket, which ASGI does not provide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.websockets import WebSocket

EXTENSION = "metricat.transport"
"""The key of the transport in the extensions of the ASGI scope."""
MAX_BYTES = 64 << 10
"""The most bytes of a received message."""
PING_SECONDS, PONG_SECONDS = 20.0, 40.0
"""Seconds between two pings, and seconds to respond to one. A slow client must first read the data sent before it."""


@dataclass(frozen=True, slots=True)
class Transport:
    """The connection of one WebSocket."""

    drained: Callable[[], Awaitable[Any]]
    """Waits until the client has read enough for the next message."""
    abort: Callable[[], None]
    """Closes the connection immediately, without a closing handshake."""


def transport(websocket: WebSocket) -> Transport:
    """Return the transport of a WebSocket."""
    found: Transport = websocket.scope["extensions"][EXTENSION]["transport"]
    return found


def protocol(**arguments: Any) -> Any:
    """Return a WebSocket protocol for the server. It imports 2 MiB of code, so only at the first WebSocket."""
    from metricat_hub.api.live.protocol import Protocol  # noqa: PLC0415 -- as above

    return Protocol(**arguments)
