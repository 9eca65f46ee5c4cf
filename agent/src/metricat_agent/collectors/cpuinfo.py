"""The part of the collector ``cpu`` that says what the CPUs are, from ``/proc/cpuinfo``: long, so on demand only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.families import Metrics, gauge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.collectors import Filter

_KEYS = {
    "package": "physical id",
    "core": "core id",
    "cpu": "processor",
    "vendor": "vendor_id",
    "family": "cpu family",
    "model": "model",
    "model_name": "model name",
    "microcode": "microcode",
    "stepping": "stepping",
    "cachesize": "cache size",
}
INFO = gauge("node_cpu_info", "1, labelled with what a CPU is.", *_KEYS)
FLAG = gauge("node_cpu_flag_info", "1 for each flag of the first CPU that the setting finds.", "flag")
BUG = gauge("node_cpu_bug_info", "1 for each bug of the first CPU that the setting finds.", "bug")
FAMILIES = (INFO, FLAG, BUG)


def parse(text: str, flags: Filter, bugs: Filter) -> Metrics:
    """Take a paragraph for each CPU, and the flags and bugs of the first that are asked for."""
    cpus = [_paragraph(part) for part in text.split("\n\n") if part.strip()]
    cpus = [cpu for cpu in cpus if "processor" in cpu]  # others are of the whole machine (ARM)
    first = cpus[0] if cpus else {}
    found: Metrics = [(INFO, [(tuple([cpu.get(key, "") for key in _KEYS.values()]), 1) for cpu in cpus])]
    for family, wanted in ((FLAG, flags), (BUG, bugs)):
        words = first.get(f"{family.labels[0]}s", "").split()
        found.append((family, [((word,), 1) for word in words if wanted.keeps(word)]))
    return found


def _paragraph(text: str) -> Mapping[str, str]:
    pairs = (line.partition(":") for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
