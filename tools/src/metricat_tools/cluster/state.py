"""A cluster's files: one folder for each cluster. Everything that belongs to the cluster has its name."""

import contextlib
import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metricat_tools.errors import ToolError

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?")
_NEEDED = 512 * 1024 * 1024


def root() -> Path:
    """Return the folder of this user's clusters. Its path is short: unix socket paths are limited to 108 bytes."""
    return Path(f"/var/tmp/metricat-{os.geteuid()}")  # noqa: S108 -- `_own` checks the owner


def names() -> list[str]:
    """Return the names of the clusters with a folder, running or crashed."""
    return sorted(path.parent.name for path in root().glob("*/cluster.json"))


@dataclass(frozen=True)
class State:
    """One cluster's folder and the settings stored in it."""

    name: str

    def __post_init__(self) -> None:
        """Refuse a name that is not suitable for paths."""
        if not _NAME.fullmatch(self.name):
            raise ToolError(
                f"{self.name!r} cannot name a cluster. Use at most 30 lowercase letters, digits and hyphens"
            )

    @property
    def folder(self) -> Path:
        """The folder that holds every file of the cluster."""
        return root() / self.name

    @property
    def log(self) -> Path:
        """The folder of the processes' logs."""
        return self.folder / "log"

    def create(self) -> None:
        """Create the folder; raise `ToolError` if the disk has too little space for a cluster."""
        _own(root())
        if shutil.disk_usage(root()).free < _NEEDED:
            raise ToolError(f"the disk of {root()} has too little space. A cluster needs {_NEEDED >> 20} MiB")
        self.log.mkdir(parents=True)

    def save(self, **facts: object) -> None:
        """Write the settings by which another process finds the running cluster."""
        (self.folder / "cluster.json").write_text(json.dumps(facts))

    def load(self) -> dict[str, Any]:
        """Return the settings that `save` wrote.

        Raises:
            ToolError: the cluster does not exist.
        """
        try:
            facts: dict[str, Any] = json.loads((self.folder / "cluster.json").read_text())
        except FileNotFoundError:
            known = ", ".join(names()) or "none"
            raise ToolError(
                f"cluster {self.name} does not exist (existing clusters: {known}). Run `cluster up {self.name}`"
            ) from None
        return facts

    def remove(self) -> None:
        """Delete the folder, and with the last cluster also the folder of all clusters."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.folder.exists():  # a program has just written a file, or a mount is left: the error names it
            shutil.rmtree(self.folder)
        _remove_if_empty(root())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the cluster's lock. Refuse a second `up` or `down` of the same cluster at the same time."""
        _own(root())
        path = root() / f"{self.name}.lock"
        while True:
            lock = path.open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                raise ToolError(f"another process is starting or stopping {self.name}. Wait for it") from None
            if path.exists() and path.stat().st_ino == os.fstat(lock.fileno()).st_ino:
                break
            lock.close()  # the previous holder removed this file after we opened it
        with lock:
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
                _remove_if_empty(root())


def _own(base: Path) -> None:
    """Create the folder of all clusters. Other users (such as pods) may traverse it, but not list it."""
    base.mkdir(mode=0o711, exist_ok=True)
    if base.is_symlink() or base.stat().st_uid != os.geteuid():
        raise ToolError(f"{base} is a symbolic link or belongs to another user. Remove it")


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
