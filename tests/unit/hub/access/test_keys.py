"""API keys: stored as hashes, expiry, revocation, last use, and changes by another process."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from metricat_hub.access.accounts import AccountError
from metricat_hub.access.database import FILE
from metricat_hub.access.keys import KeyStore

if TYPE_CHECKING:
    from pathlib import Path

    from metricat_hub.access.principal import Scope


class Clock:
    def __init__(self) -> None:
        self.now = 1_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(tmp_path: Path, clock: Clock) -> KeyStore:
    return KeyStore.open(tmp_path, clock)


def test_key_authenticates_its_principal(keys: KeyStore) -> None:
    text, key = keys.create("laptop", ["read"])
    principal = keys.verify(text)
    assert principal is not None
    assert (principal.name, principal.label) == (key.id, "laptop")
    assert (principal.may("read"), principal.may("write")) == (True, False)


def test_admin_includes_the_other_scopes(keys: KeyStore) -> None:
    principal = keys.verify(keys.create("all", ["admin"])[0])
    assert principal is not None
    assert principal.may("read")
    assert principal.may("write")


def test_file_has_no_key_and_only_its_owner_reads_it(keys: KeyStore, tmp_path: Path) -> None:
    text, key = keys.create("laptop", ["read"])
    secret = text.removeprefix(f"metricat_{key.id}_")
    assert len(secret) == 43
    assert not any(secret.encode() in path.read_bytes() for path in tmp_path.iterdir())
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_other_keys_are_rejected(keys: KeyStore) -> None:
    text, key = keys.create("laptop", ["read"])
    other, _ = keys.create("other", ["read"])
    mixed = f"metricat_{key.id}_{other.rpartition('_')[2][:43]}"
    wrong = (text[:-1] + ("A" if text[-1] != "A" else "B"), text + "x", text.upper(), "", "metricat_", mixed)
    assert [one for one in wrong if keys.verify(one)] == []


def test_key_expires(keys: KeyStore, clock: Clock) -> None:
    text, _ = keys.create("laptop", ["read"], expires=2_000)
    clock.now = 1_999
    assert keys.verify(text)
    clock.now = 2_000
    assert keys.verify(text) is None
    assert [key.state(clock.now) for key in keys.all()] == ["expired"]


def test_another_process_creates_and_revokes(keys: KeyStore, tmp_path: Path, clock: Clock) -> None:
    running = KeyStore.open(tmp_path, clock)
    text, key = keys.create("laptop", ["read"])
    assert running.verify(text) is None
    running.refresh()
    assert running.verify(text)
    assert keys.revoke(key.id).state(clock.now) == "revoked"
    running.refresh()
    assert running.verify(text) is None


def test_last_use_is_stored(keys: KeyStore, tmp_path: Path, clock: Clock) -> None:
    text, _ = keys.create("laptop", ["read"])
    assert keys.all()[0].last_used is None
    clock.now = 5_000
    keys.verify(text)
    keys.refresh()
    assert [key.last_used for key in KeyStore.open(tmp_path, clock).all()] == [5_000]


def test_invalid_keys_are_not_created(keys: KeyStore) -> None:
    cases: tuple[tuple[str, list[Scope], int | None], ...] = (
        ("", ["read"], None),
        ("a\n", ["read"], None),
        ("a", [], None),
        ("a", ["read"], 999),
    )
    for label, scopes, expires in cases:
        with pytest.raises(AccountError):
            keys.create(label, scopes, expires)
    with pytest.raises(AccountError, match="no key has the identifier 'x'"):
        keys.revoke("x")
    assert keys.all() == []


def test_file_of_a_newer_release_is_refused(keys: KeyStore, tmp_path: Path, clock: Clock) -> None:
    del keys
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(AccountError, match="version 99"):
        KeyStore.open(tmp_path, clock)
