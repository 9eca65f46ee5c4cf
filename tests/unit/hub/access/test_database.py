"""The database of accounts: permissions, versions, the import of earlier keys, and changes at the same time."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from metricat_hub.access.accounts import AccountError, ApiKey, ConflictError, NotFoundError, User
from metricat_hub.access.database import FILE, KEY_FILE, SqliteAccounts
from metricat_hub.access.keys import KeyStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_EARLIER = """
CREATE TABLE keys (
    id TEXT PRIMARY KEY, label TEXT NOT NULL, digest BLOB NOT NULL, scopes TEXT NOT NULL, created INTEGER NOT NULL,
    expires INTEGER, last_used INTEGER, revoked INTEGER
) STRICT;
PRAGMA user_version = 1;
"""
SECRET = "a" * 43


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteAccounts]:
    with closing(SqliteAccounts(tmp_path)) as found:
        yield found


def earlier(folder: Path) -> None:
    """Write the file of keys as the release before wrote it."""
    digest = hashlib.sha256(SECRET.encode()).digest()
    with closing(sqlite3.connect(folder / KEY_FILE)) as db, db:
        db.executescript(_EARLIER)
        db.execute("INSERT INTO keys VALUES ('0123456789ab', 'grafana', ?, 'read write', 5, 900, 7, NULL)", (digest,))
        db.execute("INSERT INTO keys VALUES ('0123456789ac', 'old', ?, 'admin', 6, NULL, NULL, 8)", (digest,))


def test_keys_of_an_earlier_release_are_imported_once(tmp_path: Path) -> None:
    earlier(tmp_path)
    for _ in range(2):
        keys = KeyStore.open(tmp_path, lambda: 100)
        assert keys.all() == [
            ApiKey("0123456789ab", "grafana", frozenset(("read", "write")), 5, 900, 7, None),
            ApiKey("0123456789ac", "old", frozenset(("admin",)), 6, None, None, 8),
        ]
    principal = keys.verify(f"metricat_0123456789ab_{SECRET}")
    assert principal is not None
    assert principal.name == "0123456789ab"
    assert keys.verify(f"metricat_0123456789ac_{SECRET}") is None
    assert not (tmp_path / KEY_FILE).exists()
    assert (tmp_path / f"{KEY_FILE}.imported").exists()


def test_failed_import_leaves_the_keys_for_the_next_start(tmp_path: Path) -> None:
    earlier(tmp_path)
    whole = (tmp_path / KEY_FILE).read_bytes()
    (tmp_path / KEY_FILE).write_bytes(b"damaged" + whole[7:])
    with pytest.raises(AccountError, match="damaged"):
        SqliteAccounts(tmp_path)
    (tmp_path / KEY_FILE).write_bytes(whole)
    with closing(SqliteAccounts(tmp_path)) as database:
        assert len(database.api_keys()) == 2


def test_only_the_owner_reads_the_files(tmp_path: Path, database: SqliteAccounts) -> None:
    database.add_user(User("1", "ada", "admin", 0), "hash")
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes[FILE] == 0o600
    assert set(modes.values()) == {0o600}


def test_files_that_cannot_be_used_are_errors(tmp_path: Path) -> None:
    with closing(SqliteAccounts(tmp_path)):
        pass
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(AccountError, match="version 99"):
        SqliteAccounts(tmp_path)
    (tmp_path / FILE).write_bytes(b"x" * 8192)
    with pytest.raises(AccountError, match="damaged or not a database"):
        SqliteAccounts(tmp_path)
    with pytest.raises(AccountError, match="cannot be opened"):
        SqliteAccounts(tmp_path / "missing")


def test_each_database_has_its_own_identifier(tmp_path: Path, database: SqliteAccounts) -> None:
    (tmp_path / "b").mkdir()
    with closing(SqliteAccounts(tmp_path / "b")) as other, closing(SqliteAccounts(tmp_path)) as same:
        assert other.hub_id != database.hub_id == same.hub_id


def test_changes_of_another_process_are_reported_once(tmp_path: Path, database: SqliteAccounts) -> None:
    assert not database.changed()
    with closing(SqliteAccounts(tmp_path)) as other:
        other.add_user(User("1", "ada", "admin", 0), "hash")
    assert database.changed()
    assert not database.changed()
    database.add_user(User("2", "bob", "viewer", 0), "hash")
    assert not database.changed()


def test_names_and_external_accounts_are_unique(database: SqliteAccounts) -> None:
    database.add_user(User("1", "ada", "admin", 0, external="issuer 1"), "")
    for user in (User("2", "Ada", "viewer", 0), User("3", "bob", "viewer", 0, external="issuer 1")):
        with pytest.raises(ConflictError, match="exists"):
            database.add_user(user, "hash")
    assert [user.name for user in database.users()] == ["ada"]


def test_last_administrator_stays(database: SqliteAccounts) -> None:
    database.add_user(User("1", "ada", "admin", 0), "hash")
    database.add_user(User("2", "bob", "admin", 0, disabled=1), "hash")
    database.add_user(User("3", "eve", "viewer", 0), "hash")
    with pytest.raises(ConflictError, match="only active administrator"):
        database.change_user("1", lambda user: replace(user, role="editor"))
    with pytest.raises(ConflictError, match="only active administrator"):
        database.change_user("1", lambda user: replace(user, disabled=1))
    with pytest.raises(ConflictError, match="only active administrator"):
        database.remove_user("1", 0)
    assert {(user.name, user.version) for user in database.users()} == {("ada", 1), ("bob", 1), ("eve", 1)}
    assert database.change_user("2", lambda user: replace(user, disabled=None)).version == 2
    database.remove_user("1", 0)
    with pytest.raises(NotFoundError):
        database.remove_user("1", 0)


def test_two_administrators_cannot_demote_each_other_at_the_same_time(tmp_path: Path) -> None:
    for number in range(10):
        folder = tmp_path / str(number)
        folder.mkdir()
        with closing(SqliteAccounts(folder)) as one, closing(SqliteAccounts(folder)) as two:
            one.add_user(User("1", "ada", "admin", 0), "hash")
            one.add_user(User("2", "bob", "admin", 0), "hash")
            barrier = threading.Barrier(2)
            with ThreadPoolExecutor(2) as threads:
                results = threads.map(partial(demoted, barrier), (one, two), ("2", "1"))
            assert sorted(results) == [False, True]
            assert [user.role for user in one.users()].count("admin") == 1


def demoted(barrier: threading.Barrier, database: SqliteAccounts, user: str) -> bool:
    """Return whether the database accepts that a user becomes a viewer."""
    barrier.wait()
    try:
        database.change_user(user, lambda user: replace(user, role="viewer"))
    except ConflictError:
        return False
    return True
