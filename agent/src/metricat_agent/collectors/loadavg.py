"""Load averages, from ``/proc/loadavg`` (``man 5 proc``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Metrics, gauge, single

if TYPE_CHECKING:
    from metricat_agent.host.hostfs import Host

LOADS = tuple(
    gauge(f"node_load{minutes}", f"Tasks running, waiting for a CPU or for a disk: mean of about {minutes} min.")
    for minutes in (1, 5, 15)
)


def read(host: Host) -> str:
    """Read the one line."""
    return host.proc("loadavg")


def parse(text: str) -> Metrics:
    """Take its first three numbers."""
    one, five, fifteen, *_ = text.split()
    return [single(family, float(value)) for family, value in zip(LOADS, (one, five, fifteen), strict=True)]


class LoadAverage(Collector):
    """How many tasks want to run."""

    name = "loadavg"
    summary = "load averages over 1, 5 and 15 minutes"
    essential = True
    families = LOADS

    def collect(self) -> Metrics:
        """Read and parse."""
        return self.parse_if_changed(read(self.host), parse)
