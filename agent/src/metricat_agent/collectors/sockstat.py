"""Sockets of the host, from ``/proc/1/net/sockstat`` and ``sockstat6`` (``man 5 proc_pid_net``)."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Family, Metrics, gauge, single

if TYPE_CHECKING:
    from metricat_agent.host.hostfs import Host

_FIELDS = {
    "inuse": "Sockets of {} in use.",
    "orphan": "Sockets of {} that no process holds any more.",
    "tw": "Sockets of {} that wait for late packets (TIME_WAIT).",
    "alloc": "Sockets of {} allocated, closing ones included.",
    "mem": "Pages of memory that the buffers of {} take.",
    "memory": "Bytes of memory that {} takes.",
}
_PROTOCOLS = {
    "TCP": ("inuse", "orphan", "tw", "alloc", "mem"),
    "TCP6": ("inuse",),
    "UDP": ("inuse", "mem"),
    "UDP6": ("inuse",),
    "UDPLITE": ("inuse",),
    "UDPLITE6": ("inuse",),
    "RAW": ("inuse",),
    "RAW6": ("inuse",),
    "FRAG": ("inuse", "memory"),
    "FRAG6": ("inuse", "memory"),
}
FAMILIES: dict[str, Family] = {
    f"{protocol}_{field}": gauge(f"node_sockstat_{protocol}_{field}", _FIELDS[field].format(protocol))
    for protocol, fields in _PROTOCOLS.items()
    for field in fields
}
USED = gauge("node_sockstat_sockets_used", "Sockets of all kinds in use.")
MEMORY = {
    protocol: gauge(f"node_sockstat_{protocol}_mem_bytes", f"Memory that the buffers of {protocol} take, in bytes.")
    for protocol in ("TCP", "UDP")
}


def read(host: Host) -> tuple[str, int]:
    """Read both tables, the second empty where IPv6 is switched off, and the size of a page."""
    tables = host.pid1("net/sockstat")
    with contextlib.suppress(FileNotFoundError):
        tables += host.pid1("net/sockstat6")
    return tables, os.sysconf("SC_PAGE_SIZE")


def parse(text: str, page: int) -> Metrics:
    """Take lines such as ``TCP: inuse 3 orphan 0``; fields that we do not know are left out."""
    found = []
    for line in text.splitlines():
        protocol, *pairs = line.split()
        protocol = protocol.removesuffix(":")
        for field, value in zip(pairs[::2], pairs[1::2], strict=True):
            if protocol == "sockets" and field == "used":
                found.append(single(USED, int(value)))
            if family := FAMILIES.get(f"{protocol}_{field}"):
                found.append(single(family, int(value)))
            if field == "mem" and (memory := MEMORY.get(protocol)):
                found.append(single(memory, int(value) * page))
    return found


class Sockets(Collector):
    """How many sockets the host has, and what they weigh."""

    name = "sockstat"
    summary = "sockets of the host by protocol"
    families = (USED, *FAMILIES.values(), *MEMORY.values())

    def collect(self) -> Metrics:
        """Read and parse."""
        return self.parse_if_changed(read(self.host), lambda found: parse(*found))
