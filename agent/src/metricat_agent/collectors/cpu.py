"""Time that each CPU spent in each mode, from ``/proc/stat`` (``man 5 proc``; kernel: filesystems/proc.rst 1.7)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from operator import le
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector, Filter, cpuinfo, cpusys, pattern
from metricat_agent.collectors.option import CollectorOption, switch
from metricat_agent.collectors.parts import UNCOUNTED
from metricat_agent.exposition.model import Metrics, counter
from metricat_agent.host.hostfs import USER_HZ, Host

if TYPE_CHECKING:
    from metricat_agent.host.skips import Skips

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
_USER, _SYSTEM, _IDLE, _IOWAIT = (MODES.index(mode) for mode in ("user", "system", "idle", "iowait"))
_NOTHING = Filter(include=pattern("(?!)"))


def read(host: Host) -> str:
    """Return the text of /proc/stat."""
    return host.proc("stat")


def parse(text: str, skips: Skips = UNCOUNTED) -> Ticks:
    """Return the ticks of each CPU. Modes that an old kernel lacks are 0.

    Raise ValueError if no line of a CPU can be parsed.
    """
    ticks = {}
    for line in text.split("\n"):
        label, _, rest = line.partition(" ")
        values = rest.split()
        if not label.startswith("cpu"):
            break
        if number := label.removeprefix("cpu"):
            try:
                ticks[number] = tuple([*map(int, values[:10])] + [0] * (10 - len(values)))
            except ValueError:
                skips.add("unparsable", f"stat {label}")
    if not ticks:
        raise ValueError("/proc/stat has no line of a CPU")
    return ticks


def monotonic(before: Ticks, now: Ticks) -> Ticks:
    """Keep the old value of counters that decreased, unless the CPU restarted its counters.

    Prometheus treats every decrease as a restart from zero and adds the whole counter to its rate. For a CPU that is
    not `restarted`, every decrease is ignored. For a restarted CPU, only decreases of less than 3 seconds are.
    """
    found = dict(now)
    for number, values in now.items():
        known = before.get(number)
        if known is not None and not all(map(le, known, values)):
            least = _TOLERANCE if restarted(known, values) else math.inf
            pairs = zip(known, values, strict=True)
            found[number] = tuple([old if 0 < old - new < least else new for old, new in pairs])
    return found


def restarted(before: tuple[int, ...], now: tuple[int, ...]) -> bool:
    """Return whether a CPU counts from zero again.

    A single counter may decrease by any amount. iowait does (``man 5 proc``): when the last waiting task leaves a
    sleeping CPU, the kernel books the sleep as idle time instead. So idle and iowait are judged together: an older
    kernel restarts both when it takes the CPU offline and online. A restored virtual machine restarts all counters.
    """
    lost = [old - new for old, new in zip(before, now, strict=True)]
    slept, worked = min(lost[_IDLE], lost[_IDLE] + lost[_IOWAIT]), (lost[_USER], lost[_SYSTEM])
    return slept >= _TOLERANCE or (min(worked) > 0 and sum(worked) >= _TOLERANCE)


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
        *(f"info.{what}-include", "", f"expose matching {what} of the first CPU; also enables info", "REGEX"),
        parse=parse_include,
    )
    for what in ("flags", "bugs")
)


class Cpu(Collector):
    """CPU time by mode, throttling, and on request the properties of CPUs."""

    name = "cpu"
    summary = "time of each CPU by mode, and throttling; optionally the properties of CPUs"
    essential = True
    families = (SECONDS, GUEST_SECONDS, *cpusys.FAMILIES, *cpuinfo.FAMILIES)
    options = (INFO, FLAGS, BUGS)

    def setup(self) -> None:
        """Create the state: no counters of an earlier scrape."""
        self._last: Ticks = {}
        self._system = cpusys.Reader(self.host)

    def collect(self) -> Metrics:
        """Return CPU time per mode from /proc/stat, throttling from /sys, and on request properties from /proc/cpuinfo.

        The times decrease only when a CPU restarts its counters: see `monotonic`.
        """
        ticks = monotonic(self._last, parse(read(self.host), self.host.skips))
        self._last = {**self._last, **ticks}  # a CPU that is offline now may continue its counters later
        system = self._system.read()
        found = metrics(ticks) + self.parse_parts_if_changed(system, cpusys.parse)
        flags, bugs = self.option(FLAGS), self.option(BUGS)
        if self.option(INFO) or flags != _NOTHING or bugs != _NOTHING:
            hertz = not cpuinfo.from_hardware(self.host, system.cpus)
            text = self.host.optional_proc("cpuinfo")
            found += cpuinfo.parse(text or "", flags, bugs, hertz=hertz)
            if text and not found[-1][1] and not cpuinfo.cpus(text):
                self.host.skips.add("unparsable", "cpuinfo", "no CPU")
        return found
