"""Translation of node_exporter's flags, so that its command lines work unchanged."""

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
    "--runtime.gomaxprocs": "the agent has no Go runtime",
    "--collector.cpu.guest": "the agent always exposes guest time",
    "--no-collector.cpu.guest": "the agent always exposes guest time",
    **{
        f"--{no}collector.{name}.netlink": "the agent reads the kernel's files instead"
        for no in ("", "no-")
        for name in ("arp", "netclass", "netdev")
    },
    "--collector.netclass.ignore-invalid-speed": "the agent never exposes an unknown link speed",
}
_ABSENT = """
buddyinfo cgroups cpu_vulnerabilities drbd drm ethtool interrupts ksmd lnstat logind meminfo_numa mountstats
network_route ntp nvmesubsystem pcidevice perf qdisc runit slabinfo softirqs supervisord swap sysctl systemd wifi xfrm
zoneinfo
"""
"""Collectors of node_exporter that the agent lacks: disabling one is accepted, enabling one is an error."""


def translate(arguments: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the arguments with the agent's flag names, and a note to log for each argument left out."""
    absent = {f"--no-collector.{name}" for name in _ABSENT.split()}
    accepted, notes = [], []
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        if flag in absent:
            notes.append(f"{flag} has no effect: the agent has no such collector")
        elif flag in _WITHOUT_EFFECT:
            notes.append(f"{flag} has no effect: {_WITHOUT_EFFECT[flag]}")
        else:
            accepted.append(_VALUES.get(argument) or f"{_RENAMED.get(flag, flag)}{equals}{value}")
    return accepted, notes
