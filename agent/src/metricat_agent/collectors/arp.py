"""The host's ARP table, from ``/proc/1/net/arp`` (``man 5 proc_pid_net``)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector, Filter, FilterFlags
from metricat_agent.collectors.parts import lines_of
from metricat_agent.exposition.model import Metrics, gauge
from metricat_agent.host.ascii_text import words_of

if TYPE_CHECKING:
    from metricat_agent.host.hostfs import Host

_WIDTH = 6
ENTRIES = gauge("node_arp_entries", "Entries of the host's ARP table.", "device")


def read(host: Host) -> str:
    """Return the text of /proc/1/net/arp."""
    return host.pid1("net/arp")


def parse(text: str, devices: Filter) -> Metrics:
    """Return the number of lines per selected device. The device is the last word of a line."""
    rows = [words_of(line) for line in lines_of(text)]
    if not all(len(words) >= _WIDTH for words in rows):
        raise ValueError("a line of /proc/1/net/arp has fewer than six columns")
    counts = Counter(words[-1] for words in rows[1:])
    return [(ENTRIES, [((device,), count) for device, count in counts.items() if devices.keeps(device)])]


class Arp(Collector):
    """Number of ARP entries of each network device."""

    name = "arp"
    summary = "entries of the host's ARP table"
    families = (ENTRIES,)
    filter_flags = (FilterFlags.of("device", "network devices", ""),)

    def collect(self) -> Metrics:
        """Return the number of ARP entries per device from /proc/1/net/arp."""
        return self.parse_if_changed(read(self.host), lambda text: parse(text, self.filter("device-exclude")))
