"""Authentication of live connections: keys and sessions as for requests, and tickets and subprotocols for browsers."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from metricat_hub.access.authenticators import PermissionDeniedError
from metricat_hub.api.authorization import credentials_of
from metricat_hub.api.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.websockets import WebSocket

    from metricat_hub.access.credentials import Credentials
    from metricat_hub.access.principal import Principal
    from metricat_hub.api.live.tickets import Tickets

SUBPROTOCOL = "metricat.live.v1"
_BEARER = "bearer."
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="metricat"'}


def check_origin(websocket: WebSocket, allowed: Collection[str]) -> None:
    """Raise `Problem` 403 if a web page of an origin that is not allowed opens the WebSocket.

    Browsers send the origin of the page. Without this check, any page could use the user's session. With
    `access.anonymous-loopback`, a page in a browser on the hub's machine could even connect without a key.
    """
    origin = websocket.headers.get("origin", "")
    if not origin or origin in allowed:
        return
    if urlsplit(origin).netloc.lower() != websocket.headers.get("host", "").lower():
        raise Problem(
            403,
            f"a web page of {origin[:200]} may not open live connections of this hub; "
            "allow it with --live.allowed-origins",
        )


def live_credentials(websocket: WebSocket, tickets: Tickets) -> Credentials:
    """Return the credentials from the ticket, else from the subprotocol `bearer.KEY`, else from the headers.

    Raises:
        Problem: 401 for an invalid ticket, 400 for invalid subprotocols.
    """
    sent = credentials_of(websocket)
    if ticket := websocket.query_params.get("ticket", ""):
        if (found := tickets.redeem(ticket)) is None:
            raise Problem(
                401, "the ticket is unknown, used or expired; get one with: POST /api/v1/live/ticket", _CHALLENGE
            )
        return found
    offered = websocket.scope["subprotocols"]
    if keys := [one.removeprefix(_BEARER) for one in offered if one.startswith(_BEARER)]:
        if SUBPROTOCOL not in offered:
            raise Problem(400, f"offer the subprotocol {SUBPROTOCOL} in addition to {_BEARER}KEY")
        return dataclasses.replace(sent, authorization=f"Bearer {keys[0]}")
    return sent


def check_namespaces(principal: Principal, namespaces: frozenset[str] | None) -> None:
    """Raise `PermissionDeniedError` if the client's namespaces have changed since its connection began."""
    if principal.namespaces != namespaces:
        raise PermissionDeniedError(
            f"the namespaces that the client {principal.name} may read have changed since the connection began; "
            "connect again"
        )


def chosen_subprotocol(websocket: WebSocket) -> str | None:
    """Return the subprotocol to accept, never the one that contains the key; None if the client offered none."""
    return SUBPROTOCOL if SUBPROTOCOL in websocket.scope["subprotocols"] else None
