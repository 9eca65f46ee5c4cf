"""Traffic of the host's network devices, from ``/proc/1/net/dev`` (``man 5 proc_pid_net``).

The table is read through process 1: ``/proc/net`` shows the reader's own network namespace, which in a pod is the
pod's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import POD_DEVICES, Collector, Filter, FilterFlags
from metricat_agent.collectors.parts import UNCOUNTED, lines_of
from metricat_agent.exposition.model import Family, Metrics, Sample, counter

if TYPE_CHECKING:
    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

RECEIVE = {
    "bytes": "Bytes received.",
    "packets": "Packets received.",
    "errs": "Packets received with errors.",
    "drop": "Packets received and dropped.",
    "fifo": "Packets lost because the device's receive buffer overflowed.",
    "frame": "Packets received with frame alignment errors.",
    "compressed": "Compressed packets received.",
    "multicast": "Multicast packets received.",
}
TRANSMIT = {
    "bytes": "Bytes sent.",
    "packets": "Packets sent.",
    "errs": "Packets that could not be sent because of errors.",
    "drop": "Packets dropped before they were sent.",
    "fifo": "Packets lost because the device's send buffer overflowed or underflowed.",
    "colls": "Collisions detected while sending.",
    "carrier": "Packets not sent because the carrier was lost.",
    "compressed": "Compressed packets sent.",
}
COLUMNS: tuple[Family, ...] = (
    *(counter(f"node_network_receive_{field}_total", text, "device") for field, text in RECEIVE.items()),
    *(counter(f"node_network_transmit_{field}_total", text, "device") for field, text in TRANSMIT.items()),
)
"""In the order of the file's columns, which is the same since Linux 2.2."""


def read(host: Host) -> str:
    """Return the text of /proc/1/net/dev."""
    return host.pid1("net/dev")


_SHOWN = 40


def parse(text: str, devices: Filter, skips: Skips = UNCOUNTED) -> Metrics:
    """Return the counters of each selected device.

    The first number may follow the colon without a blank. The name of an alias contains a colon.
    """
    columns: list[list[Sample]] = [[] for _ in COLUMNS]
    _, _, *lines = lines_of(text)
    bad = 0
    for line in lines:
        device, _, numbers = line.rpartition(":")
        device = device.strip(" ")
        if not devices.keeps(device):
            continue
        labels = (device,)
        try:
            values = [int(value) for value in numbers.split()]
            row = list(zip(columns, values, strict=True))
        except ValueError:
            skips.add("unparsable", f"net/dev {line[:_SHOWN]}")
            bad += 1
            continue
        for samples, value in row:
            samples.append((labels, value))
    if bad == len(lines):
        raise ValueError("no line of /proc/1/net/dev has a device and its counters")
    return list(zip(COLUMNS, columns, strict=True))


class NetworkDevices(Collector):
    """Traffic, errors and drops of the host's network devices."""

    name = "netdev"
    summary = "traffic, errors and drops of the host's network devices"
    essential = True
    families = COLUMNS
    filter_flags = (FilterFlags.of("device", "network devices", POD_DEVICES),)

    def collect(self) -> Metrics:
        """Return traffic, errors and drops per network device from /proc/1/net/dev."""
        devices = self.filter("device-exclude")
        return self.parse_parts_if_changed(read(self.host), lambda text, skips: parse(text, devices, skips))
