"""Sessions: login, refresh with reuse detection, revocation, throttling, and users that end while logged in."""

from __future__ import annotations

import threading
import time as clock
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import anyio
import pytest

from metricat_hub.access.accounts import ConflictError
from metricat_hub.access.authenticators import AuthenticationError
from metricat_hub.access.credentials import Credentials
from metricat_hub.access.login_throttle import ThrottledError
from metricat_hub.access.passwords import TooManyLoginsError
from metricat_hub.access.sessions import SessionError, Tokens
from metricat_hub.access.tokens import MINUTES
from support.accounts import DAY, MINUTE, PASSWORD, Clock, add_user, new_accounts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from metricat_hub.access.parts import Accounts
    from metricat_hub.access.principal import Principal

T = TypeVar("T")


def run(work: Callable[..., Awaitable[T]], *arguments: object) -> T:
    return anyio.run(partial(work, *arguments))


def log_in(accounts: Accounts, name: str = "ada", password: str = PASSWORD, address: str = "192.0.2.1") -> Tokens:
    return run(accounts.sessions.log_in, name, password, address)


def principal(accounts: Accounts, tokens: Tokens) -> Principal | None:
    return run(accounts.sessions.authenticate, Credentials(f"Bearer {tokens.access.text}"))


def is_valid(accounts: Accounts, tokens: Tokens) -> bool:
    try:
        return principal(accounts, tokens) is not None
    except AuthenticationError:
        return False


def test_login_gives_an_access_token_of_the_user(accounts: Accounts) -> None:
    add_user(accounts, role="editor")
    tokens = log_in(accounts, "Ada")
    found = principal(accounts, tokens)
    assert found is not None
    assert (found.name, found.role, found.kind, found.owner) == ("ada", "editor", "user", "ada")
    assert (found.may("write"), found.may("admin")) == (True, False)
    assert found.session == tokens.session.id
    by_cookie = run(accounts.sessions.authenticate, Credentials(cookie=tokens.access.text))
    assert by_cookie == found


def test_wrong_password_unknown_and_disabled_user_get_the_same_error(accounts: Accounts) -> None:
    add_user(accounts)
    add_user(accounts, "bob", "viewer")
    accounts.users.change("bob", disabled=True)
    accounts.users.sign_in("https://idp 1", "external", "viewer")
    messages = set()
    for name, password in (("ada", "wrong"), ("unknown", PASSWORD), ("bob", PASSWORD), ("external", ""), ("", "")):
        with pytest.raises(SessionError) as raised:
            log_in(accounts, name, password)
        messages.add(str(raised.value))
    assert messages == {"the user name or the password is wrong; send both again"}


