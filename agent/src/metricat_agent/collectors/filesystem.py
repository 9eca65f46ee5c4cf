"""Space and inodes of the host's filesystems, from ``/proc/1/mountinfo`` and statvfs(3) through the host's root.

Four rules:

- A mount that did not propagate into the container shows the filesystem *under* it, mostly the root filesystem. So a
  result counts only if the path leads to the device in mountinfo.
- The container's mount of the host is read-only. So the read-only state comes from the host's mount options.
- Never open a path: an open file prevents the host from unmounting the filesystem.
- statvfs(3) hangs on the mount of a server that does not respond. So a subprocess calls it there (`mount_prober`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector, Filter, FilterFlags
from metricat_agent.exposition.model import Family, Metrics, Sample, gauge
from metricat_agent.host.cached_files import read_text
from metricat_agent.host.hostfs import Host, device_of
from metricat_agent.host.mount_prober import MountAnswer, Prober
from metricat_agent.host.mountinfo import Mount, damaged_lines, visible_mounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_SHOWN = 40
NO_STORAGE_PATHS = (
    r"^/(dev|proc|sys)($|/)"
    r"|^/run/(credentials|user|containerd|k3s|crio|netns)/"
    r"|^/var/lib/(docker|containers/storage|containerd|rancher/k3s/agent/containerd|lxcfs)/"
    r"|^/var/lib/kubelet/(pods|plugins)($|/)"
)
"""Mounts of the kernel, users, containers and pods.

The agent cannot read pods' mounts, and these appear and disappear with the pods.
"""

NO_STORAGE_TYPES = (
    r"^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|efivarfs|fuse\.lxcfs|fusectl|hugetlbfs|iso9660"
    r"|mqueue|nsfs|overlay|proc|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$"
)


LOCAL_FSTYPES = frozenset(
    (
        *("bcachefs", "btrfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "iso9660", "jfs", "msdos", "ntfs3"),
        *("overlay", "ramfs", "reiserfs", "rootfs", "squashfs", "tmpfs", "udf", "vfat", "xfs", "zfs"),
        *("autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs"),
        *("fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore", "securityfs", "selinuxfs", "sysfs", "tracefs"),
    )
)
"""Types for which statfs(2) uses only the kernel's memory. A subprocess calls statfs(2) for all others."""


def _labeled(name: str, text: str) -> Family:
    return gauge(f"node_filesystem_{name}", text, "device", "mountpoint", "fstype")


SIZE = _labeled("size_bytes", "Size of the filesystem, in bytes.")
FREE = _labeled("free_bytes", "Free space, including the space reserved for root, in bytes.")
AVAILABLE = _labeled("avail_bytes", "Free space available to unprivileged users, in bytes.")
FILES = _labeled("files", "Inodes of the filesystem; 0 if it creates them on demand.")
FILES_FREE = _labeled("files_free", "Free inodes of the filesystem.")
READ_ONLY = _labeled("readonly", "1 if the host mounted the filesystem read-only, 0 if not.")
DEVICE_ERROR = _labeled("device_error", "1 if the size could not be read, or came from another device; 0 if not.")
MOUNT_INFO = gauge(
    "node_filesystem_mount_info",
    "1, labeled with the major and minor number of the device.",
    "device",
    "major",
    "minor",
    "mountpoint",
)


@dataclass(frozen=True, slots=True)
class Usage:
    """Result of statvfs(3), in bytes and inodes."""

    size: int
    free: int
    available: int
    files: int
    files_free: int


def reads_right_device(mount: Mount, path: str, device: int, own_mounts: Callable[[], Mapping[str, Mount]]) -> bool:
    """Return whether ``path``, which is on the device ``device``, belongs to ``mount``.

    The device is usually that of the mount. Btrfs uses another device for each subvolume. Then the agent's own mount
    table decides: like the host's table, it has the device of the superblock. Its topmost mount at that path must have
    the device of ``mount``.
    """
    if device == mount.device_number:
        return True
    own = own_mounts().get(os.path.normpath(path))
    return own is not None and own.device_number == mount.device_number


