"""Counters of ZFS and states of its pools, from ``/proc/spl/kstat/zfs`` (OpenZFS: module/os/linux/spl/spl-kstat.c)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Family, Metrics, Sample, gauge, untyped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from metricat_agent.host.hostfs import Host

_ROOT = "spl/kstat/zfs"
PARTS = {
    "abdstats": "abd",
    "arcstats": "arc",
    "dbufstats": "dbuf",
    "dmu_tx": "dmu_tx",
    "dnodestats": "dnode",
    "fm": "fm",
    "vdev_cache_stats": "vdev_cache",
    "vdev_mirror_stats": "vdev_mirror",
    "xuio_stats": "xuio",
    "zfetchstats": "zfetch",
    "zil": "zil",
}
"""Files of the kernel module, and their parts of metric names. Each version of ZFS has only some of the files."""
STATES = ("online", "degraded", "faulted", "offline", "removed", "unavail", "suspended")
STATE = gauge("node_zfs_zpool_state", "1 for the current state of a pool, 0 for the others.", "zpool", "state")
_NUMBERS = ("3", "4")
"""Types of 64-bit numbers in a table, signed and unsigned. Other types are texts."""
_FILES = {part: file for file, part in PARTS.items()} | {"zpool": "POOL/io", "zpool_dataset": "POOL/objset-ID"}
"""The file of each part of metric names, below `_ROOT`."""
_ARC = {
    "size": "Size of the read cache in memory (ARC), in bytes.",
    "c": "Size that the read cache in memory (ARC) should have now, in bytes.",
    "c_max": "Upper limit of the size of the read cache in memory (ARC), in bytes.",
    "c_min": "Lower limit of the size of the read cache in memory (ARC), in bytes.",
    "hits": "Reads of blocks that were in the read cache in memory (ARC).",
    "misses": "Reads of blocks that were not in the read cache in memory (ARC).",
    "memory_throttle_count": "Times that ZFS delayed writes because the node lacked free memory.",
}
_POOL = {
    "nread": "Bytes read from the devices of a pool.",
    "nwritten": "Bytes written to the devices of a pool.",
    "reads": "Read operations on the devices of a pool.",
    "writes": "Write operations on the devices of a pool.",
}
_DATASET = {
    "nread": "Bytes that programs read from a dataset.",
    "nwritten": "Bytes that programs wrote to a dataset.",
    "reads": "Read operations of programs on a dataset.",
    "writes": "Write operations of programs on a dataset.",
}
_TEXTS = {"arc": _ARC, "zpool": _POOL, "zpool_dataset": _DATASET}
"""Help texts by part of metric names and by row. Each version of ZFS has hundreds of other rows."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Files of one pool: its state, its table, and the table of each dataset. A missing file is empty."""

    state: str = ""
    io: str = ""
    datasets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ZfsFiles:
    """The module's tables by file, and the pools by name."""

    tables: Mapping[str, str] = field(default_factory=dict)
    pools: Mapping[str, Pool] = field(default_factory=dict)


@lru_cache(maxsize=2048)
def family_of(part: str, name: str, *labels: str) -> Family:
    """Return the family of a row in a table. It is untyped because ZFS mixes counters and gauges in its tables."""
    text = _TEXTS.get(part, {}).get(name) or f"Value of {name} in /proc/{_ROOT}/{_FILES[part]}."
    return untyped(f"node_zfs_{part}_{name.replace('-', '_')}", text, *labels)


def read(host: Host) -> ZfsFiles:
    """Return the existing tables, none without ZFS. Skip a pool that is exported during the read."""
    try:
        names = host.proc_names(_ROOT)
    except FileNotFoundError:
        return ZfsFiles()
    tables, pools = {}, {}
    for name in names:
        try:
            if name in PARTS:
                tables[name] = host.proc(f"{_ROOT}/{name}")
            else:
                pools[name] = _pool(host, f"{_ROOT}/{name}")
        except OSError:  # mostly a file without a table
            continue
    return ZfsFiles(tables, pools)


def _pool(host: Host, place: str) -> Pool:
    names = host.proc_names(place)
    state, io = (host.proc(f"{place}/{name}") if name in names else "" for name in ("state", "io"))
    return Pool(state, io, tuple(host.proc(f"{place}/{name}") for name in names if name.startswith("objset-")))


def table_rows(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, type and value of each row of a table. The rows follow the line ``name type data``."""
    lines = iter(text.splitlines())
    for line in lines:
        if line.split() == ["name", "type", "data"]:
            break
    else:
        raise ValueError("not a ZFS table")
    for line in lines:
        name, kind, value = line.split(None, 2)
        yield name, kind, value


def parse(found: ZfsFiles) -> Metrics:
    """Return every number of the tables, and a series for every possible state of each pool."""
    metrics: Metrics = [
        (family_of(PARTS[file], name), [((), int(value))])
        for file, text in found.tables.items()
        for name, kind, value in table_rows(text)
        if kind in _NUMBERS
    ]
    columns: dict[Family, list[Sample]] = {}
    for name, pool in found.pools.items():
        for counted, number in pool_counters(pool.io):
            columns.setdefault(family_of("zpool", counted, "zpool"), []).append(((name,), number))
        for text in pool.datasets:
            table = list(table_rows(text))
            dataset = {counted: value for counted, _, value in table}["dataset_name"]
            for counted, kind, value in table:
                if kind in _NUMBERS:
                    family = family_of("zpool_dataset", counted, "zpool", "dataset")
                    columns.setdefault(family, []).append(((name, dataset), int(value)))
        if pool.state:
            now = pool.state.strip().lower()
            columns.setdefault(STATE, []).extend(((name, state), int(state == now)) for state in STATES)
    return [*metrics, *columns.items()]


def pool_counters(text: str) -> list[tuple[str, int]]:
    """Return the names and values of a table with one row below its headings. Older ZFS has one for each pool."""
    heads, *values = [line.split() for line in text.splitlines() if line.strip()][1:] or [[]]
    return [(head, int(value)) for row in values for head, value in zip(heads, row, strict=True)]


class Zfs(Collector):
    """Cache, pools and datasets of ZFS."""

    name = "zfs"
    summary = "cache, pools and datasets of ZFS: every counter"
    families = (
        STATE,
        *(family_of("arc", name) for name in _ARC),
        *(family_of("zpool", name, "zpool") for name in _POOL),
        *(family_of("zpool_dataset", name, "zpool", "dataset") for name in _DATASET),
    )

    def collect(self) -> Metrics:
        """Return module counters, and state and counters of each pool and dataset, from /proc/spl/kstat/zfs."""
        return self.parse_if_changed(read(self.host), parse)
