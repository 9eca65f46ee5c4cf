"""Endpoints of sessions, users, keys and setup, through the whole application, and attacks on them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest
from starlette.testclient import TestClient

from metricat_hub.access import audit
from metricat_hub.access.database import FILE
from metricat_hub.api.application import application
from metricat_hub.api.services import Services
from metricat_hub.wiring.access import access
from support.accounts import MINUTE, PASSWORD, Clock, add_user, new_accounts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from httpx2 import Response

    from metricat_hub.access.parts import Accounts

OTHER = {"Origin": "https://attacker.example"}
OWN = {"Origin": "http://testserver"}
CUSTOM = {"X-Metricat-Request": "1"}


class Hub:
    """An application with accounts, and requests to it."""

    def __init__(self, accounts: Accounts, clock: Clock, *, secure: bool = False) -> None:
        settings = cast("Any", _Settings())
        services = Services(
            store=cast("Any", None),
            access=access(settings, accounts, None),
            now=clock,
            accounts=accounts,
            settings=settings,
        )
        self.accounts = accounts
        self.clock = clock
        url = "https://testserver" if secure else "http://testserver"
        self.client = TestClient(cast("Any", application(services)), base_url=url)

    def send(self, method: str, path: str, body: object = None, token: str = "", **headers: str) -> Response:
        """Send a JSON body, with a Bearer token if there is one."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        content = None if body is None else msgspec.json.encode(body)
        return self.client.request(method, f"/api/v1{path}", content=content, headers=sent)

    def log_in(self, name: str = "ada", **headers: str) -> str:
        """Return an access token."""
        response = self.send("POST", "/sessions", {"name": name, "password": PASSWORD}, **headers)
        assert response.status_code == 200, response.text
        return str(response.json()["access_token"])

    def with_cookies(self, headers: Mapping[str, str] = OWN) -> Response:
        """Log in with cookies, which the client keeps."""
        return self.send("POST", "/sessions", {"name": "ada", "password": PASSWORD, "cookie": True}, **headers)


class _Settings:
    anonymous_loopback = False
    kubernetes = False
    external_url = ""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hub(tmp_path: Path, clock: Clock) -> Iterator[Hub]:
    with new_accounts(tmp_path, clock) as accounts:
        add_user(accounts)
        add_user(accounts, "bob", "viewer")
        yield Hub(accounts, clock)


@pytest.fixture
def entries() -> Iterator[list[Mapping[str, object]]]:
    found: list[Mapping[str, object]] = []
    audit.configure(found.append)
    yield found
    audit.configure(None)


def test_login_refresh_and_logout(hub: Hub) -> None:
    response = hub.send("POST", "/sessions", {"name": "ada", "password": PASSWORD})
    tokens = response.json()
    assert (tokens["token_type"], tokens["expires_in"], tokens["refresh_expires_in"]) == ("Bearer", 600, 604_800)
    assert tokens["user"]["role"] == "admin"
    assert "set-cookie" not in response.headers
    assert response.headers["cache-control"] == "no-store"
    me = hub.send("GET", "/me", token=tokens["access_token"]).json()
    assert (me["name"], me["kind"], me["role"]) == ("ada", "user", "admin")
    assert me["scopes"] == ["read", "write", "edit", "admin"]
    hub.clock.now += 10 * MINUTE
    expired = hub.send("GET", "/me", token=tokens["access_token"])
    assert expired.status_code == 401
    assert "POST /api/v1/sessions/refresh" in expired.json()["detail"]
    assert "Bearer" in expired.headers["www-authenticate"]
    renewed = hub.send("POST", "/sessions/refresh", {"refresh_token": tokens["refresh_token"]}).json()
    assert hub.send("DELETE", "/sessions", token=renewed["access_token"]).json() == {"session": me["session"]}
    assert hub.send("GET", "/me", token=renewed["access_token"]).status_code == 401
    assert hub.send("POST", "/sessions/refresh", {"refresh_token": renewed["refresh_token"]}).status_code == 401


