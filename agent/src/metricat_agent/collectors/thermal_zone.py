"""Temperatures and cooling, from ``/sys/class/thermal`` (kernel: driver-api/thermal/sysfs-api.rst)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.parts import UNCOUNTED, parse_file, whole
from metricat_agent.exposition.model import Metrics, Sample, gauge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

TEMPERATURE = gauge("node_thermal_zone_temp", "Temperature of a zone, in degrees Celsius.", "zone", "type")
STATE = gauge("node_cooling_device_cur_state", "Current cooling level of a device; 0 means no cooling.", "name", "type")
GREATEST = gauge("node_cooling_device_max_state", "Maximum cooling level of a device.", "name", "type")
_FILES = ("type", "temp", "cur_state", "max_state")


def read(host: Host) -> Mapping[str, Mapping[str, str]]:
    """Return the files of each thermal zone and cooling device."""
    return host.sys_each("class/thermal", lambda entry: host.sys_attributes(f"class/thermal/{entry}", _FILES))


def parse(entries: Mapping[str, Mapping[str, str]], skips: Skips = UNCOUNTED) -> Metrics:
    """Return temperatures in degrees and cooling levels. A zone that cannot measure now has no temperature."""
    zones: list[Sample] = []
    states: list[Sample] = []
    greatest: list[Sample] = []
    for entry, files in entries.items():
        kind = files.get("type", "")
        place = f"class/thermal/{entry}"
        if entry.startswith("thermal_zone"):
            temperature = parse_file(skips, files, "temp", place, whole)
            if temperature is not None:
                zones.append(((entry.removeprefix("thermal_zone"), kind), temperature / 1000))
        elif entry.startswith("cooling_device"):
            labels = (entry.removeprefix("cooling_device"), kind)
            for file, samples in (("cur_state", states), ("max_state", greatest)):
                if (level := parse_file(skips, files, file, place, whole)) is not None:
                    samples.append((labels, level))
    return [(TEMPERATURE, zones), (STATE, states), (GREATEST, greatest)]


class ThermalZones(Collector):
    """Temperatures of zones and states of cooling devices."""

    name = "thermal_zone"
    summary = "temperatures of zones and states of cooling devices"
    families = (TEMPERATURE, STATE, GREATEST)

    def collect(self) -> Metrics:
        """Return temperatures and cooling levels from /sys/class/thermal."""
        return self.parse_parts_if_changed(read(self.host), parse)
