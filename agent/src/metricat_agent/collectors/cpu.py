"""Time that each CPU spent in each mode, from ``/proc/stat`` (``man 5 proc``; kernel: filesystems/proc.rst 1.7)."""

from __future__ import annotations

from collections.abc import Mapping

from metricat_agent.collectors import Collector, Filter, cpuinfo, cpusys, pattern
from metricat_agent.collectors.option import CollectorOption, switch
from metricat_agent.exposition.model import Metrics, counter
from metricat_agent.host.hostfs import USER_HZ, Host

SECONDS = counter(
    "node_cpu_seconds_total",
    "Time that a CPU spent in a mode, in seconds; user and nice include the time of virtual machines.",
    "cpu",
    "mode",
)
GUEST_SECONDS = counter(
    "node_cpu_guest_seconds_total",
    "Time that a CPU spent running virtual machines, in seconds; also included in the user and nice modes.",
    "cpu",
    "mode",
)
MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
GUEST_MODES = ("user", "nice")
Ticks = Mapping[str, tuple[int, ...]]
"""By CPU number: the ticks of `MODES`, then those of `GUEST_MODES`."""

_TOLERANCE = 3 * USER_HZ
_NOTHING = Filter(include=pattern("(?!)"))


def read(host: Host) -> str:
    """Return the text of /proc/stat."""
    return host.proc("stat")


def parse(text: str) -> Ticks:
    """Return the ticks of each CPU. Modes that an old kernel lacks are 0."""
    ticks = {}
    for line in text.splitlines():
        label, *values = line.split()
        if not label.startswith("cpu"):
            break
        if number := label.removeprefix("cpu"):
            ticks[number] = tuple([*map(int, values[:10])] + [0] * (10 - len(values)))
    return ticks


def monotonic(before: Ticks, now: Ticks) -> Ticks:
    """Keep the old value of counters that decreased by less than 3 seconds.

    Idle, iowait and steal may decrease (``man 5 proc``). Prometheus takes every decrease for a restart from zero, which
    would add days of idle time at once. A larger decrease is a real restart: the CPU was offline.
    """
    return {
        number: tuple(
            old if 0 < old - new < _TOLERANCE else new
            for old, new in zip(before.get(number, values), values, strict=True)
        )
        for number, values in now.items()
    }


def metrics(ticks: Ticks) -> Metrics:
    """Return the seconds of each CPU in each mode."""
    seconds = [
        ((number, mode), value / USER_HZ)
        for number, values in ticks.items()
        for mode, value in zip(MODES, values, strict=False)
    ]
    guest = [
        ((number, mode), value / USER_HZ)
        for number, values in ticks.items()
        for mode, value in zip(GUEST_MODES, values[len(MODES) :], strict=True)
    ]
    return [(SECONDS, seconds), (GUEST_SECONDS, guest)]


def parse_include(text: str) -> Filter:
    """Return the filter for a regular expression; an empty expression matches nothing."""
    return Filter(include=pattern(text)) if text else _NOTHING


INFO = switch("info", "expose model and frequency of the CPUs (/proc/cpuinfo)")
FLAGS, BUGS = (
    CollectorOption(
        *(f"info.{what}-include", "", f"expose these {what} of the first CPU; switches info on", "REGEX"),
        parse=parse_include,
    )
    for what in ("flags", "bugs")
)


class Cpu(Collector):
    """CPU time by mode, throttling, and on request the properties of CPUs."""

    name = "cpu"
    summary = "time of each CPU by mode, throttling; on request the properties of CPUs"
    essential = True
    families = (SECONDS, GUEST_SECONDS, *cpusys.FAMILIES, *cpuinfo.FAMILIES)
    options = (INFO, FLAGS, BUGS)

    def setup(self) -> None:
        """Start without counters of an earlier scrape."""
        self._last: Ticks = {}

    def collect(self) -> Metrics:
        """Return CPU time per mode from /proc/stat, throttling from /sys, and on request properties from /proc/cpuinfo.

        The times never decrease by less than 3 seconds: see `monotonic`.
        """
        self._last = monotonic(self._last, parse(read(self.host)))
        system = cpusys.read(self.host)
        found = metrics(self._last) + self.parse_if_changed(system, cpusys.parse)
        flags, bugs = self.option(FLAGS), self.option(BUGS)
        if self.option(INFO) or flags != _NOTHING or bugs != _NOTHING:
            hertz = not cpuinfo.from_hardware(self.host, system.cpus)
            found += cpuinfo.parse(self.host.proc("cpuinfo"), flags, bugs, hertz=hertz)
        return found
