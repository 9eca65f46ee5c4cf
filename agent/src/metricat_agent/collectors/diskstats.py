"""Reads and writes of the host's block devices.

From ``/proc/diskstats`` (kernel: admin-guide/iostats.rst), whose sectors are 512 bytes whatever the disk's own are,
and, for the name of the hardware, udev's data under the host's ``/run`` and ``/sys/block``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector, Filter, FilterFlags
from metricat_agent.exposition.model import Family, Metrics, Sample, counter, gauge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.host.hostfs import Host

SECTOR = 512
NO_DISKS = (
    r"^(loop|z?ram|fd|sr)\d+$"  # not disks
    r"|^([hsv]|xv)d[a-z]+\d+$|^(nvme\d+n|mmcblk)\d+p\d+$"  # partitions of disks
)


def _device(name: str, text: str) -> Family:
    return counter(f"node_disk_{name}", text, "device")


COLUMNS: tuple[tuple[Family, float], ...] = (
    (_device("reads_completed_total", "Reads that ended well."), 1),
    (_device("reads_merged_total", "Reads joined with a neighbour before they were sent to the device."), 1),
    (_device("read_bytes_total", "Bytes read."), SECTOR),
    (_device("read_time_seconds_total", "Time that reads took, all of them added up, in seconds."), 0.001),
    (_device("writes_completed_total", "Writes that ended well."), 1),
    (_device("writes_merged_total", "Writes joined with a neighbour before they were sent to the device."), 1),
    (_device("written_bytes_total", "Bytes written."), SECTOR),
    (_device("write_time_seconds_total", "Time that writes took, all of them added up, in seconds."), 0.001),
    (gauge("node_disk_io_now", "Requests that the device is working at.", "device"), 1),
    (_device("io_time_seconds_total", "Time during which the device had requests to work at, in seconds."), 0.001),
    (
        _device("io_time_weighted_seconds_total", "The same, times the number of requests: the queue, in seconds."),
        0.001,
    ),
    (_device("discards_completed_total", "Discards (trims) that ended well."), 1),
    (_device("discards_merged_total", "Discards joined with a neighbour before they were sent to the device."), 1),
    (_device("discarded_sectors_total", "Sectors of 512 bytes discarded."), 1),
    (_device("discard_time_seconds_total", "Time that discards took, all of them added up, in seconds."), 0.001),
    (_device("flush_requests_total", "Flushes of the device's cache that ended well."), 1),
    (_device("flush_requests_time_seconds_total", "Time that flushes took, all added up, in seconds."), 0.001),
)
"""In the order of the file's columns after the name, each with what one of its units is in the family's."""

INFO = gauge(
    "node_disk_info",
    "1, labelled with the hardware behind a block device as udev knows it.",
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
    "1, labelled with the filesystem that udev found on a block device.",
    *("device", "type", "usage", "uuid", "version"),
)
MAPPER = gauge(
    "node_disk_device_mapper_info",
    "1, labelled with what the device mapper (LVM, multipath, encryption) calls a block device.",
    *("device", "name", "uuid", "vg_name", "lv_name", "lv_layer"),
)
UDEV_INFOS = (
    (FILESYSTEM, ("ID_FS_TYPE", "ID_FS_USAGE", "ID_FS_UUID", "ID_FS_VERSION")),
    (MAPPER, ("DM_NAME", "DM_UUID", "DM_VG_NAME", "DM_LV_NAME", "DM_LV_LAYER")),
)
"""Shown where udev knows the first of each."""
ATA = (
    (gauge("node_disk_ata_write_cache", "1 if an ATA disk has a write cache, else 0.", "device"), "ID_ATA_WRITE_CACHE"),
    (
        gauge("node_disk_ata_write_cache_enabled", "1 if an ATA disk's write cache is on, else 0.", "device"),
        "ID_ATA_WRITE_CACHE_ENABLED",
    ),
    (
        gauge("node_disk_ata_rotation_rate_rpm", "Turns a minute of an ATA disk; 0 if nothing turns.", "device"),
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
    """One device's line: its numbers in the file's units and order, fewer on kernels before 5.5 (flush, discard)."""

    device: str
    major: str
    minor: str
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Hardware:
    """What udev (a text, empty if it knows nothing) and sysfs ("1", "0" or empty) say of a device."""

    udev: str = ""
    rotational: str = ""


def rows(text: str, devices: Filter) -> list[Row]:
    """Take the lines of the devices we look at."""
    found = []
    for line in text.splitlines():
        major, minor, device, numbers = line.split(None, 3)
        if devices.keeps(device):
            found.append(Row(device, major, minor, tuple([int(number) for number in numbers.split()[: len(COLUMNS)]])))
    return found


def read(host: Host, devices: Filter) -> tuple[list[Row], Mapping[str, Hardware]]:
    """Read the counters, and the hardware of those devices."""
    found = rows(host.proc("diskstats"), devices)
    return found, {row.device: read_hardware(host, row) for row in found}


def read_hardware(host: Host, row: Row) -> Hardware:
    """Read what is known; a node without udev, or without a mount of its root, tells less, not an error."""
    try:
        udev = host.udev(f"b{row.major}:{row.minor}")
    except OSError:
        udev = ""
    try:
        rotational = host.sys(f"block/{row.device.replace('/', '!')}/queue/rotational")
    except OSError:
        rotational = ""
    return Hardware(udev, rotational)


@lru_cache(maxsize=512)
def properties(udev: str) -> Mapping[str, str]:
    """Take the ``E:KEY=value`` lines of a file of udev's data. Disks keep their names: remembered."""
    pairs = (line[2:].partition("=") for line in udev.splitlines() if line.startswith("E:"))
    return {key: value for key, _, value in pairs}


def info(row: Row, hardware: Hardware) -> Sample:
    """Return the sample that names a device's hardware; what udev does not know is empty."""
    known = properties(hardware.udev)
    named = [next((known[key] for key in keys if key in known), "") for keys in UDEV_LABELS]
    return (row.device, row.major, row.minor, *named, hardware.rotational), 1


def udev_metrics(devices: Mapping[str, Mapping[str, str]]) -> Metrics:
    """Return what else udev knows of some devices: filesystem, device mapper, the cache and turns of ATA disks."""
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
            (family, [((device,), int(known[key])) for device, known in ata.items() if known.get(key, "").isdigit()])
        )
    return infos


def parse(found: list[Row], hardware: Mapping[str, Hardware]) -> Metrics:
    """Turn sectors and milliseconds into bytes and seconds."""
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
    """What the host's disks did, and for how long."""

    name = "diskstats"
    summary = "reads, writes, discards, flushes and queues of block devices"
    essential = True
    families = (INFO, *(family for family, _ in (*COLUMNS, *UDEV_INFOS, *ATA)))
    filter_flags = (FilterFlags.of("device", "block devices", NO_DISKS),)

    def collect(self) -> Metrics:
        """Read and parse."""
        return self.parse_if_changed(read(self.host, self.filter("device-exclude")), lambda found: parse(*found))
