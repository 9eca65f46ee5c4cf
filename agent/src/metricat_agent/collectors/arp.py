"""The host's ARP table, from ``/proc/1/net/arp`` (``man 5 proc_pid_net``)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector, Filter, FilterFlags
from metricat_agent.collectors.parts import UNCOUNTED, lines_of
from metricat_agent.exposition.model import Metrics, gauge
from metricat_agent.host.ascii_text import words_of

if TYPE_CHECKING:
    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

_WIDTH = 6
ENTRIES = gauge("node_arp_entries", "Entries of the host's ARP table.", "device")


def read(host: Host) -> str:
    """Return the text of /proc/1/net/arp."""
    return host.pid1("net/arp")


def parse(text: str, devices: Filter, skips: Skips = UNCOUNTED) -> Metrics:
    """Return the number of lines per selected device. The device is the last word of a line."""
    header, *lines = lines_of(text)
    if not header.startswith("IP"):
        raise ValueError("/proc/1/net/arp has no header")
    counts = Counter[str]()
    for number, line in enumerate(lines, 2):
        words = words_of(line)
        if len(words) < _WIDTH:
            skips.add("unparsable", f"line {number} of /proc/1/net/arp", repr(line))
        else:
            counts[words[-1]] += 1
    return [(ENTRIES, [((device,), count) for device, count in counts.items() if devices.keeps(device)])]


class Arp(Collector):
    """Number of ARP entries of each network device."""

    name = "arp"
    summary = "entries of the host's ARP table"
    families = (ENTRIES,)
    filter_flags = (FilterFlags.of("device", "network devices", ""),)

    def collect(self) -> Metrics:
        """Return the number of ARP entries per device from /proc/1/net/arp."""
        devices = self.filter("device-exclude")
        return self.parse_parts_if_changed(read(self.host), lambda text, skips: parse(text, devices, skips))
