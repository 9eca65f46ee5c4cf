"""Load balancing in the kernel (used by kube-proxy in IPVS mode), from ``/proc/1/net/ip_vs`` and ``ip_vs_stats``.

Kernel: net/netfilter/ipvs/ip_vs_ctl.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.option import CollectorOption
from metricat_agent.collectors.parts import UNCOUNTED, lines_of, parse_part
from metricat_agent.exposition.model import Metrics, Sample, counter, gauge, single
from metricat_agent.host.ascii_text import words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

TOTALS = (
    counter("node_ipvs_connections_total", "Connections handled by IPVS."),
    counter("node_ipvs_incoming_packets_total", "Packets received by virtual servers."),
    counter("node_ipvs_outgoing_packets_total", "Packets sent by virtual servers."),
    counter("node_ipvs_incoming_bytes_total", "Bytes received by virtual servers."),
    counter("node_ipvs_outgoing_bytes_total", "Bytes sent by virtual servers."),
)
"""In the order of the third line of ``ip_vs_stats``, whose numbers are hexadecimal."""
LABELS = ("local_address", "local_port", "remote_address", "remote_port", "proto", "local_mark")
WEIGHT = gauge("node_ipvs_backend_weight", "Weight of a backend server.", *LABELS)
ACTIVE = gauge("node_ipvs_backend_connections_active", "Active connections to a backend server.", *LABELS)
INACTIVE = gauge("node_ipvs_backend_connections_inactive", "Inactive connections to a backend server.", *LABELS)
BACKENDS = (WEIGHT, ACTIVE, INACTIVE)
"""In the order of the columns of ``ip_vs``."""
_SHOWN = 40
_HEADINGS = ("IP", "Prot")
_PROTOCOLS = ("TCP", "UDP", "SCTP")


_STATS, _TABLE = "net/ip_vs_stats", "net/ip_vs"


def read(host: Host) -> tuple[str | None, str | None]:
    """Return the text of ip_vs_stats and ip_vs; None without the kernel module."""
    return host.optional_pid1(_STATS), host.optional_pid1(_TABLE)


def endpoint(text: str) -> tuple[str, str]:
    """Return address and port of ``C0A80016:0CEA`` or ``[2001:...:0001]:0CEA``."""
    from ipaddress import ip_address  # noqa: PLC0415 -- takes 0.3 MiB, and few nodes use IPVS

    address, _, port = text.rpartition(":")
    plain = address[1:-1] if address.startswith("[") else int(address, 16)
    return str(ip_address(plain)), str(int(port, 16))


def backends(text: str, skips: Skips = UNCOUNTED) -> Iterator[tuple[Mapping[str, str], tuple[int, ...]]]:
    """Yield labels, weight, active and inactive connections of each server.

    In the table, servers follow their service.
    """
    service: dict[str, str] = {}
    for line in lines_of(text):
        words = words_of(line)
        try:
            if words and words[0] == "->" and words[1] == "RemoteAddress:Port":
                continue
            if words and words[0] == "->":
                address, port = endpoint(words[1])
                weight, active, inactive = [int(word) for word in words[3:6]]
                if not service:
                    raise ValueError("a real server before the first virtual service")  # noqa: TRY301 -- counted like the others
                yield {**service, "remote_address": address, "remote_port": port}, (weight, active, inactive)
            elif words:
                service = {}
                service = parse_service(words)
        except (ValueError, IndexError):
            skips.add("unparsable", f"{_TABLE} {line[:_SHOWN]}")


def parse_service(words: Sequence[str]) -> dict[str, str]:
    """Return the labels of a service; none for a line of the heading."""
    if words[0] in _PROTOCOLS:
        address, port = endpoint(words[1])
        return {"proto": words[0], "local_address": address, "local_port": port}
    if words[0] == "FWM":
        return {"proto": "FWM", "local_mark": words[1], "local_port": "0"}
    if words[0] in _HEADINGS:
        return {}
    raise ValueError(f"{words[0]!r} is not a protocol")


def parse_totals(text: str) -> Metrics:
    """Return the totals, the third line of ip_vs_stats."""
    totals = [int(word, 16) for word in text.split("\n")[2].split()]
    return [single(family, total) for family, total in zip(TOTALS, totals, strict=True)]


def parse(stats: str | None, table: str | None, wanted: tuple[str, ...] = LABELS, skips: Skips = UNCOUNTED) -> Metrics:
    """Return the totals, and weight and connections per backend. Add up backends with equal labels in ``wanted``."""
    found = (None if stats is None else parse_part(skips, _STATS, parse_totals, stats)) or []
    sums: dict[tuple[str, ...], tuple[int, ...]] = {}
    servers = None if table is None else parse_part(skips, _TABLE, lambda text: list(backends(text, skips)), table)
    for named, numbers in servers or ():
        labels = tuple([named.get(label, "") if label in wanted else "" for label in LABELS])
        before = sums.get(labels, (0, 0, 0))
        sums[labels] = tuple([one + other for one, other in zip(before, numbers, strict=True)])
    columns: list[list[Sample]] = [[(labels, numbers[at]) for labels, numbers in sums.items()] for at in range(3)]
    return [*found, *zip(BACKENDS, columns, strict=True)]


def parse_labels(text: str) -> tuple[str, ...]:
    """Return the labels of a comma-separated list."""
    given = tuple(text.split(",")) if text else ()
    if unknown := [label for label in given if label not in LABELS]:
        raise ValueError(f"unknown label '{unknown[0]}'; choose from {', '.join(LABELS)}")
    if len(set(given)) < len(given):
        raise ValueError("a label is given twice; remove one of them")
    return given


BACKEND_LABELS = CollectorOption(
    "backend-labels",
    ",".join(LABELS),
    "labels of servers, separated by commas; servers with equal labels are added up",
    parse=parse_labels,
)


class VirtualServers(Collector):
    """Connections and backend servers of virtual servers."""

    name = "ipvs"
    summary = "connections and servers of the kernel's load balancing (IPVS)"
    families = (*TOTALS, *BACKENDS)
    options = (BACKEND_LABELS,)

    def collect(self) -> Metrics:
        """Return IPVS traffic, and weight and connections of each backend, from /proc/1/net/ip_vs_stats and ip_vs."""
        wanted = self.option(BACKEND_LABELS)
        return self.parse_parts_if_changed(read(self.host), lambda found, skips: parse(*found, wanted, skips))
