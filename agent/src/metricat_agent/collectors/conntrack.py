"""Connection tracking of the host's firewall, from ``/proc/1/net/stat/nf_conntrack`` or ``/proc/sys/net``.

The table is read through process 1: ``/proc/sys/net`` shows the reader's own network namespace. The limit is the same
in all network namespaces. Many kernels are built without the table (NF_CONNTRACK_PROCFS, off by default since Linux
5.15.65). There the number of connections comes from ``/proc/sys/net``, if the agent is in the host's network namespace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from metricat_agent.collectors import Collector
from metricat_agent.collectors.parts import UNCOUNTED, lines_of, parse_part, whole
from metricat_agent.exposition.model import Metrics, gauge, single
from metricat_agent.host.network_namespace import is_host_network

if TYPE_CHECKING:
    from collections.abc import Iterable

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

ENTRIES = gauge("node_nf_conntrack_entries", "Connections in the firewall's tracking table.")
LIMIT = gauge("node_nf_conntrack_entries_limit", "Size limit of the firewall's tracking table, in connections.")
STATISTICS = {
    "found": gauge("node_nf_conntrack_stat_found", "Lookups that found an entry, since boot."),
    "invalid": gauge("node_nf_conntrack_stat_invalid", "Packets that match no connection, since boot."),
    "ignore": gauge("node_nf_conntrack_stat_ignore", "Packets whose connection was already known, since boot."),
    "insert": gauge("node_nf_conntrack_stat_insert", "Entries inserted, since boot."),
    "insert_failed": gauge("node_nf_conntrack_stat_insert_failed", "Entries that could not be inserted, since boot."),
    "drop": gauge("node_nf_conntrack_stat_drop", "Packets dropped because no entry could be created, since boot."),
    "early_drop": gauge("node_nf_conntrack_stat_early_drop", "Entries evicted to make room, since boot."),
    "search_restart": gauge("node_nf_conntrack_stat_search_restart", "Lookups that were restarted, since boot."),
}


_LIMITS = ("sys/net/netfilter/nf_conntrack_max", "sys/net/nf_conntrack_max")
_TABLE = "net/stat/nf_conntrack"
_COUNT = "sys/net/netfilter/nf_conntrack_count"


class Tracking(NamedTuple):
    """Texts of net/stat/nf_conntrack (the table), of the limit, and without the table of the number of connections."""

    table: str | None = None
    limit: str | None = None
    entries: str | None = None


def read(host: Host) -> Tracking:
    """Return the texts of the existing files, none if the firewall does not track connections."""
    limit = _first(host, _LIMITS)
    table = host.optional_pid1(_TABLE)
    if table is not None or limit is None:
        return Tracking(table, limit)
    if is_host_network(host):
        return Tracking(None, limit, _first(host, (_COUNT,)))
    host.skips.add("other_namespace", ENTRIES.name, "the kernel has no net/stat/nf_conntrack")
    return Tracking(None, limit)


def _first(host: Host, names: Iterable[str]) -> str | None:
    """Return the text of the first readable file; None without any."""
    for name in names:
        try:
            return host.proc(name)
        except OSError:
            continue
    return None


def parse(table: str | None, limit: str | None, total: str | None = None, skips: Skips = UNCOUNTED) -> Metrics:
    """Return entries, limit and the sum of each event over the CPUs. Without a table, entries is ``total``."""
    found: Metrics = []
    known = parse_part(skips, _TABLE, parse_table, table) if table is not None else None
    for text, family in ((total, ENTRIES), (limit, LIMIT)):
        number = parse_part(skips, family.name, whole, text) if text is not None else None
        if number is not None:
            found.append(single(family, number))
    known = known or []
    return [*known[:1], *found, *known[1:]]


def parse_table(text: str) -> Metrics:
    """Return entries, and the sum of each event over the CPUs, which have one hexadecimal row each.

    The first column, entries, is the same in all rows.
    """
    head, *rows = lines_of(text)
    columns = list(zip(*([int(value, 16) for value in row.split()] for row in rows if row), strict=True))
    if len(head.split()) < len(columns):
        raise ValueError("the table has fewer names than columns")
    found: Metrics = [single(ENTRIES, columns[0][0])]
    for name, values in zip(head.split(), columns, strict=False):
        if family := STATISTICS.get(name):
            found.append(single(family, sum(values)))
    return found


class ConnectionTracking(Collector):
    """Size, limit and events of the firewall's tracking table."""

    name = "conntrack"
    summary = "connections tracked by the host's firewall, and their limit"
    families = (ENTRIES, LIMIT, *STATISTICS.values())

    def collect(self) -> Metrics:
        """Return size, limit and events of the tracking table from /proc/1/net/stat/nf_conntrack and /proc/sys."""
        return self.parse_parts_if_changed(read(self.host), lambda found, skips: parse(*found, skips))
