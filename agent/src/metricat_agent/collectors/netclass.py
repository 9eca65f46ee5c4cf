"""State of the host's network devices, from ``/sys/class/net`` (kernel: ABI/testing/sysfs-class-net).

A mount of sysfs shows the network namespace of whoever mounted it. The host's ``/sys`` bound into a pod shows the
host's devices, a ``/sys`` that the container runtime mounted afresh shows the pod's, and the two may well have an
``eth0`` each. So it is believed only if it is the very filesystem that the host's process 1 has on ``/sys``, and only
for devices that process 1 sees. A tree of files that is no sysfs at all, a recording, shows whatever was recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

from metricat_agent.collectors import POD_DEVICES, Collector, Filter, FilterFlags
from metricat_agent.exposition.model import Family, Metrics, Sample, counter, gauge
from metricat_agent.host.cached_files import read_text
from metricat_agent.host.hostfs import Host, device_of
from metricat_agent.host.mountinfo import all_mounts

UP = gauge("node_network_up", "1 if the device is operational, else 0.", "device")
INFO = gauge(
    "node_network_info",
    "1, labelled with addresses and state of a device.",
    "device",
    "address",
    "broadcast",
    "duplex",
    "operstate",
    "adminstate",
    "ifalias",
)
SPEED = gauge("node_network_speed_bytes", "Speed of the link, in bytes per second, where the link knows it.", "device")
NUMBERS: dict[str, Family] = {
    name: make(f"node_network_{metric}", text, "device")
    for name, make, metric, text in (
        ("addr_assign_type", gauge, "address_assign_type", "How the address came: 0 own, 1 random, 2 stolen, 3 set."),
        ("carrier", gauge, "carrier", "1 if the link is up, else 0."),
        ("carrier_changes", counter, "carrier_changes_total", "Times the link went up or down."),
        ("carrier_down_count", counter, "carrier_down_changes_total", "Times the link went down."),
        ("carrier_up_count", counter, "carrier_up_changes_total", "Times the link went up."),
        ("dev_id", gauge, "device_id", "Number that tells devices with one address apart."),
        ("dormant", gauge, "dormant", "1 if the link is up but waits, as for 802.1X, else 0."),
        ("flags", gauge, "flags", "Flags of the device (man 7 netdevice), as a number."),
        ("ifindex", gauge, "iface_id", "Number of the device."),
        ("iflink", gauge, "iface_link", "Number of the device below it, or its own."),
        ("link_mode", gauge, "iface_link_mode", "Link mode: 0 default, 1 dormant."),
        ("mtu", gauge, "mtu_bytes", "Greatest packet it takes, in bytes."),
        (
            "name_assign_type",
            gauge,
            "name_assign_type",
            "How the name came: 1 counted, 2 predicted, 3 chosen, 4 renamed.",
        ),
        ("netdev_group", gauge, "net_dev_group", "Group of the device."),
        (
            "statistics/rx_nohandler",
            counter,
            "receive_nohandler_total",
            "Packets received that no protocol wanted.",
        ),
        ("tx_queue_len", gauge, "transmit_queue_length", "Packets that its send queue holds."),
        ("type", gauge, "protocol_type", "Kind of the device (ARPHRD_*), as a number."),
    )
}
FIXED = ("ifindex", "iflink", "dev_id", "name_assign_type")
"""The kernel never changes these while the device is there under its name."""
TEXTS = ("address", "broadcast", "duplex", "operstate", "ifalias", "speed")
_CHANGING = (*(name for name in NUMBERS if name not in FIXED), *TEXTS)
IFF_UP = 1
Attributes = Mapping[str, Mapping[str, str]]
"""Per device: the files of its directory that could be read, each with its text."""


def is_host_sysfs(host: Host) -> bool:
    """Tell whether our mount of /sys is the one of the host's process 1, hence of its network namespace."""
    device = device_of(host.sysfs)
    ours = all_mounts(read_text(f"{host.self_proc}/mountinfo"))
    if not any(mount.fstype == "sysfs" and mount.device_number == device for mount in ours):
        return True
    return any(
        mount.fstype == "sysfs" and mount.mount_point == "/sys" and mount.device_number == device
        for mount in all_mounts(host.pid1("mountinfo"))
    )


def host_devices(host: Host, names: Iterable[str], devices: Filter) -> list[str]:
    """Return those of the devices in our /sys that are the host's and that we look at."""
    if not is_host_sysfs(host):
        raise NotHostNetworkError(
            f"{host.sysfs} is not the mount of sysfs that the host has on /sys, so its network devices may be those of "
            f"this container: mount the host's /sys and name it in --path.sysfs, or pass --no-collector.netclass"
        )
    seen = {line.rpartition(":")[0].strip(" ") for line in host.pid1("net/dev").split("\n")[2:]}
    return [device for device in names if device in seen and devices.keeps(device)]


def read(host: Host, devices: Iterable[str]) -> Attributes:
    """Read the attributes of devices; a link that is down, or an old kernel, lacks some."""
    found = {}
    for device in devices:
        with suppress(FileNotFoundError):  # it went away just now
            found[device] = host.sys_attributes(f"class/net/{device}", _CHANGING, FIXED)
    return found


def parse(attributes: Attributes) -> Metrics:
    """Turn texts into numbers; megabits into bytes; a speed of -1 or 0 means that the link does not know it."""
    up: list[Sample] = []
    infos: list[Sample] = []
    speeds: list[Sample] = []
    columns: dict[str, list[Sample]] = {name: [] for name in NUMBERS}
    for device, known in attributes.items():
        up.append(((device,), int(known.get("operstate") == "up")))
        infos.append((_info(device, known), 1))
        if (speed := int(known.get("speed", "-1"))) > 0:
            speeds.append(((device,), speed * 1_000_000 // 8))
        for name, samples in columns.items():
            if text := known.get(name):
                samples.append(((device,), int(text, 0)))
    return [(UP, up), (INFO, infos), (SPEED, speeds), *((NUMBERS[name], samples) for name, samples in columns.items())]


def _info(device: str, known: Mapping[str, str]) -> tuple[str, ...]:
    state = "up" if int(known.get("flags", "0"), 0) & IFF_UP else "down"
    return (
        device,
        *(known.get(name, "") for name in ("address", "broadcast", "duplex", "operstate")),
        state,
        known.get("ifalias", ""),
    )


class NotHostNetworkError(Exception):
    """The mount of sysfs that we were given shows some other network than the host's."""


class NetworkClass(Collector):
    """Whether the host's network devices are up, and how fast."""

    name = "netclass"
    summary = "state, speed and MTU of the host's network devices"
    families = (UP, INFO, SPEED, *NUMBERS.values())
    filter_flags = (FilterFlags("network devices", "ignored-devices", "", POD_DEVICES),)

    def setup(self) -> None:
        """Nothing has been read yet."""
        self._names: tuple[int, list[str]] | None = None
        self._devices: list[str] = []
        self._found: Attributes = {}
        self._metrics: Metrics = []

    def collect(self) -> Metrics:
        """Read all; look anew whose devices they are when one came or went, and parse when anything is different."""
        names = device_of(self.host.sysfs), self.host.sys_names("class/net")
        if names != self._names:
            self._devices = host_devices(self.host, names[1], self.filter("ignored-devices"))
            self._names = names
        found = read(self.host, self._devices)
        if found != self._found or not self._metrics:
            self._found, self._metrics = found, parse(found)
        return self._metrics
