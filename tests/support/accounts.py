"""Accounts in a directory with a clock that tests set, and passwords that are hashed quickly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_hub.access.parts import Accounts

if TYPE_CHECKING:
    from pathlib import Path

    from metricat_hub.access.accounts import User
    from metricat_hub.access.principal import Role

START = 1_800_000_000_000
MINUTE, DAY = 60_000, 86_400_000
PASSWORD = "correct horse battery"


class Clock:
    """A clock in milliseconds."""

    def __init__(self, now: int = START) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def new_accounts(folder: Path, clock: Clock) -> Accounts:
    """Return the accounts of a directory."""
    return Accounts.open(folder, clock)


def add_user(accounts: Accounts, name: str = "ada", role: Role = "admin") -> User:
    """Add a user with the password `PASSWORD`."""
    return accounts.users.add(name, role, PASSWORD)