def statvfs(path: str) -> MountAnswer:
    """Return a filesystem's usage, read in this process. A block has the fragment size (``man 3 statvfs``)."""
    found = os.statvfs(path)
    numbers = (found.f_frsize, found.f_blocks, found.f_bfree, found.f_bavail, found.f_files, found.f_ffree)
    return MountAnswer(device_of(path), *numbers)


def mounts_that_may_hang(mounts: Iterable[Mount]) -> frozenset[int]:
    """Return the IDs of mounts that may hang: their type is not in `LOCAL_FSTYPES`, or they are below such a mount."""
    found: set[int] = set()
    for mount in sorted(mounts, key=lambda mount: len(mount.mount_point)):
        if mount.fstype not in LOCAL_FSTYPES or mount.parent in found:
            found.add(mount.identity)
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class MountPlan:
    """The mounts in a mount table, the selected mounts, and the IDs of mounts that may hang."""

    table: tuple[Mount, ...] = ()
    chosen: tuple[Mount, ...] = ()
    may_hang: frozenset[int] = frozenset()
    damaged: tuple[str, ...] = ()
    """Lines of the table that are not mounts."""


def plan_mounts(table: tuple[Mount, ...], mount_points: Filter, types: Filter) -> MountPlan:
    """Return the plan for a mount table and its filters."""
    chosen = tuple(mount for mount in table if mount_points.keeps(mount.mount_point) and types.keeps(mount.fstype))
    return MountPlan(table, chosen, mounts_that_may_hang(table))


def read(host: Host, plan: MountPlan, prober: Prober) -> list[tuple[Mount, Usage | None]]:
    """Return the usage of each selected mount. It is None if statvfs(3) fails or returns another device."""
    own: dict[str, Mount] = {}

    def own_mounts() -> Mapping[str, Mount]:
        if not own:
            own.update({mount.mount_point: mount for mount in visible_mounts(read_text(f"{host.self_proc}/mountinfo"))})
        return own

    prober.begin_round()
    found: list[tuple[Mount, Usage | None]] = []
    for mount in plan.chosen:
        path = host.root(mount.mount_point)
        try:
            answer = (prober.probe if mount.identity in plan.may_hang else statvfs)(path)
            right = reads_right_device(mount, path, answer.device, own_mounts)
            found.append((mount, usage(answer) if right else None))
        except OSError:
            found.append((mount, None))
    return found


def usage(answer: MountAnswer) -> Usage:
    """Return the usage in bytes and inodes."""
    block = answer.block
    return Usage(answer.blocks * block, answer.free * block, answer.available * block, answer.files, answer.files_free)


def parse(found: list[tuple[Mount, Usage | None]]) -> Metrics:
    """Return the metrics of each filesystem, labeled by device, the host's mount point and type. Omit unread sizes."""
    columns: dict[Family, list[Sample]] = {family: [] for family in Filesystems.families}
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


class Filesystems(Collector):
    """Space and inodes of the host's filesystems."""

    name = "filesystem"
    summary = "space and inodes of the host's filesystems"
    essential = True
    families = (SIZE, FREE, AVAILABLE, FILES, FILES_FREE, READ_ONLY, DEVICE_ERROR, MOUNT_INFO)
    filter_flags = (
        FilterFlags.of("mount-points", "mount points", NO_STORAGE_PATHS),
        FilterFlags.of("fs-types", "filesystem types", NO_STORAGE_TYPES),
    )

    def setup(self) -> None:
        """Start without a subprocess: most nodes do not need it."""
        self._prober = Prober()
        self._plan = MountPlan()

    def collect(self) -> Metrics:
        """Return space and inodes per filesystem. Select the mounts again if the mount table has changed."""
        text = self.host.pid1("mountinfo")
        table = visible_mounts(text)
        if not table:
            raise ValueError("/proc/1/mountinfo has no mount")
        if table is not self._plan.table:
            plan = plan_mounts(table, self.filter("mount-points-exclude"), self.filter("fs-types-exclude"))
            self._plan = replace(plan, damaged=tuple(damaged_lines(text)))
        for line in self._plan.damaged:
            self.host.skips.add("unparsable", f"mountinfo {line[:_SHOWN]}")
        return self.parse_if_changed(read(self.host, self._plan, self._prober), parse)
