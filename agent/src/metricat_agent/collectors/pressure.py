"""Time that tasks waited for CPU, memory and I/O, from ``/proc/pressure`` (kernel: accounting/psi.rst)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Family, Metrics, counter, single

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from metricat_agent.host.hostfs import Host

FAMILIES: dict[tuple[str, str], Family] = {
    ("cpu", "some"): counter(
        "node_pressure_cpu_waiting_seconds_total", "Time during which at least one task waited for a CPU, in seconds."
    ),
    ("io", "some"): counter(
        "node_pressure_io_waiting_seconds_total", "Time during which at least one task waited for I/O, in seconds."
    ),
    ("io", "full"): counter(
        "node_pressure_io_stalled_seconds_total", "Time during which all non-idle tasks waited for I/O, in seconds."
    ),
    ("memory", "some"): counter(
        "node_pressure_memory_waiting_seconds_total",
        "Time during which at least one task waited for memory, in seconds.",
    ),
    ("memory", "full"): counter(
        "node_pressure_memory_stalled_seconds_total",
        "Time during which all non-idle tasks waited for memory, in seconds.",
    ),
    ("irq", "full"): counter(
        "node_pressure_irq_stalled_seconds_total",
        "Time during which interrupts stopped all non-idle tasks, in seconds.",
    ),
}
RESOURCES = ("cpu", "io", "memory", "irq")


def read(host: Host, resources: Iterable[str] = RESOURCES) -> Mapping[str, str]:
    """Return the text of each existing file, none if the kernel lacks pressure stall information or disables it."""
    found = {}
    for resource in resources:
        try:
            found[resource] = host.proc(f"pressure/{resource}")
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EOPNOTSUPP):
                raise
    return found


def parse(texts: Mapping[str, str]) -> Metrics:
    """Return the totals in seconds from lines such as ``some avg10=0.00 avg60=0.00 avg300=0.00 total=12``."""
    found = []
    for resource, text in texts.items():
        for line in text.splitlines():
            kind, _, rest = line.partition(" ")
            if family := FAMILIES.get((resource, kind)):
                found.append(single(family, int(rest.rpartition("total=")[2]) / 1_000_000))
    return found


class Pressure(Collector):
    """Time that tasks waited for CPU, memory and I/O."""

    name = "pressure"
    summary = "time that tasks waited for CPU, memory and I/O"
    families = tuple(FAMILIES.values())

    def setup(self) -> None:
        """Start with all resources; the first scrape finds those without a file."""
        self._resources: tuple[str, ...] = RESOURCES

    def collect(self) -> Metrics:
        """Return the waiting times per resource from /proc/pressure.

        Do not try missing files again: the kernel creates them only at boot.
        """
        found = read(self.host, self._resources)
        self._resources = tuple(found)
        return self.parse_if_changed(found, parse)
