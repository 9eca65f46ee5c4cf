"""The common part of the commands for users and keys: the accounts of the data directory, and tables."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from metricat_cli.errors import CommandError
from metricat_hub.access.accounts import AccountError
from metricat_hub.access.parts import Accounts
from metricat_hub.commands.running import settings_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 -- argparse has no public name


@contextmanager
def opened(chosen: argparse.Namespace, *, create: bool = False) -> Iterator[Accounts]:
    """Open the accounts of the data directory; errors become `CommandError`."""
    folder = settings_of(chosen).data
    if create:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    elif not folder.is_dir():
        raise CommandError(f"{folder} does not exist, so it has no accounts. Give the hub's directory with --data.")
    try:
        with Accounts.open(folder, now) as accounts:
            yield accounts
    except AccountError as error:
        raise CommandError(str(error)) from None


def now() -> int:
    """Return milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a table; the first row is the header."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def time_text(milliseconds: int | None) -> str:
    """Return a time for people."""
    if milliseconds is None:
        return "never"
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M} UTC"
