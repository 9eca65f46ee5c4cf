"""The objects that manage the accounts of one data directory. Endpoints and commands share them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from metricat_hub.access import audit
from metricat_hub.access.directory import Directory
from metricat_hub.access.keys import KeyStore
from metricat_hub.access.passwords import PasswordThreads
from metricat_hub.access.sessions import Sessions
from metricat_hub.access.tokens import Signer
from metricat_hub.access.users import UserStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_MAINTENANCE = 3_600_000
"""Milliseconds between two removals of expired entries."""


class Accounts:
    """Users, API keys and sessions of a data directory. Use it as a context manager, or close it."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.keys = KeyStore(directory)
        self.users = UserStore(directory)
        self.signer = Signer(directory)
        self.threads = PasswordThreads()
        self.sessions = Sessions(directory, self.signer, self.threads)
        self._maintained = 0

    @classmethod
    def open(cls, folder: Path, now: Callable[[], int]) -> Accounts:
        """Open the accounts of a data directory; raise `AccountError` if it fails. `now` returns milliseconds."""
        return cls(Directory.open(folder, now))

    def refresh(self) -> None:
        """Load changes of other processes, store when keys were last used, and once an hour remove expired entries.

        It also writes audit entries of other processes to the audit log. It blocks.
        """
        self.keys.refresh()
        audit.write_stored(self.directory.database)
        now = self.directory.now()
        if not 0 <= now - self._maintained < _MAINTENANCE:
            self._maintained = now
            self.signer.maintain()

    def close(self) -> None:
        """Close the database."""
        self.directory.close()

    def __enter__(self) -> Self:
        """Return the accounts."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the database."""
        self.close()
