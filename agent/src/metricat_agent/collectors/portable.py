"""What psutil tells on systems that are not Linux: under the same names where the meaning is the same.

What psutil does not know there is quietly absent. Each collector has the name of the one for Linux, so that settings,
dashboards and alerts need not know the system.
"""

from __future__ import annotations

import platform
import sys
import time
from typing import TYPE_CHECKING, Any

from metricat_agent import __version__
from metricat_agent.collectors import Collector, Filter, FilterFlags, agent, cpu, diskstats, filesystem, loadavg, netdev
from metricat_agent.collectors import stat as totals
from metricat_agent.collectors import time as clock
from metricat_agent.collectors import uname as kernel
from metricat_agent.collectors.processes import Processes
from metricat_agent.exposition.model import Family, Metrics, Sample, gauge, single

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MEMORY: dict[str, Family] = {
    field: gauge(f"node_memory_{name}_bytes", f"Memory {text}, in bytes.")
    for field, name, text in (
        ("total", "total", "of the machine"),
        ("available", "available", "that new programs could have without swapping"),
        ("free", "free", "used for nothing at all"),
        ("active", "active", "used lately"),
        ("inactive", "inactive", "not used lately"),
        ("wired", "wired", "that cannot be moved to disk"),
    )
}
SWAP: dict[str, Family] = {
    field: gauge(f"node_memory_swap_{field}_bytes", f"Swap space {text}, in bytes.")
    for field, text in (("total", "of the machine"), ("used", "in use"))
}
BATTERY = gauge("node_power_supply_capacity", "Charge of the battery, in per cent.", "power_supply")
_DISKS = {
    "read_count": "node_disk_reads_completed_total",
    "write_count": "node_disk_writes_completed_total",
    "read_bytes": "node_disk_read_bytes_total",
    "write_bytes": "node_disk_written_bytes_total",
    "read_time": "node_disk_read_time_seconds_total",
    "write_time": "node_disk_write_time_seconds_total",
}
_NETWORK = {
    "bytes_recv": "node_network_receive_bytes_total",
    "packets_recv": "node_network_receive_packets_total",
    "errin": "node_network_receive_errs_total",
    "dropin": "node_network_receive_drop_total",
    "bytes_sent": "node_network_transmit_bytes_total",
    "packets_sent": "node_network_transmit_packets_total",
    "errout": "node_network_transmit_errs_total",
    "dropout": "node_network_transmit_drop_total",
}
_KNOWN = {family.name: family for family in (*(family for family, _ in diskstats.COLUMNS), *netdev.COLUMNS)}


def psutil() -> Any:
    """Import psutil: on Linux nobody does."""
    import psutil as module  # noqa: PLC0415 -- see above

    return module


def parse_cpu(times: Iterable[Any]) -> Metrics:
    """Take the modes that the system has, in seconds; Windows calls its interrupts otherwise."""
    samples: list[Sample] = []
    for number, one in enumerate(times):
        values = {"irq": getattr(one, "interrupt", None), "softirq": getattr(one, "dpc", None)}
        for mode in cpu.MODES:
            value = getattr(one, mode, values.get(mode))
            if value is not None:
                samples.append(((str(number), mode), value))
    return [(cpu.SECONDS, samples)]


def parse_fields(families: Mapping[str, Family], found: Any) -> Metrics:
    """Take the fields that the system has."""
    return [
        single(family, value)
        for field, family in families.items()
        if (value := getattr(found, field, None)) is not None
    ]


def parse_devices(names: Mapping[str, str], found: Mapping[str, Any], devices: Filter) -> Metrics:
    """Take the counters of each device; psutil's times are milliseconds."""
    metrics: Metrics = []
    for field, name in names.items():
        samples: list[Sample] = []
        for device, counters in found.items():
            value = getattr(counters, field, None)
            if value is not None and devices.keeps(device):
                samples.append(((device,), value / 1000 if field.endswith("_time") else value))
        metrics.append((_KNOWN[name], samples))
    return metrics


def parse_filesystems(found: Iterable[tuple[Any, Any]], points: Filter, types: Filter) -> Metrics:
    """Take pairs of a partition and its usage, None where it cannot be read, as an empty drive."""
    columns: dict[Family, list[Sample]] = {
        family: []
        for family in (
            *(filesystem.SIZE, filesystem.FREE, filesystem.AVAILABLE),
            *(filesystem.READ_ONLY, filesystem.DEVICE_ERROR),
        )
    }
    for partition, usage in found:
        if not (points.keeps(partition.mountpoint) and types.keeps(partition.fstype)):
            continue
        labels = (partition.device, partition.mountpoint, partition.fstype)
        columns[filesystem.READ_ONLY].append((labels, int("ro" in partition.opts.split(","))))
        columns[filesystem.DEVICE_ERROR].append((labels, int(usage is None)))
        if usage is not None:
            columns[filesystem.SIZE].append((labels, usage.total))
            columns[filesystem.FREE].append((labels, usage.total - usage.used))
            columns[filesystem.AVAILABLE].append((labels, usage.free))
    return list(columns.items())


