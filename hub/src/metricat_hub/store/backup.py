"""Copies of the SQLite files in a data directory, made while the hub runs."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import TYPE_CHECKING

from metricat_hub.model.errors import StoreUnavailableError

if TYPE_CHECKING:
    from pathlib import Path

_PATTERNS = ("*.sqlite", "*.sqlite3")
_BUSY_SECONDS = 60.0
"""Seconds to wait for another process that writes to a file."""


def backup(data: Path, folder: Path) -> dict[str, int]:
    """Copy each SQLite file of a data directory; return the size of each copy in bytes by file name.

    Each copy is a consistent snapshot, and only its owner can read it.

    Raises:
        StoreUnavailableError: the data directory has no SQLite file, `folder` already has a file of the same
            name, or a copy failed.
    """
    files = sorted(file for pattern in _PATTERNS for file in data.glob(pattern) if file.is_file())
    if not files:
        raise StoreUnavailableError(f"{data}: no store exists here. Check the data directory.")
    for file in files:
        if (folder / file.name).exists():
            raise StoreUnavailableError(
                f"{folder / file.name} exists already. Choose another directory for the backup."
            )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return {file.name: copy(file, folder / file.name) for file in files}


def copy(source: Path, target: Path) -> int:
    """Copy a snapshot of a SQLite file while other processes use the file; return the size of the copy in bytes.

    Raises:
        StoreUnavailableError: the copy cannot be written. The incomplete copy is removed.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with contextlib.closing(sqlite3.connect(source, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
                # One read transaction: the copy is consistent, and the writer continues.
                connection.execute("VACUUM INTO ?", (str(part),))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        part.rename(target)
    except (OSError, sqlite3.Error) as error:
        part.unlink(missing_ok=True)
        raise StoreUnavailableError(
            f"{target.parent}: cannot write the backup of {source.name}: {error}. "
            "Check the free space and the permissions."
        ) from error
    return target.stat().st_size
