"""Session cookies of the web page, which scripts cannot read, and the protection against requests of other sites.

A WebSocket must come from a page of the hub, and so must a request that has a cookie and changes data. Either its
header Origin is the hub's, or it has the header `X-Metricat-Request`, which a page of another site cannot send without
permission.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import urlsplit

from metricat_hub.api.problems import Problem
from metricat_hub.api.services import services

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.responses import Response

Cookie: TypeAlias = Literal["session", "refresh", "oidc"]
HEADER = "x-metricat-request"
"""This header, with any value, shows that a script of an allowed page sent the request."""
PATHS: dict[Cookie, str] = {"session": "/", "refresh": "/api/v1/sessions", "oidc": "/api/v1/oidc"}
_SAFE = ("GET", "HEAD", "OPTIONS")


def get(connection: HTTPConnection, cookie: Cookie) -> str:
    """Return the value of a cookie; empty: the client sent none."""
    return connection.cookies.get(_name(connection, cookie), "")


def put(connection: HTTPConnection, response: Response, cookie: Cookie, value: str, seconds: int) -> None:
    """Set a cookie, or remove it if the value is empty."""
    response.set_cookie(
        _name(connection, cookie),
        value,
        max_age=seconds if value else 0,
        path=PATHS[cookie],
        secure=_is_secure(connection),
        httponly=True,
        samesite="lax" if cookie == "oidc" else "strict",  # the identity provider, another site, links to the callback
    )


def check_origin(connection: HTTPConnection) -> None:
    """Raise `Problem` 403 unless a page of the hub sent the request."""
    origin = connection.headers.get("origin", "")
    if origin:
        allowed = origin in own_origins(connection)
    else:
        allowed = HEADER in connection.headers and connection.scope["type"] != "websocket"
    if not allowed:
        raise Problem(
            403,
            "the request has a session cookie, but a page of the hub did not send it (Origin: "
            f"{origin[:100] or 'none'}); "
            "send the header X-Metricat-Request: 1 from a page of the hub, or use an API key without cookies",
        )


def is_foreign(connection: HTTPConnection) -> bool:
    """Return whether the header Origin shows that a page of another site sent the request."""
    origin = connection.headers.get("origin", "")
    return bool(origin) and origin not in own_origins(connection)


def is_safe(connection: HTTPConnection) -> bool:
    """Return whether the method of a request only reads data."""
    return connection.scope["type"] == "http" and connection.scope["method"] in _SAFE


def own_origins(connection: HTTPConnection) -> set[str]:
    """Return the origins of the hub's pages, from the external URL and from the address in the request.

    If the hub serves without TLS, a proxy may add TLS, so both schemes are included.
    """
    settings = services(connection).settings
    host = connection.headers.get("host", "")
    found = {f"https://{host}"} if connection.url.scheme in ("https", "wss") else {f"https://{host}", f"http://{host}"}
    if settings and settings.external_url:
        parts = urlsplit(settings.external_url)
        found.add(f"{parts.scheme}://{parts.netloc}")
    return found


def _name(connection: HTTPConnection, cookie: Cookie) -> str:
    """Return a name whose prefix keeps other hosts and plain HTTP from setting the cookie."""
    if not _is_secure(connection):
        return f"metricat-{cookie}"
    return f"__{'Host' if PATHS[cookie] == '/' else 'Secure'}-metricat-{cookie}"


def _is_secure(connection: HTTPConnection) -> bool:
    settings = services(connection).settings
    external = settings.external_url if settings else ""
    return connection.url.scheme in ("https", "wss") or external.startswith("https:")
