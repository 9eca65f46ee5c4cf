"""Properties of CPUs for the collector ``cpu``, from ``/proc/cpuinfo``. It is long, so it is read only on request.

Each architecture has its own names for the same properties, and its own layout (kernel: arch/*/kernel/setup.c, cpu.c,
proc.c, processor.c). Most have a paragraph for each CPU; some also have paragraphs about the whole machine. s390 lists
its CPUs in such a paragraph. Old ARM kernels have one paragraph for all CPUs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from metricat_agent.exposition.model import Metrics, Sample, gauge
from metricat_agent.host.ascii_text import BLANKS, is_digits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from metricat_agent.collectors import Filter
    from metricat_agent.host.hostfs import Host

_NUMBER = ("processor", "cpu number", "hart")  # s390; RISC-V before Linux 5.1
_KEYS = {
    "package": ("physical id", "package"),  # MIPS, LoongArch
    "core": ("core id", "core", "hart"),  # MIPS, LoongArch; RISC-V
    "cpu": _NUMBER,
    "vendor": ("vendor_id", "vendor", "CPU implementer", "mvendorid"),  # IA-64; ARM; RISC-V
    "family": ("cpu family", "CPU Family", "family", "CPU architecture"),  # LoongArch; IA-64; ARM
    "model": ("model", "CPU part", "machine", "marchid"),  # ARM; s390; RISC-V
    "model_name": (
        *("model name", "Model Name", "cpu model", "cpu"),  # LoongArch; MIPS; POWER
        *("uarch", "isa", "Processor"),  # RISC-V; old ARM
    ),
    "microcode": ("microcode",),
    "stepping": ("stepping", "revision", "CPU revision", "CPU Revision", "version", "mimpid"),  # POWER; ARM; s390
    "cachesize": ("cache size",),
}
"""For each label the names of its property, with the architectures that use others than x86."""
_MACHINE_WIDE = frozenset(
    (
        *("vendor_id", "Processor", "Features", "features", "flags", "isa", "uarch"),
        *("CPU implementer", "CPU architecture", "CPU part", "CPU revision"),
    )
)
"""Properties of every CPU that may be in a paragraph about the machine. Others there, such as POWER's `model`, are not
properties of its CPUs."""
_MEGAHERTZ = ("cpu MHz", "CPU MHz", "cpu MHz dynamic", "clock", "cpu MHz static")
_FLAGS = {"flag": ("flags", "Features", "features"), "bug": ("bugs",)}
_LISTED = re.compile(r"processor (\d+)")
"""The line of s390 about a CPU, for example ``version = FF,  identification = 0133E8,  machine = 2964``."""
INFO = gauge("node_cpu_info", "1, labeled with the properties of a CPU.", *_KEYS)
FLAG = gauge(
    "node_cpu_flag_info",
    "1 for each flag of the first CPU whose name matches --collector.cpu.info.flags-include.",
    "flag",
)
BUG = gauge(
    "node_cpu_bug_info", "1 for each bug of the first CPU whose name matches --collector.cpu.info.bugs-include.", "bug"
)
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
    found = cpus(text)
    first = found[0] if found else {}
    labels = [tuple([_first(cpu, names) for names in _KEYS.values()]) for cpu in found]
    metrics: Metrics = [(INFO, [(one, 1) for one in labels])]
    for family, wanted in ((FLAG, flags), (BUG, bugs)):
        words = _first(first, _FLAGS[family.labels[0]]).split()
        metrics.append((family, [((word,), 1) for word in dict.fromkeys(words) if wanted.keeps(word)]))
    if hertz:
        pairs = zip(labels, found, strict=True)
        metrics.append((HERTZ, [sample for one, cpu in pairs for sample in _hertz(one[: len(HERTZ.labels)], cpu)]))
    return metrics


def cpus(text: str) -> list[Mapping[str, str]]:
    """Return the properties of each CPU, in the order of the file, with those that all CPUs of the machine share."""
    common: dict[str, str] = {}
    found: dict[str, dict[str, str]] = {}
    for paragraph in text.split("\n\n"):
        shared: dict[str, str] = {}
        listed: list[dict[str, str]] = []
        for key, value in _pairs(paragraph):
            if number := _LISTED.fullmatch(key):
                found.setdefault(number[1], {"processor": number[1]}).update(_assignments(value))
                continue
            if key in _NUMBER and is_digits(value) and not (listed and key == "hart"):
                listed.append(found.setdefault(value, {"processor": value}))
            if listed:
                listed[-1].setdefault(key, value)
            if key in _MACHINE_WIDE:
                shared[key] = value
        if len(listed) != 1:  # a paragraph about the machine, or one for all its CPUs
            common |= shared
        else:
            common |= {key: value for key, value in shared.items() if key not in listed[0]}
    if not found and "Processor" in common:
        found["0"] = {"processor": "0"}  # old ARM kernels do not number a single CPU
    return [{**common, **cpu} for cpu in found.values()]


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    for part in text.split(","):
        key, _, value = part.partition("=")
        yield key.strip(BLANKS), value.strip(BLANKS)


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.split("\n"):
        key, colon, value = line.partition(":")
        if colon:
            yield key.strip(BLANKS), value.strip(BLANKS)


def _first(cpu: Mapping[str, str], names: Iterable[str]) -> str:
    """Return the first property that a CPU has; empty if it has none."""
    return next((cpu[name] for name in names if cpu.get(name)), "")


def _hertz(labels: tuple[str, ...], cpu: Mapping[str, str]) -> Iterator[Sample]:
    """Yield the frequency if it is a number. POWER appends the unit to the number."""
    for name in _MEGAHERTZ:
        text = cpu.get(name, "").removesuffix("MHz").strip(BLANKS)
        if re.fullmatch(r"\d+(\.\d+)?", text):
            yield labels, round(float(text) * 1_000_000)
            return
