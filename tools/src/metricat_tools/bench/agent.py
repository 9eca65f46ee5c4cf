"""Benchmark of the agent against node_exporter: alternating scrapes on this host. The agent has no CPU limit."""

import os
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from metricat_tools.bench.exporter import Exporter, running
from metricat_tools.binaries import ensure

COLLECTORS = (
    *("arp", "conntrack", "cpu", "diskstats", "entropy", "filefd", "filesystem", "loadavg", "meminfo", "netclass"),
    *("netdev", "netstat", "os", "pressure", "sockstat", "softnet", "stat", "time", "timex", "udp_queues", "uname"),
    "vmstat",
)
"""Collectors that both the agent and node_exporter have and that return series on any Linux host."""
_FILES = (
    *(
        "stat",
        "meminfo",
        "diskstats",
        "loadavg",
        "vmstat",
        "sys/fs/file-nr",
        "1/net/dev",
        "1/net/netstat",
        "1/net/snmp",
    ),
    *("1/net/snmp6", "1/net/sockstat", "1/net/softnet_stat", "1/net/arp", "1/net/udp", "1/mountinfo", "pressure/cpu"),
    *("pressure/io", "pressure/memory", "sys/kernel/random/entropy_avail"),
)
_WARM = 50
_PARTS = 4
"""A program with a leak grows in every part. A program that only warms up grows in the first."""
_UNBOUND = "--agent.cpu-limit=100"
"""This many scrapes a second exceed any limit: the agent would pause collectors and do less than node_exporter."""
_SELF = re.compile(
    r"^(?:node_scrape_collector_|node_exporter_build_info|metricat_(?:agent|collector)_|(?:go|process|promhttp)_)"
)
"""Series of a program about itself."""
_MARKS = {"CPU per scrape": 0.25, "latency p99": 0.4, "RSS": 0.9}
"""Upper bounds of the ratios with both programs' defaults."""
_SELF_MARK = 10
"""Upper bound of the agent's series about itself, in percent of all its series."""


def bench(scrapes: int, growth: int, *, same_collectors: bool) -> None:
    """Run the agent and node_exporter, scrape them alternately, and print the table."""
    chosen = ["--collector.disable-defaults", *(f"--collector.{name}" for name in COLLECTORS)]
    chosen = chosen if same_collectors else []
    node_exporter: list[str | Path] = [ensure("node_exporter")["node_exporter"], *chosen]
    if same_collectors:
        node_exporter.append("--web.disable-exporter-metrics")
    with (
        running("node_exporter", node_exporter) as theirs,
        running("metricat-agent", [sys.executable, "-m", "metricat_agent", *chosen, _UNBOUND]) as ours,
    ):
        both = (theirs, ours)
        _scrape(both, _WARM)
        before = [exporter.ticks() for exporter in both]
        for exporter in both:
            exporter.took.clear()
        _scrape(both, scrapes)
        used = [(exporter.ticks() - was) / scrapes for exporter, was in zip(both, before, strict=True)]
        resident = [exporter.resident() for exporter in both]
        _report(both, used, resident, {} if same_collectors else _MARKS)
        for part in range(_PARTS if growth else 0):
            _scrape(both, growth // _PARTS)
            grown = [
                f"{exporter.name} {(exporter.resident() - was) / 1024:.0f} KiB"
                for exporter, was in zip(both, resident, strict=True)
            ]
            print(f"growth in {(part + 1) * growth // _PARTS} further scrapes: {', '.join(grown)}", flush=True)


def _scrape(exporters: tuple[Exporter, ...], count: int) -> None:
    for _ in range(count):
        for exporter in exporters:
            exporter.scrape()


def _report(
    both: tuple[Exporter, Exporter], used: list[float], resident: list[int], marks: Mapping[str, float]
) -> None:
    pages = [exporter.page() for exporter in both]
    lines = [[line for line in page.splitlines() if not line.startswith("#")] for page in pages]
    series = [len(found) for found in lines]
    own = [sum(_SELF.match(line) is not None for line in found) for found in lines]
    names = [set(re.findall(r"^# TYPE (\S+)", page, re.MULTILINE)) for page in pages]
    rows: list[tuple[str, float, float, str]] = [
        ("series", float(series[0]), float(series[1]), ""),
        ("of them about itself", float(own[0]), float(own[1]), ""),
        ("CPU per scrape", 1000 * used[0], 1000 * used[1], "ms"),
        ("CPU per series", 1e6 * used[0] / series[0], 1e6 * used[1] / series[1], "us"),
        ("latency p50", 1000 * _quantile(both[0], 0.5), 1000 * _quantile(both[1], 0.5), "ms"),
        ("latency p99", 1000 * _quantile(both[0], 0.99), 1000 * _quantile(both[1], 0.99), "ms"),
        ("RSS", resident[0] / 2**20, resident[1] / 2**20, "MiB"),
        ("bytes on the wire", both[0].size / 1024, both[1].size / 1024, "KiB"),
    ]
    print(f"{'':<20}{both[0].name:>16}{both[1].name:>16}{'ratio':>8}{'at most' if marks else '':>9}")
    for name, theirs, ours, unit in rows:
        ratio = f"{ours / theirs:>8.2f}" if theirs else f"{'':>8}"
        mark = f"{marks[name]:>9.2f}" if name in marks else ""
        print(f"{name:<20}{theirs:>12.2f} {unit:<3}{ours:>12.2f} {unit:<3}{ratio}{mark}")
    if marks:
        print(f"series of the agent about itself: {100 * own[1] / series[1]:.1f} % (at most {_SELF_MARK} %)")
    print(f"reading {len(_FILES)} of the files without parsing: {1000 * floor():.2f} ms of CPU")
    print(f"families: theirs {len(names[0])}, ours {len(names[1])}, common {len(names[0] & names[1])}")


def _quantile(exporter: Exporter, share: float) -> float:
    return sorted(exporter.took)[int(share * (len(exporter.took) - 1))]


def floor(rounds: int = 200) -> float:
    """Return the mean CPU seconds of `rounds` reads of the files in `_FILES`, through open descriptors."""
    paths = [Path("/proc") / name for name in _FILES]
    opened = [os.open(path, os.O_RDONLY) for path in paths if path.exists()]
    started = time.process_time()
    for _ in range(rounds):
        for descriptor in opened:
            at = 0
            while chunk := os.pread(descriptor, 65536, at):
                at += len(chunk)
    used = time.process_time() - started
    for descriptor in opened:
        os.close(descriptor)
    return used / rounds