def test_access_token_reads_data_and_follows_the_role(hub: Hub) -> None:
    token = hub.log_in("bob")
    assert hub.send("GET", "/status/buildinfo", token=token).status_code == 200
    denied = hub.send("GET", "/users", token=token)
    assert denied.status_code == 403
    assert "the role viewer, which lacks the scope admin" in denied.json()["detail"]


def test_failed_logins_are_equal_and_throttled(hub: Hub, entries: list[Mapping[str, object]]) -> None:
    hub.accounts.users.change("bob", disabled=True)
    bodies = []
    for name, password in (("ada", "wrong"), ("unknown", PASSWORD), ("bob", PASSWORD)):
        response = hub.send("POST", "/sessions", {"name": name, "password": password})
        assert response.status_code == 401
        bodies.append(response.content)
    assert len(set(bodies)) == 1
    statuses = [hub.send("POST", "/sessions", {"name": "ada", "password": "wrong"}).status_code for _ in range(6)]
    assert statuses == [401, 401, 401, 401, 429, 429]
    response = hub.send("POST", "/sessions", {"name": "ada", "password": PASSWORD})
    assert (response.status_code, response.headers["retry-after"]) == (429, "901")
    assert [entry["outcome"] for entry in entries] == ["failure"] * 10
    assert PASSWORD not in str(entries)
    hub.clock.now += 15 * MINUTE
    assert hub.log_in()


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "application/json", 400),
        (b"", "application/json", 400),
        (b'{"name": 1, "password": "x"}', "application/json", 400),
        (b'{"name": "a", "password": "x", "role": "admin"}', "application/json", 400),
        (b"[" * 10_000, "application/json", 400),
        (b'"\xff"', "application/json", 400),
        (b" " * 70_000, "application/json", 413),
        (b'{"name": "ada", "password": "x"}', "text/plain", 415),
        (b"name=ada&password=x", "application/x-www-form-urlencoded", 415),
    ],
)
def test_invalid_bodies_are_refused(hub: Hub, body: bytes, kind: str, status: int) -> None:
    for path in ("/sessions", "/sessions/refresh", "/setup"):
        if path == "/sessions/refresh" and body == b"{}":
            continue
        response = hub.client.post(f"/api/v1{path}", content=body, headers={"Content-Type": kind})
        assert response.status_code == status, response.text


def test_cookies_are_out_of_reach_for_scripts_and_other_sites(hub: Hub) -> None:
    response = hub.with_cookies()
    assert (response.json()["access_token"], response.json()["refresh_token"]) == (None, None)
    session, refresh = response.headers.get_list("set-cookie")
    for cookie in (session, refresh):
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
    assert "Path=/;" in session
    assert "Path=/api/v1/sessions;" in refresh
    assert hub.send("GET", "/me").json()["name"] == "ada"


def test_cookies_of_tls_are_secure_and_have_the_prefix_that_browsers_enforce(tmp_path: Path, clock: Clock) -> None:
    with new_accounts(tmp_path, clock) as accounts:
        add_user(accounts)
        hub = Hub(accounts, clock, secure=True)
        session, refresh = hub.with_cookies({"Origin": "https://testserver"}).headers.get_list("set-cookie")
        assert session.startswith("__Host-metricat-session=")
        assert refresh.startswith("__Secure-metricat-refresh=")
        assert "Secure" in session.split("; ")
        assert "Secure" in refresh.split("; ")
        assert hub.send("DELETE", "/sessions", Origin="http://testserver").status_code == 403


def test_requests_of_other_sites_are_refused_with_cookies(hub: Hub) -> None:
    hub.with_cookies()
    body = {"label": "stolen"}
    for headers in (
        OTHER,
        {"Origin": "null"},
        {"Origin": "http://testserver.attacker.example"},
        {**OTHER, **CUSTOM},
        {},
    ):
        assert hub.send("POST", "/keys", body, **headers).status_code == 403
        assert hub.send("DELETE", "/sessions", **headers).status_code == 403
        assert hub.send("POST", "/sessions/refresh", {}, **headers).status_code == 403
    assert hub.accounts.keys.all() == []
    assert hub.send("POST", "/keys", body, **OWN).status_code == 201
    assert hub.send("POST", "/sessions/refresh", {}, **CUSTOM).status_code == 200
    assert hub.send("DELETE", "/sessions", **CUSTOM).status_code == 200
    assert not hub.client.cookies


