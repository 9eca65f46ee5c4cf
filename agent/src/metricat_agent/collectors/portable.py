"""Collectors for systems that are not Linux, from psutil. Metrics with the same meaning have the same names.

Metrics that psutil does not provide are absent. Each collector has the name of its counterpart on Linux, so settings,
dashboards and alerts do not depend on the system.
"""

from __future__ import annotations

import platform
import sys
import time
from typing import TYPE_CHECKING, Any, TypeVar

from metricat_agent import __version__
from metricat_agent.collectors import Collector, Filter, FilterFlags, agent, cpu, diskstats, filesystem, loadavg, netdev
from metricat_agent.collectors import stat as totals
from metricat_agent.collectors import time as clock
from metricat_agent.collectors import uname as kernel
from metricat_agent.collectors.probe import Probe
from metricat_agent.collectors.processes import Processes
from metricat_agent.exposition.model import Family, Metrics, Sample, gauge, single

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

T = TypeVar("T")
_TOLERANCE_SECONDS = 3
MEMORY: dict[str, Family] = {
    field: gauge(f"node_memory_{name}_bytes", f"Memory {text}, in bytes.")
    for field, name, text in (
        ("total", "total", "of the machine"),
        ("available", "available", "available to new programs without swapping"),
        ("free", "free", "that is free"),
        ("active", "active", "used recently"),
        ("inactive", "inactive", "not used recently"),
        ("wired", "wired", "that cannot be moved to disk"),
    )
}
SWAP: dict[str, Family] = {
    field: gauge(f"node_memory_swap_{field}_bytes", f"Swap space {text}, in bytes.")
    for field, text in (("total", "of the machine"), ("used", "in use"))
}
BATTERY = gauge("node_power_supply_capacity", "Charge of the battery, in % of its capacity.", "power_supply")
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
    """Import psutil, which the agent does not need on Linux."""
    import psutil as module  # noqa: PLC0415 -- see above

    return module


def parse_cpu(times: Iterable[Any]) -> Metrics:
    """Return the seconds of each CPU in the modes that the system has. Windows has other names for interrupts."""
    samples: list[Sample] = []
    for number, one in enumerate(times):
        values = {"irq": getattr(one, "interrupt", None), "softirq": getattr(one, "dpc", None)}
        for mode in cpu.MODES:
            value = getattr(one, mode, values.get(mode))
            if value is not None:
                samples.append(((str(number), mode), value))
    return [(cpu.SECONDS, samples)]


def monotonic(before: Mapping[T, float], now: Mapping[T, float]) -> dict[T, float]:
    """Keep the old value of counters that decreased by less than 3 seconds, which happens on some systems.

    A larger decrease is a restart from zero: macOS has 32-bit counters, which overflow after 497 days.
    """
    lost = {key: before.get(key, value) - value for key, value in now.items()}
    return {key: before[key] if 0 < lost[key] < _TOLERANCE_SECONDS else value for key, value in now.items()}


def parse_fields(families: Mapping[str, Family], found: Any) -> Metrics:
    """Return a metric for each field that the system has."""
    return [
        single(family, value)
        for field, family in families.items()
        if (value := getattr(found, field, None)) is not None
    ]


def parse_devices(names: Mapping[str, str], found: Mapping[str, Any], devices: Filter) -> Metrics:
    """Return the counters of each selected device, times in seconds. psutil's times are in milliseconds."""
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
    """Return the space per filesystem from pairs of partition and usage. The usage of an unreadable drive is None."""
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
    """Version, CPU time and memory of the agent."""

    name, summary, families, essential = agent.Agent.name, agent.Agent.summary, agent.Agent.families, True

    def collect(self) -> Metrics:
        """Return the version, CPU time and resident memory of this process."""
        python = ".".join(map(str, sys.version_info[:3]))
        return [
            (agent.BUILD_INFO, [((__version__, python), 1)]),
            (agent.EXPORTER, [(("", platform.machine(), sys.platform, "", "", "metricat", __version__), 1)]),
            single(agent.CPU_SECONDS, time.process_time()),
            single(agent.RESIDENT_MEMORY, psutil().Process().memory_info().rss),
        ]


