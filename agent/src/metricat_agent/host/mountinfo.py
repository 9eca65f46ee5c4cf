"""Parser of the mount table ``/proc/PID/mountinfo`` (``man 5 proc_pid_mountinfo``). Pure: callers read the file."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache

_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of the table: a mount and its parent."""

    identity: int
    parent: int
    major: int
    minor: int
    mount_point: str
    fstype: str
    source: str
    read_only: bool
    """Whether the options of the mount or of the whole filesystem contain ``ro``."""

    @property
    def device_number(self) -> int:
        """The device number of the filesystem, as in st_dev."""
        return os.makedev(self.major, self.minor)


def unescape(field: str) -> str:
    """Replace the kernel's octal escapes of blanks, backslashes and ``#``."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), field) if "\\" in field else field


@lru_cache(maxsize=2)
def all_mounts(text: str) -> tuple[Mount, ...]:
    """Return the mounts in the kernel's order; single blanks separate fields, because a source may be empty.

    Leave out the `damaged_lines`. The last two tables are cached: a busy node has a thousand mounts, and they rarely
    change.
    """
    mounts = (_mount(line) for line in text.split("\n") if line)
    return tuple(mount for mount in mounts if mount is not None)


def damaged_lines(text: str) -> list[str]:
    """Return the lines that are not mounts."""
    return [line for line in text.split("\n") if line and _mount(line) is None]


def _mount(line: str) -> Mount | None:
    """Return the mount in a line, None if the line is not one."""
    fields = line.split(" ")
    try:
        dash = fields.index("-", 6)
        fstype, source, super_options = fields[dash + 1 : dash + 4]
        major, _, minor = fields[2].partition(":")
        identity, parent, device = int(fields[0]), int(fields[1]), (int(major), int(minor))
    except ValueError:
        return None
    return Mount(
        identity=identity,
        parent=parent,
        major=device[0],
        minor=device[1],
        mount_point=unescape(fields[4]),
        fstype=unescape(fstype),
        source=unescape(source),
        read_only="ro" in fields[5].split(",") or "ro" in super_options.split(","),
    )


@lru_cache(maxsize=2)
def visible_mounts(text: str) -> tuple[Mount, ...]:
    """Return the reachable mounts: no other mount covers them or one of their parent directories."""
    mounts = all_mounts(text)
    by_identity = {mount.identity: mount for mount in mounts}
    on_top = {(mount.parent, mount.mount_point): mount for mount in mounts if mount.parent != mount.identity}
    covered: dict[int, bool] = {}
    for mount in mounts:
        chain = []  # no recursion: the table is not in tree order, and stacks of a thousand mounts exist
        above: Mount | None = mount
        while above is not None and above.identity not in covered:
            covered[above.identity] = False
            chain.append(above)
            above = by_identity.get(above.parent)
        hidden = above is not None and covered[above.identity]
        for link in reversed(chain):
            hidden = covered[link.identity] = hidden or _is_covered(link, on_top)
    return tuple(
        mount for mount in mounts if not covered[mount.identity] and (mount.identity, mount.mount_point) not in on_top
    )


def _is_covered(mount: Mount, on_top: dict[tuple[int, str], Mount]) -> bool:
    """Return whether a sibling covers the mount or one of the directories above it."""
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
