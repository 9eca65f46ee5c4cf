"""The access log, with one entry for each request, and request IDs. Entries contain no secrets."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, cast

from metricat_hub.access.redaction import Mask, parameters, redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import Scope

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class AccessLog:
    """Writes one entry for each request to the access log."""

    def __init__(self, write: Callable[[Mapping[str, object]], None], mask: str = "all") -> None:
        """`write` must neither block nor raise errors. `mask` is the setting `log.mask`."""
        self._write = write
        self._mask = cast("Mask", mask)

    def add(self, scope: Scope, handler: str, status: int, seconds: float, sizes: tuple[int, int]) -> None:
        """Write the entry of a finished request.

        Args:
            scope: the ASGI scope after the request.
            handler: the name of the endpoint.
            status: the status of the response; 499 if the client closed the connection before the response.
            seconds: the time until the end of the response.
            sizes: the bytes of the request's body and of the response's body.
        """
        state = scope.get("state", {})
        principal = state.get("principal")
        entry: dict[str, object] = {
            "client": client_of(scope),
            "who": principal.name if principal else "",
            "kind": principal.kind if principal else "",
            "method": _method(scope),
            "path": redacted(scope["path"])[:500],
        }
        if query := scope["query_string"]:
            entry["query"] = parameters(query.decode("latin-1"), self._mask)
        entry |= {
            "handler": handler,
            "status": status,
            "duration_ms": round(seconds * 1000, 1),
            "bytes_in": sizes[0],
            "bytes_out": sizes[1],
            "request_id": state.get("request_id", ""),
        }
        self._write(entry)


def _method(scope: Scope) -> str:
    """Return the method; `WEBSOCKET` for a WebSocket, `other` for a method that the hub does not have."""
    if scope["type"] == "websocket":
        return "WEBSOCKET"
    return scope["method"] if scope["method"] in _METHODS else "other"


def client_of(scope: Scope) -> str:
    """Return the address of the client."""
    return scope["client"][0] if scope.get("client") else ""


def request_id(scope: Scope) -> str:
    """Return the ID of a request: the header `X-Request-ID` if it is well formed, otherwise a random ID."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return redacted(value.decode())
    return os.urandom(8).hex()
