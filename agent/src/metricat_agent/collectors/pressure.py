"""Time that tasks waited for CPU, memory, disks: ``/proc/pressure`` (kernel: accounting/psi.rst)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Family, Metrics, counter, single

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from metricat_agent.host.hostfs import Host

FAMILIES: dict[tuple[str, str], Family] = {
    ("cpu", "some"): counter("node_pressure_cpu_waiting_seconds_total", "Time in which a task waited for a CPU."),
    ("io", "some"): counter("node_pressure_io_waiting_seconds_total", "Time in which a task waited for a disk."),
    ("io", "full"): counter("node_pressure_io_stalled_seconds_total", "Time in which all tasks waited for disks."),
    ("memory", "some"): counter(
        "node_pressure_memory_waiting_seconds_total", "Time in which a task waited for memory."
    ),
    ("memory", "full"): counter(
        "node_pressure_memory_stalled_seconds_total", "Time in which all tasks waited for memory."
    ),
    ("irq", "full"): counter(
        "node_pressure_irq_stalled_seconds_total", "Time in which interrupts kept all tasks from running."
    ),
}
RESOURCES = ("cpu", "io", "memory", "irq")


def read(host: Host, resources: Iterable[str] = RESOURCES) -> Mapping[str, str]:
    """Read the files that there are; a kernel without them, or with them switched off, tells nothing."""
    found = {}
    for resource in resources:
        try:
            found[resource] = host.proc(f"pressure/{resource}")
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EOPNOTSUPP):
                raise
    return found


def parse(texts: Mapping[str, str]) -> Metrics:
    """Take the totals, microseconds, of lines such as ``some avg10=0.00 avg60=0.00 avg300=0.00 total=12``."""
    found = []
    for resource, text in texts.items():
        for line in text.splitlines():
            kind, _, rest = line.partition(" ")
            if family := FAMILIES.get((resource, kind)):
                found.append(single(family, int(rest.rpartition("total=")[2]) / 1_000_000))
    return found


class Pressure(Collector):
    """How much work stands still for want of CPU, memory, disks."""

    name = "pressure"
    summary = "time that tasks waited for CPU, memory and disks"
    families = tuple(FAMILIES.values())

    def setup(self) -> None:
        """Ask for all."""
        self._resources: tuple[str, ...] = RESOURCES

    def collect(self) -> Metrics:
        """Read and parse; what the kernel does not have it will not have before it boots."""
        found = read(self.host, self._resources)
        self._resources = tuple(found)
        return self.parse_if_changed(found, parse)
