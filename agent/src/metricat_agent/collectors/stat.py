"""The kernel's totals since boot, from ``/proc/stat`` (``man 5 proc``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.families import Metrics, counter, gauge, single

if TYPE_CHECKING:
    from metricat_agent.host import Host

FIELDS = {
    "btime": gauge("node_boot_time_seconds", "When the node booted, in seconds since 1970 (UTC)."),
    "ctxt": counter("node_context_switches_total", "Switches of a CPU from one task to another."),
    "processes": counter("node_forks_total", "Processes and threads created."),
    "intr": counter("node_intr_total", "Interrupts served, those without a number included."),
    "procs_blocked": gauge("node_procs_blocked", "Tasks waiting for input or output to end."),
    "procs_running": gauge("node_procs_running", "Tasks running or ready to run."),
}


def read(host: Host) -> str:
    """Read the kernel's statistics."""
    return host.proc("stat")


def parse(text: str) -> Metrics:
    """Take the first number of each known line."""
    found = []
    for line in text.splitlines():
        label, _, rest = line.partition(" ")
        if family := FIELDS.get(label):
            found.append(single(family, int(rest.partition(" ")[0])))
    return found


class Stat(Collector):
    """Boot time, switches, interrupts and tasks."""

    name = "stat"
    summary = "boot time, context switches, interrupts, forks, running and blocked tasks"
    essential = True
    families = tuple(FIELDS.values())

    def collect(self) -> Metrics:
        """Read and parse."""
        return parse(read(self.host))
