"""Where a cluster's files lie: one folder per cluster, whose name everything that belongs to the cluster carries."""

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
    """The folder of this user's clusters: short, since unix sockets' paths are limited to 108 bytes."""
    return Path(f"/var/tmp/metricat-{os.geteuid()}")


def names() -> list[str]:
    """The clusters that have a folder, running or crashed."""
    return sorted(path.parent.name for path in root().glob("*/cluster.json"))


@dataclass(frozen=True)
class State:
    """One cluster's folder and the little that is remembered in it."""

    name: str

    def __post_init__(self) -> None:
        """Refuse a name that would not fit into paths."""
        if not _NAME.fullmatch(self.name):
            raise ToolError(f"{self.name!r} cannot name a cluster: at most 30 small letters, digits and hyphens")

    @property
    def folder(self) -> Path:
        """The folder that holds every file of the cluster."""
        return root() / self.name

    @property
    def log(self) -> Path:
        """The folder of the processes' logs."""
        return self.folder / "log"

    def create(self) -> None:
        """Make the folder, where the disk has room for a cluster."""
        _own(root())
        if shutil.disk_usage(root()).free < _NEEDED:
            raise ToolError(f"the disk of {root()} is full: a cluster needs {_NEEDED >> 20} MiB free there")
        self.log.mkdir(parents=True)

    def save(self, **facts: object) -> None:
        """Write what another process needs to find the running cluster."""
        (self.folder / "cluster.json").write_text(json.dumps(facts))

    def load(self) -> dict[str, Any]:
        """Return what `save` wrote.

        Raises:
            ToolError: the cluster does not exist.
        """
        try:
            facts: dict[str, Any] = json.loads((self.folder / "cluster.json").read_text())
        except FileNotFoundError:
            known = ", ".join(names()) or "none"
            raise ToolError(
                f"there is no cluster {self.name} (there is {known}): run `cluster up {self.name}`"
            ) from None
        return facts

    def remove(self) -> None:
        """Delete the folder, and the folder of all clusters after the last one."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.folder.exists():  # something wrote while we deleted, or a mount is left: say which
            shutil.rmtree(self.folder)
        _remove_if_empty(root())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Refuse a second `up` or `down` of the same cluster at the same time."""
        _own(root())
        path = root() / f"{self.name}.lock"
        while True:
            lock = path.open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                raise ToolError(f"another process is starting or stopping {self.name}: wait for it") from None
            if path.exists() and path.stat().st_ino == os.fstat(lock.fileno()).st_ino:
                break
            lock.close()  # the holder before us removed this file after we had opened it
        with lock:
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
                _remove_if_empty(root())


def _own(base: Path) -> None:
    """Make the folder of all clusters; others may look through it (pods do), but not list it."""
    base.mkdir(mode=0o711, exist_ok=True)
    if base.is_symlink() or base.stat().st_uid != os.geteuid():
        raise ToolError(f"{base} belongs to somebody else: remove it")


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
