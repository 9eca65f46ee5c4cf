"""Authorization of HTTP requests: the credentials of a request, and the decorator of endpoints that checks them."""

from __future__ import annotations

import functools
import ipaddress
from typing import TYPE_CHECKING, Literal, TypeAlias

from metricat_hub.access.authenticators import AuthenticationError, PermissionDeniedError
from metricat_hub.access.credentials import Credentials
from metricat_hub.api import cookies
from metricat_hub.api.problems import Problem
from metricat_hub.api.services import services

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response

    from metricat_hub.access.principal import Principal, Scope
    from metricat_hub.api.rate_limits import Group

    Endpoint = Callable[[Request], Awaitable[Response]]
    Needed: TypeAlias = Scope | Literal["any"]

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="metricat", Basic realm="metricat"'}
_PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
"""Headers that proxies add. With such a header, the client may be on another machine."""


async def authorize(connection: HTTPConnection, scope: Needed, credentials: Credentials | None = None) -> Principal:
    """Authenticate and authorize a request or a WebSocket; return the client, and set `connection.state.principal`.

    Afterwards, `services` returns the services that this client may use. `credentials` replace those in the headers.

    Raises:
        Problem: 401 for missing or invalid credentials, 403 for a missing scope.
    """
    try:
        principal = await services(connection).access.authorize(credentials or credentials_of(connection), scope)
    except AuthenticationError as error:
        raise Problem(401, str(error), _CHALLENGE) from None
    except PermissionDeniedError as error:
        raise Problem(403, str(error)) from None
    connection.state.principal = principal
    return principal


def require(scope: Needed, group: Group = "api") -> Callable[[Endpoint], Endpoint]:
    """Return a decorator of endpoints that rejects clients without a scope, or above the rate limit of the group.

    The scope `any` accepts every authenticated client. The decorator sets `request.state.principal` to the client.
    """

    def decorate(endpoint: Endpoint) -> Endpoint:
        @functools.wraps(endpoint)
        async def authorized(request: Request) -> Response:
            principal = await authorize(request, scope)
            if limits := services(request).rate_limits:
                await limits.admit(request, principal, group)
            return await endpoint(request)

        return authorized

    return decorate


def credentials_of(connection: HTTPConnection) -> Credentials:
    """Return the credentials of a request; raise `Problem` 403 if another site's page sent it with a cookie."""
    authorization = connection.headers.get("authorization", "")
    cookie = "" if authorization else cookies.get(connection, "session")
    if cookie and not cookies.is_safe(connection):
        cookies.check_origin(connection)
    return Credentials(
        authorization=authorization,
        cookie=cookie,
        address=connection.client.host if connection.client else "",
        is_local=is_local(connection),
    )


def is_local(connection: HTTPConnection) -> bool:
    """Return whether a request comes from this machine, without a proxy, and to localhost or a loopback address.

    A web page can make its own host name resolve to 127.0.0.1, so the Host header is checked too. A page of another
    site can also send requests to 127.0.0.1, so the Origin header must be the hub's.
    """
    client = connection.client.host if connection.client else ""
    host = connection.url.hostname or ""
    forwarded = any(name in connection.headers for name in _PROXY_HEADERS)
    foreign = forwarded or cookies.is_foreign(connection)
    return not foreign and _is_loopback(client) and (host == "localhost" or _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
