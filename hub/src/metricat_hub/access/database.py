"""Accounts in SQLite: `accounts.sqlite` in the data directory, which only its owner can read.

The database has hashes of passwords, API keys and refresh tokens, never the secrets themselves. The signing
keys of access tokens are stored unencrypted.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from metricat_hub.access.accounts import (
    AccountError,
    ApiKey,
    ConflictError,
    NotFoundError,
    Rotation,
    Session,
    SigningKey,
    User,
)
from metricat_hub.access.principal import SCOPES, SCOPES_OF
from metricat_hub.model.errors import AccessUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

FILE = "accounts.sqlite"
KEY_FILE = "hub.sqlite"
"""The file with the API keys of earlier releases. The first start imports it and renames it."""
_SCHEMAS = (
    """
    CREATE TABLE hub (id TEXT NOT NULL, setup BLOB, setup_expires INTEGER) STRICT;
    CREATE TABLE users (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE COLLATE NOCASE,
        password TEXT NOT NULL,
        role TEXT NOT NULL,
        created INTEGER NOT NULL,
        disabled INTEGER,
        external TEXT UNIQUE,
        version INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE keys (
        id TEXT PRIMARY KEY,
        label TEXT NOT NULL,
        digest BLOB NOT NULL,
        scopes TEXT NOT NULL,
        created INTEGER NOT NULL,
        expires INTEGER,
        last_used INTEGER,
        revoked INTEGER,
        owner TEXT NOT NULL DEFAULT ''
    ) STRICT;
    CREATE TABLE sessions (
        id TEXT PRIMARY KEY, user TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX sessions_of_user ON sessions (user);
    CREATE TABLE refresh_tokens (
        digest BLOB PRIMARY KEY, session TEXT NOT NULL, expires INTEGER NOT NULL, used INTEGER
    ) STRICT;
    CREATE INDEX tokens_of_session ON refresh_tokens (session);
    CREATE TABLE signing_keys (
        id TEXT PRIMARY KEY, secret BLOB NOT NULL, created INTEGER NOT NULL, retired INTEGER
    ) STRICT;
    """,
    "CREATE TABLE audit (id INTEGER PRIMARY KEY, entry BLOB NOT NULL) STRICT",
    "ALTER TABLE sessions ADD COLUMN client TEXT NOT NULL DEFAULT ''",
)
"""The statements that migrate each version of the schema to the next one."""
VERSION = len(_SCHEMAS)
_USER = "id, name, role, created, disabled, external, version"
_KEY = "id, label, scopes, created, expires, last_used, revoked, owner"


class SqliteAccounts:
    """The accounts of a data directory; implements `AccountDatabase`."""

    def __init__(self, folder: Path) -> None:
        """Open the database; create it, or migrate it, if necessary.

        Raises:
            AccountError: a newer release wrote the file, or it cannot be opened.
        """
        path = folder / FILE
        self._lock = threading.Lock()
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._db = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise AccountError(f"{path} cannot be opened: {error}. Check the directory and its permissions.") from None
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._migrate(folder)
            [self.hub_id] = self._db.execute("SELECT id FROM hub").fetchone()
            [self._seen] = self._db.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error as error:
            self._db.close()
            raise AccountError(f"{path} is damaged or not a database: {error}. Restore it from a backup.") from None
        except AccountError:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def changed(self) -> bool:
        """Return whether another process has changed the accounts since the last call."""
        with self._lock:
            seen, [self._seen] = self._seen, self._db.execute("PRAGMA data_version").fetchone()
        return bool(seen != self._seen)

    def users(self) -> Sequence[User]:
        """Return all users."""
        with self._lock:
            return [_user(row) for row in self._db.execute(f"SELECT {_USER} FROM users ORDER BY name")]  # noqa: S608 -- a constant

    def password(self, user: str) -> str:
        """Return the hash of a user's password; empty: the user has no password."""
        with self._lock:
            found = self._db.execute("SELECT password FROM users WHERE id = ?", (user,)).fetchone()
        return str(found[0]) if found else ""

    def add_user(self, user: User, password: str) -> None:
        """Store a user; raise `ConflictError` if another has its name or its external account."""
        with self._transaction() as db:
            _insert_user(db, user, password)

    def change_user(self, user: str, change: Callable[[User], User], password: str | None = None) -> User:
        """Store the result of `change`, and the password hash unless None; return the user with its new version."""
        with self._transaction() as db:
            before = _find(db, user)
            after = replace(change(before), version=before.version + 1)
            db.execute(
                "UPDATE users SET role = ?, disabled = ?, version = ? WHERE id = ?",
                (after.role, after.disabled, after.version, user),
            )
            if password is not None:
                db.execute("UPDATE users SET password = ? WHERE id = ?", (password, user))
            if before.is_active_admin and not after.is_active_admin:
                _check_admins(db, before.name)
            if password is not None or after.disabled is not None:
                _end_sessions(db, user)
        return after

    def remove_user(self, user: str, now: int) -> None:
        """Remove a user with its sessions, and revoke its keys."""
        with self._transaction() as db:
            before = _find(db, user)
            db.execute("DELETE FROM users WHERE id = ?", (user,))
            if before.is_active_admin:
                _check_admins(db, before.name)
            _end_sessions(db, user)
            db.execute("UPDATE keys SET revoked = ? WHERE owner = ? AND revoked IS NULL", (now, user))

    def api_keys(self) -> Sequence[tuple[bytes, ApiKey]]:
        """Return the hash and the entry of each API key."""
        with self._lock:
            return [_key(row) for row in self._db.execute(f"SELECT digest, {_KEY} FROM keys")]  # noqa: S608 -- a constant

    def add_key(self, digest: bytes, key: ApiKey) -> None:
        """Store an API key."""
        with self._transaction() as db:
            _insert_key(db, digest, key)

    def revoke_key(self, key: str, now: int) -> None:
        """Revoke an API key, if it exists and is not revoked."""
        with self._transaction() as db:
            db.execute("UPDATE keys SET revoked = ? WHERE id = ? AND revoked IS NULL", (now, key))

    def touch_keys(self, used: Mapping[str, int]) -> None:
        """Store when API keys were last used."""
        with self._transaction() as db:
            db.executemany("UPDATE keys SET last_used = ? WHERE id = ?", [(at, key) for key, at in used.items()])

    def sessions(self, now: int) -> Sequence[Session]:
        """Return the sessions that have not ended."""
        query = "SELECT id, user, created, expires, client FROM sessions WHERE expires > ?"
        with self._lock:
            return [Session(*row) for row in self._db.execute(query, (now,))]

    def add_session(self, session: Session, token: bytes, expires: int, most: int) -> None:
        """Store a session with the hash of its first refresh token; end the user's oldest sessions above `most`."""
        with self._transaction() as db:
            db.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?, ?)",
                (session.id, session.user, session.created, session.expires, session.client),
            )
            db.execute("INSERT INTO refresh_tokens VALUES (?, ?, ?, NULL)", (token, session.id, expires))
            oldest = "SELECT id FROM sessions WHERE user = ? ORDER BY created DESC, rowid DESC LIMIT -1 OFFSET ?"
            for [ended] in db.execute(oldest, (session.user, most)).fetchall():
                _end_session(db, ended)

    def rotate(self, old: bytes, new: bytes, now: int, expires: int) -> tuple[Rotation, str, int]:
        """Replace the hash of a refresh token; return the result, the session ID, and when `old` was first replaced."""
        with self._transaction() as db:
            found = db.execute(
                "SELECT session, t.expires, used, s.expires FROM refresh_tokens t JOIN sessions s ON s.id = t.session "
                "WHERE digest = ?",
                (old,),
            ).fetchone()
            if found is None:
                return "unknown", "", 0
            session, own, used, end = found
            if used is not None:
                return "reused", session, used
            if min(own, end) <= now:
                return "expired", session, 0
            db.execute("UPDATE refresh_tokens SET used = ? WHERE digest = ?", (now, old))
            db.execute("INSERT INTO refresh_tokens VALUES (?, ?, ?, NULL)", (new, session, min(expires, end)))
        return "rotated", session, 0

    def end_session(self, session: str) -> None:
        """End a session, and remove its refresh tokens."""
        with self._transaction() as db:
            _end_session(db, session)

    def signing_keys(self) -> Sequence[SigningKey]:
        """Return the signing keys, the newest last."""
        query = "SELECT id, secret, created, retired FROM signing_keys ORDER BY created, rowid"
        with self._lock:
            return [SigningKey(*row) for row in self._db.execute(query)]

    def add_signing_key(self, key: SigningKey) -> None:
        """Store a signing key, and retire the earlier ones."""
        with self._transaction() as db:
            db.execute("UPDATE signing_keys SET retired = ? WHERE retired IS NULL", (key.created,))
            db.execute("INSERT INTO signing_keys VALUES (?, ?, ?, NULL)", (key.id, key.secret, key.created))

    def set_setup(self, token: bytes, expires: int) -> None:
        """Store the hash of the setup token, which can create the first administrator. It replaces an earlier token."""
        with self._transaction() as db:
            db.execute("UPDATE hub SET setup = ?, setup_expires = ?", (token, expires))

    def complete_setup(self, token: bytes, now: int, user: User, password: str) -> bool:
        """Store the first administrator, and remove the setup token; return False if the token is wrong or expired."""
        with self._transaction() as db:
            changed = db.execute(
                "UPDATE hub SET setup = NULL, setup_expires = NULL WHERE setup = ? AND setup_expires > ?", (token, now)
            )
            if changed.rowcount != 1:
                return False
            if _has_admin(db):
                raise ConflictError("an administrator exists; log in, or ask an administrator for a user")
            _insert_user(db, user, password)
        return True

    def add_audit(self, entry: bytes) -> None:
        """Store an entry for the audit log of the hub."""
        with self._transaction() as db:
            db.execute("INSERT INTO audit (entry) VALUES (?)", (entry,))

    def take_audit(self, write: Callable[[bytes], None]) -> None:
        """Write the stored entries for the audit log in their order, and remove them."""
        query = "SELECT id, entry FROM audit ORDER BY id"
        with self._lock:
            found = self._db.execute(query).fetchall()
        if not found:
            return
        for _, entry in found:
            write(entry)
        with self._transaction() as db:
            db.execute("DELETE FROM audit WHERE id <= ?", (found[-1][0],))

    def purge(self, now: int, keys_before: int) -> None:
        """Remove expired sessions and tokens, and signing keys that were retired before a time."""
        with self._transaction() as db:
            db.execute("DELETE FROM refresh_tokens WHERE expires <= ?", (now,))
            for [ended] in db.execute("SELECT id FROM sessions WHERE expires <= ?", (now,)).fetchall():
                _end_session(db, ended)
            db.execute("DELETE FROM sessions WHERE id NOT IN (SELECT session FROM refresh_tokens)")
            db.execute("DELETE FROM signing_keys WHERE retired < ?", (keys_before,))

    def _migrate(self, folder: Path) -> None:
        """Migrate the schema to the newest version, in one transaction."""
        with self._transaction() as db:
            [version] = db.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise AccountError(
                    f"{folder / FILE} has version {version}, which this release cannot read; install a newer release"
                )
            for schema in _SCHEMAS[version:]:
                for statement in schema.split(";"):  # executescript would commit first
                    db.execute(statement)
            if version < 1:
                db.execute("INSERT INTO hub (id) VALUES (?)", (secrets.token_hex(8),))
                for digest, key in _earlier_keys(folder / KEY_FILE):
                    _insert_key(db, digest, key)
            if version < VERSION:
                db.execute(f"PRAGMA user_version = {VERSION}")
        if version < 1 and (folder / KEY_FILE).exists():
            (folder / KEY_FILE).replace(folder / f"{KEY_FILE}.imported")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Run a transaction that no other one can interrupt; roll it back after an error."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except sqlite3.OperationalError as error:
                raise AccessUnavailableError(f"the accounts cannot be written: {error}. Retry later.") from error
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")


