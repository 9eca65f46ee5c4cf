"""The part of the collector ``cpu`` that says what the CPUs are, from ``/proc/cpuinfo``: long, so on demand only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.exposition.model import Metrics, Sample, gauge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from metricat_agent.collectors import Filter
    from metricat_agent.host.hostfs import Host

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
HERTZ = gauge(
    "node_cpu_frequency_hertz", "Frequency of a CPU where the hardware does not say it, in hertz.", *list(_KEYS)[:3]
)
FAMILIES = (INFO, FLAG, BUG, HERTZ)
_BY_HARDWARE = "cpuinfo_cur_freq"
"""What cpufreq tells under the same name; root alone may read it, and few drivers have it."""


def from_hardware(host: Host, cpus: Iterable[str]) -> bool:
    """Tell whether the hardware says how fast any of the CPUs runs, to us."""
    for cpu in cpus:
        try:
            if host.sys_attributes(f"devices/system/cpu/cpu{cpu}/cpufreq", (_BY_HARDWARE,)):
                return True
        except OSError:
            continue
    return False


def parse(text: str, flags: Filter, bugs: Filter, *, hertz: bool = True) -> Metrics:
    """Take a paragraph for each CPU, its frequency if that is wanted, and the first's flags and bugs asked for."""
    cpus = [_paragraph(part) for part in text.split("\n\n") if part.strip()]
    cpus = [cpu for cpu in cpus if "processor" in cpu]  # others are of the whole machine (ARM)
    first = cpus[0] if cpus else {}
    found: Metrics = [(INFO, [(tuple([cpu.get(key, "") for key in _KEYS.values()]), 1) for cpu in cpus])]
    for family, wanted in ((FLAG, flags), (BUG, bugs)):
        words = first.get(f"{family.labels[0]}s", "").split()
        found.append((family, [((word,), 1) for word in words if wanted.keeps(word)]))
    if hertz:
        found.append((HERTZ, [_hertz(cpu) for cpu in cpus if "cpu MHz" in cpu]))
    return found


def _hertz(cpu: Mapping[str, str]) -> Sample:
    return tuple([cpu.get(_KEYS[label], "") for label in HERTZ.labels]), round(float(cpu["cpu MHz"]) * 1_000_000)


def _paragraph(text: str) -> Mapping[str, str]:
    pairs = (line.partition(":") for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
