"""Time that tasks waited for CPU, memory and I/O, from ``/proc/pressure`` (kernel: accounting/psi.rst)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.parts import UNCOUNTED, lines_of, parse_part, whole
from metricat_agent.exposition.model import Family, Metrics, counter, single

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

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
_KINDS = ("some", "full")
_SHOWN = 20
RESOURCES = ("cpu", "io", "memory", "irq")


def read(host: Host) -> Mapping[str, str]:
    """Return the text of each existing file, none if the kernel lacks pressure stall information or disables it."""
    texts = {resource: host.optional_proc(f"pressure/{resource}") for resource in RESOURCES}
    return {resource: text for resource, text in texts.items() if text is not None}


def parse(texts: Mapping[str, str], skips: Skips = UNCOUNTED) -> Metrics:
    """Return the totals in seconds from lines such as ``some avg10=0.00 avg60=0.00 avg300=0.00 total=12``."""
    found: Metrics = []
    for resource, text in texts.items():
        for line in parse_part(skips, f"pressure/{resource}", lines_of, text) or ():
            kind, _, rest = line.partition(" ")
            part = f"pressure/{resource} {line[:_SHOWN]}"
            total = parse_part(skips, part, whole, rest.rpartition("total=")[2] if kind in _KINDS else line)
            if total is not None and (family := FAMILIES.get((resource, kind))):
                found.append(single(family, total / 1_000_000))
    return found


class Pressure(Collector):
    """Time that tasks waited for CPU, memory and I/O."""

    name = "pressure"
    summary = "time that tasks waited for CPU, memory and I/O"
    families = tuple(FAMILIES.values())

    def collect(self) -> Metrics:
        """Return the waiting times per resource from /proc/pressure."""
        return self.parse_parts_if_changed(read(self.host), parse)
