"""The kernel's totals since boot, from ``/proc/stat`` (``man 5 proc``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.option import switch
from metricat_agent.collectors.parts import UNCOUNTED, parse_part, whole
from metricat_agent.exposition.model import Metrics, counter, gauge, single

if TYPE_CHECKING:
    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

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


def parse(text: str, skips: Skips = UNCOUNTED, *, softirqs: bool = False) -> Metrics:
    """Return the first number of each known line, and on request the number of soft interrupts of each kind."""
    found: Metrics = []
    for line in text.split("\n"):
        label, _, rest = line.partition(" ")
        if family := FIELDS.get(label):
            number = parse_part(skips, f"stat {label}", whole, rest.partition(" ")[0])
            if number is not None:
                found.append(single(family, number))
        elif softirqs and label == "softirq":
            numbers = parse_part(skips, "stat softirq", whole_numbers, rest) or []
            kinds = (*VECTORS, *[f"vector_{number}" for number in range(len(VECTORS), len(numbers) - 1)])
            found.append((SOFTIRQS, [((kind,), number) for kind, number in zip(kinds, numbers[1:], strict=False)]))
    if not found:
        raise ValueError("/proc/stat has none of the known lines")
    return found


def whole_numbers(text: str) -> list[int]:
    """Return the numbers of a line."""
    return [whole(word) for word in text.split()]


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
        return self.parse_parts_if_changed(read(self.host), lambda text, skips: parse(text, skips, softirqs=softirqs))
