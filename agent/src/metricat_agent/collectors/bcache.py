"""bcache: caches of slow disks on fast ones, from ``/sys/fs/bcache`` (kernel: admin-guide/bcache.rst).

The kernel prints sizes with one decimal place (``20.4G``). The metrics have the same precision, so counters grow in
steps.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.option import switch
from metricat_agent.exposition.model import Family, Metrics, Sample, counter, gauge
from metricat_agent.host.human_units import parse_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from metricat_agent.host.hostfs import Host

_DURATION = "internal/btree_read_average_duration_us"
_OF_SET = {
    file: gauge(f"node_bcache_{name}", text, "uuid")
    for file, name, text in (
        ("average_key_size", "average_key_size_sectors", "Average data per key of the B-tree, in sectors."),
        ("btree_cache_size", "btree_cache_size_bytes", "Memory used by the B-tree cache, in bytes."),
        ("cache_available_percent", "cache_available_percent", "Percentage of the cache without dirty data."),
        (
            "congested",
            "congested",
            "Size from which sequential I/O bypasses the cache because of congestion, in bytes.",
        ),
        (
            "root_usage_percent",
            "root_usage_percent",
            "Percentage of the B-tree's root in use; a full root adds a level.",
        ),
        ("tree_depth", "tree_depth", "Depth of the B-tree."),
        (
            "internal/active_journal_entries",
            "active_journal_entries",
            "Journal entries that are newer than the B-tree.",
        ),
        ("internal/btree_nodes", "btree_nodes", "Nodes of the B-tree."),
        (_DURATION, "btree_read_average_duration_seconds", "Average time to read a node of the B-tree, in seconds."),
    )
}
_OF_SET["internal/cache_read_races"] = counter(
    "node_bcache_cache_read_races_total", "Reads from the cache whose bucket was reused during the read.", "uuid"
)
_BACKING = ("uuid", "backing_device")
_OF_BACKING = {
    f"stats_total/{file}": counter(f"node_bcache_{name}_total", text, *_BACKING)
    for file, name, text in (
        ("bypassed", "bypassed_bytes", "Bytes that bypassed the cache."),
        ("cache_hits", "cache_hits", "Requests whose data was in the cache."),
        ("cache_misses", "cache_misses", "Requests whose data was not in the cache."),
        ("cache_bypass_hits", "cache_bypass_hits", "Bypassing requests whose data was in the cache."),
        ("cache_bypass_misses", "cache_bypass_misses", "Bypassing requests whose data was not in the cache."),
        ("cache_miss_collisions", "cache_miss_collisions", "Misses whose data a concurrent write had already cached."),
        ("cache_readaheads", "cache_readaheads", "Times that more data was read than requested."),
    )
}
_OF_BACKING["dirty_data"] = gauge(
    "node_bcache_dirty_data_bytes", "Dirty data that is not yet written back, in bytes.", *_BACKING
)
_RATES = "writeback_rate_debug"
_OF_RATES = {
    word: gauge(f"node_bcache_{name}", text, *_BACKING)
    for word, name, text in (
        ("target", "dirty_target_bytes", "Target for the amount of dirty data, in bytes."),
        ("rate", "writeback_rate", "Upper limit of writeback, in bytes per second."),
        ("proportional", "writeback_rate_proportional_term", "Part of the rate for the distance from the target."),
        ("integral", "writeback_rate_integral_term", "Part of the rate for the distance added up over time."),
        ("change", "writeback_change", "Last change of the writeback rate."),
    )
}
_CACHE = ("uuid", "cache_device")
_OF_CACHE = {
    "io_errors": gauge("node_bcache_io_errors", "Recent I/O errors, a number that decays over time.", *_CACHE),
    "metadata_written": counter("node_bcache_metadata_written_bytes_total", "Bytes of metadata written.", *_CACHE),
    "written": counter("node_bcache_written_bytes_total", "Bytes of data written.", *_CACHE),
}
_PRIORITIES = "priority_stats"
_OF_PRIORITIES = {
    word: gauge(f"node_bcache_priority_stats_{word.lower()}_percent", text, *_CACHE)
    for word, text in (
        ("Unused", "Percentage of the cache that holds no data."),
        ("Metadata", "Percentage of the cache that holds metadata."),
    )
}
PRIORITIES = switch("priorityStats", "expose how much of a cache is unused, for which the kernel sorts all of it")


@dataclass(frozen=True, slots=True)
class CacheSet:
    """Files of one cache set, and of its backing devices and caches by the names of their links."""

    name: str
    files: Mapping[str, str]
    backing: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    caches: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def read(host: Host, *, priorities: bool) -> list[CacheSet]:
    """Read all cache sets, none if the kernel has no bcache. Skip a set that stops during the read."""
    found = host.sys_each(
        "fs/bcache", lambda entry: _cache_set(host, entry, priorities=priorities), lambda entry: "-" in entry
    )
    return list(found.values())


def _cache_set(host: Host, entry: str, *, priorities: bool) -> CacheSet:
    place = f"fs/bcache/{entry}"
    names = host.sys_names(place)

    def devices(kind: str, files: Iterable[str]) -> dict[str, Mapping[str, str]]:
        links = [name for name in names if re.fullmatch(rf"{kind}\d+", name)]
        return {name: host.sys_attributes(f"{place}/{name}", files) for name in links}

    of_caches = (*_OF_CACHE, *([_PRIORITIES] if priorities else []))
    backing, caches = devices("bdev", (*_OF_BACKING, _RATES)), devices("cache", of_caches)
    return CacheSet(entry, host.sys_attributes(place, _OF_SET), backing, caches)


def _rows(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        word, _, value = line.partition(":")
        yield word, value.strip().removesuffix("/sec").removesuffix("%")


def parse(sets: Iterable[CacheSet]) -> Metrics:
    """Convert the kernel's human-readable numbers."""
    columns: dict[Family, list[Sample]] = {family: [] for family in Bcache.families}

    def take(labels: tuple[str, ...], families: Mapping[str, Family], texts: Iterable[tuple[str, str]]) -> None:
        for name, text in texts:
            if name in families:
                value = parse_size(text) / 1_000_000 if name == _DURATION else parse_size(text)
                columns[families[name]].append((labels, value))

    for one in sets:
        take((one.name,), _OF_SET, one.files.items())
        for device, files in one.backing.items():
            take((one.name, device), _OF_BACKING, files.items())
            take((one.name, device), _OF_RATES, _rows(files.get(_RATES, "")))
        for device, files in one.caches.items():
            take((one.name, device), _OF_CACHE, files.items())
            take((one.name, device), _OF_PRIORITIES, _rows(files.get(_PRIORITIES, "")))
    return list(columns.items())


class Bcache(Collector):
    """Hits, misses and dirty data of bcache."""

    name = "bcache"
    summary = "hits, misses and dirty data of bcache"
    families = tuple(
        family for part in (_OF_SET, _OF_BACKING, _OF_RATES, _OF_CACHE, _OF_PRIORITIES) for family in part.values()
    )
    options = (PRIORITIES,)

    def collect(self) -> Metrics:
        """Read the files and return their metrics."""
        return self.parse_if_changed(read(self.host, priorities=self.option(PRIORITIES)), parse)
