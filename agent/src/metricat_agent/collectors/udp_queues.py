"""Bytes in the queues of UDP sockets, from ``/proc/1/net/udp`` and ``udp6``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Metrics, Sample, gauge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.host.hostfs import Host

QUEUES = gauge("node_udp_queues", "Bytes in the queues of UDP sockets.", "queue", "ip")
_QUEUES = 4


def read(host: Host) -> Mapping[str, str]:
    """Return the text of /proc/1/net/udp and udp6 by IP version, if they exist."""
    found = {}
    for name, label in (("net/udp", "v4"), ("net/udp6", "v6")):
        try:
            found[label] = host.pid1(name)
        except FileNotFoundError:
            continue
    return found


def parse(tables: Mapping[str, str]) -> Metrics:
    """Return the bytes queued by all sockets, per direction. The fifth column is ``tx:rx`` in hexadecimal."""
    samples: list[Sample] = []
    for label, text in tables.items():
        pairs = [line.split()[_QUEUES].split(":") for line in text.splitlines()[1:]]
        samples.append((("tx", label), sum(int(sent, 16) for sent, _ in pairs)))
        samples.append((("rx", label), sum(int(received, 16) for _, received in pairs)))
    return [(QUEUES, samples)]


class UdpQueues(Collector):
    """Bytes in the send and receive queues of UDP sockets."""

    name = "udp_queues"
    summary = "bytes in the queues of UDP sockets"
    families = (QUEUES,)

    def collect(self) -> Metrics:
        """Return the bytes in the queues of UDP sockets from /proc/1/net/udp and udp6."""
        return self.parse_if_changed(read(self.host), parse)
