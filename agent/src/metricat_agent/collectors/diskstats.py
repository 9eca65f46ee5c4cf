"""Reads and writes of the host's block devices.

Counters come from ``/proc/diskstats`` (kernel: admin-guide/iostats.rst). Its sectors have 512 bytes, independent of the
disk's own sectors. Names of the hardware come from udev's data under the host's ``/run`` and from ``/sys/block``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector, Filter, FilterFlags
from metricat_agent.collectors.parts import UNCOUNTED
from metricat_agent.exposition.model import Family, Metrics, Sample, counter, gauge
from metricat_agent.host.ascii_text import is_digits, words_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

SECTOR = 512
NO_DISKS = (
    r"^(loop|z?ram|fd|sr)\d+$"  # not disks
    r"|^([hsv]|xv)d[a-z]+\d+$|^(nvme\d+n|mmcblk)\d+p\d+$"  # partitions of disks
)


def _device(name: str, text: str) -> Family:
    return counter(f"node_disk_{name}", text, "device")


COLUMNS: tuple[tuple[Family, float], ...] = (
    (_device("reads_completed_total", "Reads completed successfully."), 1),
    (_device("reads_merged_total", "Reads merged with an adjacent read before they were sent to the device."), 1),
    (_device("read_bytes_total", "Bytes read."), SECTOR),
    (_device("read_time_seconds_total", "Sum of the durations of all reads, in seconds."), 0.001),
    (_device("writes_completed_total", "Writes completed successfully."), 1),
    (_device("writes_merged_total", "Writes merged with an adjacent write before they were sent to the device."), 1),
    (_device("written_bytes_total", "Bytes written."), SECTOR),
    (_device("write_time_seconds_total", "Sum of the durations of all writes, in seconds."), 0.001),
    (gauge("node_disk_io_now", "Requests in progress on the device.", "device"), 1),
    (_device("io_time_seconds_total", "Time during which the device had requests in progress, in seconds."), 0.001),
    (
        _device(
            "io_time_weighted_seconds_total", "Time with requests in progress, multiplied by their number, in seconds."
        ),
        0.001,
    ),
    (_device("discards_completed_total", "Discards (trims) completed successfully."), 1),
    (_device("discards_merged_total", "Discards merged with an adjacent one before they were sent to the device."), 1),
    (_device("discarded_sectors_total", "Sectors of 512 bytes discarded."), 1),
    (_device("discard_time_seconds_total", "Sum of the durations of all discards, in seconds."), 0.001),
    (_device("flush_requests_total", "Flushes of the device's cache completed successfully."), 1),
    (_device("flush_requests_time_seconds_total", "Sum of the durations of all flushes, in seconds."), 0.001),
)
"""In the order of the file's columns after the name: a family, and the factor that converts to its unit."""

INFO = gauge(
    "node_disk_info",
    "1, labeled with the hardware of a block device, from udev and sysfs.",
    "device",
    "major",
    "minor",
    "path",
    "wwn",
    "model",
    "serial",
    "revision",
    "rotational",
)
FILESYSTEM = gauge(
    "node_disk_filesystem_info",
    "1, labeled with the filesystem on a block device, from udev.",
    *("device", "type", "usage", "uuid", "version"),
)
MAPPER = gauge(
    "node_disk_device_mapper_info",
    "1, labeled with the device mapper's names of a block device (LVM, multipath, encryption), from udev.",
    *("device", "name", "uuid", "vg_name", "lv_name", "lv_layer"),
)
UDEV_INFOS = (
    (FILESYSTEM, ("ID_FS_TYPE", "ID_FS_USAGE", "ID_FS_UUID", "ID_FS_VERSION")),
    (MAPPER, ("DM_NAME", "DM_UUID", "DM_VG_NAME", "DM_LV_NAME", "DM_LV_LAYER")),
)
"""Families, and the udev properties of their labels. A device without the first property has no series."""
ATA = (
    (
        gauge("node_disk_ata_write_cache", "1 if an ATA disk has a write cache, 0 if not.", "device"),
        "ID_ATA_WRITE_CACHE",
    ),
    (
        gauge("node_disk_ata_write_cache_enabled", "1 if an ATA disk's write cache is enabled, 0 if not.", "device"),
        "ID_ATA_WRITE_CACHE_ENABLED",
    ),
    (
        gauge(
            "node_disk_ata_rotation_rate_rpm",
            "Rotations per minute of an ATA disk; 0 for a solid-state disk.",
            "device",
        ),
        "ID_ATA_ROTATION_RATE_RPM",
    ),
)
UDEV_LABELS = (
    ("ID_PATH",),
    ("ID_WWN",),
    ("ID_MODEL",),
    ("SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL"),
    ("ID_REVISION",),
)


@dataclass(frozen=True, slots=True)
class Row:
    """The line of one device: its numbers in the file's units and order.

    Kernels before 5.5 have fewer numbers: they lack flushes, older ones also discards.
    """

    device: str
    major: str
    minor: str
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Hardware:
    """udev's data of a device (empty without udev), and ``rotational`` from sysfs ("1", "0" or empty)."""

    udev: str = ""
    rotational: str = ""


