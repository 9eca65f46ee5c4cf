"""API keys: create, list, revoke and verify. The database has their SHA-256 hashes, never the keys.

A key is ``metricat_ID_SECRET``. The secret has 32 random bytes, so a fast hash is enough: no dictionary contains it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
from typing import TYPE_CHECKING

from metricat_hub.access.accounts import AccountError, ApiKey, NotFoundError
from metricat_hub.access.directory import Directory
from metricat_hub.access.principal import SCOPES, SCOPES_OF, Principal, Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

_KEY = re.compile(r"metricat_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NO_DIGEST = bytes(32)
_MINUTE = 60_000


class KeyStore:
    """The API keys. Thread-safe. All methods but `verify` block on the database."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._database = directory.database
        self._now = directory.now
        self._lock = threading.Lock()
        self._used: dict[str, int] = {}

    @classmethod
    def open(cls, folder: Path, now: Callable[[], int]) -> KeyStore:
        """Open the keys of a data directory. `now` returns milliseconds since 1970."""
        return cls(Directory.open(folder, now))

    def create(
        self, label: str, scopes: Iterable[Scope], expires: int | None = None, owner: str = ""
    ) -> tuple[str, ApiKey]:
        """Create a key; return its text, which is stored nowhere, and its entry.

        Args:
            label: the name that people see.
            scopes: what the key permits.
            expires: milliseconds since 1970; None: the key does not expire.
            owner: the ID of a user; empty: the key belongs to no user.

        Raises:
            AccountError: a scope, the label or the time of expiry is invalid.
        """
        chosen = frozenset(scopes)
        if not chosen or not chosen.issubset(SCOPES):
            raise AccountError(f"invalid scopes {', '.join(sorted(chosen)) or '(none)'}; use {', '.join(SCOPES)}")
        if not label.strip() or not label.isprintable() or len(label) > 100:
            raise AccountError(f"invalid label {label[:100]!r}; write 1 to 100 printable characters")
        now = self._now()
        if expires is not None and expires <= now:
            raise AccountError("the time of expiry is in the past; give a time in the future")
        key = ApiKey(secrets.token_hex(6), label.strip(), chosen, now, expires, owner=owner)
        secret = secrets.token_urlsafe(32)
        self._database.add_key(_digest(secret), key)
        self._directory.read()
        return f"metricat_{key.id}_{secret}", key

    def all(self) -> Sequence[ApiKey]:
        """Return all keys, the oldest first."""
        self.refresh()
        return sorted((key for _, key in self._directory.keys.values()), key=lambda key: (key.created, key.id))

    def revoke(self, identifier: str) -> ApiKey:
        """Revoke a key; return its entry. A running hub rejects the key within a second.

        Raises:
            NotFoundError: no such key exists.
        """
        self._database.revoke_key(identifier, self._now())
        self._directory.read()
        if identifier not in self._directory.keys:
            raise NotFoundError(f"no key has the identifier {identifier!r}; list the keys with: metricat hub keys list")
        return self._directory.keys[identifier][1]

    def verify(self, text: str) -> Principal | None:
        """Return the client that a key belongs to. It does not block.

        None: the key is unknown, expired or revoked, or its owner is disabled.
        """
        found = _KEY.fullmatch(text)
        if not found:
            return None
        digest, key = self._directory.keys.get(found[1], (_NO_DIGEST, None))
        right = hmac.compare_digest(digest, _digest(found[2]))
        now = self._now()
        if not right or key is None or key.state(now) != "active":
            return None
        principal = self._principal(key)
        if principal is not None:
            self._used[key.id] = now
        return principal

    def refresh(self) -> None:
        """Load accounts that other processes changed, and store when each key was last used."""
        with self._lock:
            used, self._used = self._used, {}
            used = {key: at for key, at in used.items() if self._is_due(key, at)}
            if used:
                self._database.touch_keys(used)
                self._directory.read()
        self._directory.refresh()

    def _is_due(self, identifier: str, at: int) -> bool:
        """Return whether the time of use is written: once a minute, because each write waits for the disk."""
        _, key = self._directory.keys.get(identifier, (b"", None))
        return key is not None and (key.last_used is None or at - key.last_used >= _MINUTE)

    def _principal(self, key: ApiKey) -> Principal | None:
        """Return the client of a key: a key of a user never has more scopes than the user's role."""
        if not key.owner:
            return Principal(key.id, key.scopes, key.label)
        owner = self._directory.users.get(key.owner)
        if owner is None or owner.disabled is not None:
            return None
        scopes = frozenset(SCOPES) if "admin" in key.scopes else key.scopes
        return Principal(key.id, scopes & SCOPES_OF[owner.role], key.label, owner=owner.name)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
