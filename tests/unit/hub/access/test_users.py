"""Users: names, passwords, changes and the setup of the first administrator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from metricat_hub.access import passwords
from metricat_hub.access.accounts import AccountError, ConflictError, NotFoundError, StaleVersionError
from metricat_hub.access.users import SETUP_MINUTES, SetupError
from support.accounts import MINUTE, PASSWORD, Clock, add_user, new_accounts

if TYPE_CHECKING:
    from pathlib import Path

    from metricat_hub.access.parts import Accounts


def test_password_is_stored_as_argon2id_hash_only(accounts: Accounts, tmp_path: Path) -> None:
    user = add_user(accounts)
    hashed = accounts.directory.database.password(user.id)
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.matches(PASSWORD, hashed)
    assert not passwords.matches(PASSWORD + "x", hashed)
    assert not any(PASSWORD.encode() in path.read_bytes() for path in tmp_path.iterdir())


def test_missing_and_foreign_hashes_match_nothing() -> None:
    for hashed in ("", "$2b$10$abc", "x"):
        assert not passwords.matches(PASSWORD, hashed)
        assert not passwords.matches("", hashed)
    assert not passwords.matches("x" * 100_000, passwords.hash_password(PASSWORD))


def test_composed_and_decomposed_characters_are_the_same_password() -> None:
    assert passwords.matches("Zu\u0308rich am See", passwords.hash_password("Z\u00fcrich am See"))


@pytest.mark.parametrize("password", ["", "short", "aaaaaaaaaaaaaa", "ada lovelace 1815", "x" * 1001])
def test_weak_passwords_are_refused(accounts: Accounts, password: str) -> None:
    with pytest.raises(AccountError, match="password"):
        accounts.users.add("ada", "viewer", password)
    assert accounts.users.all() == []


@pytest.mark.parametrize("name", ["", "a b", "-a", "a/b", "x" * 65, "a\n", "ada:x", "é", "../a"])
def test_invalid_names_are_refused(accounts: Accounts, name: str) -> None:
    with pytest.raises(AccountError, match="invalid user name"):
        accounts.users.add(name, "viewer", PASSWORD)


def test_change_of_an_outdated_version_is_refused(accounts: Accounts) -> None:
    add_user(accounts)
    add_user(accounts, "bob", "viewer")
    assert accounts.users.change("bob", role="editor", version=1).version == 2
    with pytest.raises(StaleVersionError, match="has version 2, not 1"):
        accounts.users.change("bob", role="admin", version=1)
    assert accounts.users.get("bob").role == "editor"


def test_disabled_user_keeps_the_time_and_can_be_enabled(accounts: Accounts, time: Clock) -> None:
    add_user(accounts)
    add_user(accounts, "bob", "viewer")
    first = accounts.users.change("bob", disabled=True).disabled
    time.now += MINUTE
    assert accounts.users.change("bob", disabled=True).disabled == first == time.now - MINUTE
    assert accounts.users.change("bob", disabled=False).disabled is None


def test_keys_of_a_user_follow_its_role_and_its_end(accounts: Accounts) -> None:
    add_user(accounts)
    bob = add_user(accounts, "bob", "editor")
    text, _ = accounts.keys.create("script", ["admin"], owner=bob.id)

    def scopes() -> set[str]:
        principal = accounts.keys.verify(text)
        return set(principal.scopes) if principal else set()

    assert scopes() == {"read", "write", "edit"}
    accounts.users.change("bob", role="viewer")
    assert scopes() == {"read"}
    accounts.users.change("bob", disabled=True)
    assert scopes() == set()
    accounts.users.change("bob", disabled=False)
    assert scopes() == {"read"}
    accounts.users.remove("bob")
    add_user(accounts, "bob", "admin")
    assert scopes() == set()
    assert [key.state(accounts.directory.now()) for key in accounts.keys.all()] == ["revoked"]


def test_another_process_changes_users(accounts: Accounts, tmp_path: Path, time: Clock) -> None:
    add_user(accounts)
    with new_accounts(tmp_path, time) as other:
        add_user(other, "bob", "viewer")
        assert accounts.users.get("BOB").name == "bob"
        other.users.remove("bob")
    with pytest.raises(NotFoundError, match="no user has the name 'bob'"):
        accounts.users.get("bob")


def test_setup_creates_one_administrator_once(accounts: Accounts) -> None:
    token = accounts.users.start_setup()
    with pytest.raises(SetupError):
        accounts.users.complete_setup(token + "x", "ada", PASSWORD)
    with pytest.raises(AccountError, match="password"):
        accounts.users.complete_setup(token, "ada", "short")
    assert accounts.users.complete_setup(token, "ada", PASSWORD).role == "admin"
    with pytest.raises(SetupError):
        accounts.users.complete_setup(token, "bob", PASSWORD)
    assert accounts.users.start_setup() == ""


def test_setup_expires_and_a_new_start_replaces_its_token(accounts: Accounts, time: Clock) -> None:
    first, second = accounts.users.start_setup(), accounts.users.start_setup()
    with pytest.raises(SetupError):
        accounts.users.complete_setup(first, "ada", PASSWORD)
    time.now += SETUP_MINUTES * MINUTE
    with pytest.raises(SetupError):
        accounts.users.complete_setup(second, "ada", PASSWORD)


def test_setup_ends_when_an_administrator_is_added_otherwise(accounts: Accounts) -> None:
    token = accounts.users.start_setup()
    add_user(accounts)
    with pytest.raises(ConflictError, match="an administrator exists"):
        accounts.users.complete_setup(token, "eve", PASSWORD)


def test_external_user_is_found_by_its_account_not_by_its_name(accounts: Accounts) -> None:
    add_user(accounts)
    user = accounts.users.sign_in("https://idp 1", "bob", "viewer")
    assert accounts.users.sign_in("https://idp 1", "renamed", "editor").role == "editor"
    assert accounts.users.get("bob").id == user.id
    for external in ("https://idp 2", "https://other 1"):
        with pytest.raises(ConflictError):
            accounts.users.sign_in(external, "ada", "admin")
        with pytest.raises(ConflictError):
            accounts.users.sign_in(external, "bob", "admin")
    with pytest.raises(ConflictError, match="identity provider"):
        accounts.users.set_password("bob", PASSWORD)
    assert not passwords.matches("", accounts.directory.database.password(user.id))
