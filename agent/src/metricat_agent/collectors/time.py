"""The node's clock: the same for every container of a node."""

from __future__ import annotations

import time

from metricat_agent.collectors import Collector
from metricat_agent.families import Metrics, gauge, single

TIME = gauge("node_time_seconds", "The node's clock, in seconds since 1970 (UTC).")


class Time(Collector):
    """What time the node thinks it is."""

    name = "time"
    summary = "the node's clock"
    essential = True
    families = (TIME,)

    def collect(self) -> Metrics:
        """Ask the kernel."""
        return [single(TIME, time.time())]
