"""State of the host's network devices, from ``/sys/class/net`` (kernel: ABI/testing/sysfs-class-net).

A mount of sysfs shows the network namespace in which it was mounted. The host's ``/sys``, bind-mounted into a pod,
shows the host's devices. A ``/sys`` mounted by the container runtime shows the pod's devices, and both may have an
``eth0``. So the collector accepts only the filesystem that the host's process 1 has on ``/sys``, and only devices that
process 1 has. A tree of files that is not a sysfs (a recording) is accepted as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

from metricat_agent.collectors import POD_DEVICES, Collector, Filter, FilterFlags
from metricat_agent.collectors.parts import UNCOUNTED, device_names, parse_file, prefixed, whole
from metricat_agent.exposition.model import Family, Metrics, Sample, counter, gauge
from metricat_agent.host.cached_files import read_text
from metricat_agent.host.hostfs import Host, device_of
from metricat_agent.host.mountinfo import all_mounts
from metricat_agent.host.uevents import UeventCount

if TYPE_CHECKING:
    from metricat_agent.host.skips import Skips

UP = gauge("node_network_up", "1 if the device is operational, 0 if not.", "device")
INFO = gauge(
    "node_network_info",
    "1, labeled with the addresses and state of a device.",
    "device",
    "address",
    "broadcast",
    "duplex",
    "operstate",
    "adminstate",
    "ifalias",
)
SPEED = gauge("node_network_speed_bytes", "Speed of the link, in bytes per second, if the link reports it.", "device")
NUMBERS: dict[str, Family] = {
    name: make(f"node_network_{metric}", text, "device")
    for name, make, metric, text in (
        (
            "addr_assign_type",
            gauge,
            "address_assign_type",
            "Origin of the address: 0 permanent, 1 random, 2 taken from another device, 3 set explicitly.",
        ),
        ("carrier", gauge, "carrier", "1 if the link is up, 0 if not."),
        ("carrier_changes", counter, "carrier_changes_total", "Times that the link went up or down."),
        ("carrier_down_count", counter, "carrier_down_changes_total", "Times that the link went down."),
        ("carrier_up_count", counter, "carrier_up_changes_total", "Times that the link went up."),
        ("dev_id", gauge, "device_id", "Number that distinguishes devices with the same address."),
        ("dormant", gauge, "dormant", "1 if the link is up but waits (for 802.1X, for example), 0 if not."),
        ("flags", gauge, "flags", "Flags of the device (man 7 netdevice), as a number."),
        ("ifindex", gauge, "iface_id", "Interface index of the device."),
        (
            "iflink",
            gauge,
            "iface_link",
            "Interface index of the device to which this device is linked, or its own index.",
        ),
        ("link_mode", gauge, "iface_link_mode", "Link mode: 0 default, 1 dormant."),
        ("mtu", gauge, "mtu_bytes", "Largest packet of the device (MTU), in bytes."),
        (
            "name_assign_type",
            gauge,
            "name_assign_type",
            "Origin of the name: 1 enumerated, 2 predictable, 3 chosen by a user, 4 renamed.",
        ),
        ("netdev_group", gauge, "net_dev_group", "Number of the device's group (ip link set group)."),
        (
            "statistics/rx_nohandler",
            counter,
            "receive_nohandler_total",
            "Packets received without a protocol handler.",
        ),
        ("tx_queue_len", gauge, "transmit_queue_length", "Length of the transmit queue, in packets."),
        ("type", gauge, "protocol_type", "Type of the device (ARPHRD_*), as a number."),
    )
}
TEXTS = ("address", "broadcast", "duplex", "operstate", "ifalias", "speed")
_FILES = (*NUMBERS, *TEXTS)
_ONLY_WHILE_ON = frozenset(("carrier", "dormant", "duplex", "speed"))
"""Files that the kernel cannot read while a device is switched off. A failed read costs more than a successful one."""
_ONLY_HARDWARE = frozenset(("duplex", "speed"))
"""The kernel always refuses to read these files of the loopback device."""
_CHANGES, _UPS, _DOWNS = "carrier_changes", "carrier_up_count", "carrier_down_count"
"""The kernel computes the first number as the sum of the other two, if it counts them (net/core/net-sysfs.c)."""
_UNKNOWN_SPEEDS = (0xFFFF, 0xFFFFFFFF)
"""What older kernels print for -1, the unknown speed (SPEED_UNKNOWN): drivers have 16 or 32 bits without a sign."""
_LOOPBACK = "772"
"""Its type: ARPHRD_LOOPBACK of ``<linux/if_arp.h>``."""
IFF_UP = 1
Attributes = Mapping[str, Mapping[str, str]]
"""By device: the readable files of its directory and their texts."""


def is_host_sysfs(host: Host) -> bool:
    """Return whether the agent's /sys is the mount of the host's process 1, or a tree of files that is not a sysfs."""
    device = device_of(host.sysfs)
    ours = all_mounts(read_text(f"{host.self_proc}/mountinfo"))
    if not any(mount.fstype == "sysfs" and mount.device_number == device for mount in ours):
        return True
    return any(
        mount.fstype == "sysfs" and mount.mount_point == "/sys" and mount.device_number == device
        for mount in all_mounts(host.pid1("mountinfo"))
    )


def host_devices(host: Host, names: Iterable[str], devices: Filter) -> list[str]:
    """Return the selected devices of the agent's /sys that the host has."""
    if not is_host_sysfs(host):
        raise NotHostNetworkError(
            f"{host.sysfs} is not the host's mount of /sys, so its network devices may be those of this container. "
            f"Mount the host's /sys and pass its path in --path.sysfs, or pass --no-collector.netclass"
        )
    seen = device_names(host.pid1("net/dev"))
    return [device for device in names if device in seen and devices.keeps(device)]