def test_another_site_cannot_log_a_browser_in(hub: Hub) -> None:
    assert hub.with_cookies(OTHER).status_code == 403
    assert hub.with_cookies({}).status_code == 403
    assert not hub.client.cookies


def test_a_bearer_token_needs_no_origin_and_takes_precedence_over_cookies(hub: Hub) -> None:
    hub.with_cookies()
    text, key = hub.accounts.keys.create("script", ["admin"])
    assert hub.send("GET", "/me", token=text).json()["name"] == key.id
    assert hub.send("POST", "/keys", {"label": "x"}, token=text, **OTHER).status_code == 201
    assert hub.send("GET", "/me", token="wrong").status_code == 401


def test_replayed_refresh_cookie_ends_the_session(hub: Hub) -> None:
    hub.with_cookies()
    stolen = hub.client.cookies["metricat-refresh"]
    assert hub.send("POST", "/sessions/refresh", {}, **OWN).status_code == 200
    hub.clock.now += MINUTE
    assert hub.send("POST", "/sessions/refresh", {"refresh_token": stolen}).status_code == 401
    assert hub.send("GET", "/me").status_code == 401


def test_a_user_sees_and_ends_its_own_sessions_only(hub: Hub, entries: list[Mapping[str, object]]) -> None:
    token = hub.log_in(User_Agent="curl/8\t" + "x" * 400)
    hub.clock.now += 1_000
    other, bob = hub.log_in(User_Agent="Firefox/140"), hub.log_in("bob")
    newest, oldest = hub.send("GET", "/me/sessions", token=token).json()["data"]
    assert (newest["client"], newest["current"], oldest["current"]) == ("Firefox/140", False, True)
    assert oldest["client"] == ("curl/8" + "x" * 400)[:300]
    assert newest["created"] < newest["expires"]
    missing = hub.send("DELETE", f"/me/sessions/{newest['id']}", token=bob)
    assert (missing.status_code, hub.send("GET", "/me", token=other).status_code) == (404, 200)
    assert hub.send("DELETE", f"/me/sessions/{newest['id']}", token=token).json() == {"session": newest["id"]}
    assert hub.send("GET", "/me", token=other).status_code == 401
    assert [one["id"] for one in hub.send("GET", "/me/sessions", token=token).json()["data"]] == [oldest["id"]]
    assert entries[-1]["action"] == "session.delete"


def test_a_key_does_not_manage_the_sessions_of_its_owner(hub: Hub) -> None:
    token = hub.log_in()
    key = hub.send("POST", "/keys", {"label": "script", "scopes": ["admin"]}, token=token).json()["key"]
    own = hub.send("GET", "/me/sessions", token=token).json()["data"][0]["id"]
    assert hub.send("GET", "/me/sessions", token=key).status_code == 403
    assert hub.send("DELETE", f"/me/sessions/{own}", token=key).status_code == 403
    assert hub.send("GET", "/me", token=token).status_code == 200


def test_sessions_of_an_earlier_release_are_kept(tmp_path: Path, clock: Clock) -> None:
    with new_accounts(tmp_path, clock) as accounts:
        add_user(accounts)
        token = Hub(accounts, clock).log_in()
    with closing(sqlite3.connect(tmp_path / FILE)) as database:
        database.execute("ALTER TABLE sessions DROP COLUMN client")
        database.execute("PRAGMA user_version = 2")
        database.commit()
    with new_accounts(tmp_path, clock) as accounts:
        [found] = Hub(accounts, clock).send("GET", "/me/sessions", token=token).json()["data"]
        assert (found["client"], found["current"]) == ("", True)


