"""Bytes in the queues of UDP sockets, from ``/proc/1/net/udp`` and ``udp6``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.parts import UNCOUNTED, lines_of, parse_part
from metricat_agent.exposition.model import Metrics, Sample, gauge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

QUEUES = gauge("node_udp_queues", "Bytes in the queues of UDP sockets.", "queue", "ip")
_QUEUES = 4
_LONGEST_LINE = 256
"""Upper bound of the kernel's lines in bytes: 128 in ``udp``, and about 170 in ``udp6``."""
_TABLES = {"v4": "net/udp", "v6": "net/udp6"}


def read(host: Host) -> Mapping[str, str]:
    """Return the text of /proc/1/net/udp and udp6 by IP version, if they exist."""
    texts = {label: host.optional_pid1(name, _LONGEST_LINE) for label, name in _TABLES.items()}
    return {label: text for label, text in texts.items() if text is not None}


def parse(tables: Mapping[str, str], skips: Skips = UNCOUNTED) -> Metrics:
    """Return the bytes queued by all sockets, per direction."""
    samples: list[Sample] = []
    for label, text in tables.items():
        if (queued := parse_part(skips, _TABLES[label], add_up, text)) is not None:
            sent, received = queued
            samples += [(("tx", label), sent), (("rx", label), received)]
    return [(QUEUES, samples)]


def add_up(text: str) -> tuple[int, int]:
    """Return the bytes sent and received that one table's sockets queue. The fifth column is ``tx:rx``, hexadecimal."""
    _, *rows = lines_of(text)
    if not rows and "local_address" not in text:
        raise ValueError("the table has neither a heading nor a row")
    pairs = [line.split()[_QUEUES].split(":") for line in rows]
    return sum(int(sent, 16) for sent, _ in pairs), sum(int(received, 16) for _, received in pairs)


class UdpQueues(Collector):
    """Bytes in the send and receive queues of UDP sockets."""

    name = "udp_queues"
    summary = "bytes in the queues of UDP sockets"
    families = (QUEUES,)

    def collect(self) -> Metrics:
        """Return the bytes in the queues of UDP sockets from /proc/1/net/udp and udp6."""
        return self.parse_parts_if_changed(read(self.host), parse)