def _earlier_keys(path: Path) -> Sequence[tuple[bytes, ApiKey]]:
    """Return the API keys in the file of an earlier release."""
    if not path.exists():
        return []
    columns = "digest, id, label, scopes, created, expires, last_used, revoked, ''"
    with closing(sqlite3.connect(path, timeout=5)) as db:
        return [_key(row) for row in db.execute(f"SELECT {columns} FROM keys")]  # noqa: S608 -- a constant


def _user(row: tuple[str, str, str, int, int | None, str | None, int]) -> User:
    identifier, name, role, created, disabled, external, version = row
    known = next(one for one in SCOPES_OF if one == role)
    return User(identifier, name, known, created, disabled, external or "", version)


def _key(row: tuple[bytes, str, str, str, int, int | None, int | None, int | None, str]) -> tuple[bytes, ApiKey]:
    digest, identifier, label, scopes, created, expires, last_used, revoked, owner = row
    chosen = frozenset(scope for scope in SCOPES if scope in scopes.split())
    return digest, ApiKey(identifier, label, chosen, created, expires, last_used, revoked, owner)


def _find(db: sqlite3.Connection, user: str) -> User:
    found = db.execute(f"SELECT {_USER} FROM users WHERE id = ?", (user,)).fetchone()  # noqa: S608 -- a constant
    if found is None:
        raise NotFoundError("the user no longer exists; list the users with: metricat hub users list")
    return _user(found)


