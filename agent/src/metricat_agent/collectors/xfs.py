"""What XFS filesystems did, from ``/sys/fs/xfs/DEVICE/stats/stats`` (kernel: fs/xfs/xfs_stats.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Family, Metrics, Sample, counter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.host.hostfs import Host

_TREE = {
    "lookups": "Lookups in the tree of {}.",
    "compares": "Keys compared in the tree of {}.",
    "records_inserted": "Records put into the tree of {}.",
    "records_deleted": "Records taken out of the tree of {}.",
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
            "reads": "Maps from a file's blocks to the disk's, made to read.",
            "writes": "The same, made to write.",
            "unmaps": "Blocks of files given up.",
            "extent_list_insertions": "Extents put into lists of files.",
            "extent_list_deletions": "Extents taken out of lists of files.",
            "extent_list_lookups": "Extents looked up in lists of files.",
            "extent_list_compares": "Extents compared in lists of files.",
        },
    ),
    "bmbt": ("block_map_btree_", {name: text.format("files' extents") for name, text in _TREE.items()}),
    "dir": (
        "directory_operation_",
        {
            "lookup": "Names looked up that the kernel had not in memory.",
            "create": "Names made.",
            "remove": "Names removed.",
            "getdents": "Directories listed.",
        },
    ),
    "ig": (
        "inode_operation_",
        {
            "attempts": "Inodes looked up in memory.",
            "found": "Inodes found in memory.",
            "recycled": "Inodes found while they were thrown away.",
            "missed": "Inodes not found in memory.",
            "duplicates": "Inodes read by two at once.",
            "reclaims": "Inodes thrown out of memory.",
            "attribute_changes": "Changes of inodes' attributes.",
        },
    ),
    "rw": ("", {"write_calls": "Calls of write(2).", "read_calls": "Calls of read(2)."}),
    "vnodes": (
        "vnode_",
        {
            "active": "Inodes in memory.",
            "allocate": "Inodes given memory.",
            "get": "Inodes got.",
            "hold": "Inodes held.",
            "release": "Inodes released.",
            "reclaim": "Inodes whose memory was taken back.",
            "remove": "Inodes removed.",
        },
    ),
}
LINES: dict[str, tuple[Family, ...]] = {
    label: tuple(counter(f"node_xfs_{prefix}{name}_total", text, "device") for name, text in columns.items())
    for label, (prefix, columns) in _LINES.items()
}
"""By the first word of a line: the families of its columns, in their order; the kernel may have more of both."""


def read(host: Host) -> Mapping[str, str]:
    """Read the statistics of each mounted filesystem by its device; none where there is none."""
    try:
        entries = [entry for entry in host.sys_names("fs/xfs") if entry != "stats"]
    except FileNotFoundError:
        return {}
    found = {}
    for entry in entries:
        try:
            found[entry] = host.sys_attributes(f"fs/xfs/{entry}/stats", ("stats",))["stats"]
        except (OSError, KeyError):
            continue
    return found


def parse(texts: Mapping[str, str]) -> Metrics:
    """Take the columns that have a family."""
    columns: dict[Family, list[Sample]] = {family: [] for family in Xfs.families}
    for device, text in texts.items():
        for line in text.splitlines():
            label, _, numbers = line.partition(" ")
            for family, number in zip(LINES.get(label, ()), numbers.split(), strict=False):
                columns[family].append(((device,), int(number)))
    return list(columns.items())


class Xfs(Collector):
    """What XFS filesystems are busy with."""

    name = "xfs"
    summary = "operations of XFS filesystems"
    families = tuple(family for families in LINES.values() for family in families)

    def collect(self) -> Metrics:
        """Read and parse."""
        return self.parse_if_changed(read(self.host), parse)
