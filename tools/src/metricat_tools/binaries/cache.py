"""The cache of programs: where it is, and how a thing gets into it whole or not at all."""

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
    """The cache's folder: $METRICAT_CACHE, else `metricat` in the user's cache."""
    if chosen := os.environ.get("METRICAT_CACHE"):
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "metricat"


def key(*parts: str | bytes) -> str:
    """A short digest of everything that decides what a build gives, this machine's architecture included."""
    digest = hashlib.sha256(platform.machine().encode())
    for part in parts:
        digest.update(b"\0" + (part if isinstance(part, bytes) else part.encode()))
    return digest.hexdigest()[:12]


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the cache's lock of this name: two processes that want the same thing make it once."""
    with writable():
        folder = root() / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder beside the cache's things, gone at the end: a rename from it into the cache is atomic."""
    with writable():
        root().mkdir(parents=True, exist_ok=True)
        path = Path(tempfile.mkdtemp(prefix=".new-", dir=root()))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def writable() -> Iterator[None]:
    """Turn the two ways in which a cache cannot be written into a sentence with a way out."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise disk_full() from error
        if error.errno in {errno.EACCES, errno.EROFS, errno.EPERM}:
            raise ToolError(
                f"cannot write the cache {root()} ({error}): set METRICAT_CACHE to another folder"
            ) from error
        raise


def disk_full() -> ToolError:
    """The sentence for a disk without space."""
    return ToolError(f"the disk is full: free some space, or set METRICAT_CACHE ({root()}) and GOCACHE to another disk")


def install(made: Path, final: Path) -> None:
    """Rename a finished program into its place, executable for all."""
    made.chmod(0o755)
    final.parent.mkdir(parents=True, exist_ok=True)
    made.replace(final)
