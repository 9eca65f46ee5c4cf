"""Space and inodes of the host's filesystems, from ``/proc/1/mountinfo`` and statvfs(3) through the host's root.

Three traps. A mount that did not propagate into the container shows what lies *under* it, mostly the root filesystem,
so a filesystem is believed only if the path leads to the device that mountinfo names. The container's mount of the host
is read-only, so whether a filesystem is, comes from the host's own options. A path is never opened: that would keep the
host from unmounting it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector, Filter, FilterFlags
from metricat_agent.families import Family, Metrics, Sample, gauge
from metricat_agent.files import read_text
from metricat_agent.host import Host, device_of
from metricat_agent.mountinfo import Mount, visible_mounts

if TYPE_CHECKING:
    from collections.abc import Callable

NO_STORAGE_PATHS = (
    r"^/(dev|proc|sys)($|/)"
    r"|^/run/(credentials|user|containerd|k3s|crio|netns)/"
    r"|^/var/lib/(docker|containers/storage|containerd|rancher/k3s/agent/containerd|lxcfs)/"
    r"|^/var/lib/kubelet/(pods|plugins)($|/)"
)
"""Mounts of the kernel, of containers and of pods (those in a directory we may not enter, and each with its pod)."""

NO_STORAGE_TYPES = (
    r"^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|efivarfs|fuse\.lxcfs|fusectl|hugetlbfs|iso9660"
    r"|mqueue|nsfs|overlay|proc|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$"
)


def _labelled(name: str, text: str) -> Family:
    return gauge(f"node_filesystem_{name}", text, "device", "mountpoint", "fstype")


SIZE = _labelled("size_bytes", "Size of the filesystem, in bytes.")
FREE = _labelled("free_bytes", "Free space, what is kept for root included, in bytes.")
AVAILABLE = _labelled("avail_bytes", "Free space that anybody may use, in bytes.")
FILES = _labelled("files", "Inodes of the filesystem; 0 where it makes them as needed.")
FILES_FREE = _labelled("files_free", "Inodes not in use.")
READ_ONLY = _labelled("readonly", "1 if the host mounted it read-only, else 0.")
DEVICE_ERROR = _labelled("device_error", "1 if its size could not be read, or not from the right device, else 0.")
MOUNT_INFO = gauge(
    "node_filesystem_mount_info",
    "1, labelled with the numbers of its device.",
    "device",
    "major",
    "minor",
    "mountpoint",
)


@dataclass(frozen=True, slots=True)
class Usage:
    """What statvfs says, in bytes and inodes."""

    size: int
    free: int
    available: int
    files: int
    files_free: int


def reads_right_device(
    mount: Mount, path: str, device_at: Callable[[str], int], own_mounts: Callable[[], dict[str, Mount]]
) -> bool:
    """Tell whether ``path`` leads into ``mount``.

    Its st_dev is the mount's device number, as a rule. Btrfs makes up another for each subvolume; then our own table of
    mounts, which speaks of superblocks as the host's does, must have the same one on top at that path.
    """
    if device_at(path) == mount.device_number:
        return True
    own = own_mounts().get(os.path.normpath(path))
    return own is not None and own.device_number == mount.device_number


def usage(path: str) -> Usage:
    """Ask the filesystem; blocks are counted in fragments (``man 3 statvfs``)."""
    answer = os.statvfs(path)
    block = answer.f_frsize
    return Usage(
        answer.f_blocks * block, answer.f_bfree * block, answer.f_bavail * block, answer.f_files, answer.f_ffree
    )


def read(host: Host, mount_points: Filter, types: Filter) -> list[tuple[Mount, Usage | None]]:
    """Read the mounts we look at and their usage; None where it cannot be had, or only from another device."""
    own: dict[str, Mount] = {}

    def own_mounts() -> dict[str, Mount]:
        if not own:
            own.update({mount.mount_point: mount for mount in visible_mounts(read_text(f"{host.own}/mountinfo"))})
        return own

    found: list[tuple[Mount, Usage | None]] = []
    for mount in visible_mounts(host.init("mountinfo")):
        if not (mount_points.keeps(mount.mount_point) and types.keeps(mount.fstype)):
            continue
        path = host.root(mount.mount_point)
        try:
            right = reads_right_device(mount, path, device_of, own_mounts)
            found.append((mount, usage(path) if right else None))
        except OSError:
            found.append((mount, None))
    return found


def parse(found: list[tuple[Mount, Usage | None]]) -> Metrics:
    """Label each by device, mount point (as the host names it) and type; no size where there was an error."""
    columns: dict[Family, list[Sample]] = {family: [] for family in FileSystems.families}
    for mount, used in found:
        labels = (mount.source, mount.mount_point, mount.fstype)
        columns[READ_ONLY].append((labels, int(mount.read_only)))
        columns[DEVICE_ERROR].append((labels, int(used is None)))
        columns[MOUNT_INFO].append(((mount.source, str(mount.major), str(mount.minor), mount.mount_point), 1))
        if used is None:
            continue
        columns[SIZE].append((labels, used.size))
        columns[FREE].append((labels, used.free))
        columns[AVAILABLE].append((labels, used.available))
        columns[FILES].append((labels, used.files))
        columns[FILES_FREE].append((labels, used.files_free))
    return list(columns.items())


class FileSystems(Collector):
    """How full the host's filesystems are."""

    name = "filesystem"
    summary = "space and inodes of the host's filesystems"
    essential = True
    families = (SIZE, FREE, AVAILABLE, FILES, FILES_FREE, READ_ONLY, DEVICE_ERROR, MOUNT_INFO)
    filter_flags = (
        FilterFlags.of("mount-points", "mount points", NO_STORAGE_PATHS),
        FilterFlags.of("fs-types", "filesystem types", NO_STORAGE_TYPES),
    )

    def collect(self) -> Metrics:
        """Read and parse."""
        return parse(read(self.host, self.filter("mount-points-exclude"), self.filter("fs-types-exclude")))
