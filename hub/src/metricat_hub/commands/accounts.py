"""Shared functions of the commands for users and keys: access to the accounts, the audit log, and tables."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from metricat_cli.errors import CommandError
from metricat_hub.access import audit
from metricat_hub.access.accounts import AccountError
from metricat_hub.access.parts import Accounts
from metricat_hub.commands.running import settings_of
from metricat_hub.model.errors import AccessUnavailableError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from metricat_hub.access.audit import Detail

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 -- argparse has no public name


@contextmanager
def opened(chosen: argparse.Namespace, *, create: bool = False) -> Iterator[Accounts]:
    """Open the accounts of the data directory, which `create` creates; raise `CommandError` for any error of them."""
    folder = settings_of(chosen).data
    if create:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    elif not folder.is_dir():
        raise CommandError(f"{folder} does not exist, so it has no accounts. Set the hub's data directory with --data.")
    try:
        with Accounts.open(folder, now) as accounts:
            yield accounts
    except AccountError as error:
        raise CommandError(str(error)) from None


@dataclass(slots=True)
class Change:
    """The target and details of a change of accounts, for the audit log."""

    accounts: Accounts
    target: str
    details: dict[str, Any]


@contextmanager
def changing(
    chosen: argparse.Namespace, action: str, target: str = "", *, create: bool = False, **details: Detail
) -> Iterator[Change]:
    """Open the accounts for one change, and store an entry for the audit log, even if the change fails."""
    with opened(chosen, create=create) as accounts, audit.stored_in(accounts.directory.database):
        audit.origin.set(audit.Origin("command line"))
        change = Change(accounts, target, details)
        who = _system_user()
        try:
            yield change
        except AccessUnavailableError:  # the entry cannot be stored either
            raise
        except (AccountError, CommandError) as error:
            audit.record(action, who=who, target=target, outcome="failure", **change.details, reason=str(error))
            raise
        audit.record(action, who=who, target=change.target, **change.details)


def _system_user() -> str:
    """Return the name of the user of the operating system; with sudo, the name of both users."""
    if sys.platform == "win32":
        return os.environ.get("USERNAME", "")
    import pwd  # noqa: PLC0415 -- missing on Windows

    try:
        own = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        own = f"uid {os.getuid()}"
    caller = os.environ.get("SUDO_USER", "")
    return f"{own} (sudo by {caller})" if caller not in ("", own) else own


def now() -> int:
    """Return the current time in milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000


def table(rows: Sequence[Sequence[str]]) -> str:
    """Format rows as a text table; the first row is the header."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def time_text(milliseconds: int | None) -> str:
    """Format milliseconds since 1970 as date and time in UTC; None: `never`."""
    if milliseconds is None:
        return "never"
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M} UTC"
