"""What the kernel's memory management did, from ``/proc/vmstat`` (kernel: filesystems/proc.rst)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector, pattern
from metricat_agent.collectors.option import Option
from metricat_agent.exposition.model import Family, Metrics, single, untyped

if TYPE_CHECKING:
    from metricat_agent.host.hostfs import Host

FIELDS = r"^(oom_kill|pgpg(in|out)|pswp(in|out)|pg(maj)?fault)$"
MEANINGS = {
    "oom_kill": "Processes killed because memory ran out.",
    "pgfault": "Page faults, those without reading from disk included.",
    "pgmajfault": "Page faults that read from disk.",
    "pgpgin": "KiB read from disks.",
    "pgpgout": "KiB written to disks.",
    "pswpin": "Pages read from swap.",
    "pswpout": "Pages written to swap.",
}
Known = tuple[list[str], list[tuple[int, Family]]]
"""The names of all fields in the kernel's order, which changes with the kernel alone, and the place of the wanted."""
FAMILIES = {field: untyped(f"node_vmstat_{field}", text) for field, text in MEANINGS.items()}


def read(host: Host) -> str:
    """Read the counters."""
    return host.proc("vmstat")


def parse(text: str, fields: re.Pattern[str], known: Known | None = None) -> tuple[Metrics, Known]:
    """Take the fields that the expression finds, and where they stand, for the next time."""
    words = text.split()
    names = words[::2]
    if known is None or known[0] != names:
        places = [(number, family_of(name)) for number, name in enumerate(names) if fields.search(name)]
        known = (names, places)
    values = words[1::2]
    return [single(family, int(values[number])) for number, family in known[1]], known


def family_of(field: str) -> Family:
    """Return a field's family: declared, or made for one that somebody asked for."""
    return FAMILIES.get(field) or untyped(f"node_vmstat_{field}", f"The field {field} of /proc/vmstat.")


class VirtualMemory(Collector):
    """Paging, swapping and kills for want of memory."""

    name = "vmstat"
    summary = "paging, swapping, out-of-memory kills"
    families = tuple(FAMILIES.values())
    options = (Option("fields", FIELDS, "take these fields", "REGEX"),)

    def start(self) -> None:
        """Nothing is known of the kernel's fields yet."""
        self._known: Known | None = None

    @classmethod
    def option(cls, name: str, text: str) -> object:
        """Compile the expression."""
        del name
        return pattern(text)

    def collect(self) -> Metrics:
        """Read and parse."""
        return self.told(read(self.host), self._parse)

    def _parse(self, text: str) -> Metrics:
        fields = self.settings["fields"]
        assert isinstance(fields, re.Pattern)  # noqa: S101 -- `option` made it
        metrics, self._known = parse(text, fields, self._known)
        return metrics
