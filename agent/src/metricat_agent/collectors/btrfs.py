"""Space and commits of Btrfs filesystems, from ``/sys/fs/btrfs`` (kernel: fs/btrfs/sysfs.c).

Since Linux 5.14, sysfs has the errors of each device by the device's number. Only an ioctl on the mounted filesystem
maps numbers to names, except where the filesystem has a single device. Data that only an ioctl returns is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.parts import UNCOUNTED, parse_file, parse_part, whole
from metricat_agent.exposition.model import Family, Metrics, Sample, counter, gauge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

_GROUP = ("uuid", "block_group_type")
INFO = gauge("node_btrfs_info", "1, labeled with the label of a filesystem.", "uuid", "label")
RESERVE = gauge(
    "node_btrfs_global_rsv_size_bytes", "Space reserved so that files can always be deleted, in bytes.", "uuid"
)
DEVICE_SIZE = gauge("node_btrfs_device_size_bytes", "Size of a device of a filesystem, in bytes.", "uuid", "device")
RESERVED = gauge("node_btrfs_reserved_bytes", "Space reserved for writes in progress, in bytes.", *_GROUP)
USED = gauge(
    "node_btrfs_used_bytes", "Space in use, in bytes; several copies of a block count as one.", *_GROUP, "mode"
)
SIZE = gauge(
    "node_btrfs_size_bytes", "Space allocated, in bytes; several copies of a block count as one.", *_GROUP, "mode"
)
RATIO = gauge(
    "node_btrfs_allocation_ratio",
    "Bytes used on the devices for each byte of data, by type of data and RAID mode.",
    *_GROUP,
    "mode",
)
COMMITS: dict[str, tuple[Family, float]] = {
    "commits": (counter("node_btrfs_commits_total", "Transactions committed to disk.", "uuid"), 1),
    "last_commit_ms": (
        gauge("node_btrfs_last_commit_seconds", "Duration of the last commit of a transaction, in seconds.", "uuid"),
        0.001,
    ),
    "max_commit_ms": (
        gauge("node_btrfs_max_commit_seconds", "Duration of the longest commit of a transaction, in seconds.", "uuid"),
        0.001,
    ),
    "total_commit_ms": (
        counter(
            "node_btrfs_commit_seconds_total",
            "Sum of the durations of all commits of transactions, in seconds.",
            "uuid",
        ),
        0.001,
    ),
}
"""By the word in ``commit_stats`` (Linux 6.0 or newer): a family, and the factor that converts to its unit."""
ERRORS = counter(
    "node_btrfs_device_errors_total",
    "Errors of a device, by type (read, write, flush, corruption, generation).",
    "uuid",
    "type",
    "device",
)
_COPIES = {"single": 1, "raid0": 1, "dup": 2, "raid1": 2, "raid10": 2, "raid1c3": 3, "raid1c4": 4}
_PARITIES = {"raid5": 1, "raid6": 2}
_NO_MODES = re.compile(r"(bytes|disk|total)_|flags$|size_classes$|.*_(size|threshold|alloc)$")
"""Files of a block group. Other entries are directories of modes (profiles), which have ``used_bytes``."""
_FILES = ("label", "metadata_uuid", "commit_stats", "allocation/global_rsv_size")
_SECTOR = 512
"""The unit of a block device's `size`, independent of its block size (kernel: ABI/stable/sysfs-block)."""


@dataclass(frozen=True, slots=True)
class BtrfsFilesystem:
    """Files of one filesystem, the sizes of its devices by name, and the files of its block groups by type."""

    name: str
    files: Mapping[str, str]
    devices: Mapping[str, str | None] = field(default_factory=dict)
    groups: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    """The text of ``error_stats`` by the device's number."""


def read(host: Host) -> list[BtrfsFilesystem]:
    """Return the files of all mounted filesystems, if any. Skip a filesystem that is unmounted during the read."""
    found = host.sys_each("fs/btrfs", lambda entry: _filesystem(host, entry), lambda entry: "-" in entry)
    return list(found.values())


def _filesystem(host: Host, entry: str) -> BtrfsFilesystem:
    """Return one filesystem. Each directory is optional: old kernels and unusual profiles lack some."""
    place = f"fs/btrfs/{entry}"
    files = host.sys_attributes(place, _FILES)
    devices = {name: _device_size(host, place, name) for name in host.optional_sys_names(f"{place}/devices")}
    groups = {}
    # block groups: data and metadata (or both as mixed), and system
    for group in host.optional_sys_names(f"{place}/allocation"):
        if group.startswith("global_rsv_"):
            continue
        modes = [name for name in host.optional_sys_names(f"{place}/allocation/{group}") if not _NO_MODES.match(name)]
        names = ["bytes_reserved", *(f"{mode}/{file}" for mode in modes for file in ("total_bytes", "used_bytes"))]
        groups[group] = host.optional_attributes(f"{place}/allocation/{group}", names)
    numbers = host.optional_sys_names(f"{place}/devinfo")
    errors = host.optional_attributes(f"{place}/devinfo", [f"{number}/error_stats" for number in numbers])
    texts = {path.removesuffix("/error_stats"): text for path, text in errors.items()}
    return BtrfsFilesystem(entry, files, devices, groups, texts)


