"""Frequencies of the CPUs, from ``/sys/devices/system/cpu`` (kernel: admin-guide/pm/cpufreq.rst)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.parts import UNCOUNTED, parse_file, whole
from metricat_agent.exposition.model import Family, Metrics, Sample, gauge

if TYPE_CHECKING:
    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

COLUMNS: dict[str, Family] = {
    file: gauge(f"node_cpu_{name}_hertz", text, "cpu")
    for file, name, text in (
        ("cpuinfo_cur_freq", "frequency", "Frequency of a CPU reported by the hardware, in hertz."),
        ("cpuinfo_min_freq", "frequency_min", "Lowest frequency that a CPU supports, in hertz."),
        ("cpuinfo_max_freq", "frequency_max", "Highest frequency that a CPU supports, in hertz."),
        ("cpuinfo_avg_freq", "frequency_avg", "Recent average frequency of a CPU, in hertz."),
        ("scaling_cur_freq", "scaling_frequency", "Frequency of a CPU set by the kernel, in hertz."),
        ("scaling_min_freq", "scaling_frequency_min", "Lowest frequency that the kernel may set, in hertz."),
        ("scaling_max_freq", "scaling_frequency_max", "Highest frequency that the kernel may set, in hertz."),
    )
}
GOVERNOR = gauge("node_cpu_scaling_governor", "1 for the active governor, 0 for the others.", "cpu", "governor")
_PLACE = "devices/system/cpu"
_FILES = (*COLUMNS, "scaling_governor", "scaling_available_governors")
Cpus = Mapping[str, Mapping[str, str]]


def read(host: Host) -> Cpus:
    """Return the cpufreq files by CPU. CPUs of a virtual machine have none."""
    found = host.sys_each(
        _PLACE, lambda entry: host.sys_attributes(f"{_PLACE}/{entry}/cpufreq", _FILES), re.compile(r"cpu\d+").fullmatch
    )
    return {entry.removeprefix("cpu"): files for entry, files in found.items()}


def parse(cpus: Cpus, skips: Skips = UNCOUNTED) -> Metrics:
    """Return frequencies in hertz and governors of each CPU. Files have kHz."""
    columns: dict[str, list[Sample]] = {file: [] for file in COLUMNS}
    governors: list[Sample] = []
    for number, files in cpus.items():
        for file, samples in columns.items():
            kilohertz = parse_file(skips, files, file, f"{_PLACE}/cpu{number}/cpufreq", whole)
            if kilohertz is not None:
                samples.append(((number,), kilohertz * 1000))
        chosen = files.get("scaling_governor", "")
        known = [*files.get("scaling_available_governors", "").split(), *chosen.split()]
        governors += [((number, name), int(name == chosen)) for name in dict.fromkeys(known)]
    return [*((COLUMNS[file], samples) for file, samples in columns.items()), (GOVERNOR, governors)]


class CpuFrequency(Collector):
    """Frequencies and governors of the CPUs."""

    name = "cpufreq"
    summary = "frequencies of the CPUs and their governors"
    families = (*COLUMNS.values(), GOVERNOR)
    per_cpu = True

    def collect(self) -> Metrics:
        """Return frequencies and governors per CPU from /sys/devices/system/cpu/cpu*/cpufreq."""
        return self.parse_parts_if_changed(read(self.host), parse)
