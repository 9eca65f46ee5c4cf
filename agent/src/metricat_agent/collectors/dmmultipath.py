"""Multipath devices: disks with several paths, from ``/sys/block`` (kernel: device-mapper/dm-mpath)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Metrics, Sample, gauge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from metricat_agent.host.hostfs import Host

_SECTOR = 512
_NAMES = ("device", "sysfs_name")
INFO = gauge("node_dmmultipath_device_info", "1, labeled with the UUID of a multipath device.", *_NAMES, "uuid")
ACTIVE = gauge("node_dmmultipath_device_active", "1 if the device is active, 0 if it is suspended.", *_NAMES)
SIZE = gauge("node_dmmultipath_device_size_bytes", "Size of the device, in bytes.", *_NAMES)
PATHS = gauge("node_dmmultipath_device_paths", "Number of paths to the device.", *_NAMES)
PATHS_ACTIVE = gauge("node_dmmultipath_device_paths_active", "Number of working paths to the device.", *_NAMES)
PATHS_FAILED = gauge("node_dmmultipath_device_paths_failed", "Number of failed paths to the device.", *_NAMES)
STATE = gauge("node_dmmultipath_path_state", "1, labeled with the state of a path.", "device", "path", "state")
FAMILIES = (INFO, ACTIVE, SIZE, PATHS, PATHS_ACTIVE, PATHS_FAILED, STATE)
_WORKS = ("running", "live")
"""States of a working path: SCSI, NVMe."""


class Device(NamedTuple):
    """One device: its entry in sysfs, its files, its size in sectors, and the state of each path."""

    entry: str
    files: Mapping[str, str]
    size: str
    paths: Mapping[str, str]


def read(host: Host) -> list[Device]:
    """Return the files of each multipath device."""
    try:
        entries = host.sys_names("block")
    except FileNotFoundError:
        return []
    found = []
    for entry in entries:
        if entry.startswith("dm-"):
            try:
                files = host.sys_attributes(f"block/{entry}/dm", ("suspended",), fixed=("uuid", "name"))
                if files.get("uuid", "").startswith("mpath-"):
                    size = host.sys(f"block/{entry}/size")
                    found.append(Device(entry, files, size, paths_of(host, entry)))
            except OSError:
                continue
    return found


def paths_of(host: Host, entry: str) -> Mapping[str, str]:
    """Return the state of each disk below a device. A disk that was just removed has an empty state."""
    states = {}
    for disk in host.sys_names(f"block/{entry}/slaves"):
        try:
            states[disk] = host.sys(f"block/{disk}/device/state")
        except OSError:
            states[disk] = ""
    return states


def parse(devices: Iterable[Device]) -> Metrics:
    """Return state and size of each device, and its number of working and failed paths."""
    columns: list[list[Sample]] = [[] for _ in FAMILIES]
    infos, active, sizes, paths, working, failed, states = columns
    for device in devices:
        name = device.files.get("name", "")
        labels = (name, device.entry)
        infos.append(((*labels, device.files["uuid"]), 1))
        active.append((labels, int(device.files.get("suspended") != "1")))
        sizes.append((labels, int(device.size) * _SECTOR))
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
        return self.parse_if_changed(read(self.host), parse)
