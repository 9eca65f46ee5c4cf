"""Watchdogs, which restart a node that hangs, from ``/sys/class/watchdog`` (kernel: watchdog/watchdog-api.rst)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Family, Metrics, gauge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.host.hostfs import Host

NUMBERS: dict[str, Family] = {
    file: gauge(f"node_watchdog_{name}", text, "name")
    for file, name, text in (
        (
            "bootstatus",
            "bootstatus",
            "Why it restarted the node at last, as its driver counts such reasons; 0: it did not.",
        ),
        ("fw_version", "fw_version", "Version of its firmware."),
        ("nowayout", "nowayout", "1 if nobody can stop it once it is started, else 0."),
        ("timeleft", "timeleft_seconds", "Time until it restarts the node if nobody feeds it, in seconds."),
        ("timeout", "timeout_seconds", "Time that it waits to be fed, in seconds."),
        ("pretimeout", "pretimeout_seconds", "Time before its end at which it warns, in seconds."),
        ("access_cs0", "access_cs0", "1 if it boots from the second chip, else 0."),
    )
}
LABELS = ("options", "identity", "state", "status", "pretimeout_governor")
INFO = gauge("node_watchdog_info", "1, labelled with what a watchdog says of itself.", "name", *LABELS)


def read(host: Host) -> Mapping[str, Mapping[str, str]]:
    """Read the files of each; none where there are none."""
    files = (*NUMBERS, *LABELS)
    return host.sys_each("class/watchdog", lambda entry: host.sys_attributes(f"class/watchdog/{entry}", files))


def parse(watchdogs: Mapping[str, Mapping[str, str]]) -> Metrics:
    """Give what each has; drivers have some of the files."""
    infos = [((name, *(files.get(label, "") for label in LABELS)), 1) for name, files in watchdogs.items()]
    return [
        (INFO, infos),
        *(
            (family, [((name,), int(files[file], 0)) for name, files in watchdogs.items() if file in files])
            for file, family in NUMBERS.items()
        ),
    ]


class Watchdogs(Collector):
    """Whether the node would be restarted if it hung."""

    name = "watchdog"
    summary = "watchdogs, which restart a node that hangs"
    families = (INFO, *NUMBERS.values())

    def collect(self) -> Metrics:
        """Read and parse."""
        return self.parse_if_changed(read(self.host), parse)
