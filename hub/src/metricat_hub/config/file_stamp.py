"""Detection of changes of a file."""

from __future__ import annotations

from pathlib import Path


def file_stamp(path: str) -> tuple[int, int, int] | None:
    """Return modification time in nanoseconds, size and inode of a file; None if it does not exist."""
    try:
        found = Path(path).stat() if path else None
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if found else None
