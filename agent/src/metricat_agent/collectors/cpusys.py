"""Throttling, isolation and online state of CPUs for the collector ``cpu``.

From ``/sys/devices/system/cpu`` (kernel: admin-guide/cputopology.rst, ABI/testing/sysfs-devices-system-cpu).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from metricat_agent.exposition.model import Metrics, counter, gauge

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from metricat_agent.host.hostfs import Host

CORE = counter(
    "node_cpu_core_throttles_total", "Times that a core was throttled because of its temperature.", "package", "core"
)
PACKAGE = counter(
    "node_cpu_package_throttles_total", "Times that a package was throttled because of its temperature.", "package"
)
ISOLATED = gauge("node_cpu_isolated", "1 for each CPU that is isolated from the scheduler.", "cpu")
ONLINE = gauge("node_cpu_online", "1 if a CPU is online, 0 if not; absent if no CPU can be switched off.", "cpu")
FAMILIES = (CORE, PACKAGE, ISOLATED, ONLINE)
_PLACE = "devices/system/cpu"
_CORE_FILE, _PACKAGE_FILE = (f"thermal_throttle/{what}_throttle_count" for what in ("core", "package"))
_TOPOLOGY = ("topology/physical_package_id", "topology/core_id")


class System(NamedTuple):
    """List of the isolated CPUs, and the files of each CPU by its number."""

    isolated: str
    cpus: Mapping[str, Mapping[str, str]]


def read(host: Host) -> System:
    """Return the files that exist. A virtual machine has few of them."""
    try:
        entries = host.sys_names(_PLACE)
    except FileNotFoundError:
        return System("", {})
    cpus = {}
    for entry in entries:
        if re.fullmatch(r"cpu\d+", entry):
            try:
                files = host.sys_attributes(f"{_PLACE}/{entry}", ("online", _CORE_FILE, _PACKAGE_FILE), _TOPOLOGY)
            except OSError:
                continue
            cpus[entry.removeprefix("cpu")] = files
    return System(host.sys(f"{_PLACE}/isolated") if "isolated" in entries else "", cpus)


def numbers(text: str) -> Iterator[str]:
    """Yield the numbers of a list such as ``1,3-5``."""
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        yield from map(str, range(int(first), int(last or first) + 1))


def parse(found: System) -> Metrics:
    """Return throttling, isolation and online state.

    Count each core and package once: all its CPUs have the same counts.
    """
    cores: dict[tuple[str, ...], int] = {}
    packages: dict[tuple[str, ...], int] = {}
    for files in found.cpus.values():
        package, core = (files.get(file, "") for file in _TOPOLOGY)
        if package and core:
            if _CORE_FILE in files:
                cores.setdefault((package, core), int(files[_CORE_FILE]))
            if _PACKAGE_FILE in files:
                packages.setdefault((package,), int(files[_PACKAGE_FILE]))
    switched = "online" in found.cpus.get("0", ())
    online = [((cpu,), int(files.get("online") == "1")) for cpu, files in found.cpus.items()]
    return [
        (CORE, list(cores.items())),
        (PACKAGE, list(packages.items())),
        (ISOLATED, [((cpu,), 1) for cpu in numbers(found.isolated)]),
        (ONLINE, online if switched else []),
    ]