_UDEV_LINE = re.compile(r"^[A-Z]:", re.MULTILINE)
_WIDTHS = (4, 11, 15, len(COLUMNS))
"""How many numbers a line has: partitions before Linux 2.6.25, disks before 4.18, before 5.5, and since 5.5."""
_SHOWN = 40


def rows(text: str, devices: Filter, skips: Skips = UNCOUNTED) -> list[Row]:
    """Return the rows of the selected devices. Raise ValueError if no line can be parsed."""
    found: list[Row] = []
    lines = [line for line in text.split("\n") if line]
    bad = 0
    for line in lines:
        try:
            major, minor, device, *numbers = words_of(line)
            if devices.keeps(device):
                counts = tuple([int(number) for number in numbers[: len(COLUMNS)]])
                if len(counts) not in _WIDTHS:
                    raise ValueError("the line is truncated")  # noqa: TRY301 -- counted like the others
                found.append(Row(device, major, minor, counts))
        except ValueError:
            skips.add("unparsable", f"diskstats {line[:_SHOWN]}")
            bad += 1
    if bad and bad == len(lines):
        raise ValueError("no line of /proc/diskstats has a device and numbers")
    return found


def read(host: Host, devices: Filter) -> tuple[list[Row], Mapping[str, Hardware]]:
    """Return the rows of the selected devices, and the hardware of each. A kernel without block devices has no file."""
    found = rows(host.optional_proc("diskstats") or "", devices, host.skips)
    try:
        udev_directory = host.udev_directory()
    except OSError:
        udev_directory = ""
    return found, {row.device: read_hardware(host, row, udev_directory) for row in found}


def read_hardware(host: Host, row: Row, udev_directory: str) -> Hardware:
    """Return a device's data from udev and sysfs. A missing file (no udev, no mount of the host) is empty."""
    try:
        udev = host.udev(udev_directory, f"b{row.major}:{row.minor}") if udev_directory else ""
    except OSError:
        udev = ""
    if udev and not _UDEV_LINE.search(udev):
        host.skips.add("unparsable", f"{udev_directory}/b{row.major}:{row.minor}")
    try:
        rotational = host.sys(f"block/{row.device.replace('/', '!')}/queue/rotational")
    except OSError:
        rotational = ""
    return Hardware(udev, rotational)


@lru_cache(maxsize=512)
def properties(udev: str) -> Mapping[str, str]:
    """Return the ``E:KEY=value`` lines of a udev file as a mapping. Cache the result: disks keep their names."""
    pairs = (line[2:].partition("=") for line in udev.split("\n") if line.startswith("E:"))
    return {key: value for key, _, value in pairs}


def info(row: Row, hardware: Hardware) -> Sample:
    """Return the sample with a device's hardware. Labels without a udev property are empty."""
    known = properties(hardware.udev)
    named = [next((known[key] for key in keys if key in known), "") for keys in UDEV_LABELS]
    return (row.device, row.major, row.minor, *named, hardware.rotational), 1


def udev_metrics(devices: Mapping[str, Mapping[str, str]]) -> Metrics:
    """Return more metrics from udev: filesystem, device mapper, write cache and rotation rate of ATA disks."""
    infos: Metrics = [
        (
            family,
            [
                ((device, *(known.get(key, "") for key in keys)), 1)
                for device, known in devices.items()
                if known.get(keys[0])
            ],
        )
        for family, keys in UDEV_INFOS
    ]
    ata = {device: known for device, known in devices.items() if known.get("ID_ATA")}
    for family, key in ATA:
        infos.append(
            (family, [((device,), int(known[key])) for device, known in ata.items() if is_digits(known.get(key, ""))])
        )
    return infos


def parse(found: list[Row], hardware: Mapping[str, Hardware]) -> Metrics:
    """Return hardware and counters of each device. Convert sectors to bytes and milliseconds to seconds."""
    columns: list[list[Sample]] = [[] for _ in COLUMNS]
    for row in found:
        labels = (row.device,)
        for samples, (_, scale), value in zip(columns, COLUMNS, row.numbers, strict=False):
            samples.append((labels, value / 1000 if scale == 0.001 else value * scale))
    infos = [info(row, hardware.get(row.device, Hardware())) for row in found]
    return [
        (INFO, infos),
        *((family, samples) for (family, _), samples in zip(COLUMNS, columns, strict=True)),
        *udev_metrics({device: properties(one.udev) for device, one in hardware.items() if one.udev}),
    ]


class Disks(Collector):
    """I/O counters and hardware of the host's block devices."""

    name = "diskstats"
    summary = "reads, writes, discards, flushes and queues of block devices"
    essential = True
    families = (INFO, *(family for family, _ in (*COLUMNS, *UDEV_INFOS, *ATA)))
    filter_flags = (FilterFlags.of("device", "block devices", NO_DISKS),)

    def collect(self) -> Metrics:
        """Return I/O counters per device from /proc/diskstats, and its hardware from udev and /sys/block."""
        return self.parse_if_changed(read(self.host, self.filter("device-exclude")), lambda found: parse(*found))
