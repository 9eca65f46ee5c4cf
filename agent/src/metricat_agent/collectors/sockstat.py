"""Sockets of the host, from ``/proc/1/net/sockstat`` and ``sockstat6`` (``man 5 proc_pid_net``)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.parts import UNCOUNTED, lines_of, name_part, parse_part, whole
from metricat_agent.exposition.model import Family, Metrics, gauge, single

if TYPE_CHECKING:
    from collections.abc import Iterable

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

_TEXTS = {
    "sockets_used": "Sockets of all types in use, including Unix sockets.",
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
"""The declared families by protocol and field. A field of a newer kernel gets a family of the same form."""
MEMORY = {
    protocol: gauge(
        f"node_sockstat_{protocol}_mem_bytes", f"Memory used by the buffers of {protocol} sockets, in bytes."
    )
    for protocol in ("TCP", "UDP")
}


_SHOWN = 20
_TABLES = ("net/sockstat", "net/sockstat6")


def read(host: Host) -> tuple[tuple[str | None, ...], int]:
    """Return the text of both tables and the page size in bytes. IPv6 may be disabled; sandboxes have neither table."""
    return tuple([host.optional_pid1(name) for name in _TABLES]), os.sysconf("SC_PAGE_SIZE")


def parse(tables: Iterable[str | None], page: int, skips: Skips = UNCOUNTED) -> Metrics:
    """Return the fields of net/sockstat and net/sockstat6 (None if missing). ``page`` is the page size in bytes."""
    found: Metrics = []
    for name, text in zip(_TABLES, tables, strict=False):
        for line in () if text is None else parse_part(skips, name, lines_of, text) or ():
            found += parse_part(skips, f"{name} {line[:_SHOWN]}", lambda line: parse_line(line, page), line) or ()
    return found


def family_of(field: str) -> Family:
    """Return a field's family: a declared one, or a new one for a field of a newer kernel."""
    text = f"Value of {field} in /proc/net/sockstat or sockstat6."
    return FAMILIES.get(field) or gauge(f"node_sockstat_{name_part(field)}", text)


def parse_line(line: str, page: int) -> Metrics:
    """Return the fields of a line such as ``TCP: inuse 3 orphan 0``."""
    found: Metrics = []
    protocol, *pairs = line.split()
    if not pairs:
        raise ValueError("the line has no fields")
    protocol = protocol.removesuffix(":")
    for field, text in zip(pairs[::2], pairs[1::2], strict=True):
        value = whole(text)
        found.append(single(family_of(f"{protocol}_{field}"), value))
        if field == "mem" and (memory := MEMORY.get(protocol)):
            found.append(single(memory, value * page))
    return found


class Sockets(Collector):
    """Number and memory of the host's sockets."""

    name = "sockstat"
    summary = "sockets of the host by protocol, and their memory"
    families = (*FAMILIES.values(), *MEMORY.values())

    def collect(self) -> Metrics:
        """Return number and memory of sockets per protocol from /proc/1/net/sockstat and sockstat6."""
        return self.parse_parts_if_changed(read(self.host), lambda found, skips: parse(*found, skips))
