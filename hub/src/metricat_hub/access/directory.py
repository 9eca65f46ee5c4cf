"""The accounts in memory, so that no request waits for the database. `refresh` loads changes of other processes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from metricat_hub.access.database import SqliteAccounts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from metricat_hub.access.accounts import ApiKey, Session, SigningKey, User
    from metricat_hub.access.ports import AccountDatabase


class Directory:
    """Users, API keys, sessions and signing keys by ID. Lookups never wait: `read` and `refresh` replace mappings."""

    def __init__(self, database: AccountDatabase, now: Callable[[], int]) -> None:
        """Read the database. `now` returns milliseconds."""
        self.database = database
        self.now = now
        self.users: Mapping[str, User] = {}
        self.keys: Mapping[str, tuple[bytes, ApiKey]] = {}
        self.sessions: Mapping[str, Session] = {}
        self.signing_keys: Mapping[str, SigningKey] = {}
        self._lock = threading.Lock()
        self.read()

    @classmethod
    def open(cls, folder: Path, now: Callable[[], int]) -> Directory:
        """Load the accounts of a data directory; raise `AccountError` if the database cannot be opened."""
        return cls(SqliteAccounts(folder), now)

    def user(self, name: str) -> User | None:
        """Return the user with this name, ignoring case; None if no such user exists."""
        folded = name.casefold()
        return next((user for user in self.users.values() if user.name.casefold() == folded), None)

    def read(self) -> None:
        """Load all accounts from the database. It blocks."""
        with self._lock:
            self.users = {user.id: user for user in self.database.users()}
            self.keys = {key.id: (digest, key) for digest, key in self.database.api_keys()}
            self.sessions = {session.id: session for session in self.database.sessions(self.now())}
            self.signing_keys = {key.id: key for key in self.database.signing_keys()}

    def refresh(self) -> None:
        """Load all accounts if another process has changed the database. It blocks."""
        if self.database.changed():
            self.read()

    def close(self) -> None:
        """Close the database."""
        self.database.close()
