"""Space and inodes of the host's filesystems, from ``/proc/1/mountinfo`` and statvfs(3) through the host's root.

Four traps. A mount that did not propagate into the container shows what lies *under* it, mostly the root filesystem,
so a filesystem is believed only if the path leads to the device that mountinfo names. The container's mount of the host
is read-only, so whether a filesystem is, comes from the host's own options. A path is never opened: that would keep the
host from unmounting it. A mount of a dead server hangs whoever looks at it, so a child does (`prober`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector, Filter, FilterFlags
from metricat_agent.exposition.model import Family, Metrics, Sample, gauge
from metricat_agent.host.cached_files import read_text
from metricat_agent.host.hostfs import Host, device_of
from metricat_agent.host.mount_prober import MountAnswer, Prober
from metricat_agent.host.mountinfo import Mount, visible_mounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

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


LOCAL_FSTYPES = frozenset(
    (
        *("bcachefs", "btrfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "iso9660", "jfs", "msdos", "ntfs3"),
        *("overlay", "ramfs", "reiserfs", "rootfs", "squashfs", "tmpfs", "udf", "vfat", "xfs", "zfs"),
        *("autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs"),
        *("fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore", "securityfs", "selinuxfs", "sysfs", "tracefs"),
    )
)
"""Types that answer statfs(2) from the kernel's own memory. All others are asked by a child."""


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


def reads_right_device(mount: Mount, path: str, device: int, own_mounts: Callable[[], Mapping[str, Mount]]) -> bool:
    """Tell whether ``path``, which leads to this device, leads into ``mount``.

    The device is the mount's, as a rule. Btrfs makes up another for each subvolume; then our own table of mounts, which
    speaks of superblocks as the host's does, must have the same one on top at that path.
    """
    if device == mount.device_number:
        return True
    own = own_mounts().get(os.path.normpath(path))
    return own is not None and own.device_number == mount.device_number


def statvfs(path: str) -> MountAnswer:
    """Ask the filesystem ourselves; blocks are counted in fragments (``man 3 statvfs``)."""
    found = os.statvfs(path)
    numbers = (found.f_frsize, found.f_blocks, found.f_bfree, found.f_bavail, found.f_files, found.f_ffree)
    return MountAnswer(device_of(path), *numbers)


def risky_mounts(mounts: Iterable[Mount]) -> frozenset[int]:
    """Return the mounts that may hang: those whose type is not known to answer from memory, and all below them."""
    found: set[int] = set()
    for mount in sorted(mounts, key=lambda mount: len(mount.mount_point)):
        if mount.fstype not in LOCAL_FSTYPES or mount.parent in found:
            found.add(mount.identity)
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class MountPlan:
    """The mounts that a table holds, those we look at, and the numbers of those that may hang."""

    table: tuple[Mount, ...] = ()
    chosen: tuple[Mount, ...] = ()
    may_hang: frozenset[int] = frozenset()


def plan_mounts(table: tuple[Mount, ...], mount_points: Filter, types: Filter) -> MountPlan:
    """Choose from a table of mounts."""
    chosen = tuple(mount for mount in table if mount_points.keeps(mount.mount_point) and types.keeps(mount.fstype))
    return MountPlan(table, chosen, risky_mounts(table))


def read(host: Host, plan: MountPlan, prober: Prober) -> list[tuple[Mount, Usage | None]]:
    """Read the usage of the mounts; None where it cannot be had, or only from another device."""
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
    """Turn blocks into bytes."""
    block = answer.block
    return Usage(answer.blocks * block, answer.free * block, answer.available * block, answer.files, answer.files_free)


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

    def setup(self) -> None:
        """Begin without a child: most nodes need none."""
        self._prober = Prober()
        self._plan = MountPlan()

    def collect(self) -> Metrics:
        """Read and parse; choose anew when a mount came or went."""
        table = visible_mounts(self.host.pid1("mountinfo"))
        if table is not self._plan.table:
            self._plan = plan_mounts(table, self.filter("mount-points-exclude"), self.filter("fs-types-exclude"))
        return self.parse_if_changed(read(self.host, self._plan, self._prober), parse)
