"""Where the host is, and how its files are read.

In a pod the host's ``/proc``, ``/sys`` and ``/`` are mounted somewhere else, and some files of ``/proc`` show
the *reader's* namespaces whatever root they are read through (``net``, ``mounts`` and ``self``, ``sys/net/*``,
``sys/kernel/hostname``). So the host's network and mounts are read through its process 1, and the node's name is
told to us. This module knows paths and nothing of metrics.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from metricat_agent.host.cached_files import CachedFiles, read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

T = TypeVar("T")
USER_HZ = 100
"""Ticks per second in ``/proc/stat``: part of the kernel's interface to programs (``man 7 time``), not its own HZ."""


def device_of(path: str) -> int:
    """Return the number of the device that a path leads to (st_dev), without opening it."""
    return os.stat(path).st_dev  # noqa: PTH116 -- pathlib would be imported for this alone, half a MiB on every node


@dataclass(frozen=True, slots=True)
class Host:
    """The three roots under which the host's files appear, and the node's name if we were told it."""

    procfs: str = "/proc"
    sysfs: str = "/sys"
    rootfs: str = "/"
    udev_data: str = ""
    """Where udev keeps its data; empty: where it does on the host."""
    node_name: str = ""
    self_proc: str = "/proc/self"
    """The agent's own process, in its own mount of /proc: never the host's view of it."""
    files: CachedFiles = field(default_factory=CachedFiles, compare=False, repr=False)

    def with_own_files(self) -> Host:
        """Return the same host for another thread."""
        return replace(self, files=CachedFiles())

    def proc(self, name: str) -> str:
        """Return a file of the host's /proc."""
        return self.files.text(f"{self.procfs}/{name}")

    def sys(self, name: str) -> str:
        """Return an attribute of the host's /sys, without the newline at its end."""
        return self.files.text(f"{self.sysfs}/{name}").rstrip("\n")

    def sys_attributes(self, directory: str, names: Iterable[str], fixed: Iterable[str] = ()) -> Mapping[str, str]:
        """Return those attributes of one directory of the host's /sys that can be read now.

        Those that are `fixed` as long as the directory is there may have been read before. As long as all are what
        they were, the same object is returned.
        """
        return self.files.attributes(f"{self.sysfs}/{directory}", names, fixed)

    def sys_names(self, name: str) -> list[str]:
        """Return the sorted names in a directory of the host's /sys."""
        return sorted(os.listdir(f"{self.sysfs}/{name}"))  # noqa: PTH208 -- pathlib would be imported for this alone

    def sys_each(self, directory: str, read: Callable[[str], T], keeps: Callable[[str], object] = bool) -> dict[str, T]:
        """Return what can be read of each entry of a directory of the host's /sys, by its name.

        Nothing where the kernel has no such directory; an entry that goes away meanwhile is left out.
        """
        try:
            entries = self.sys_names(directory)
        except FileNotFoundError:
            return {}
        found = {}
        for entry in filter(keeps, entries):
            try:
                found[entry] = read(entry)
            except OSError:
                continue
        return found

    def proc_names(self, name: str) -> list[str]:
        """Return the sorted names in a directory of the host's /proc."""
        return sorted(os.listdir(f"{self.procfs}/{name}"))  # noqa: PTH208 -- as above

    def root(self, path: str) -> str:
        """Return where a path of the host is found by this process."""
        return self.rootfs.rstrip("/") + path if path != "/" else self.rootfs

    def root_text(self, path: str) -> str:
        """Return a file of the host's root; its descriptor is not kept."""
        return read_text(self.root(path))

    def root_stamp(self, path: str) -> tuple[int, int] | None:
        """Return what changes when a file of the host's root is written or replaced; None if it is not there."""
        try:
            found = os.stat(self.root(path))  # noqa: PTH116 -- as above
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino

    def udev(self, name: str) -> str:
        """Return a file of udev's data."""
        return read_text(f"{self.udev_data or self.root('/run/udev/data')}/{name}")

    def pid1(self, name: str) -> str:
        """Return a file of the host's process 1: the host's network (``net/dev``) and mounts (``mountinfo``).

        Only where the roots are our own, so that both are the same host, an unreadable process 1 (hidepid) may be
        replaced by ourselves; in a pod that would pass the pod's numbers off as the node's.
        """
        try:
            return self.proc(f"1/{name}")
        except OSError:
            if not self.is_local:
                raise
            return self.proc(f"self/{name}")

    @property
    def is_local(self) -> bool:
        """Whether the host is the system this process runs in, not one mounted into its container."""
        return self.procfs == "/proc" and self.rootfs == "/"
