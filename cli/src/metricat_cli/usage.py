"""Usage of nodes and processes, computed from scrapes of the agents. Pure.

The formulas are those of the recording rules (metricat_rules.recording).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
_IDLE = frozenset({"idle", "iowait", "steal"})
COLLECTORS = ("cpu", "diskstats", "filesystem", "loadavg", "meminfo", "netdev")
"""The collectors of the usage of a node."""

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Page:
    """The samples of one scrape: metric to labels to value. `at` is its time in seconds, of any clock."""

    at: float
    samples: Mapping[str, Mapping[Labels, float]]

    def one(self, name: str) -> float | None:
        """Return the value of a metric without labels, None if it is missing."""
        return self.samples.get(name, {}).get(())

    def all(self, name: str) -> Mapping[Labels, float]:
        """Return the samples of a metric."""
        return self.samples.get(name, {})


def parse(text: str, at: float) -> Page:
    """Return the samples of a scrape in Prometheus' text format. Lines that are not samples are ignored."""
    found: dict[str, dict[Labels, float]] = {}
    for line in text.splitlines():
        if matched := _SAMPLE.match(line):
            name, labels, value = matched.groups()
            try:
                found.setdefault(name, {})[_labels(labels or "")] = float(value)
            except ValueError:
                continue
    return Page(at, found)


def _labels(text: str) -> Labels:
    unescaped = (
        (name, _ESCAPED.sub(lambda one: {"n": "\n"}.get(one[1], one[1]), value)) for name, value in _pairs(text)
    )
    return tuple(unescaped)


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for matched in _LABEL.finditer(text):
        yield matched[1], matched[2]


@dataclass(frozen=True)
class NodeUsage:
    """The usage of one node. A value is None if the agent does not expose its metrics."""

    cpu_percent: float | None = None
    cpus: int = 0
    load1: float | None = None
    memory_percent: float | None = None
    memory_used_bytes: float | None = None
    filesystem_percent: float | None = None
    filesystem: str = ""
    """The mount point of the fullest writable filesystem."""
    disk_read_bytes_per_second: float | None = None
    disk_written_bytes_per_second: float | None = None
    network_receive_bytes_per_second: float | None = None
    network_transmit_bytes_per_second: float | None = None


def node_usage(before: Page, after: Page) -> NodeUsage:
    """Return the usage of a node between two scrapes of its agent."""
    memory_total, available = after.one("node_memory_MemTotal_bytes"), after.one("node_memory_MemAvailable_bytes")
    used = memory_total - available if memory_total and available is not None else None
    percent, mountpoint = _fullest(after)
    return NodeUsage(
        cpu_percent=_cpu(before, after),
        cpus=len({dict(labels).get("cpu") for labels in after.all("node_cpu_seconds_total")}),
        load1=after.one("node_load1"),
        memory_percent=100 * used / memory_total if used is not None and memory_total else None,
        memory_used_bytes=used,
        filesystem_percent=percent,
        filesystem=mountpoint,
        disk_read_bytes_per_second=_rate(before, after, "node_disk_read_bytes_total"),
        disk_written_bytes_per_second=_rate(before, after, "node_disk_written_bytes_total"),
        network_receive_bytes_per_second=_rate(before, after, "node_network_receive_bytes_total"),
        network_transmit_bytes_per_second=_rate(before, after, "node_network_transmit_bytes_total"),
    )


def _cpu(before: Page, after: Page) -> float | None:
    """Return 100 minus the percentage of idle, iowait and steal."""
    idle = total = 0.0
    for labels, value in after.all("node_cpu_seconds_total").items():
        spent = value - before.all("node_cpu_seconds_total").get(labels, value)
        if spent < 0:  # idle and iowait may decrease a little; after a restart of the node, all counters do
            spent = 0.0
        total += spent
        idle += spent if dict(labels).get("mode") in _IDLE else 0.0
    return 100 * (1 - idle / total) if total else None


def _rate(before: Page, after: Page, name: str) -> float | None:
    """Return the growth of a counter per second, over all devices that both pages have, without the loopback device.

    Stacked devices count separately: a disk, and the device mapper on it.
    """
    earlier, seconds = before.all(name), after.at - before.at
    grown = [
        max(0.0, value - earlier[labels])
        for labels, value in after.all(name).items()
        if labels in earlier and dict(labels).get("device") != "lo"
    ]
    return sum(grown) / seconds if grown and seconds > 0 else None


def _fullest(page: Page) -> tuple[float | None, str]:
    """Return the percentage and the mount point of the fullest writable filesystem."""
    available, read_only = page.all("node_filesystem_avail_bytes"), page.all("node_filesystem_readonly")
    found = [
        (100 * (1 - available[labels] / size), dict(labels).get("mountpoint", ""))
        for labels, size in page.all("node_filesystem_size_bytes").items()
        if size and labels in available and not read_only.get(labels)
    ]
    return max(found, default=(None, ""), key=lambda one: (one[0], -len(one[1])))


@dataclass(frozen=True)
class ProcessUsage:
    """The usage of one process."""

    pid: int
    name: str
    pod_uid: str
    container_id: str
    cpu: float = 0.0
    """1 is one whole CPU."""
    memory_bytes: float = 0.0
    threads: int = 0


def processes(page: Page) -> list[ProcessUsage]:
    """Return the exposed processes: those with the highest CPU usage, and those with the highest memory usage."""
    cpu, memory, threads = (
        page.all(f"metricat_process_{name}") for name in ("cpu_ratio", "resident_memory_bytes", "threads")
    )
    found = []
    for labels in dict.fromkeys([*cpu, *memory]):
        values = dict(labels)
        found.append(
            ProcessUsage(
                int(values.get("pid", "0")),
                values.get("name", ""),
                values.get("pod_uid", ""),
                values.get("container_id", ""),
                cpu.get(labels, 0.0),
                memory.get(labels, 0.0),
                int(threads.get(labels, 0)),
            )
        )
    return found
