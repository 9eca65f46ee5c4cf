"""API keys: created, listed, revoked and verified. `hub.sqlite` has their SHA-256 hashes, never the keys.

A key is ``metricat_ID_SECRET``. The secret has 32 random bytes, so a fast hash is enough: no dictionary contains it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import sqlite3
import threading
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_hub.access.principal import SCOPES, Principal, Scope
from metricat_hub.model.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

FILE = "hub.sqlite"
_KEY = re.compile(r"metricat_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_VERSION = 1
_SCHEMA = """
CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    label TEXT NOT NULL,
    digest BLOB NOT NULL,
    scopes TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER,
    last_used INTEGER,
    revoked INTEGER
) STRICT;
"""
_NO_DIGEST = bytes(32)


class ApiKeyError(HubError):
    """A key cannot be created or revoked. The message says what to do."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The stored properties of a key. Times are milliseconds since 1970-01-01 UTC; None: never."""

    id: str
    label: str
    scopes: frozenset[Scope]
    created: int
    expires: int | None = None
    last_used: int | None = None
    revoked: int | None = None

    def state(self, now: int) -> str:
        """Return `active`, `expired` or `revoked`."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "active"

    @property
    def principal(self) -> Principal:
        """The client that sends this key."""
        return Principal(self.id, self.scopes, self.label)


class KeyStore:
    """The API keys of a data directory. Thread-safe. All methods but `verify` block on the file."""

    def __init__(self, folder: Path, now: Callable[[], int]) -> None:
        """Open `hub.sqlite` in the folder, and create it if it does not exist. `now` returns milliseconds."""
        self._path = folder / FILE
        self._now = now
        self._lock = threading.Lock()
        self._create()
        self._keys: dict[str, tuple[bytes, ApiKey]] = {}
        self._used: dict[str, int] = {}
        self.refresh()

    def create(self, label: str, scopes: Iterable[Scope], expires: int | None = None) -> tuple[str, ApiKey]:
        """Create a key; return its text, which is stored nowhere, and its entry.

        Raises:
            ApiKeyError: a scope, the label or the time of expiry is invalid.
        """
        chosen = frozenset(scopes)
        if not chosen or not chosen.issubset(SCOPES):
            raise ApiKeyError(f"invalid scopes {', '.join(sorted(chosen)) or '(none)'}; use {', '.join(SCOPES)}")
        if not label.strip() or not label.isprintable() or len(label) > 100:
            raise ApiKeyError(f"invalid label {label[:100]!r}; write 1 to 100 printable characters")
        now = self._now()
        if expires is not None and expires <= now:
            raise ApiKeyError("the time of expiry is in the past; give a time in the future")
        key = ApiKey(secrets.token_hex(6), label.strip(), chosen, now, expires)
        secret = secrets.token_urlsafe(32)
        with self._lock, self._connection() as db, db:
            db.execute(
                "INSERT INTO keys (id, label, digest, scopes, created, expires) VALUES (?, ?, ?, ?, ?, ?)",
                (key.id, key.label, _digest(secret), " ".join(sorted(chosen)), now, expires),
            )
        self.refresh()
        return f"metricat_{key.id}_{secret}", key

    def all(self) -> Sequence[ApiKey]:
        """Return all keys, the oldest first."""
        self.refresh()
        return sorted((key for _, key in self._keys.values()), key=lambda key: (key.created, key.id))

    def revoke(self, identifier: str) -> ApiKey:
        """Revoke a key; return its entry. A running hub rejects the key within a second.

        Raises:
            ApiKeyError: no such key exists.
        """
        with self._lock, self._connection() as db, db:
            db.execute("UPDATE keys SET revoked = ? WHERE id = ? AND revoked IS NULL", (self._now(), identifier))
        self.refresh()
        if identifier not in self._keys:
            raise ApiKeyError(f"no key has the identifier {identifier!r}; list the keys with: metricat hub keys list")
        return self._keys[identifier][1]

    def verify(self, text: str) -> Principal | None:
        """Return the client that a key belongs to; None for an unknown, expired or revoked key. Does not block."""
        found = _KEY.fullmatch(text)
        if not found:
            return None
        digest, key = self._keys.get(found[1], (_NO_DIGEST, None))
        right = hmac.compare_digest(digest, _digest(found[2]))
        now = self._now()
        if not right or key is None or key.state(now) != "active":
            return None
        self._used[key.id] = now
        return key.principal

    def refresh(self) -> None:
        """Load keys that other processes created or revoked, and store when each key was last used."""
        with self._lock:
            used, self._used = self._used, {}
            with self._connection() as db:
                if used:
                    with db:
                        db.executemany(
                            "UPDATE keys SET last_used = ? WHERE id = ?", [(at, key) for key, at in used.items()]
                        )
                self._keys = {key.id: (digest, key) for digest, key in _rows(db)}

    def _create(self) -> None:
        """Create the file, which only its owner can read."""
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        with self._connection() as db:
            [version] = db.execute("PRAGMA user_version").fetchone()
            if version > _VERSION:
                raise ApiKeyError(
                    f"{self._path} has version {version}, which this release cannot read; install a newer release"
                )
            if version < _VERSION:
                db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")

    def _connection(self) -> closing[sqlite3.Connection]:
        return closing(sqlite3.connect(self._path, timeout=5))


def _rows(db: sqlite3.Connection) -> Iterator[tuple[bytes, ApiKey]]:
    """Yield the hash and the entry of each key."""
    columns = "digest, id, label, scopes, created, expires, last_used, revoked"
    for digest, identifier, label, scopes, *times in db.execute(f"SELECT {columns} FROM keys"):  # noqa: S608 -- a constant
        chosen = frozenset(scope for scope in SCOPES if scope in scopes.split())
        yield digest, ApiKey(identifier, label, chosen, *times)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
