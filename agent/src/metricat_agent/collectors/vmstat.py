"""Counters of the kernel's memory management, from ``/proc/vmstat`` (kernel: filesystems/proc.rst)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.fields import FieldList, fields_option
from metricat_agent.collectors.parts import name_part
from metricat_agent.exposition.model import Family, Metrics, untyped

if TYPE_CHECKING:
    import re

    from metricat_agent.host.hostfs import Host

FIELDS = fields_option(r"^(oom_kill|pgpg(in|out)|pswp(in|out)|pg(maj)?fault)$")
MEANINGS = {
    "oom_kill": "Processes killed because memory ran out.",
    "pgfault": "Page faults, including those without a read from disk.",
    "pgmajfault": "Page faults that needed a read from disk.",
    "pgpgin": "Data read from disks, in KiB.",
    "pgpgout": "Data written to disks, in KiB.",
    "pswpin": "Pages read from swap.",
    "pswpout": "Pages written to swap.",
}
FAMILIES = {field: untyped(f"node_vmstat_{field}", text) for field, text in MEANINGS.items()}


def read(host: Host) -> str:
    """Return the text of /proc/vmstat."""
    return host.proc("vmstat")


def select(name: str, fields: re.Pattern[str]) -> Family | None:
    """Return the family of a field that the expression matches, a declared or a new one; None for other fields."""
    if not fields.search(name):
        return None
    return FAMILIES.get(name) or untyped(f"node_vmstat_{name_part(name)}", f"Value of {name} in /proc/vmstat.")


class VirtualMemory(Collector):
    """Paging, swapping and out-of-memory kills."""

    name = "vmstat"
    summary = "paging, swapping, out-of-memory kills"
    families = tuple(FAMILIES.values())
    options = (FIELDS,)

    def setup(self) -> None:
        """Create the parser for the fields that the option selects."""
        fields = self.option(FIELDS)
        self._list = FieldList(lambda name: select(name, fields))

    def collect(self) -> Metrics:
        """Return the selected counters from /proc/vmstat."""
        return self.parse_parts_if_changed(read(self.host), lambda text, skips: self._list.parse(text, skips, "vmstat"))
