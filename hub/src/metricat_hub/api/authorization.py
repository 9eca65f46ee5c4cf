"""Authorization of requests: an API key as Bearer token or as Basic password, or no key from this machine if set."""

from __future__ import annotations

import base64
import binascii
import functools
import ipaddress
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from metricat_hub.access.principal import Principal, Scope
from metricat_hub.api.problems import Problem
from metricat_hub.api.services import services

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response

    from metricat_hub.access.keys import KeyStore

    Endpoint = Callable[[Request], Awaitable[Response]]

ANONYMOUS = Principal("anonymous", frozenset(("read", "write")))
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="metricat", Basic realm="metricat"'}
_PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
"""Headers of requests that a proxy forwards. Their client may be on another machine than the proxy."""


class Access:
    """Who sends a request."""

    def __init__(
        self, keys: KeyStore, *, anonymous: bool = False, password: Callable[[str], str | None] | None = None
    ) -> None:
        """Accept the keys; with `anonymous`, also requests without a key from this machine.

        `password` returns the user name of a valid Basic header, None for an invalid one: users of the web config file.
        """
        self._keys = keys
        self._anonymous = anonymous
        self._password = password

    async def principal(self, connection: HTTPConnection) -> Principal:
        """Return the client; raise `Problem` 401 if it is not allowed to send requests."""
        header = connection.headers.get("authorization", "")
        if not header:
            if self._anonymous and is_local(connection):
                return ANONYMOUS
            raise Problem(401, "no API key; send the header: Authorization: Bearer KEY", _CHALLENGE)
        kind, _, given = header.partition(" ")
        key = given.strip() if kind.lower() == "bearer" else _password(given) if kind.lower() == "basic" else ""
        if found := self._keys.verify(key):
            return found
        if key.startswith("metricat_"):  # another process may have just created it
            await run_in_threadpool(self._keys.refresh)
            if found := self._keys.verify(key):
                return found
        elif kind.lower() == "basic" and self._password:
            user = await run_in_threadpool(self._password, header)  # bcrypt is slow on purpose
            if user is not None:
                return Principal(user, frozenset(("read", "write")))
        raise Problem(
            401,
            "the header Authorization has no valid API key or password; create a key with: metricat hub keys create",
            _CHALLENGE,
        )


def require(scope: Scope) -> Callable[[Endpoint], Endpoint]:
    """Return a decorator of endpoints that rejects clients without a scope.

    It puts the client into `request.state.principal`.
    """

    def decorate(endpoint: Endpoint) -> Endpoint:
        @functools.wraps(endpoint)
        async def authorized(request: Request) -> Response:
            principal = await services(request).access.principal(request)
            if not principal.may(scope):
                raise Problem(
                    403,
                    f"the client {principal.name} lacks the scope {scope}; "
                    f"create an API key with: metricat hub keys create --scope {scope}",
                )
            request.state.principal = principal
            return await endpoint(request)

        return authorized

    return decorate


def is_local(connection: HTTPConnection) -> bool:
    """Return whether a request comes from this machine, without a proxy, for localhost or a loopback address.

    A web page can make its own host name resolve to 127.0.0.1, so the Host header is checked too.
    """
    client = connection.client.host if connection.client else ""
    host = connection.url.hostname or ""
    forwarded = any(name in connection.headers for name in _PROXY_HEADERS)
    return not forwarded and _is_loopback(client) and (host == "localhost" or _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _password(given: str) -> str:
    """Return the password of a Basic header; empty if it has none."""
    try:
        return base64.b64decode(given, validate=True).decode().partition(":")[2]
    except (ValueError, binascii.Error):
        return ""
