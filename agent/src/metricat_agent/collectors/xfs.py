"""Counters of XFS filesystems, from ``/sys/fs/xfs/DEVICE/stats/stats`` (kernel: fs/xfs/xfs_stats.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.parts import UNCOUNTED, lines_of, parse_part, whole
from metricat_agent.exposition.model import Family, Metrics, Sample, counter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

_TREE = {
    "lookups": "Lookups in the B-tree of {}.",
    "compares": "Comparisons of keys in the B-tree of {}.",
    "records_inserted": "Records inserted into the B-tree of {}.",
    "records_deleted": "Records deleted from the B-tree of {}.",
}
_LINES: dict[str, tuple[str, dict[str, str]]] = {
    "extent_alloc": (
        "extent_allocation_",
        {
            "extents_allocated": "Extents allocated.",
            "blocks_allocated": "Blocks allocated.",
            "extents_freed": "Extents freed.",
            "blocks_freed": "Blocks freed.",
        },
    ),
    "abt": ("allocation_btree_", {name: text.format("free space") for name, text in _TREE.items()}),
    "blk_map": (
        "block_mapping_",
        {
            "reads": "Block map operations for reads of files.",
            "writes": "Block map operations for writes to files.",
            "unmaps": "Block unmap operations for files.",
            "extent_list_insertions": "Extents inserted into files' extent lists.",
            "extent_list_deletions": "Extents deleted from files' extent lists.",
            "extent_list_lookups": "Lookups in files' extent lists.",
            "extent_list_compares": "Comparisons of extents in files' extent lists.",
        },
    ),
    "bmbt": ("block_map_btree_", {name: text.format("files' extents") for name, text in _TREE.items()}),
    "dir": (
        "directory_operation_",
        {
            "lookup": "Names looked up that were not in the kernel's cache.",
            "create": "Directory entries created.",
            "remove": "Directory entries removed.",
            "getdents": "Calls that list a directory.",
        },
    ),
    "ig": (
        "inode_operation_",
        {
            "attempts": "Lookups of inodes in the cache.",
            "found": "Lookups of inodes that found the inode in the cache.",
            "recycled": "Lookups of inodes that reused an inode whose removal from the cache had begun.",
            "missed": "Lookups of inodes that did not find the inode in the cache.",
            "duplicates": "Inodes that two tasks read at the same time.",
            "reclaims": "Inodes removed from the cache.",
            "attribute_changes": "Explicit changes of inodes' attributes.",
        },
    ),
    "rw": ("", {"write_calls": "Calls of write(2).", "read_calls": "Calls of read(2)."}),
    "vnodes": (
        "vnode_",
        {
            "active": "Inodes in memory.",
            "allocate": "Inodes allocated in memory.",
            "get": "Inodes in memory taken from the list of free ones.",
            "hold": "References taken to inodes in memory.",
            "release": "References to inodes in memory released.",
            "reclaim": "Inodes in memory reclaimed.",
            "remove": "Inodes removed from memory.",
        },
    ),
}
LINES: dict[str, tuple[Family, ...]] = {
    label: tuple(counter(f"node_xfs_{prefix}{name}_total", text, "device") for name, text in columns.items())
    for label, (prefix, columns) in _LINES.items()
}
"""By the first word of a line: the families of its columns in order. The kernel may have more of both."""


def read(host: Host) -> Mapping[str, str]:
    """Return the statistics of each mounted filesystem, by device."""
    texts = {
        entry: host.optional_sys(f"fs/xfs/{entry}/stats/stats")
        for entry in host.optional_sys_names("fs/xfs")
        if entry != "stats"
    }
    return {entry: text for entry, text in texts.items() if text is not None}


def parse(texts: Mapping[str, str], skips: Skips = UNCOUNTED) -> Metrics:
    """Return the counters of each filesystem from the columns that `LINES` declares."""
    columns: dict[Family, list[Sample]] = {family: [] for family in Xfs.families}
    for device, text in texts.items():
        for line in parse_part(skips, f"fs/xfs/{device}/stats/stats", known_lines, text) or ():
            label, _, rest = line.partition(" ")
            families = LINES.get(label, ())
            for family, number in zip(families, rest.split(), strict=False):
                count = parse_part(skips, f"fs/xfs/{device}/stats/stats {label}", whole, number)
                if count is not None:
                    columns[family].append(((device,), count))
    return list(columns.items())


def known_lines(text: str) -> list[str]:
    """Return the lines that have families; raise ValueError without any."""
    found = [line for line in lines_of(text) if line.partition(" ")[0] in LINES]
    if not found:
        raise ValueError("no line has a known name")
    return found


class Xfs(Collector):
    """Operations of XFS filesystems."""

    name = "xfs"
    summary = "operations of XFS filesystems"
    families = tuple(family for families in LINES.values() for family in families)

    def collect(self) -> Metrics:
        """Return operation counters of each filesystem from /sys/fs/xfs/DEVICE/stats/stats."""
        return self.parse_parts_if_changed(read(self.host), parse)
