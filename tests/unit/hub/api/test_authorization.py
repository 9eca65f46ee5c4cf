"""Authorization: keys as Bearer tokens and passwords, scopes, and requests without a key."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from metricat_hub.access.authenticators import Access, ApiKeys, LocalAnonymous, WebConfigUsers
from metricat_hub.access.keys import KeyStore
from metricat_hub.api.authorization import require
from metricat_hub.api.problems import Problem
from metricat_hub.api.services import Services

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.responses import Response

    from metricat_hub.access.principal import Principal, Scope


def request(
    access: Access, headers: dict[str, str], client: str = "127.0.0.1", host: str = "localhost:8428"
) -> Request:
    app = Starlette()
    app.state.services = Services(store=cast("Any", None), access=access, now=lambda: 0)
    sent = {"host": host, **headers}
    return Request(
        {
            "type": "http",
            "app": app,
            "method": "GET",
            "path": "/",
            "scheme": "http",
            "query_string": b"",
            "server": ("127.0.0.1", 8428),
            "client": (client, 5000),
            "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
        }
    )


def principal(access: Access, scope: Scope = "read", **sent: Any) -> Principal:
    """Return the principal that the endpoint sees."""

    @require(scope)
    async def endpoint(request: Request) -> Response:
        seen.append(request.state.principal)
        return PlainTextResponse("")

    seen: list[Principal] = []
    anyio.run(endpoint, request(access, **sent))
    return seen[0]


def rejected(access: Access, scope: Scope = "read", **sent: Any) -> int:
    with pytest.raises(Problem) as raised:
        principal(access, scope, **sent)
    return raised.value.status


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    return KeyStore.open(tmp_path, lambda: 1_000)


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_key_is_a_bearer_token_or_the_password_of_any_user(keys: KeyStore) -> None:
    text, key = keys.create("laptop", ["read"])
    access = Access([ApiKeys(keys)])
    assert principal(access, headers={"Authorization": f"Bearer {text}"}).name == key.id
    assert principal(access, headers={"Authorization": f"bearer  {text}"}).name == key.id
    assert principal(access, headers=basic("anyone", text)).name == key.id


def test_missing_scope_is_forbidden_and_missing_key_is_unauthorized(keys: KeyStore) -> None:
    text, _ = keys.create("laptop", ["read"])
    access = Access([ApiKeys(keys)])
    assert rejected(access, "write", headers={"Authorization": f"Bearer {text}"}) == 403
    assert rejected(access, headers={}) == 401
    assert rejected(access, headers={"Authorization": f"Digest {text}"}) == 401
    assert rejected(access, headers={"Authorization": "Basic %%%"}) == 401
    assert rejected(access, headers={"Authorization": "Bearer metricat_" + "0" * 12 + "_" + "a" * 43}) == 401


def test_key_of_another_process_is_accepted_immediately(keys: KeyStore, tmp_path: Path) -> None:
    access = Access([ApiKeys(keys)])
    text, key = KeyStore.open(tmp_path, lambda: 1_000).create("new", ["write"])
    assert principal(access, "write", headers={"Authorization": f"Bearer {text}"}).name == key.id


def test_requests_without_a_key_are_accepted_from_this_machine_only_if_set(keys: KeyStore) -> None:
    access = Access([ApiKeys(keys), LocalAnonymous()])
    assert principal(access, "write", headers={}).name == "anonymous"
    assert principal(access, headers={}, host="[::1]:8428", client="::1").name == "anonymous"
    assert rejected(access, "admin", headers={}) == 403
    assert rejected(access, headers={}, client="192.0.2.1") == 401
    assert rejected(access, headers={}, host="attacker.example:8428") == 401
    assert rejected(access, headers={"X-Forwarded-For": "192.0.2.1"}) == 401
    assert rejected(access, headers={"Authorization": "Bearer wrong"}) == 401


def test_users_of_the_web_config_file_read_and_write(keys: KeyStore) -> None:
    users = WebConfigUsers(lambda header: "ada" if header == basic("ada", "right")["Authorization"] else None)
    access = Access([ApiKeys(keys), users])
    assert principal(access, "write", headers=basic("ada", "right")).name == "ada"
    assert rejected(access, headers=basic("ada", "wrong")) == 401
    assert rejected(access, "admin", headers=basic("ada", "right")) == 403


def test_pages_of_other_sites_are_not_this_machine(keys: KeyStore) -> None:
    access = Access([ApiKeys(keys), LocalAnonymous()])
    assert principal(access, "write", headers={"Origin": "http://localhost:8428"}).name == "anonymous"
    for origin in ("https://attacker.example", "null", "http://localhost:9999"):
        assert rejected(access, "write", headers={"Origin": origin}) == 401
