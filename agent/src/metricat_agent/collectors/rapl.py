"""Energy used by CPUs and memory, from ``/sys/class/powercap`` (kernel: power/powercap/powercap.rst).

Since Linux 5.10 only root may read it, because energy measurements can reveal secrets. Without the permission to read
it, the collector returns nothing and does not fail.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from metricat_agent.collectors import Collector
from metricat_agent.collectors.option import switch
from metricat_agent.collectors.parts import UNCOUNTED, name_part, parse_part, whole
from metricat_agent.exposition.model import Family, Metrics, Sample, counter
from metricat_agent.host.ascii_text import BLANKS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

_UNIT = "in joules; restarts at 0 when the hardware counter overflows."
_CONSUMERS = {
    "package": "whole CPU packages",
    "core": "the cores of CPU packages",
    "uncore": "the parts of CPU packages outside the cores, such as integrated graphics",
    "dram": "the memory attached to CPU packages",
    "psys": "the whole platform",
}
"""The consumers of energy, by the name of their zone."""
ZONES = counter("node_rapl_joules_total", f"Energy used by a zone, {_UNIT}", "index", "path", "rapl_zone")
ZONE_LABEL = switch("enable-zone-label", "use one family for all zones, with the label rapl_zone")
_PLACE = "class/powercap"
_NAME, _SHOWN = re.compile(r"[a-zA-Z0-9_.-]+"), 40
_INDEX = re.compile(r"([^-]*)-(\d+)")


class Zone(NamedTuple):
    """One zone: its directory, its name (package-0, core), and its counter in microjoules."""

    path: str
    name: str
    energy: str


def family_of(name: str) -> Family:
    """Return the family of the zones with this name."""
    text = f"Energy used by {_CONSUMERS.get(name, f'the zone {name}')}, {_UNIT}"
    return counter(f"node_rapl_{name_part(name)}_joules_total", text, "index", "path")


def read(host: Host) -> list[Zone]:
    """Return the name and energy of each zone that the agent may read."""
    zones = host.sys_each(_PLACE, lambda entry: host.sys_attributes(f"{_PLACE}/{entry}", ("name", "energy_uj")))
    return [
        Zone(f"{host.sysfs}/{_PLACE}/{entry}", files["name"].strip(BLANKS), files["energy_uj"])
        for entry, files in zones.items()
        if "name" in files and "energy_uj" in files
    ]


def parse(zones: Iterable[Zone], skips: Skips = UNCOUNTED, *, labeled: bool) -> Metrics:
    """Return the energy of each zone. Zones of equal names differ by the number in the name, or by their order."""
    seen: Counter[str] = Counter()
    columns: dict[Family, list[Sample]] = {}
    for zone in zones:
        numbered = _INDEX.fullmatch(zone.name)
        name, index = (numbered[1], int(numbered[2])) if numbered else (zone.name, seen[zone.name])
        seen[name] = index + 1
        labels = (str(index), zone.path, *((name,) if labeled else ()))
        family = ZONES if labeled else family_of(name)
        if not _NAME.fullmatch(name):
            skips.add("unparsable", f"{zone.path}/name", repr(name[:_SHOWN]))
            continue
        energy = parse_part(skips, f"{zone.path}/energy_uj", whole, zone.energy)
        if energy is not None:
            columns.setdefault(family, []).append((labels, energy / 1e6))
    return list(columns.items())


class Energy(Collector):
    """Energy used by CPUs and memory."""

    name = "rapl"
    summary = "energy used by CPUs and memory (only root may read it)"
    families = (ZONES, *(family_of(name) for name in _CONSUMERS))
    options = (ZONE_LABEL,)

    def collect(self) -> Metrics:
        """Return the energy used per zone from /sys/class/powercap."""
        labeled = self.option(ZONE_LABEL)
        return self.parse_parts_if_changed(read(self.host), lambda zones, skips: parse(zones, skips, labeled=labeled))