def read(host: Host, devices: Iterable[str], last: Attributes | None = None) -> Attributes:
    """Return the attributes of devices. A link that is down, or an old kernel, lacks some.

    ``last`` are the attributes of the last read, which select the files to read.
    """
    found = {}
    for device in devices:
        place = f"class/net/{device}"
        with suppress(OSError):  # the device was just removed; other errors are counted
            files = _FILES if last is None or device not in last else _useful_files(last[device])
            known = host.sys_attributes(place, files)
            if last is not None and (useful := _useful_files(known)) != files:
                known = host.sys_attributes(place, useful)
            found[device] = known
    return found


def _useful_files(known: Mapping[str, str]) -> tuple[str, ...]:
    """Return the files of a device that can be read now, without a number that is the sum of others."""
    return _selected(
        is_off=_is_off(known), is_loopback=known.get("type") == _LOOPBACK, has_counts=_UPS in known and _DOWNS in known
    )


@cache
def _selected(*, is_off: bool, is_loopback: bool, has_counts: bool) -> tuple[str, ...]:
    left_out = (_ONLY_WHILE_ON if is_off else frozenset()) | (_ONLY_HARDWARE if is_loopback else frozenset())
    return tuple([name for name in _FILES if name not in left_out and not (has_counts and name == _CHANGES)])


def _is_off(known: Mapping[str, str]) -> bool:
    """Return whether a device is switched off, from its flags."""
    try:
        return not prefixed(known["flags"]) & IFF_UP
    except (KeyError, ValueError):
        return False


def parse(attributes: Attributes, skips: Skips = UNCOUNTED) -> Metrics:
    """Return state, speed and properties of each device. A speed of -1 or 0 in the file means that it is unknown."""
    up: list[Sample] = []
    infos: list[Sample] = []
    speeds: list[Sample] = []
    columns: dict[str, list[Sample]] = {name: [] for name in NUMBERS}
    for device, known in attributes.items():
        place = f"class/net/{device}"
        if "operstate" in known:
            up.append(((device,), int(known["operstate"] == "up")))
        infos.append((_info(device, known, skips), 1))
        speed = parse_file(skips, known, "speed", place, whole)
        if speed is not None and speed > 0 and speed not in _UNKNOWN_SPEEDS:
            speeds.append(((device,), speed * 1_000_000 // 8))
        for name, samples in columns.items():
            number = parse_file(skips, known, name, place, prefixed)
            if number is not None:
                samples.append(((device,), number))
        if _CHANGES not in known:
            counts = [parse_file(UNCOUNTED, known, name, place, whole) for name in (_UPS, _DOWNS)]
            if None not in counts:
                columns[_CHANGES].append(((device,), sum(filter(None, counts))))
    return [(UP, up), (INFO, infos), (SPEED, speeds), *((NUMBERS[name], samples) for name, samples in columns.items())]


def _info(device: str, known: Mapping[str, str], skips: Skips) -> tuple[str, ...]:
    flags = parse_file(skips, known, "flags", f"class/net/{device}", prefixed)
    state = "" if flags is None else "up" if flags & IFF_UP else "down"
    return (
        device,
        *(known.get(name, "") for name in ("address", "broadcast", "duplex", "operstate")),
        state,
        known.get("ifalias", ""),
    )


class NotHostNetworkError(Exception):
    """The mount of sysfs may show another network namespace than the host's."""


class NetworkClass(Collector):
    """State, speed and addresses of the host's network devices."""

    name = "netclass"
    summary = "state, speed and MTU of the host's network devices"
    families = (UP, INFO, SPEED, *NUMBERS.values())
    filter_flags = (FilterFlags("network devices", "ignored-devices", "", POD_DEVICES),)

    def setup(self) -> None:
        """Start without devices; the first scrape selects them."""
        self._uevents = UeventCount(self.host.sysfs)
        self._seen: tuple[int, bytes | None] | None = None
        self._names: list[str] = []
        self._devices: list[str] = []
        self._last: Attributes = {}

    def collect(self) -> Metrics:
        """Return state, speed and properties per network device from /sys/class/net.

        Select the devices again if a device was added or removed, and parse if any file has changed.
        """
        seen = device_of(self.host.sysfs), self._uevents.read()
        if seen != self._seen or seen[1] is None:
            names = self.host.sys_names("class/net")
            if self._seen is None or names != self._names or seen[0] != self._seen[0]:
                self._devices = host_devices(self.host, names, self.filter("ignored-devices"))
            self._names, self._seen = names, seen
        self._last = read(self.host, self._devices, self._last)
        return self.parse_parts_if_changed(self._last, parse)
