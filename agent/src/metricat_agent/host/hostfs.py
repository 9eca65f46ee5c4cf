"""The paths under which the host's files appear, and how to read them.

In a pod the host's ``/proc``, ``/sys`` and ``/`` are mounted under other paths. Some files of ``/proc`` show the
*reader's* namespaces, whatever mount they are read through: ``net``, ``mounts`` and ``self``, ``sys/net/*``,
``sys/kernel/hostname``. So the host's network and mounts are read through its process 1, and the node's name is a
setting. This module handles paths, not metrics.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from metricat_agent.host.cached_files import CachedFiles, read_text
from metricat_agent.host.rooted_path import resolve_in_root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from metricat_agent.host.fd_limit import FdLimit
    from metricat_agent.host.skips import Skips

T = TypeVar("T")
USER_HZ = 100
"""Ticks per second in ``/proc/stat``: part of the kernel's user interface (``man 7 time``), not its internal HZ."""


def device_of(path: str) -> int:
    """Return the device number of a path (st_dev), without opening it."""
    return os.stat(path).st_dev  # noqa: PTH116 -- importing pathlib for this alone costs half a MiB on every node


@dataclass(frozen=True, slots=True)
class Host:
    """The three roots under which the host's files appear, and the node's name if it was configured."""

    procfs: str = "/proc"
    sysfs: str = "/sys"
    rootfs: str = "/"
    udev_data: str = ""
    """The directory of udev's data; empty: /run/udev/data below `rootfs`."""
    node_name: str = ""
    self_proc: str = "/proc/self"
    """The agent's own process in its own mount of /proc, never in the host's."""
    files: CachedFiles = field(default_factory=CachedFiles, compare=False, repr=False)

    @property
    def fd_limit(self) -> FdLimit:
        """The limit of open descriptors that this host shares with every host made by `with_own_files`."""
        return self.files.fd_limit

    def with_own_files(self) -> Host:
        """Return the same host for another thread: with its own open files, within the same limit."""
        return replace(self, files=CachedFiles(self.fd_limit))

    @property
    def skips(self) -> Skips:
        """The parts of the host that the reading thread could not read. Each method that reads adds to them.

        A file that does not exist is not counted.
        """
        return self.files.skips

    def proc(self, name: str) -> str:
        """Return the content of a file of the host's /proc."""
        return self._text(f"{self.procfs}/{name}")

    def optional_proc(self, name: str) -> str | None:
        """Return the content of a file of the host's /proc, None if it does not exist or cannot be read."""
        return _optional(self.proc, name)

    def sys(self, name: str) -> str:
        """Return an attribute of the host's /sys, without its final newline."""
        return self._text(f"{self.sysfs}/{name}").rstrip("\n")

    def optional_sys(self, name: str) -> str | None:
        """Return an attribute of the host's /sys, None if it does not exist or cannot be read."""
        return _optional(self.sys, name)

    def sys_attributes(self, directory: str, names: Iterable[str], fixed: Iterable[str] = ()) -> Mapping[str, str]:
        """Return the attributes of one directory of the host's /sys that can be read now.

        Attributes in ``fixed`` never change while they exist, and may come from an earlier read. The result is the same
        object as the last time if all attributes are equal and stayed open. Raise OSError if the directory cannot be
        opened.
        """
        path = f"{self.sysfs}/{directory}"
        try:
            return self.files.attributes(path, names, fixed)
        except OSError as error:
            self.skips.add_error(error, path)
            raise

    def optional_attributes(self, directory: str, names: Iterable[str], fixed: Iterable[str] = ()) -> Mapping[str, str]:
        """Return the attributes of a directory as `sys_attributes` does, none if the directory cannot be read."""
        try:
            return self.sys_attributes(directory, names, fixed)
        except OSError:
            return {}

    def sys_names(self, name: str) -> list[str]:
        """Return the sorted names in a directory of the host's /sys."""
        return self._names(f"{self.sysfs}/{name}")

    def optional_sys_names(self, name: str) -> list[str]:
        """Return the sorted names in a directory of the host's /sys, none if it does not exist or may not be read."""
        return _optional(self.sys_names, name) or []

    def sys_each(self, directory: str, read: Callable[[str], T], keeps: Callable[[str], object] = bool) -> dict[str, T]:
        """Return the result of ``read`` for each entry of a directory of the host's /sys that ``keeps`` accepts.

        The result is empty if the directory does not exist or cannot be read. Entries that raise OSError are left out:
        they disappeared during the read, or they are counted in `skips`.
        """
        found = {}
        for entry in filter(keeps, self.optional_sys_names(directory)):
            try:
                found[entry] = read(entry)
            except OSError:
                continue
        return found

    def proc_names(self, name: str) -> list[str]:
        """Return the sorted names in a directory of the host's /proc."""
        return self._names(f"{self.procfs}/{name}")

    def root(self, path: str) -> str:
        """Return this process's path to a path of the host; the path must not contain symbolic links."""
        return self.rootfs.rstrip("/") + path if path != "/" else self.rootfs

    def root_text(self, path: str) -> str:
        """Return the content of a file of the host's root; its descriptor is closed immediately."""
        try:
            return read_text(resolve_in_root(self.rootfs, path))
        except OSError as error:
            self.skips.add_error(error, self.root(path))
            raise

    def root_stamp(self, path: str) -> tuple[int, int] | None:
        """Return a value that changes when a file of the host's root is written or replaced; None without the file."""
        try:
            found = os.stat(resolve_in_root(self.rootfs, path))  # noqa: PTH116 -- as above
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino

    def udev_directory(self) -> str:
        """Return the directory of udev's data as this process sees it; raise OSError if a mounted root has none."""
        return self.udev_data or resolve_in_root(self.rootfs, "/run/udev/data")

    def udev(self, directory: str, name: str) -> str:
        """Return the content of a file of udev's data, which is in ``directory``."""
        path = f"{directory}/{name}"
        try:
            return read_text(path)
        except OSError as error:
            self.skips.add_error(error, path)
            raise

    def pid1(self, name: str, longest_line: int = 0) -> str:
        """Return a file of the host's process 1: the host's network (``net/dev``) and mounts (``mountinfo``).

        If process 1 is not readable (hidepid), the agent's own process replaces it, but only if `is_local`. In a pod
        that would expose the pod's numbers as the node's. ``longest_line`` is described in `CachedFiles.text`.
        """
        if not self.is_local:
            return self._text(f"{self.procfs}/1/{name}", longest_line)
        try:
            return self.files.text(f"{self.procfs}/1/{name}", longest_line)
        except OSError:
            return self._text(f"{self.procfs}/self/{name}", longest_line)

    def optional_pid1(self, name: str, longest_line: int = 0) -> str | None:
        """Return a file of the host's process 1 as `pid1` does, None if it does not exist or cannot be read."""
        return _optional(lambda name: self.pid1(name, longest_line), name)

    @property
    def is_local(self) -> bool:
        """Whether the host is the system that this process runs in, not one mounted into its container."""
        return self.procfs == "/proc" and self.rootfs == "/"

    def _text(self, path: str, longest_line: int = 0) -> str:
        try:
            return self.files.text(path, longest_line)
        except OSError as error:
            self.skips.add_error(error, path)
            raise

    def _names(self, path: str) -> list[str]:
        try:
            return sorted(os.listdir(path))  # noqa: PTH208 -- importing pathlib costs half a MiB
        except OSError as error:
            self.skips.add_error(error, path)
            raise


def _optional(read: Callable[[str], T], name: str) -> T | None:
    try:
        return read(name)
    except OSError:
        return None
