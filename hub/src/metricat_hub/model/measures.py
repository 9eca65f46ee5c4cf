"""The measures: common quantities of a node, each with a plain name, a unit and a PromQL expression. Pure.

The expressions are those of the recording rules, so that a measure has the same values as the recorded series in a
cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from metricat_hub.model.durations import format_duration
from metricat_rules.expansion import expanded
from metricat_rules.recording import MEASURES as RECORDED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.ports import Matcher

EXPRESSIONS = {title: expanded(series) for title, series in RECORDED.items()}
"""PromQL expressions by title. `<selector>` is replaced by label matchers, `<window>` by the rate window."""
Category: TypeAlias = Literal["cpu", "memory", "disk", "network", "filesystem"]


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure: its name, unit and category, and the title of its recording rule in `EXPRESSIONS`."""

    name: str
    title: str
    unit: str
    category: Category

    def expression(self, window: int, matchers: Sequence[Matcher] = ()) -> str:
        """Return the PromQL expression with a rate window in milliseconds and label matchers."""
        selector = ",".join(f"{one.name}{one.operator}{quote(one.value)}" for one in matchers)
        return (
            EXPRESSIONS[self.title]
            .replace("<window>", format_duration(window))
            .replace(",<selector>", f",{selector}" if selector else "")
            .replace("<selector>", selector)
        )


def quote(text: str) -> str:
    """Quote a text as a PromQL string literal."""
    escaped = text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'"{escaped}"'


def _network(what: str, plain: str, unit: str) -> tuple[Measure, Measure]:
    return (
        Measure(f"network_{plain.format('receive')}", f"network {what} in", unit, "network"),
        Measure(f"network_{plain.format('transmit')}", f"network {what} out", unit, "network"),
    )


MEASURES = (
    Measure("cpu_usage_percent", "CPU usage", "percent", "cpu"),
    Measure("cpu_core_usage_percent", "CPU usage per core", "percent", "cpu"),
    *(
        Measure(f"cpu_{mode}_percent", f"CPU {mode} time", "percent", "cpu")
        for mode in ("user", "system", "idle", "iowait")
    ),
    *(Measure(f"load_average_{minutes}m", f"load {minutes}", "processes", "cpu") for minutes in (1, 5, 15)),
    Measure("memory_total_bytes", "memory total", "bytes", "memory"),
    Measure("memory_used_bytes", "memory used", "bytes", "memory"),
    Measure("memory_free_bytes", "memory free", "bytes", "memory"),
    Measure("memory_available_bytes", "memory available", "bytes", "memory"),
    Measure("memory_usage_percent", "memory usage", "percent", "memory"),
    Measure("memory_cached_bytes", "memory cached", "bytes", "memory"),
    Measure("memory_buffers_bytes", "memory buffers", "bytes", "memory"),
    Measure("swap_total_bytes", "swap total", "bytes", "memory"),
    Measure("swap_used_bytes", "swap used", "bytes", "memory"),
    Measure("swap_free_bytes", "swap free", "bytes", "memory"),
    Measure("swap_usage_percent", "swap usage", "percent", "memory"),
    Measure("disk_read_bytes_per_sec", "disk read bytes", "bytes/second", "disk"),
    Measure("disk_write_bytes_per_sec", "disk written bytes", "bytes/second", "disk"),
    Measure("disk_read_ops_per_sec", "disk reads", "operations/second", "disk"),
    Measure("disk_write_ops_per_sec", "disk writes", "operations/second", "disk"),
    Measure("disk_read_time_ratio", "disk read time", "seconds/second", "disk"),
    Measure("disk_write_time_ratio", "disk write time", "seconds/second", "disk"),
    Measure("disk_await_milliseconds", "disk await", "milliseconds", "disk"),
    Measure("disk_utilization_percent", "disk utilization", "percent", "disk"),
    Measure("disk_queue_length", "disk queue length", "operations", "disk"),
    *_network("bytes", "{}_bytes_per_sec", "bytes/second"),
    *_network("packets", "{}_packets_per_sec", "packets/second"),
    *_network("errors", "{}_errors_per_sec", "errors/second"),
    *_network("drops", "{}_drops_per_sec", "packets/second"),
    Measure("network_bandwidth_usage_percent", "network bandwidth usage", "percent", "network"),
    Measure("network_connections", "connections", "connections", "network"),
    Measure("filesystem_total_bytes", "filesystem total", "bytes", "filesystem"),
    Measure("filesystem_used_bytes", "filesystem used", "bytes", "filesystem"),
    Measure("filesystem_free_bytes", "filesystem free", "bytes", "filesystem"),
    Measure("filesystem_usage_percent", "filesystem usage", "percent", "filesystem"),
    Measure("filesystem_inodes_total", "inodes total", "inodes", "filesystem"),
    Measure("filesystem_inodes_used", "inodes used", "inodes", "filesystem"),
    Measure("filesystem_inodes_free", "inodes free", "inodes", "filesystem"),
    Measure("filesystem_inodes_usage_percent", "inode usage", "percent", "filesystem"),
)
"""All measures, in the order of the documentation."""
BY_NAME = {measure.name: measure for measure in MEASURES}

_SUFFIXES = ("_percent", "_bytes", "_bytes_per_sec", "_per_sec", "_ratio", "_milliseconds")


def _short_names() -> dict[str, Measure]:
    """Return the measures by their names without the unit, where such a name means one measure only."""
    found: dict[str, list[Measure]] = {}
    for measure in MEASURES:
        for suffix in _SUFFIXES:
            if measure.name.endswith(suffix):
                found.setdefault(measure.name.removesuffix(suffix), []).append(measure)
    short = {name: measures[0] for name, measures in found.items() if len(measures) == 1 and name not in BY_NAME}
    return {**short, "disk_usage": BY_NAME["filesystem_usage_percent"]}


SHORT_NAMES = _short_names()
"""Measures by names without the unit, which rules also accept. `disk_usage` is the usage of filesystems."""
