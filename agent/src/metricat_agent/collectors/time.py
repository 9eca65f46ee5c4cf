"""The node's clock, which all containers share, and its clock source, from ``/sys``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.parts import UNCOUNTED
from metricat_agent.exposition.model import Metrics, Sample, gauge, single

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

TIME = gauge("node_time_seconds", "The node's clock, in seconds since 1970 (UTC).")
ZONE = gauge("node_time_zone_offset_seconds", "Offset of the node's time zone from UTC, in seconds.", "time_zone")
AVAILABLE = gauge("node_time_clocksource_available_info", "1 for each available clock source.", "device", "clocksource")
CURRENT = gauge("node_time_clocksource_current_info", "1 for the clock source in use.", "device", "clocksource")
_DEVICE = "0"
"""Linux has only this clock source device."""
_ROOT = f"devices/system/clocksource/clocksource{_DEVICE}"
_FILES = ("available_clocksource", "current_clocksource")


def read(host: Host) -> Mapping[str, Mapping[str, str]]:
    """Return the text of the clock source files by the number of their device."""
    return {_DEVICE: host.optional_attributes(_ROOT, _FILES)}


def parse(devices: Mapping[str, Mapping[str, str]], skips: Skips = UNCOUNTED) -> Metrics:
    """Return a series for each available clock source and for the current one."""
    columns: tuple[list[Sample], list[Sample]] = ([], [])
    for device, files in devices.items():
        for name, samples in zip(_FILES, columns, strict=True):
            samples += [((device, source), 1) for source in files.get(name, "").split()]
            if name in files and not files[name].split():
                skips.add("unparsable", f"{_ROOT}/{name}")
    return list(zip((AVAILABLE, CURRENT), columns, strict=True))


class Time(Collector):
    """The node's clock, time zone and clock source."""

    name = "time"
    summary = "the node's clock, time zone and clock source"
    families = (TIME, ZONE, AVAILABLE, CURRENT)
    essential = True

    def collect(self) -> Metrics:
        """Return time, time zone and clock source. Skip the time zone in a container: it may differ from the node's."""
        found = [single(TIME, time.time())]
        if self.host.is_local:
            here = time.localtime()
            found.append((ZONE, [((here.tm_zone,), here.tm_gmtoff)]))
        return found + parse(read(self.host), self.host.skips)
