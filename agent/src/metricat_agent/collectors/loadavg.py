"""Load averages, from ``/proc/loadavg`` (``man 5 proc``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Metrics, gauge, single

if TYPE_CHECKING:
    from metricat_agent.host.hostfs import Host

LOADS = tuple(
    gauge(f"node_load{minutes}", f"Load average over {minutes} min: tasks that run or wait for a CPU or a disk.")
    for minutes in (1, 5, 15)
)


def read(host: Host) -> str:
    """Return the text of /proc/loadavg."""
    return host.proc("loadavg")


def parse(text: str) -> Metrics:
    """Return the three load averages."""
    one, five, fifteen, *_ = text.split()
    return [single(family, float(value)) for family, value in zip(LOADS, (one, five, fifteen), strict=True)]


class LoadAverage(Collector):
    """Load averages."""

    name = "loadavg"
    summary = "load averages over 1, 5 and 15 minutes"
    essential = True
    families = LOADS

    def collect(self) -> Metrics:
        """Return the load averages over 1, 5 and 15 minutes from /proc/loadavg."""
        return self.parse_if_changed(read(self.host), parse)