def _device_size(host: Host, place: str, name: str) -> str | None:
    """Return the size of a device in sectors, None if it is unknown. A copy of sysfs may lack the device's link."""
    size = host.optional_sys(f"{place}/devices/{name}/size")
    return host.optional_sys(f"block/{name}/size") if size is None else size


def ratio(mode: str, devices: int) -> float | None:
    """Return the bytes used on devices for each byte of data: the number of copies, or the overhead of parity.

    The result is None for an unknown mode.
    """
    if mode in _COPIES:
        return _COPIES[mode]
    return devices / max(devices - _PARITIES[mode], 1) if mode in _PARITIES else None


def errors(filesystem: BtrfsFilesystem, skips: Skips) -> Iterator[Sample]:
    """Yield errors by kind and device. Skip a device whose counts the kernel has not read (``invalid``)."""
    alone = len(filesystem.errors) == len(filesystem.devices) == 1
    for number, text in filesystem.errors.items():
        device = next(iter(filesystem.devices)) if alone else f"devid {number}"
        place = f"fs/btrfs/{filesystem.name}/devinfo/{number}/error_stats"
        for word, count in _counts(text, place, skips):
            if word.endswith("_errs"):
                yield (word.removesuffix("_errs"), device), count


def _counts(text: str, place: str, skips: Skips) -> Iterator[tuple[str, int]]:
    """Yield the words and numbers of lines ``WORD NUMBER``."""
    for line in text.split("\n"):
        word, _, number = line.partition(" ")
        count = parse_part(skips, f"{place} {word}", whole, number if word != "invalid" else word)
        if count is not None:
            yield word, count


def parse(filesystems: Iterable[BtrfsFilesystem], skips: Skips = UNCOUNTED) -> Metrics:
    """Return the metrics of each filesystem. Convert sectors to bytes and milliseconds to seconds."""
    columns: dict[Family, list[Sample]] = {family: [] for family in Btrfs.families}
    for filesystem in filesystems:
        files, place = filesystem.files, f"fs/btrfs/{filesystem.name}"
        uuid = files.get("metadata_uuid") or filesystem.name
        columns[INFO].append(((uuid, files.get("label", "")), 1))
        reserve = parse_file(skips, files, "allocation/global_rsv_size", place, whole)
        if reserve is not None:
            columns[RESERVE].append(((uuid,), reserve))
        if "commit_stats" in files:
            for word, number in _counts(files["commit_stats"], f"{place}/commit_stats", skips):
                if word in COMMITS:
                    family, share = COMMITS[word]
                    columns[family].append(((uuid,), number * share))
        for device, text in filesystem.devices.items():
            size = None if text is None else parse_part(skips, f"{place}/devices/{device}/size", whole, text)
            if size is not None:
                columns[DEVICE_SIZE].append(((uuid, device), size * _SECTOR))
        columns[ERRORS] += [((uuid, *labels), count) for labels, count in errors(filesystem, skips)]
        for family, sample in groups(uuid, filesystem, skips):
            columns[family].append(sample)
    return list(columns.items())


def groups(uuid: str, filesystem: BtrfsFilesystem, skips: Skips) -> Iterator[tuple[Family, Sample]]:
    """Yield the samples of the block groups."""
    for group, texts in filesystem.groups.items():
        for path in texts:
            number = parse_file(skips, texts, path, f"fs/btrfs/{filesystem.name}/allocation/{group}", whole)
            if number is None:
                continue
            mode, _, file = path.rpartition("/")
            if mode and mode not in _COPIES and mode not in _PARITIES and f"{mode}/used_bytes" not in texts:
                continue
            if not mode:
                yield RESERVED, ((uuid, group), number)
            elif file == "total_bytes":
                yield SIZE, ((uuid, group, mode), number)
                if (on_devices := ratio(mode, len(filesystem.devices))) is not None:
                    yield RATIO, ((uuid, group, mode), on_devices)
                else:
                    skips.add("unknown", f"{RATIO.name} of {mode}")
            else:
                yield USED, ((uuid, group, mode), number)


class Btrfs(Collector):
    """Space of Btrfs filesystems by type and mode, which the size of the filesystem does not show."""

    name = "btrfs"
    summary = "space of Btrfs filesystems by type and mode, commits, devices and their errors"
    families = (
        *(INFO, RESERVE, DEVICE_SIZE, RESERVED, USED, SIZE, RATIO, ERRORS),
        *(family for family, _ in COMMITS.values()),
    )

    def collect(self) -> Metrics:
        """Return space, commits and device errors of each filesystem from /sys/fs/btrfs."""
        return self.parse_parts_if_changed(read(self.host), parse)
