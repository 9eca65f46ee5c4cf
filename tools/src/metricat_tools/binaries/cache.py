"""The cache of built files: its folder, its locks, and atomic installation into it."""

import errno
import fcntl
import hashlib
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metricat_tools.errors import ToolError


def root() -> Path:
    """Return the cache's folder: $METRICAT_CACHE, or `metricat` in the user's cache folder."""
    if chosen := os.environ.get("METRICAT_CACHE"):
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "metricat"


def key(*parts: str | bytes) -> str:
    """Return a short digest of everything that determines a build's result, including this machine's architecture."""
    digest = hashlib.sha256(platform.machine().encode())
    for part in parts:
        digest.update(b"\0" + (part if isinstance(part, bytes) else part.encode()))
    return digest.hexdigest()[:12]


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the cache's lock with this name, so that two processes build the same thing only once."""
    with writable():
        folder = root() / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a temporary folder on the cache's filesystem, so that a rename into the cache is atomic."""
    with writable():
        root().mkdir(parents=True, exist_ok=True)
        path = Path(tempfile.mkdtemp(prefix=".new-", dir=root()))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def writable() -> Iterator[None]:
    """Convert the errors of a cache that cannot be written to errors with a remedy."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise disk_full() from error
        if error.errno in {errno.EACCES, errno.EROFS, errno.EPERM}:
            raise ToolError(
                f"cannot write the cache {root()} ({error}). Set METRICAT_CACHE to another folder."
            ) from error
        raise


def disk_full() -> ToolError:
    """Return the error for a full disk."""
    return ToolError(
        f"the disk is full. Free some space, or set METRICAT_CACHE ({root()}) and GOCACHE to another disk."
    )


def install(made: Path, final: Path) -> None:
    """Rename a finished program to its final path, executable for all users."""
    made.chmod(0o755)
    final.parent.mkdir(parents=True, exist_ok=True)
    made.replace(final)
