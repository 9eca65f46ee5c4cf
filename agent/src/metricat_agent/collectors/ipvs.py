"""Load balancing in the kernel (used by kube-proxy in IPVS mode), from ``/proc/1/net/ip_vs`` and ``ip_vs_stats``.

Kernel: net/netfilter/ipvs/ip_vs_ctl.c.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.option import CollectorOption
from metricat_agent.exposition.model import Metrics, Sample, counter, gauge, single

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from metricat_agent.host.hostfs import Host

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
_PROTOCOLS = ("TCP", "UDP", "SCTP")


def read(host: Host) -> tuple[str, str]:
    """Return the text of ip_vs_stats and ip_vs. Both are empty without the kernel module."""
    try:
        return host.pid1("net/ip_vs_stats"), host.pid1("net/ip_vs")
    except FileNotFoundError:
        return "", ""


def endpoint(text: str) -> tuple[str, str]:
    """Return address and port of ``C0A80016:0CEA`` or ``[2001:...:0001]:0CEA``."""
    address, _, port = text.rpartition(":")
    plain = address[1:-1] if address.startswith("[") else int(address, 16)
    return str(ip_address(plain)), str(int(port, 16))


def backends(text: str) -> Iterator[tuple[Mapping[str, str], tuple[int, ...]]]:
    """Yield labels, weight, active and inactive connections of each server. Servers follow their service."""
    service: dict[str, str] = {}
    for line in text.splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] in _PROTOCOLS:
            address, port = endpoint(words[1])
            service = {"proto": words[0], "local_address": address, "local_port": port}
        elif words[0] == "FWM":
            service = {"proto": "FWM", "local_mark": words[1], "local_port": "0"}
        elif words[0] == "->" and service:
            address, port = endpoint(words[1])
            yield {**service, "remote_address": address, "remote_port": port}, tuple([int(word) for word in words[3:6]])


def parse(stats: str, table: str, wanted: tuple[str, ...] = LABELS) -> Metrics:
    """Return the totals, and weight and connections per backend. Add up backends with equal wanted labels."""
    if not stats:
        return []
    totals = [int(word, 16) for word in stats.splitlines()[2].split()]
    sums: dict[tuple[str, ...], tuple[int, ...]] = {}
    for named, numbers in backends(table):
        labels = tuple([named.get(label, "") if label in wanted else "" for label in LABELS])
        before = sums.get(labels, (0, 0, 0))
        sums[labels] = tuple([one + other for one, other in zip(before, numbers, strict=True)])
    columns: list[list[Sample]] = [[(labels, numbers[at]) for labels, numbers in sums.items()] for at in range(3)]
    return [
        *(single(family, total) for family, total in zip(TOTALS, totals, strict=True)),
        *zip(BACKENDS, columns, strict=True),
    ]


def parse_labels(text: str) -> tuple[str, ...]:
    """Return the labels of a comma-separated list."""
    given = tuple(text.split(",")) if text else ()
    if unknown := [label for label in given if label not in LABELS]:
        raise ValueError(f"unknown label '{unknown[0]}'; choose from {', '.join(LABELS)}")
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
        return self.parse_if_changed(read(self.host), lambda found: parse(*found, wanted))
