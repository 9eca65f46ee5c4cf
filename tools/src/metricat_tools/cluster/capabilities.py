"""Capabilities of this process: root in a container often lacks some (capabilities(7))."""

from enum import IntEnum
from pathlib import Path


class Capability(IntEnum):
    """Numbers of the capabilities that a cluster with nodes uses. The cluster also works without CAP_SYS_RESOURCE."""

    CAP_NET_ADMIN = 12
    CAP_SYS_ADMIN = 21
    CAP_SYS_RESOURCE = 24


def have(capability: Capability, status: str | None = None) -> bool:
    """Return whether a process, by default this one, has the capability. `status` is the text of /proc/PID/status."""
    text = Path("/proc/self/status").read_text() if status is None else status
    effective = next(line.split()[1] for line in text.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> capability & 1)
