"""Where the host is, and how its files are read.

In a pod the host's ``/proc``, ``/sys`` and ``/`` are mounted somewhere else, and some files of ``/proc`` show
the *reader's* namespaces whatever root they are read through (``net``, ``mounts`` and ``self``, ``sys/net/*``,
``sys/kernel/hostname``). So the host's network and mounts are read through its process 1, and the node's name is
told to us. This module knows paths and nothing of metrics.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

USER_HZ = 100
"""Ticks per second in ``/proc/stat``: part of the kernel's interface to programs (``man 7 time``), not its own HZ."""

_CHUNK = 65536
_PAGE = 4096


def read_text(path: str) -> str:
    """Return the whole of a file; bytes that are no UTF-8 survive as surrogates, so names can be used as paths."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        chunks = []
        while chunk := os.read(descriptor, _CHUNK):
            chunks.append(chunk)
    finally:
        os.close(descriptor)
    return b"".join(chunks).decode("utf-8", "surrogateescape")


def _attribute(path: str, within: int | None) -> str:
    """Return a file of sysfs, which is a page at most, in one read."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=within)
    try:
        return os.read(descriptor, _PAGE).rstrip(b"\n").decode("utf-8", "surrogateescape")
    finally:
        os.close(descriptor)


def device_of(path: str) -> int:
    """Return the number of the device that a path leads to (st_dev), without opening it."""
    return os.stat(path).st_dev  # noqa: PTH116 -- pathlib would be imported for this alone, half a MiB on every node


@dataclass(frozen=True, slots=True)
class Host:
    """The three roots under which the host's files appear, and the node's name if we were told it."""

    procfs: str = "/proc"
    sysfs: str = "/sys"
    rootfs: str = "/"
    node_name: str = ""
    own: str = "/proc/self"
    """The agent's own process, in its own mount of /proc: never the host's view of it."""

    def proc(self, name: str) -> str:
        """Return a file of the host's /proc."""
        return read_text(f"{self.procfs}/{name}")

    def sys(self, name: str) -> str:
        """Return an attribute of the host's /sys, without the newline at its end."""
        return _attribute(f"{self.sysfs}/{name}", None)

    def sys_attributes(self, directory: str, names: Iterable[str]) -> dict[str, str]:
        """Return those attributes of one directory of the host's /sys that can be read now.

        The directory is looked up once: most of what reading an attribute costs is the way to it.
        """
        found = {}
        within = os.open(f"{self.sysfs}/{directory}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in names:
                with suppress(OSError):
                    found[name] = _attribute(name, within)
        finally:
            os.close(within)
        return found

    def sys_names(self, name: str) -> list[str]:
        """Return the sorted names in a directory of the host's /sys."""
        with os.scandir(f"{self.sysfs}/{name}") as entries:
            return sorted(entry.name for entry in entries)

    def root(self, path: str) -> str:
        """Return where a path of the host is found by this process."""
        return self.rootfs.rstrip("/") + path if path != "/" else self.rootfs

    def init(self, name: str) -> str:
        """Return a file of the host's process 1: the host's network (``net/dev``) and mounts (``mountinfo``).

        Only where the roots are our own, so that both are the same host, an unreadable process 1 (hidepid) may be
        replaced by ourselves; in a pod that would pass the pod's numbers off as the node's.
        """
        try:
            return self.proc(f"1/{name}")
        except OSError:
            if not self.is_own:
                raise
            return self.proc(f"self/{name}")

    @property
    def is_own(self) -> bool:
        """Whether the host is the system this process runs in, not one mounted into its container."""
        return self.procfs == "/proc" and self.rootfs == "/"
