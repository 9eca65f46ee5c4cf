"""Connections that the host's firewall follows, from ``/proc/1/net/stat/nf_conntrack``.

Through process 1, as ``/proc/sys/net`` is the reader's own network; the limit there is one for all networks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Metrics, gauge, single

if TYPE_CHECKING:
    from metricat_agent.host.hostfs import Host

ENTRIES = gauge("node_nf_conntrack_entries", "Connections that the firewall follows.")
LIMIT = gauge("node_nf_conntrack_entries_limit", "Connections that the firewall can follow at most.")
STATISTICS = {
    "found": gauge("node_nf_conntrack_stat_found", "Entries looked up and found, since boot."),
    "invalid": gauge("node_nf_conntrack_stat_invalid", "Packets that fit no connection, since boot."),
    "ignore": gauge("node_nf_conntrack_stat_ignore", "Packets whose connection was known already, since boot."),
    "insert": gauge("node_nf_conntrack_stat_insert", "Entries made, since boot."),
    "insert_failed": gauge("node_nf_conntrack_stat_insert_failed", "Entries that could not be made, since boot."),
    "drop": gauge("node_nf_conntrack_stat_drop", "Packets dropped for want of an entry, since boot."),
    "early_drop": gauge("node_nf_conntrack_stat_early_drop", "Entries thrown out to make room, since boot."),
    "search_restart": gauge("node_nf_conntrack_stat_search_restart", "Look-ups that began anew, since boot."),
}


def read(host: Host) -> tuple[str, str]:
    """Read the table and the limit; both empty where the firewall follows none."""
    try:
        table = host.pid1("net/stat/nf_conntrack")
    except FileNotFoundError:
        return "", ""
    try:
        return table, host.proc("sys/net/netfilter/nf_conntrack_max")
    except OSError:
        return table, ""


def parse(table: str, limit: str) -> Metrics:
    """Add up the rows, hexadecimal, one for each CPU; the first column, entries, is the same in all."""
    if not table:
        return []
    head, *rows = table.splitlines()
    names = head.split()
    columns = list(zip(*([int(value, 16) for value in row.split()] for row in rows), strict=True))
    found = [single(ENTRIES, columns[0][0])]
    if limit:
        found.append(single(LIMIT, int(limit)))
    for name, values in zip(names, columns, strict=False):
        if family := STATISTICS.get(name):
            found.append(single(family, sum(values)))
    return found


class ConnectionTracking(Collector):
    """How near the firewall's table of connections is to being full."""

    name = "conntrack"
    summary = "connections that the host's firewall follows, and their limit"
    families = (ENTRIES, LIMIT, *STATISTICS.values())

    def collect(self) -> Metrics:
        """Read and parse."""
        return self.parse_if_changed(read(self.host), lambda found: parse(*found))
