"""Flags of node_exporter that we spell differently, or that change nothing here: its command lines work as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_RENAMED = {
    "--collector.powersupply.ignored-supplies": "--collector.powersupplyclass.ignored-supplies",
    "--web.disable-exporter-metrics": "--no-collector.agent",
}
_VALUES = {"--log.format=logfmt": "--log.format=text"}
_WITHOUT_EFFECT = {
    "--runtime.gomaxprocs": "the agent has no such threads",
    "--collector.cpu.guest": "guest time is always shown",
    "--no-collector.cpu.guest": "guest time is always shown",
    **{
        f"--{no}collector.{name}.netlink": "the kernel's files tell it"
        for no in ("", "no-")
        for name in ("arp", "netclass", "netdev")
    },
    "--collector.netclass.ignore-invalid-speed": "a speed that the link does not know is never shown",
}
_ABSENT = """
buddyinfo cgroups cpu_vulnerabilities drbd drm ethtool interrupts ksmd lnstat logind meminfo_numa mountstats
network_route ntp nvmesubsystem pcidevice perf qdisc runit slabinfo softirqs supervisord swap sysctl systemd wifi xfrm
zoneinfo
"""
"""Its collectors that we do not have: to switch one off is no error, to ask for one is."""


def translate(arguments: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the arguments in our spelling, and what to log of those that were left out."""
    absent = {f"--no-collector.{name}" for name in _ABSENT.split()}
    taken, notes = [], []
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        if flag in absent:
            notes.append(f"{flag} changes nothing: there is no such collector")
        elif flag in _WITHOUT_EFFECT:
            notes.append(f"{flag} changes nothing: {_WITHOUT_EFFECT[flag]}")
        else:
            taken.append(_VALUES.get(argument) or f"{_RENAMED.get(flag, flag)}{equals}{value}")
    return taken, notes
