"""Time that tasks ran and waited on each CPU, from ``/proc/schedstat`` (kernel: scheduler/sched-stats.rst)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.parts import UNCOUNTED, lines_of, parse_part, whole
from metricat_agent.exposition.model import Metrics, Sample, counter

if TYPE_CHECKING:
    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

RUNNING = counter("node_schedstat_running_seconds_total", "Time that tasks ran on a CPU, in seconds.", "cpu")
WAITING = counter("node_schedstat_waiting_seconds_total", "Time that tasks waited for a CPU, in seconds.", "cpu")
SLICES = counter("node_schedstat_timeslices_total", "Timeslices that tasks ran on a CPU.", "cpu")


def read(host: Host) -> str:
    """Return the text of /proc/schedstat."""
    return host.proc("schedstat")


def parse(text: str, skips: Skips = UNCOUNTED) -> Metrics:
    """Return running and waiting time in seconds, and timeslices, per CPU.

    These numbers are the last three fields of each `cpu` line, which has times in nanoseconds.
    """
    columns: tuple[list[Sample], list[Sample], list[Sample]] = ([], [], [])
    for line in lines_of(text):
        if line.startswith("cpu"):
            name, _, rest = line.partition(" ")
            numbers = parse_part(skips, f"schedstat {name}", last_three, rest)
            if numbers is not None:
                labels = (name.removeprefix("cpu"),)
                columns[0].append((labels, numbers[0] / 1_000_000_000))
                columns[1].append((labels, numbers[1] / 1_000_000_000))
                columns[2].append((labels, numbers[2]))
    if not columns[0]:
        raise ValueError("/proc/schedstat has no line of a CPU")
    return list(zip((RUNNING, WAITING, SLICES), columns, strict=True))


def last_three(text: str) -> tuple[int, int, int]:
    """Return the last three numbers of a line."""
    *_, running, waiting, slices = text.split()
    return whole(running), whole(waiting), whole(slices)


class Scheduler(Collector):
    """Time that tasks ran and waited on each CPU."""

    name = "schedstat"
    summary = "time that tasks ran and waited on each CPU"
    families = (RUNNING, WAITING, SLICES)
    per_cpu = True

    def collect(self) -> Metrics:
        """Return running time, waiting time and timeslices per CPU from /proc/schedstat."""
        return self.parse_parts_if_changed(read(self.host), parse)
