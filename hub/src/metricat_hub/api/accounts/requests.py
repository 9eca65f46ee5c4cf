"""Shared functions of the endpoints of accounts: JSON bodies and responses, versions (If-Match, ETag), and times."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import msgspec
from starlette.responses import Response

from metricat_hub.access.principal import SCOPES
from metricat_hub.api.accounts.bodies import KeyView, UserView
from metricat_hub.api.problems import Problem
from metricat_hub.api.services import services
from metricat_hub.model.json_text import decode_json
from metricat_hub.model.times import rfc3339

if TYPE_CHECKING:
    from starlette.requests import Request

    from metricat_hub.access.accounts import ApiKey, User
    from metricat_hub.access.parts import Accounts
    from metricat_hub.access.principal import Principal

T = TypeVar("T")
_LARGEST = 65_536


def accounts_of(request: Request) -> Accounts:
    """Return the accounts of the hub; raise `Problem` 404 if it has none."""
    found = services(request).accounts
    if found is None:
        raise Problem(404, "this hub has no accounts of its own; use the accounts of the platform that it runs on")
    return found


def principal_of(request: Request) -> Principal:
    """Return the authenticated client of a request."""
    found: Principal = request.state.principal
    return found


def address_of(request: Request) -> str:
    """Return the IP address of the peer."""
    return request.client.host if request.client else ""


def client_of(request: Request) -> str:
    """Return the `User-Agent` of the client, without control characters."""
    return "".join(one for one in request.headers.get("user-agent", "") if one.isprintable())


async def json_body(request: Request, kind: type[T]) -> T:
    """Decode the JSON body of a request.

    Raises:
        Problem: 400 for an invalid body, 413 for a body that is too large, 415 for another content type.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":  # a form of another site has another type
        raise Problem(415, f"the content type {media[:100] or '(none)'} is not supported; send application/json")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST:
            raise Problem(413, f"the body is larger than {_LARGEST} bytes; send a smaller body")
    try:
        found: T = decode_json(body, kind)
    except msgspec.MsgspecError as error:
        raise Problem(400, f"invalid body: {str(error)[:300]}; see the request's schema at /docs") from None
    return found


def parse_time(text: str) -> int:
    """Parse an ISO 8601 time, by default in UTC; return milliseconds since 1970. Raise `Problem` 400."""
    try:
        moment = datetime.fromisoformat(text)
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise Problem(400, f"invalid time {text[:100]!r}; write for example 2026-01-31T12:00:00Z") from None


def expected_version(request: Request, kind: str) -> int | None:
    """Return the version in If-Match; None without the header, or for `*`. Raise `Problem` 400 for an invalid one."""
    text = request.headers.get("if-match", "*").strip()
    if text == "*":
        return None
    number = text.removeprefix("W/").strip('"')
    if not (number.isascii() and number.isdigit() and len(number) < 16):
        raise Problem(400, f'invalid If-Match {text[:100]}; send the version of the {kind}, for example "3"')
    return int(number)


def versioned(content: object, version: int, status: int = 200) -> Response:
    """Return a response with a struct as JSON, and with the version of the struct as ETag."""
    response = respond(content, status)
    response.headers["ETag"] = f'"{version}"'
    return response


def respond(content: object, status: int = 200) -> Response:
    """Return a response with a struct as JSON."""
    return Response(msgspec.json.encode(content), status, media_type="application/json")


def user_view(user: User) -> UserView:
    """Convert a user to the struct of the response."""
    return UserView(
        name=user.name,
        role=user.role,
        state="active" if user.disabled is None else "disabled",
        login="oidc" if user.external else "password",
        created=rfc3339(user.created),
        version=user.version,
    )


def key_view(key: ApiKey, accounts: Accounts) -> KeyView:
    """Convert an API key to the struct of the response."""
    owner = accounts.directory.users.get(key.owner)
    return KeyView(
        id=key.id,
        label=key.label,
        scopes=[scope for scope in SCOPES if scope in key.scopes],
        state=key.state(accounts.directory.now()),
        owner=owner.name if owner else None,
        created=rfc3339(key.created),
        expires=None if key.expires is None else rfc3339(key.expires),
        last_used=None if key.last_used is None else rfc3339(key.last_used),
    )