class PortableAgent(Collector):
    """What the agent itself costs."""

    name, summary, families, essential = agent.Agent.name, agent.Agent.summary, agent.Agent.families, True

    def collect(self) -> Metrics:
        """Ask for this process."""
        python = ".".join(map(str, sys.version_info[:3]))
        return [
            (agent.BUILD_INFO, [((__version__, python), 1)]),
            (agent.EXPORTER, [(("", platform.machine(), sys.platform, "", "", "metricat", __version__), 1)]),
            single(agent.CPU_SECONDS, time.process_time()),
            single(agent.RESIDENT_MEMORY, psutil().Process().memory_info().rss),
        ]


class PortableCpu(Collector):
    """Where the CPUs' time went."""

    name, summary, families, essential = cpu.Cpu.name, cpu.Cpu.summary, (cpu.SECONDS,), True

    def collect(self) -> Metrics:
        """Ask and parse."""
        return parse_cpu(psutil().cpu_times(percpu=True))


class PortableMemory(Collector):
    """What memory is used for."""

    name, summary, essential = "meminfo", "memory and swap", True
    families = (*MEMORY.values(), *SWAP.values())

    def collect(self) -> Metrics:
        """Ask and parse."""
        return parse_fields(MEMORY, psutil().virtual_memory()) + parse_fields(SWAP, psutil().swap_memory())


class PortableLoadAverage(Collector):
    """How many tasks want to run."""

    name, summary, families, essential = "loadavg", loadavg.LoadAverage.summary, loadavg.LOADS, True

    def collect(self) -> Metrics:
        """Ask; psutil makes it up on Windows."""
        return [single(family, value) for family, value in zip(loadavg.LOADS, psutil().getloadavg(), strict=True)]


class PortableDisks(Collector):
    """What the disks did."""

    name, summary, essential = "diskstats", "reads and writes of disks", True
    families = tuple(_KNOWN[name] for name in _DISKS.values())
    filter_flags = (FilterFlags.of("device", "disks", ""),)

    def collect(self) -> Metrics:
        """Ask for raw counters and parse."""
        found = psutil().disk_io_counters(perdisk=True, nowrap=False) or {}
        return parse_devices(_DISKS, found, self.filter("device-exclude"))


class PortableNetworkDevices(Collector):
    """What the network devices carried and lost."""

    name, summary, essential = "netdev", "traffic, errors and drops of network devices", True
    families = tuple(_KNOWN[name] for name in _NETWORK.values())
    filter_flags = (FilterFlags.of("device", "network devices", ""),)

    def collect(self) -> Metrics:
        """Ask for raw counters and parse."""
        found = psutil().net_io_counters(pernic=True, nowrap=False) or {}
        return parse_devices(_NETWORK, found, self.filter("device-exclude"))


class PortableFileSystems(Collector):
    """How full the filesystems are."""

    name, summary, essential = "filesystem", "space of filesystems", True
    families = (
        *(filesystem.SIZE, filesystem.FREE, filesystem.AVAILABLE),
        *(filesystem.READ_ONLY, filesystem.DEVICE_ERROR),
    )
    filter_flags = (
        FilterFlags.of("mount-points", "mount points", r"^/(dev|System/Volumes/(VM|Preboot|Update))($|/)"),
        FilterFlags.of("fs-types", "filesystem types", r"^(autofs|devfs)$"),
    )

    def collect(self) -> Metrics:
        """Ask for each and parse."""
        found = []
        for partition in psutil().disk_partitions(all=False):
            try:
                found.append((partition, psutil().disk_usage(partition.mountpoint)))
            except OSError:
                found.append((partition, None))
        return parse_filesystems(found, self.filter("mount-points-exclude"), self.filter("fs-types-exclude"))


class PortableStat(Collector):
    """When the machine booted."""

    name, summary, essential = "stat", "boot time", True
    families = (totals.FIELDS["btime"],)

    def collect(self) -> Metrics:
        """Ask."""
        return [single(totals.FIELDS["btime"], psutil().boot_time())]


class PortableTime(Collector):
    """What time the machine thinks it is."""

    name, summary, families, essential = "time", "the machine's clock", (clock.TIME,), True

    def collect(self) -> Metrics:
        """Ask."""
        return [single(clock.TIME, time.time())]


class PortableUname(Collector):
    """Which system runs."""

    name, summary, families, essential = "uname", kernel.Uname.summary, (kernel.INFO,), True

    def collect(self) -> Metrics:
        """Ask."""
        found = platform.uname()
        node = self.host.node_name or found.node
        return [(kernel.INFO, [((found.system, found.release, found.version, found.machine, node, ""), 1)])]


class PortableBattery(Collector):
    """How long a laptop lasts."""

    name, summary, families = "powersupplyclass", "charge of the battery", (BATTERY,)

    def collect(self) -> Metrics:
        """Ask; most machines have none."""
        sensor = getattr(psutil(), "sensors_battery", None)
        found = sensor() if sensor is not None else None
        return [] if found is None else [(BATTERY, [(("battery",), found.percent)])]


PORTABLE: dict[str, type[Collector]] = {
    collector.name: collector
    for collector in (
        PortableAgent,
        PortableBattery,
        PortableCpu,
        PortableDisks,
        PortableFileSystems,
        PortableLoadAverage,
        PortableMemory,
        PortableNetworkDevices,
        PortableStat,
        PortableTime,
        PortableUname,
        Processes,
    )
}
"""All collectors of systems that are not Linux."""