class PortableCpu(Collector):
    """CPU time by mode."""

    name, summary, families, essential = cpu.Cpu.name, "time of each CPU by mode", (cpu.SECONDS,), True

    def setup(self) -> None:
        """Start without earlier counters."""
        self._last: dict[tuple[str, ...], float] = {}

    def collect(self) -> Metrics:
        """Return the CPU time per mode from psutil. The time decreases only at a restart: see `monotonic`."""
        [(family, samples)] = parse_cpu(psutil().cpu_times(percpu=True))
        self._last = monotonic(self._last, dict(samples))
        return [(family, list(self._last.items()))]


class PortableMemory(Collector):
    """Use of memory and swap."""

    name, summary, essential = "meminfo", "memory and swap", True
    families = (*MEMORY.values(), *SWAP.values())

    def collect(self) -> Metrics:
        """Return the memory and swap sizes from psutil."""
        return parse_fields(MEMORY, psutil().virtual_memory()) + parse_fields(SWAP, psutil().swap_memory())


class PortableLoadAverage(Collector):
    """Load averages."""

    name, summary, families, essential = "loadavg", loadavg.LoadAverage.summary, loadavg.LOADS, True

    def collect(self) -> Metrics:
        """Return the load averages. On Windows, psutil emulates them."""
        return [single(family, value) for family, value in zip(loadavg.LOADS, psutil().getloadavg(), strict=True)]


class PortableDisks(Collector):
    """I/O counters of disks."""

    name, summary, essential = "diskstats", "reads and writes of disks", True
    families = tuple(_KNOWN[name] for name in _DISKS.values())
    filter_flags = (FilterFlags.of("device", "disks", ""),)

    def collect(self) -> Metrics:
        """Return the I/O counters per disk from psutil."""
        found = psutil().disk_io_counters(perdisk=True, nowrap=False) or {}
        return parse_devices(_DISKS, found, self.filter("device-exclude"))


class PortableNetworkDevices(Collector):
    """Traffic, errors and drops of network devices."""

    name, summary, essential = "netdev", "traffic, errors and drops of network devices", True
    families = tuple(_KNOWN[name] for name in _NETWORK.values())
    filter_flags = (FilterFlags.of("device", "network devices", ""),)

    def collect(self) -> Metrics:
        """Return the traffic, errors and drops per network device from psutil."""
        found = psutil().net_io_counters(pernic=True, nowrap=False) or {}
        return parse_devices(_NETWORK, found, self.filter("device-exclude"))


class PortableFilesystems(Collector):
    """Size, free space, read-only state and errors of filesystems, from psutil."""

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
        """Return the space per filesystem from psutil."""
        found = []
        for partition in psutil().disk_partitions(all=False):
            try:
                found.append((partition, psutil().disk_usage(partition.mountpoint)))
            except OSError:
                found.append((partition, None))
        return parse_filesystems(found, self.filter("mount-points-exclude"), self.filter("fs-types-exclude"))


class PortableStat(Collector):
    """Boot time of the machine."""

    name, summary, essential = "stat", "boot time", True
    families = (totals.FIELDS["btime"],)

    def collect(self) -> Metrics:
        """Return the boot time."""
        return [single(totals.FIELDS["btime"], psutil().boot_time())]


class PortableTime(Collector):
    """The machine's clock."""

    name, summary, families, essential = "time", "the machine's clock", (clock.TIME,), True

    def collect(self) -> Metrics:
        """Return the time of the clock."""
        return [single(clock.TIME, time.time())]


class PortableUname(Collector):
    """Name and version of the system."""

    name, summary, families, essential = "uname", kernel.Uname.summary, (kernel.INFO,), True

    def collect(self) -> Metrics:
        """Return the name and version of the system."""
        found = platform.uname()
        node = self.host.node_name or found.node
        return [(kernel.INFO, [((found.system, found.release, found.version, found.machine, node, ""), 1)])]


class PortableBattery(Collector):
    """Charge of the battery."""

    name, summary, families = "powersupplyclass", "charge of the battery", (BATTERY,)

    def collect(self) -> Metrics:
        """Return the charge of the battery; nothing on machines without one."""
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
        PortableFilesystems,
        PortableLoadAverage,
        PortableMemory,
        PortableNetworkDevices,
        PortableStat,
        PortableTime,
        PortableUname,
        Probe,
        Processes,
    )
}
"""All collectors of systems that are not Linux."""
