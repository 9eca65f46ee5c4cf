"""The table of mounts, ``/proc/PID/mountinfo`` (``man 5 proc_pid_mountinfo``). Pure: it parses, others read."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache

_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line: a mount and its place in the tree of mounts."""

    identity: int
    parent: int
    major: int
    minor: int
    mount_point: str
    fstype: str
    source: str
    read_only: bool
    """By the options of the mount or of the whole filesystem."""

    @property
    def device_number(self) -> int:
        """The number of the filesystem's device as st_dev has it."""
        return os.makedev(self.major, self.minor)


def plain(field: str) -> str:
    """Undo the kernel's octal escapes of blanks, backslashes and number signs."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), field) if "\\" in field else field


@lru_cache(maxsize=2)
def all_mounts(text: str) -> tuple[Mount, ...]:
    """Return the mounts in the kernel's order; a source may be empty, so fields are told apart by single blanks.

    A busy node has a thousand mounts and hardly ever a new one: the last two tables are remembered.
    """
    return tuple(_mount(line) for line in text.split("\n") if line)


def _mount(line: str) -> Mount:
    fields = line.split(" ")
    dash = fields.index("-", 6)
    fstype, source, super_options = fields[dash + 1 : dash + 4]
    major, _, minor = fields[2].partition(":")
    return Mount(
        identity=int(fields[0]),
        parent=int(fields[1]),
        major=int(major),
        minor=int(minor),
        mount_point=plain(fields[4]),
        fstype=fstype,
        source=plain(source),
        read_only="ro" in fields[5].split(",") or "ro" in super_options.split(","),
    )


@lru_cache(maxsize=2)
def visible_mounts(text: str) -> tuple[Mount, ...]:
    """Return all but the mounts that no path leads to, as another lies over them or over a directory above them."""
    mounts = all_mounts(text)
    by_identity = {mount.identity: mount for mount in mounts}
    on_top = {(mount.parent, mount.mount_point): mount for mount in mounts if mount.parent != mount.identity}
    buried: dict[int, bool] = {}
    for mount in mounts:
        chain = []  # the table is not in the order of the tree, and towers of a thousand mounts exist: no recursion
        above: Mount | None = mount
        while above is not None and above.identity not in buried:
            buried[above.identity] = False
            chain.append(above)
            above = by_identity.get(above.parent)
        hidden = above is not None and buried[above.identity]
        for link in reversed(chain):
            hidden = buried[link.identity] = hidden or _covered(link, on_top)
    return tuple(
        mount for mount in mounts if not buried[mount.identity] and (mount.identity, mount.mount_point) not in on_top
    )


def _covered(mount: Mount, on_top: dict[tuple[int, str], Mount]) -> bool:
    """Tell whether a sibling lies over the mount, or over a directory on the way to it."""
    if mount.parent == mount.identity:
        return False
    if on_top[mount.parent, mount.mount_point] is not mount:
        return True
    above = mount.mount_point
    while above != "/":
        above = above.rpartition("/")[0] or "/"
        if (mount.parent, above) in on_top:
            return True
    return False
