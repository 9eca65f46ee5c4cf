"""What the kernel's memory management did, from ``/proc/vmstat`` (kernel: filesystems/proc.rst)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector, pattern
from metricat_agent.families import Family, Metrics, single, untyped
from metricat_agent.options import Option

if TYPE_CHECKING:
    from metricat_agent.host import Host

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
FAMILIES = {field: untyped(f"node_vmstat_{field}", text) for field, text in MEANINGS.items()}


def read(host: Host) -> str:
    """Read the counters."""
    return host.proc("vmstat")


def parse(text: str, fields: re.Pattern[str], known: dict[str, Family | None]) -> Metrics:
    """Take the fields that the expression finds; `known` remembers which those are."""
    found = []
    for line in text.splitlines():
        field, _, value = line.partition(" ")
        try:
            family = known[field]
        except KeyError:
            family = known[field] = family_of(field) if fields.search(field) else None
        if family is not None:
            found.append(single(family, int(value)))
    return found


def family_of(field: str) -> Family:
    """Return a field's family: declared, or made for one that somebody asked for."""
    return FAMILIES.get(field) or untyped(f"node_vmstat_{field}", f"The field {field} of /proc/vmstat.")


class VirtualMemory(Collector):
    """Paging, swapping and kills for want of memory."""

    name = "vmstat"
    summary = "paging, swapping, out-of-memory kills"
    families = tuple(FAMILIES.values())
    options = (Option("fields", FIELDS, "take these fields", "REGEX"),)
    known: dict[str, Family | None]

    def start(self) -> None:
        """Nothing is known of the kernel's fields yet."""
        self.known = {}

    @classmethod
    def option(cls, name: str, text: str) -> object:
        """Compile the expression."""
        del name
        return pattern(text)

    def collect(self) -> Metrics:
        """Read and parse."""
        fields = self.settings["fields"]
        assert isinstance(fields, re.Pattern)  # noqa: S101 -- `option` made it
        return parse(read(self.host), fields, self.known)
