"""Throttling, isolation and online state of CPUs for the collector ``cpu``.

From ``/sys/devices/system/cpu`` (kernel: admin-guide/cputopology.rst, ABI/testing/sysfs-devices-system-cpu).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from metricat_agent.collectors.parts import UNCOUNTED, parse_file, parse_part, whole
from metricat_agent.exposition.model import Metrics, counter, gauge
from metricat_agent.host.ascii_text import BLANKS
from metricat_agent.host.uevents import UeventCount

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

CORE = counter(
    "node_cpu_core_throttles_total", "Times that a core was throttled because of its temperature.", "package", "core"
)
PACKAGE = counter(
    "node_cpu_package_throttles_total", "Times that a package was throttled because of its temperature.", "package"
)
ISOLATED = gauge("node_cpu_isolated", "1 for each CPU that is isolated from the scheduler.", "cpu")
ONLINE = gauge(
    "node_cpu_online",
    "1 if a CPU is online, 0 if not; absent if CPU 0 cannot be switched off, as on many x86 machines.",
    "cpu",
)
FAMILIES = (CORE, PACKAGE, ISOLATED, ONLINE)
_MOST_SKIPS = 9
_MOST_CPUS = 1 << 16
_PLACE = "devices/system/cpu"
_ENTRY = re.compile(r"cpu\d+")
_CORE_FILE, _PACKAGE_FILE = (f"thermal_throttle/{what}_throttle_count" for what in ("core", "package"))
_TOPOLOGY = ("topology/physical_package_id", "topology/core_id")


class System(NamedTuple):
    """List of the isolated CPUs (None without the file), and the files of each CPU by its number."""

    isolated: str | None
    cpus: Mapping[str, Mapping[str, str]]


def read(host: Host) -> System:
    """Return the files that exist. A virtual machine has few of them."""
    cpus = host.sys_each(
        _PLACE,
        lambda entry: host.sys_attributes(f"{_PLACE}/{entry}", ("online", _CORE_FILE, _PACKAGE_FILE), _TOPOLOGY),
        _ENTRY.fullmatch,
    )
    return System(
        host.optional_sys(f"{_PLACE}/isolated"),
        {entry.removeprefix("cpu"): files for entry, files in cpus.items()},
    )


class Reader:
    """Reads the files again when the kernel counts a device event, such as a CPU that is switched on.

    The kernel counts no event when it isolates a CPU, so read the files at least at every tenth scrape. If the count of
    device events cannot be read, and on CPUs with counters of throttling, read the files at every scrape.
    """

    def __init__(self, host: Host) -> None:
        """Prepare to read the files of ``host``."""
        self._host = host
        self._uevents = UeventCount(host.sysfs)
        self._count: bytes | None = None
        self._found = System(None, {})
        self._left = 0

    def read(self) -> System:
        """Return the files: the same object as the last time if they were not read again."""
        count = self._uevents.read()
        if self._left and count == self._count:
            self._left -= 1
            return self._found
        self._left = 0
        self._count, self._found = count, read(self._host)
        counts = any(_CORE_FILE in files or _PACKAGE_FILE in files for files in self._found.cpus.values())
        self._left = 0 if counts or count is None else _MOST_SKIPS
        return self._found


def numbers(text: str) -> list[str]:
    """Return the numbers of a list such as ``1,3-5``."""
    found: list[str] = []
    for part in filter(None, text.strip(BLANKS).split(",")):
        first, _, last = part.partition("-")
        begin, end = whole(first), whole(last or first)
        if not 0 <= begin <= end < _MOST_CPUS:
            raise ValueError(f"{part!r} is not a range of CPUs")
        found += map(str, range(begin, end + 1))
    return found


def parse(found: System, skips: Skips = UNCOUNTED) -> Metrics:
    """Return throttling, isolation and online state.

    Count each core and package once: all its CPUs have the same counts.
    """
    cores: dict[tuple[str, ...], int] = {}
    packages: dict[tuple[str, ...], int] = {}
    for cpu, files in found.cpus.items():
        if _CORE_FILE not in files and _PACKAGE_FILE not in files:
            continue
        place = f"{_PLACE}/cpu{cpu}"
        package, core = (parse_file(skips, files, file, place, whole) for file in _TOPOLOGY)
        throttled = parse_file(skips, files, _CORE_FILE, place, whole)
        if package is not None and core is not None and throttled is not None:
            cores.setdefault((str(package), str(core)), throttled)
        throttled = parse_file(skips, files, _PACKAGE_FILE, place, whole)
        if package is not None and throttled is not None:
            packages.setdefault((str(package),), throttled)
    isolated = None if found.isolated is None else parse_part(skips, f"{_PLACE}/isolated", numbers, found.isolated)
    switched = "online" in found.cpus.get("0", ())
    online = {cpu: parse_file(skips, files, "online", f"{_PLACE}/cpu{cpu}", whole) for cpu, files in found.cpus.items()}
    return [
        (CORE, list(cores.items())),
        (PACKAGE, list(packages.items())),
        (ISOLATED, [((cpu,), 1) for cpu in isolated or ()]),
        (ONLINE, [((cpu,), int(state == 1)) for cpu, state in online.items() if state is not None] if switched else []),
    ]
