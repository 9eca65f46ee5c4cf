"""Properties of CPUs for the collector ``cpu``, from ``/proc/cpuinfo``. The file is long, so only on request."""

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
INFO = gauge("node_cpu_info", "1, labeled with the properties of a CPU.", *_KEYS)
FLAG = gauge("node_cpu_flag_info", "1 for each flag of the first CPU that the setting matches.", "flag")
BUG = gauge("node_cpu_bug_info", "1 for each bug of the first CPU that the setting matches.", "bug")
HERTZ = gauge(
    "node_cpu_frequency_hertz", "Frequency of a CPU if the hardware does not report it, in hertz.", *list(_KEYS)[:3]
)
FAMILIES = (INFO, FLAG, BUG, HERTZ)
_BY_HARDWARE = "cpuinfo_cur_freq"
"""The file that cpufreq exposes under the same metric name. Only root may read it, and few drivers have it."""


def from_hardware(host: Host, cpus: Iterable[str]) -> bool:
    """Return whether the hardware reports the frequency of any CPU and the agent may read it."""
    for cpu in cpus:
        try:
            if host.sys_attributes(f"devices/system/cpu/cpu{cpu}/cpufreq", (_BY_HARDWARE,)):
                return True
        except OSError:
            continue
    return False


def parse(text: str, flags: Filter, bugs: Filter, *, hertz: bool = True) -> Metrics:
    """Return properties and, on request, frequency of each CPU, and the selected flags and bugs of the first CPU."""
    cpus = [_paragraph(part) for part in text.split("\n\n") if part.strip()]
    cpus = [cpu for cpu in cpus if "processor" in cpu]  # the others describe the whole machine (ARM)
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
