"""Sockets of the host, from ``/proc/1/net/sockstat`` and ``sockstat6`` (``man 5 proc_pid_net``)."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Family, Metrics, gauge, single

if TYPE_CHECKING:
    from metricat_agent.host.hostfs import Host

_TEXTS = {
    "TCP_inuse": "IPv4 TCP sockets that listen or have a connection, without those in TIME_WAIT.",
    "TCP_orphan": "TCP connections that are still closing after their process closed the socket.",
    "TCP_tw": "TCP connections in the state TIME_WAIT.",
    "TCP_alloc": "TCP sockets allocated, in any state.",
    "TCP_mem": "Memory used by the buffers of TCP sockets, in pages.",
    "TCP6_inuse": "IPv6 TCP sockets that listen or have a connection, without those in TIME_WAIT.",
    "UDP_inuse": "IPv4 UDP sockets that are bound to a port.",
    "UDP_mem": "Memory used by the buffers of UDP sockets, in pages.",
    "UDP6_inuse": "IPv6 UDP sockets that are bound to a port.",
    "UDPLITE_inuse": "IPv4 UDP-Lite sockets that are bound to a port.",
    "UDPLITE6_inuse": "IPv6 UDP-Lite sockets that are bound to a port.",
    "RAW_inuse": "IPv4 raw sockets in use.",
    "RAW6_inuse": "IPv6 raw sockets in use.",
    "FRAG_inuse": "IPv4 packets that wait for their missing fragments.",
    "FRAG_memory": "Memory used by fragments of IPv4 packets that wait for reassembly, in bytes.",
    "FRAG6_inuse": "IPv6 packets that wait for their missing fragments.",
    "FRAG6_memory": "Memory used by fragments of IPv6 packets that wait for reassembly, in bytes.",
}
FAMILIES: dict[str, Family] = {field: gauge(f"node_sockstat_{field}", text) for field, text in _TEXTS.items()}
"""By protocol and field."""
USED = gauge("node_sockstat_sockets_used", "Sockets of all types in use, including Unix sockets.")
MEMORY = {
    protocol: gauge(
        f"node_sockstat_{protocol}_mem_bytes", f"Memory used by the buffers of {protocol} sockets, in bytes."
    )
    for protocol in ("TCP", "UDP")
}


def read(host: Host) -> tuple[str, int]:
    """Return the text of both tables (the second is absent without IPv6) and the page size in bytes."""
    tables = host.pid1("net/sockstat")
    with contextlib.suppress(FileNotFoundError):
        tables += host.pid1("net/sockstat6")
    return tables, os.sysconf("SC_PAGE_SIZE")


def parse(text: str, page: int) -> Metrics:
    """Return the fields of lines such as ``TCP: inuse 3 orphan 0``. Skip undeclared fields."""
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
        """Return number and memory of sockets per protocol from /proc/1/net/sockstat and sockstat6."""
        return self.parse_if_changed(read(self.host), lambda found: parse(*found))
