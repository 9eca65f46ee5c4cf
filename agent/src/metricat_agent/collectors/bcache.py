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
from metricat_agent.collectors.parts import UNCOUNTED, parse_file
from metricat_agent.exposition.model import Family, Metrics, Sample, counter, gauge
from metricat_agent.host.ascii_text import BLANKS
from metricat_agent.host.human_units import parse_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

_DURATION = "internal/btree_read_average_duration_us"
_SET_FAMILIES = {
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
_SET_FAMILIES["internal/cache_read_races"] = counter(
    "node_bcache_cache_read_races_total", "Reads from the cache whose bucket was reused during the read.", "uuid"
)
_BACKING_LABELS = ("uuid", "backing_device")
_BACKING_FAMILIES = {
    f"stats_total/{file}": counter(f"node_bcache_{name}_total", text, *_BACKING_LABELS)
    for file, name, text in (
        ("bypassed", "bypassed_bytes", "Bytes that bypassed the cache."),
        ("cache_hits", "cache_hits", "Requests whose data was in the cache."),
        ("cache_misses", "cache_misses", "Requests whose data was not in the cache."),
        ("cache_bypass_hits", "cache_bypass_hits", "Requests that bypassed the cache although their data was in it."),
        (
            "cache_bypass_misses",
            "cache_bypass_misses",
            "Requests that bypassed the cache and whose data was not in it.",
        ),
        ("cache_miss_collisions", "cache_miss_collisions", "Misses whose data a concurrent write had already cached."),
        ("cache_readaheads", "cache_readaheads", "Times that more data was read than requested."),
    )
}
_BACKING_FAMILIES["dirty_data"] = gauge(
    "node_bcache_dirty_data_bytes", "Dirty data that is not yet written back, in bytes.", *_BACKING_LABELS
)
_RATES = "writeback_rate_debug"
_RATE_FAMILIES = {
    word: gauge(f"node_bcache_{name}", text, *_BACKING_LABELS)
    for word, name, text in (
        ("target", "dirty_target_bytes", "Target for the amount of dirty data, in bytes."),
        ("rate", "writeback_rate", "Upper limit of writeback, in bytes per second."),
        (
            "proportional",
            "writeback_rate_proportional_term",
            "Part of the writeback rate that depends on the distance from the target, in bytes per second.",
        ),
        (
            "integral",
            "writeback_rate_integral_term",
            "Part of the writeback rate that depends on the distance added up over time, in bytes per second.",
        ),
        ("change", "writeback_change", "Last change of the writeback rate, in bytes per second."),
    )
}
_CACHE_LABELS = ("uuid", "cache_device")
_CACHE_FAMILIES = {
    "io_errors": gauge("node_bcache_io_errors", "Recent I/O errors, a number that decays over time.", *_CACHE_LABELS),
    "metadata_written": counter(
        "node_bcache_metadata_written_bytes_total", "Bytes of metadata written.", *_CACHE_LABELS
    ),
    "written": counter("node_bcache_written_bytes_total", "Bytes of data written.", *_CACHE_LABELS),
}
_PRIORITIES = "priority_stats"
_PRIORITY_FAMILIES = {
    word: gauge(f"node_bcache_priority_stats_{word.lower()}_percent", text, *_CACHE_LABELS)
    for word, text in (
        ("Unused", "Percentage of the cache that holds no data."),
        ("Metadata", "Percentage of the cache that holds metadata."),
    )
}
PRIORITIES = switch(
    "priorityStats", "expose the unused share of each cache; expensive, because the kernel sorts all buckets"
)


@dataclass(frozen=True, slots=True)
class CacheSet:
    """Files of one cache set, and of its backing devices and caches by the names of their links."""

    name: str
    files: Mapping[str, str]
    backing: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    caches: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def read(host: Host, *, priorities: bool) -> list[CacheSet]:
    """Return the files of all cache sets, none if the kernel has no bcache. Skip a set that stops during the read."""
    found = host.sys_each(
        "fs/bcache", lambda entry: _cache_set(host, entry, priorities=priorities), lambda entry: "-" in entry
    )
    return list(found.values())


def _cache_set(host: Host, entry: str, *, priorities: bool) -> CacheSet:
    place = f"fs/bcache/{entry}"

    def devices(kind: str, files: Iterable[str]) -> dict[str, Mapping[str, str]]:
        links = re.compile(rf"{kind}\d+")
        return host.sys_each(place, lambda name: host.sys_attributes(f"{place}/{name}", files), links.fullmatch)

    cache_files = (*_CACHE_FAMILIES, *([_PRIORITIES] if priorities else []))
    backing, caches = devices("bdev", (*_BACKING_FAMILIES, _RATES)), devices("cache", cache_files)
    return CacheSet(entry, host.sys_attributes(place, _SET_FAMILIES), backing, caches)


def _rows(text: str) -> dict[str, str]:
    """Return the values of lines ``WORD: VALUE``, without units."""
    pairs = (line.partition(":") for line in text.split("\n"))
    return {word: value.strip(BLANKS).removesuffix("/sec").removesuffix("%") for word, _, value in pairs}


def parse(sets: Iterable[CacheSet], skips: Skips = UNCOUNTED) -> Metrics:
    """Return the metrics of each cache set and its devices. Convert the kernel's human-readable numbers."""
    columns: dict[Family, list[Sample]] = {family: [] for family in Bcache.families}

    def take(labels: tuple[str, ...], families: Mapping[str, Family], texts: Mapping[str, str]) -> None:
        for name in texts.keys() & families.keys():
            size = parse_file(skips, texts, name, "/".join(("fs/bcache", *labels)), parse_size)
            if size is not None:
                columns[families[name]].append((labels, size / 1_000_000 if name == _DURATION else size))

    def take_rows(labels: tuple[str, ...], families: Mapping[str, Family], files: Mapping[str, str], file: str) -> None:
        rows = _rows(files.get(file, ""))
        if file in files and rows.keys().isdisjoint(families):
            skips.add("unparsable", "/".join(("fs/bcache", *labels, file)))
        take(labels, families, rows)

    for one in sets:
        take((one.name,), _SET_FAMILIES, one.files)
        for device, files in one.backing.items():
            take((one.name, device), _BACKING_FAMILIES, files)
            take_rows((one.name, device), _RATE_FAMILIES, files, _RATES)
        for device, files in one.caches.items():
            take((one.name, device), _CACHE_FAMILIES, files)
            take_rows((one.name, device), _PRIORITY_FAMILIES, files, _PRIORITIES)
    return list(columns.items())


class Bcache(Collector):
    """Hits, misses and dirty data of bcache."""

    name = "bcache"
    summary = "hits, misses and dirty data of bcache"
    families = tuple(
        family
        for part in (_SET_FAMILIES, _BACKING_FAMILIES, _RATE_FAMILIES, _CACHE_FAMILIES, _PRIORITY_FAMILIES)
        for family in part.values()
    )
    options = (PRIORITIES,)

    def collect(self) -> Metrics:
        """Return the statistics of cache sets, backing devices and caches from /sys/fs/bcache."""
        return self.parse_parts_if_changed(read(self.host, priorities=self.option(PRIORITIES)), parse)
