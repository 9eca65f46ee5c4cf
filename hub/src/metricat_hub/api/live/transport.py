"""Access of the WebSocket endpoint to its connection, which ASGI does not offer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.websockets import WebSocket

EXTENSION = "metricat.transport"
"""The key in the extensions of the ASGI scope."""
MAX_BYTES = 64 << 10
"""Limit of a received message."""
PING_SECONDS, PONG_SECONDS = 20.0, 40.0
"""Time between two pings, and the time to answer one. A slow client must first read the data that was sent before."""


@dataclass(frozen=True, slots=True)
class Transport:
    """The connection of one WebSocket."""

    drained: Callable[[], Awaitable[Any]]
    """Returns when the client has read enough that more may be sent."""
    abort: Callable[[], None]
    """Ends the connection immediately."""


def transport(websocket: WebSocket) -> Transport:
    """Return the transport of a WebSocket."""
    found: Transport = websocket.scope["extensions"][EXTENSION]["transport"]
    return found


def protocol(**arguments: Any) -> Any:
    """Return a protocol for the server. Import it with the first WebSocket only: it takes 2 MiB."""
    from metricat_hub.api.live.protocol import Protocol  # noqa: PLC0415 -- as above

    return Protocol(**arguments)