def test_administrator_manages_users(hub: Hub, entries: list[Mapping[str, object]]) -> None:
    token = hub.log_in()
    created = hub.send("POST", "/users", {"name": "eve", "password": "a very good one", "role": "editor"}, token=token)
    assert (created.status_code, created.headers["etag"]) == (201, '"1"')
    assert "password" not in created.json()
    assert [user["name"] for user in hub.send("GET", "/users", token=token).json()["data"]] == ["ada", "bob", "eve"]
    changed = hub.send("PATCH", "/users/eve", {"role": "viewer", "disabled": True}, token=token)
    assert (changed.json()["role"], changed.json()["state"], changed.headers["etag"]) == ("viewer", "disabled", '"2"')
    assert hub.send("POST", "/users", {"name": "EVE", "password": "a very good one"}, token=token).status_code == 409
    assert hub.send("POST", "/users", {"name": "x y", "password": "a very good one"}, token=token).status_code == 400
    assert hub.send("DELETE", "/users/eve", token=token).status_code == 200
    assert hub.send("GET", "/users/eve", token=token).status_code == 404
    assert hub.send("DELETE", "/users/ada", token=token).status_code == 409
    assert [entry["action"] for entry in entries] == [
        "session.create",
        "user.create",
        "user.update",
        "user.delete",
    ]
    assert entries[2]["details"] == {"role": "viewer", "disabled": True}


def test_concurrent_edit_is_detected_by_the_version(hub: Hub) -> None:
    token = hub.log_in()
    version = hub.send("GET", "/users/bob", token=token).headers["etag"]
    assert hub.send("PATCH", "/users/bob", {"role": "editor"}, token=token, If_Match=version).status_code == 200
    refused = hub.send("PATCH", "/users/bob", {"role": "admin"}, token=token, If_Match=version)
    assert (refused.status_code, refused.json()["detail"][:24]) == (412, "bob has version 2, not 1")
    assert hub.send("PATCH", "/users/bob", {"role": "viewer"}, token=token, If_Match="x").status_code == 400
    assert hub.accounts.users.get("bob").role == "editor"


def test_disabled_user_is_out_at_once(hub: Hub) -> None:
    admin, token = hub.log_in(), hub.log_in("bob")
    key = hub.send("POST", "/keys", {"label": "own"}, token=token).json()["key"]
    assert hub.send("GET", "/me", token=key).json()["owner"] == "bob"
    assert hub.send("PATCH", "/users/bob", {"disabled": True}, token=admin).status_code == 200
    assert hub.send("GET", "/me", token=token).status_code == 401
    assert hub.send("GET", "/me", token=key).status_code == 401


def test_user_manages_own_keys_within_its_role(hub: Hub) -> None:
    admin, bob = hub.log_in(), hub.log_in("bob")
    foreign = hub.send("POST", "/keys", {"label": "of ada"}, token=admin).json()["entry"]
    assert foreign["owner"] == "ada"
    for body in ({"scopes": ["admin"]}, {"scopes": ["read", "write"]}, {"owner": "ada"}, {"owner": ""}):
        assert hub.send("POST", "/keys", body, token=bob).status_code == 403
    own = hub.send("POST", "/keys", {"label": "script", "expires": "2030-01-01T00:00:00Z"}, token=bob).json()
    assert own["entry"]["expires"] == "2030-01-01T00:00:00.000Z"
    assert [key["label"] for key in hub.send("GET", "/keys", token=bob).json()["data"]] == ["script"]
    assert own["key"] not in hub.send("GET", "/keys", token=admin).text
    assert hub.send("DELETE", f"/keys/{foreign['id']}", token=bob).status_code == 404
    assert hub.send("DELETE", "/keys/000000000000", token=bob).status_code == 404
    for method, path in (("GET", "/keys"), ("POST", "/keys"), ("DELETE", f"/keys/{own['entry']['id']}")):
        assert hub.send(method, path, {}, token=own["key"]).status_code == 403  # a key makes no keys
    assert hub.send("DELETE", f"/keys/{own['entry']['id']}", token=bob).json()["state"] == "revoked"
    assert hub.send("GET", "/me", token=own["key"]).status_code == 401


def test_administrator_creates_keys_of_others_and_of_the_hub(hub: Hub) -> None:
    token = hub.log_in()
    owners = [
        hub.send("POST", "/keys", {"owner": owner}, token=token).json()["entry"]["owner"] for owner in (None, "bob", "")
    ]
    assert owners == ["ada", "bob", None]
    assert hub.send("POST", "/keys", {"owner": "unknown"}, token=token).status_code == 404
    for expires in ("2020-01-01T00:00:00Z", "soon", "9" * 30):
        assert hub.send("POST", "/keys", {"expires": expires}, token=token).status_code == 400


