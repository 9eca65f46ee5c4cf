"""Check of the agent's network namespace: ``/proc/sys/net`` shows that of the reader, which may not be the host's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from metricat_agent.host.cached_files import read_text
from metricat_agent.host.hostfs import device_of
from metricat_agent.host.mountinfo import all_mounts

if TYPE_CHECKING:
    from metricat_agent.host.hostfs import Host

_TABLE = "net/dev"
"""A file that each network namespace has once, with its own inode number, in every mount of /proc."""


def is_host_network(host: Host) -> bool:
    """Return whether this process is in the network namespace of the host's process 1.

    Comparing the links ``ns/net`` needs the right to trace process 1, so compare inode numbers. A tree of files that is
    not a procfs (a recording) counts as the host's. If process 1 is not readable (hidepid), the result is true for a
    local host, and false for a mounted procfs.
    """
    try:
        if _inode(f"{host.procfs}/1/{_TABLE}") == _inode(f"{host.self_proc}/{_TABLE}"):
            return True
    except OSError:
        if host.is_local:
            return True
    device = device_of(host.procfs)
    mounts = all_mounts(read_text(f"{host.self_proc}/mountinfo"))
    return not any(mount.fstype == "proc" and mount.device_number == device for mount in mounts)


def _inode(path: str) -> int:
    return os.stat(path).st_ino  # noqa: PTH116 -- as in hostfs.py
