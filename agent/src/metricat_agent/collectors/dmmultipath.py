"""Multipath devices: disks with several paths, from ``/sys/block`` (kernel: device-mapper/dm-mpath)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from metricat_agent.collectors import Collector
from metricat_agent.collectors.parts import UNCOUNTED, parse_part, whole
from metricat_agent.exposition.model import Metrics, Sample, gauge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

_SECTOR = 512
_NAMES = ("device", "sysfs_name")
INFO = gauge("node_dmmultipath_device_info", "1, labeled with the UUID of a multipath device.", *_NAMES, "uuid")
ACTIVE = gauge("node_dmmultipath_device_active", "1 if the device is active, 0 if it is suspended.", *_NAMES)
SIZE = gauge("node_dmmultipath_device_size_bytes", "Size of the device, in bytes.", *_NAMES)
PATHS = gauge("node_dmmultipath_device_paths", "Number of paths to the device.", *_NAMES)
PATHS_ACTIVE = gauge("node_dmmultipath_device_paths_active", "Number of working paths to the device.", *_NAMES)
PATHS_FAILED = gauge("node_dmmultipath_device_paths_failed", "Number of paths that do not work.", *_NAMES)
STATE = gauge("node_dmmultipath_path_state", "1, labeled with the state of a path.", "device", "path", "state")
FAMILIES = (INFO, ACTIVE, SIZE, PATHS, PATHS_ACTIVE, PATHS_FAILED, STATE)
_WORKS = ("running", "live")
"""States of a working path: SCSI, NVMe."""


class Device(NamedTuple):
    """One device: its entry in sysfs, its files, its size in sectors, and the state of each path."""

    entry: str
    files: Mapping[str, str]
    size: str | None
    paths: Mapping[str, str]


def read(host: Host) -> list[Device]:
    """Return the files of each multipath device. Its name and UUID may change while it exists."""
    found = []
    for entry in host.optional_sys_names("block"):
        if entry.startswith("dm-"):
            files = host.optional_attributes(f"block/{entry}/dm", ("uuid", "name", "suspended"))
            if files.get("uuid", "").startswith("mpath-"):
                size = host.optional_sys(f"block/{entry}/size")
                found.append(Device(entry, files, size, paths_of(host, entry)))
    return found


def paths_of(host: Host, entry: str) -> Mapping[str, str]:
    """Return the state of each disk below a device. A disk without a readable state has an empty one."""
    disks = host.optional_sys_names(f"block/{entry}/slaves")
    return {disk: host.optional_sys(f"block/{disk}/device/state") or "" for disk in disks}


def parse(devices: Iterable[Device], skips: Skips = UNCOUNTED) -> Metrics:
    """Return state and size of each device, and its number of working and other paths."""
    columns: list[list[Sample]] = [[] for _ in FAMILIES]
    infos, active, sizes, paths, working, failed, states = columns
    for device in devices:
        name = device.files.get("name", "")
        labels = (name, device.entry)
        infos.append(((*labels, device.files["uuid"]), 1))
        if "suspended" in device.files:
            suspended = parse_part(skips, f"block/{device.entry}/dm/suspended", whole, device.files["suspended"])
            active += [(labels, int(suspended == 0))] if suspended is not None else []
        if device.size is not None:
            size = parse_part(skips, f"block/{device.entry}/size", whole, device.size)
            sizes += [(labels, size * _SECTOR)] if size is not None else []
        works = sum(state in _WORKS for state in device.paths.values())
        paths.append((labels, len(device.paths)))
        working.append((labels, works))
        failed.append((labels, len(device.paths) - works))
        states += [((name, path, state), 1) for path, state in device.paths.items()]
    return list(zip(FAMILIES, columns, strict=True))


class Multipath(Collector):
    """Devices with several paths, and the state of the paths."""

    name = "dmmultipath"
    summary = "multipath devices and the state of their paths"
    families = FAMILIES

    def collect(self) -> Metrics:
        """Return size and path states of each multipath device from /sys/block/dm-*."""
        return self.parse_parts_if_changed(read(self.host), parse)