def test_key_without_scope_is_denied(hub: Hub) -> None:
    text, _ = hub.accounts.keys.create("agent", ["write"])
    assert hub.send("GET", "/status/buildinfo", token=text).status_code == 403
    assert hub.send("GET", "/users", token=text).status_code == 403
    assert hub.send("GET", "/me", token=text).json()["scopes"] == ["write"]
    assert hub.send("DELETE", "/sessions", token=text).status_code == 409
    change = {"old": PASSWORD, "new": "another good password"}
    assert hub.send("POST", "/me/password", change, token=text).status_code == 403


def test_user_changes_its_password(hub: Hub) -> None:
    token, other = hub.log_in("bob"), hub.log_in("bob")
    wrong = {"old": "wrong", "new": "another good password"}
    assert [hub.send("POST", "/me/password", wrong, token=token).status_code for _ in range(6)] == [401] * 5 + [429]
    hub.clock.now += 15 * MINUTE
    token = hub.log_in("bob")
    assert hub.send("POST", "/me/password", {"old": PASSWORD, "new": "short"}, token=token).status_code == 400
    change = {"old": PASSWORD, "new": "another good password"}
    assert hub.send("POST", "/me/password", change, token=token).status_code == 200
    assert hub.send("GET", "/me", token=token).status_code == 401
    assert hub.send("GET", "/me", token=other).status_code == 401
    assert hub.send("POST", "/sessions", {"name": "bob", "password": PASSWORD}).status_code == 401


def test_setup_creates_the_first_administrator_once(tmp_path: Path, clock: Clock) -> None:
    with new_accounts(tmp_path, clock) as accounts:
        hub = Hub(accounts, clock)
        token = accounts.users.start_setup()
        body = {"token": token, "name": "ada", "password": PASSWORD}
        assert hub.send("POST", "/setup", {**body, "token": "wrong"}).status_code == 403
        created = hub.send("POST", "/setup", body)
        assert (created.status_code, created.json()["role"]) == (201, "admin")
        assert hub.send("POST", "/setup", {**body, "name": "eve"}).status_code == 403
        assert hub.send("GET", "/users", token=hub.log_in()).status_code == 200
        assert [user.name for user in accounts.users.all()] == ["ada"]


def test_guesses_of_the_setup_token_are_throttled(tmp_path: Path, clock: Clock) -> None:
    with new_accounts(tmp_path, clock) as accounts:
        hub = Hub(accounts, clock)
        accounts.users.start_setup()
        body = {"token": "wrong", "name": "ada", "password": PASSWORD}
        assert [hub.send("POST", "/setup", body).status_code for _ in range(6)] == [403] * 5 + [429]


def test_locked_database_is_a_503(hub: Hub, tmp_path: Path) -> None:
    token = hub.log_in()
    hub.accounts.directory.database._db.execute("PRAGMA busy_timeout = 10")  # type: ignore[attr-defined]
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        refused = hub.send("POST", "/keys", {}, token=token)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert hub.send("GET", "/me", token=token).status_code == 200
        db.execute("ROLLBACK")
    assert hub.send("POST", "/keys", {}, token=token).status_code == 201


def test_oidc_without_settings_is_not_found(hub: Hub) -> None:
    for path in ("login", "callback"):
        assert hub.send("GET", f"/oidc/{path}").status_code == 404


def test_document_describes_bodies_and_statuses(hub: Hub) -> None:
    document: Any = hub.client.get("/openapi.json").json()
    login = document["paths"]["/api/v1/sessions"]["post"]
    reference = login["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    assert reference.endswith("/Login")
    assert set(document["components"]["schemas"]["Login"]["required"]) == {"name", "password"}
    assert login["security"] == []
    assert {"200", "401", "429"} <= set(login["responses"])
    assert "201" in document["paths"]["/api/v1/users"]["post"]["responses"]
    assert set(document["paths"]["/api/v1/users/{name}"]) == {"get", "patch", "delete"}
    assert hub.client.get("/docs").status_code == 200
