"""The kernel's totals since boot, from ``/proc/stat`` (``man 5 proc``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.option import switch
from metricat_agent.exposition.model import Metrics, counter, gauge, single

if TYPE_CHECKING:
    from metricat_agent.host.hostfs import Host

FIELDS = {
    "btime": gauge("node_boot_time_seconds", "Boot time of the node, in seconds since 1970 (UTC)."),
    "ctxt": counter("node_context_switches_total", "Switches of a CPU from one task to another."),
    "processes": counter("node_forks_total", "Processes and threads created."),
    "intr": counter("node_intr_total", "Interrupts served, including those without a number."),
    "procs_blocked": gauge("node_procs_blocked", "Tasks blocked, waiting for I/O."),
    "procs_running": gauge("node_procs_running", "Tasks in the state running or ready to run."),
}
SOFTIRQS = counter("node_softirqs_total", "Soft interrupts served, by kind.", "vector")
VECTORS = ("hi", "timer", "net_tx", "net_rx", "block", "block_iopoll", "tasklet", "sched", "hrtimer", "rcu")
"""In the order of the numbers after the total in the line ``softirq``."""
BY_KIND = switch("softirq", "expose soft interrupts by kind")


def read(host: Host) -> str:
    """Return the text of /proc/stat."""
    return host.proc("stat")


def parse(text: str, *, softirqs: bool = False) -> Metrics:
    """Return the first number of each known line, and on request the number of soft interrupts of each kind."""
    found: Metrics = []
    for line in text.split("\n"):
        label, _, rest = line.partition(" ")
        if family := FIELDS.get(label):
            found.append(single(family, int(rest.partition(" ")[0])))
        elif softirqs and label == "softirq":
            numbers = rest.split()[1:]
            found.append((SOFTIRQS, [((kind,), int(number)) for kind, number in zip(VECTORS, numbers, strict=False)]))
    if not found:
        raise ValueError("/proc/stat has none of the known lines")
    return found


class Stat(Collector):
    """Boot time, context switches, interrupts and tasks."""

    name = "stat"
    summary = "boot time, context switches, interrupts, forks, running and blocked tasks"
    essential = True
    families = (*FIELDS.values(), SOFTIRQS)
    options = (BY_KIND,)

    def collect(self) -> Metrics:
        """Return boot time, context switches, forks, interrupts and task counts from /proc/stat."""
        softirqs = self.option(BY_KIND)
        return self.parse_if_changed(read(self.host), lambda text: parse(text, softirqs=softirqs))