def _insert_user(db: sqlite3.Connection, user: User, password: str) -> None:
    values = (user.id, user.name, password, user.role, user.created, user.disabled, user.external or None, user.version)
    try:
        db.execute("INSERT INTO users VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
    except sqlite3.IntegrityError:
        raise ConflictError(f"the user {user.name} exists; choose another name, or remove the user") from None


def _insert_key(db: sqlite3.Connection, digest: bytes, key: ApiKey) -> None:
    scopes = " ".join(sorted(key.scopes))
    values = (key.id, key.label, digest, scopes, key.created, key.expires, key.last_used, key.revoked, key.owner)
    db.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)


def _check_admins(db: sqlite3.Connection, name: str) -> None:
    """Raise `ConflictError` if no active administrator is left."""
    if not _has_admin(db):
        raise ConflictError(f"{name} is the only active administrator; give another user the role admin first")


def _has_admin(db: sqlite3.Connection) -> bool:
    return bool(db.execute("SELECT 1 FROM users WHERE role = 'admin' AND disabled IS NULL LIMIT 1").fetchone())


def _end_sessions(db: sqlite3.Connection, user: str) -> None:
    for [session] in db.execute("SELECT id FROM sessions WHERE user = ?", (user,)).fetchall():
        _end_session(db, session)


def _end_session(db: sqlite3.Connection, session: str) -> None:
    db.execute("DELETE FROM sessions WHERE id = ?", (session,))
    db.execute("DELETE FROM refresh_tokens WHERE session = ?", (session,))