def test_unknown_user_costs_a_hash_of_the_same_parameters(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    from metricat_hub.access import passwords  # noqa: PLC0415 -- only here

    add_user(accounts)
    hasher = passwords._hasher()
    verified: list[str] = []

    class Recorder:
        def verify(self, hashed: str, password: bytes) -> bool:
            verified.append(hashed.rpartition("$")[0].rpartition("$")[0])
            return hasher.verify(hashed, password)

        def hash(self, password: bytes) -> str:
            return hasher.hash(password)

    monkeypatch.setattr(passwords, "_hasher", Recorder)
    for name in ("ada", "unknown"):
        with pytest.raises(SessionError):
            log_in(accounts, name, "wrong")
    assert verified == ["$argon2id$v=19$m=19456,t=2,p=1"] * 2


def test_brute_force_is_throttled_even_with_the_right_password(accounts: Accounts, time: Clock) -> None:
    add_user(accounts)
    for _ in range(5):
        with pytest.raises(SessionError):
            log_in(accounts, password="wrong")
    with pytest.raises(ThrottledError):
        log_in(accounts)
    assert log_in(accounts, address="192.0.2.2")
    time.now += 15 * MINUTE
    assert log_in(accounts)


def test_parallel_attempts_do_not_pass_the_throttle(accounts: Accounts) -> None:
    add_user(accounts)
    outcomes: list[str] = []

    async def attempt(number: int) -> None:
        try:
            await accounts.sessions.log_in("ada", f"wrong password {number}", "192.0.2.1")
        except (SessionError, ThrottledError) as error:
            outcomes.append(type(error).__name__)

    async def attack() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(30):
                tasks.start_soon(attempt, number)

    anyio.run(attack)
    assert (outcomes.count("SessionError"), outcomes.count("ThrottledError")) == (5, 25)


def test_at_most_two_hashes_run_and_a_bounded_number_waits(accounts: Accounts) -> None:
    running = most = 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        clock.sleep(0.01)
        with lock:
            running -= 1

    refused = 0

    async def one() -> None:
        nonlocal refused
        try:
            await accounts.threads.run(work)
        except TooManyLoginsError:
            refused += 1

    async def many() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(one)

    anyio.run(many)
    assert (most, refused) == (2, 16)


def test_refresh_replaces_both_tokens(accounts: Accounts, time: Clock) -> None:
    add_user(accounts)
    first = log_in(accounts)
    time.now += MINUTES * MINUTE
    with pytest.raises(AuthenticationError, match="has expired; get a new one with: POST /api/v1/sessions/refresh"):
        principal(accounts, first)
    second = run(accounts.sessions.refresh, first.refresh)
    assert second.refresh != first.refresh
    assert second.session == first.session
    assert is_valid(accounts, second)


def test_replayed_refresh_token_ends_the_session(accounts: Accounts, time: Clock) -> None:
    add_user(accounts)
    other = log_in(accounts)
    first = log_in(accounts)
    second = run(accounts.sessions.refresh, first.refresh)
    time.now += MINUTE
    with pytest.raises(SessionError, match="used twice"):
        run(accounts.sessions.refresh, first.refresh)
    assert not is_valid(accounts, first)
    assert not is_valid(accounts, second)
    with pytest.raises(SessionError):
        run(accounts.sessions.refresh, second.refresh)
    assert is_valid(accounts, other)


def test_repeated_refresh_within_seconds_gets_no_token_and_keeps_the_session(accounts: Accounts, time: Clock) -> None:
    add_user(accounts)
    first = log_in(accounts)
    second = run(accounts.sessions.refresh, first.refresh)
    time.now += 9_000
    with pytest.raises(ConflictError, match="just replaced"):
        run(accounts.sessions.refresh, first.refresh)
    assert is_valid(accounts, run(accounts.sessions.refresh, second.refresh))


def test_concurrent_refreshes_of_one_token_give_one_token(accounts: Accounts) -> None:
    add_user(accounts)
    first = log_in(accounts)
    results: list[object] = []

    async def refresh() -> None:
        try:
            results.append(await accounts.sessions.refresh(first.refresh))
        except ConflictError as error:
            results.append(error)

    async def many() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(refresh)

    anyio.run(many)
    assert sum(isinstance(one, Tokens) for one in results) == 1
    assert len(results) == 10


def test_refresh_token_expires_and_so_does_the_session(accounts: Accounts, time: Clock) -> None:
    add_user(accounts)
    unused = log_in(accounts)
    time.now += 7 * DAY
    with pytest.raises(SessionError, match="expired"):
        run(accounts.sessions.refresh, unused.refresh)
    tokens = log_in(accounts)
    end = time.now + 30 * DAY
    while time.now + 6 * DAY < end:
        time.now += 6 * DAY
        tokens = run(accounts.sessions.refresh, tokens.refresh)
    assert tokens.refresh_seconds == (end - time.now) // 1000
    time.now = end
    with pytest.raises(SessionError):
        run(accounts.sessions.refresh, tokens.refresh)


@pytest.mark.parametrize("token", ["", "x", "metricat-refresh_" + "a" * 43, "metricat-refresh_" + "a" * 1000, "é"])
def test_unknown_refresh_tokens_are_refused(accounts: Accounts, token: str) -> None:
    with pytest.raises(SessionError):
        run(accounts.sessions.refresh, token)


def test_ended_session_is_refused_at_once(accounts: Accounts) -> None:
    add_user(accounts)
    tokens, other = log_in(accounts), log_in(accounts)
    run(accounts.sessions.end, tokens.session.id)
    with pytest.raises(AuthenticationError, match="the session has ended"):
        principal(accounts, tokens)
    with pytest.raises(SessionError):
        run(accounts.sessions.refresh, tokens.refresh)
    assert is_valid(accounts, other)


def test_disabled_user_is_out_at_once_and_enabling_does_not_revive_the_session(accounts: Accounts) -> None:
    add_user(accounts)
    add_user(accounts, "bob", "viewer")
    tokens = log_in(accounts, "bob")
    accounts.users.change("bob", disabled=True)
    assert not is_valid(accounts, tokens)
    with pytest.raises(SessionError):
        run(accounts.sessions.refresh, tokens.refresh)
    accounts.users.change("bob", disabled=False)
    assert not is_valid(accounts, tokens)


def test_another_process_disables_a_user(accounts: Accounts, tmp_path: Path, time: Clock) -> None:
    add_user(accounts)
    add_user(accounts, "bob", "viewer")
    tokens = log_in(accounts, "bob")
    with new_accounts(tmp_path, time) as command:
        command.users.change("bob", disabled=True)
    with pytest.raises(SessionError):  # also before the next refresh of the memory
        run(accounts.sessions.refresh, tokens.refresh)
    accounts.refresh()
    assert not is_valid(accounts, tokens)


def test_new_role_is_in_force_at_once_and_a_new_password_ends_sessions(accounts: Accounts) -> None:
    add_user(accounts)
    add_user(accounts, "bob", "editor")
    tokens = log_in(accounts, "bob")
    accounts.users.change("bob", role="viewer")
    found = principal(accounts, tokens)
    assert found is not None
    assert not found.may("write")
    accounts.users.set_password("bob", "another good password")
    assert not is_valid(accounts, tokens)
    with pytest.raises(SessionError):
        log_in(accounts, "bob")
    assert is_valid(accounts, log_in(accounts, "bob", "another good password"))


def test_removed_user_does_not_come_back_with_a_new_one_of_the_same_name(accounts: Accounts) -> None:
    add_user(accounts)
    add_user(accounts, "bob", "admin")
    tokens = log_in(accounts, "bob")
    accounts.users.remove("bob")
    add_user(accounts, "bob", "admin")
    assert not is_valid(accounts, tokens)


def test_a_user_has_fifty_sessions_at_most(accounts: Accounts, time: Clock) -> None:
    user = add_user(accounts)
    all_tokens = []
    for _ in range(51):
        time.now += 1
        all_tokens.append(accounts.sessions.start(user))
    assert [is_valid(accounts, tokens) for tokens in all_tokens] == [False, *[True] * 50]


def test_ended_sessions_are_removed_from_the_database(accounts: Accounts, time: Clock) -> None:
    add_user(accounts)
    tokens = log_in(accounts)
    run(accounts.sessions.refresh, tokens.refresh)
    time.now += 7 * DAY
    accounts.refresh()
    assert accounts.directory.sessions == {}
    db = accounts.directory.database._db  # type: ignore[attr-defined]
    assert db.execute("SELECT id FROM sessions UNION SELECT session FROM refresh_tokens").fetchall() == []


def test_other_tokens_are_left_to_other_authenticators(accounts: Accounts) -> None:
    for header in ("", "Bearer metricat_x", "Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "Basic eDp5"):
        assert run(accounts.sessions.authenticate, Credentials(header)) is None
    with pytest.raises(AuthenticationError, match="not valid"):
        run(accounts.sessions.authenticate, Credentials(cookie="eyJhbGciOiJSUzI1NiJ9.e30.c2ln"))


def test_session_that_starts_while_its_user_is_disabled_is_not_valid(accounts: Accounts) -> None:
    add_user(accounts)
    bob = add_user(accounts, "bob", "viewer")
    accounts.users.change("bob", disabled=True)
    tokens = accounts.sessions.start(bob)
    assert not is_valid(accounts, tokens)
    with pytest.raises(SessionError):
        run(accounts.sessions.refresh, tokens.refresh)
