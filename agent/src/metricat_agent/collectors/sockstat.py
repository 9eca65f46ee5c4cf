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
    "inuse": "{} sockets in use.",
    "orphan": "{} sockets that no process holds.",
    "tw": "{} sockets in the state TIME_WAIT.",
    "alloc": "{} sockets allocated, including those that are closing.",
    "mem": "Memory used by the buffers of {} sockets, in pages.",
    "memory": "Memory used by {}, in bytes.",
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
USED = gauge("node_sockstat_sockets_used", "Sockets of all protocols in use.")
MEMORY = {
    protocol: gauge(
        f"node_sockstat_{protocol}_mem_bytes", f"Memory used by the buffers of {protocol} sockets, in bytes."
    )
    for protocol in ("TCP", "UDP")
}


def read(host: Host) -> tuple[str, int]:
    """Read both tables (the second is absent without IPv6) and the page size."""
    tables = host.pid1("net/sockstat")
    with contextlib.suppress(FileNotFoundError):
        tables += host.pid1("net/sockstat6")
    return tables, os.sysconf("SC_PAGE_SIZE")


def parse(text: str, page: int) -> Metrics:
    """Parse lines such as ``TCP: inuse 3 orphan 0``. Skip undeclared fields."""
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
    """Number and memory of the host's sockets."""

    name = "sockstat"
    summary = "sockets of the host by protocol, and their memory"
    families = (USED, *FAMILIES.values(), *MEMORY.values())

    def collect(self) -> Metrics:
        """Read the files and return their metrics."""
        return self.parse_if_changed(read(self.host), lambda found: parse(*found))
