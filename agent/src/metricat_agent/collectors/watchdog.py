"""Watchdog timers, which restart a hung node, from ``/sys/class/watchdog`` (kernel: watchdog/watchdog-api.rst)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.parts import UNCOUNTED, parse_file, prefixed
from metricat_agent.exposition.model import Family, Metrics, Sample, gauge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

NUMBERS: dict[str, Family] = {
    file: gauge(f"node_watchdog_{name}", text, "name")
    for file, name, text in (
        (
            "bootstatus",
            "bootstatus",
            "Driver-specific reason of the last restart by the watchdog; 0 if it did not restart the node.",
        ),
        ("fw_version", "fw_version", "Firmware version of the watchdog."),
        ("nowayout", "nowayout", "1 if the watchdog cannot be stopped once it is started, 0 if it can."),
        ("timeleft", "timeleft_seconds", "Time left until the watchdog restarts the node, in seconds."),
        ("timeout", "timeout_seconds", "Timeout of the watchdog, in seconds."),
        ("pretimeout", "pretimeout_seconds", "Time between the warning and the restart, in seconds."),
        ("access_cs0", "access_cs0", "1 if the node booted from the second chip, 0 if not."),
    )
}
LABELS = ("options", "identity", "state", "status", "pretimeout_governor")
INFO = gauge("node_watchdog_info", "1, labeled with the properties of a watchdog.", "name", *LABELS)


def read(host: Host) -> Mapping[str, Mapping[str, str]]:
    """Return the files of each watchdog."""
    files = (*NUMBERS, *LABELS)
    return host.sys_each("class/watchdog", lambda entry: host.sys_attributes(f"class/watchdog/{entry}", files))


def parse(watchdogs: Mapping[str, Mapping[str, str]], skips: Skips = UNCOUNTED) -> Metrics:
    """Return the numbers and properties of each watchdog. A driver provides only some of the files."""
    infos = [((name, *(files.get(label, "") for label in LABELS)), 1) for name, files in watchdogs.items()]
    columns: dict[Family, list[Sample]] = {family: [] for family in NUMBERS.values()}
    for name, files in watchdogs.items():
        for file, family in NUMBERS.items():
            number = parse_file(skips, files, file, f"class/watchdog/{name}", prefixed)
            if number is not None:
                columns[family].append(((name,), number))
    return [(INFO, infos), *columns.items()]


class Watchdogs(Collector):
    """State and timeouts of watchdog timers."""

    name = "watchdog"
    summary = "watchdog timers, which restart a hung node"
    families = (INFO, *NUMBERS.values())

    def collect(self) -> Metrics:
        """Return timeouts and state of each watchdog from /sys/class/watchdog."""
        return self.parse_parts_if_changed(read(self.host), parse)
