"""Received packets that each CPU processed, from ``/proc/1/net/softnet_stat`` (kernel: net/core/net-procfs.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.parts import lines_of
from metricat_agent.exposition.model import Family, Metrics, Sample, counter, gauge

if TYPE_CHECKING:
    from metricat_agent.host.hostfs import Host

COLUMNS: dict[int, Family] = {
    0: counter("node_softnet_processed_total", "Packets processed by a CPU.", "cpu"),
    1: counter("node_softnet_dropped_total", "Packets dropped because a CPU's queue was full.", "cpu"),
    2: counter(
        "node_softnet_times_squeezed_total", "Times that a CPU ran out of time or budget with packets left.", "cpu"
    ),
    8: counter("node_softnet_cpu_collision_total", "Times that a CPU found a device's send queue locked.", "cpu"),
    9: counter(
        "node_softnet_received_rps_total", "Times that another CPU woke this one to process packets (RPS).", "cpu"
    ),
    10: counter("node_softnet_flow_limit_count_total", "Packets dropped because a flow exceeded its limit.", "cpu"),
    11: gauge("node_softnet_backlog_len", "Packets in a CPU's queue.", "cpu"),
}
_NUMBER = 12


def read(host: Host) -> str:
    """Return the text of /proc/1/net/softnet_stat."""
    return host.pid1("net/softnet_stat")


def parse(text: str) -> Metrics:
    """Return the counts of each CPU from its hexadecimal line. Old kernels lack the last columns (CPU number)."""
    columns: dict[int, list[Sample]] = {column: [] for column in COLUMNS}
    rows = [line.split() for line in lines_of(text)]
    if len({len(values) for values in rows}) > 1:
        raise ValueError("a line of /proc/1/net/softnet_stat is truncated")
    for number, values in enumerate(rows):
        labels = (str(int(values[_NUMBER], 16)) if len(values) > _NUMBER else str(number),)
        for column, samples in columns.items():
            if column < len(values):
                samples.append((labels, int(values[column], 16)))
    return [(family, columns[column]) for column, family in COLUMNS.items()]


class SoftNet(Collector):
    """Packets that each CPU processed and dropped."""

    name = "softnet"
    summary = "received packets that each CPU processed and dropped"
    families = tuple(COLUMNS.values())
    per_cpu = True

    def collect(self) -> Metrics:
        """Return packets processed and dropped per CPU from /proc/1/net/softnet_stat."""
        return self.parse_if_changed(read(self.host), parse)
