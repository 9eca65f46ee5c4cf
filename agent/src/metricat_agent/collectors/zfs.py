"""Counters of ZFS and states of its pools, from ``/proc/spl/kstat/zfs`` (OpenZFS: module/os/linux/spl/spl-kstat.c)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.parts import UNCOUNTED, lines_of, name_part, parse_part, whole
from metricat_agent.exposition.model import Family, Metrics, Sample, gauge, untyped
from metricat_agent.host.ascii_text import BLANKS, words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

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
_NUMBERS = ("1", "2", "3", "4", "5", "6")
"""Types of numbers in a table, of 32 and 64 bits, signed and unsigned. Other types are texts."""
_ROW = re.compile(r"([^ \t]+)[ \t]+([^ \t]+)[ \t]+(.*)")
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
    """Files of one pool: its state, its table, and the table of each dataset by file. A missing file is None."""

    state: str | None = None
    io: str | None = None
    datasets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ZfsFiles:
    """The module's tables by file, and the pools by name."""

    tables: Mapping[str, str] = field(default_factory=dict)
    pools: Mapping[str, Pool] = field(default_factory=dict)


@lru_cache(maxsize=2048)
def family_of(part: str, name: str, *labels: str) -> Family:
    """Return the family of a row in a table. It is untyped because ZFS mixes counters and gauges in its tables."""
    text = _TEXTS.get(part, {}).get(name) or f"Value of {name} in /proc/{_ROOT}/{_FILES[part]}."
    return untyped(f"node_zfs_{part}_{name_part(name)}", text, *labels)


def read(host: Host) -> ZfsFiles:
    """Return the existing tables, none without ZFS. Skip a pool that is exported during the read."""
    try:
        names = host.proc_names(_ROOT)
    except OSError:
        return ZfsFiles()
    tables, pools = {}, {}
    for name in names:
        if name in PARTS:
            if (text := host.optional_proc(f"{_ROOT}/{name}")) is not None:
                tables[name] = text
            continue
        try:
            pools[name] = _pool(host, f"{_ROOT}/{name}")
        except OSError:  # mostly a file without a table
            continue
    return ZfsFiles(tables, pools)


def _pool(host: Host, place: str) -> Pool:
    names = host.proc_names(place)
    texts = {name: host.optional_proc(f"{place}/{name}") for name in names if name.startswith("objset-")}
    datasets = {name: text for name, text in texts.items() if text is not None}
    return Pool(host.optional_proc(f"{place}/state"), host.optional_proc(f"{place}/io"), datasets)


def table_rows(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, type and value of each row of a table. The rows follow the line ``name type data``."""
    lines = iter(text.split("\n"))
    for line in lines:
        if words_of(line) == ["name", "type", "data"]:
            break
    else:
        raise ValueError("not a ZFS table")
    for line in lines:
        if line:
            found = _ROW.fullmatch(line)
            if found is None:
                raise ValueError("not a row of a ZFS table")
            yield found[1], found[2], found[3]


def parse(found: ZfsFiles, skips: Skips = UNCOUNTED) -> Metrics:
    """Return every number of the tables, and a series for every possible state of each pool."""
    metrics: Metrics = [
        (family_of(PARTS[file], name), [((), value)])
        for file, text in found.tables.items()
        for name, value in _numbers(text, f"{_ROOT}/{file}", skips)
    ]
    columns: dict[Family, list[Sample]] = {}
    for name, pool in found.pools.items():
        place = f"{_ROOT}/{name}"
        counters = None if pool.io is None else parse_part(skips, f"{place}/io", pool_counters, pool.io)
        for counted, number in counters or ():
            columns.setdefault(family_of("zpool", counted, "zpool"), []).append(((name,), number))
        for file, text in pool.datasets.items():
            dataset = parse_part(skips, f"{place}/{file} dataset_name", dataset_name, text)
            for counted, number in () if dataset is None else _numbers(text, f"{place}/{file}", skips):
                family = family_of("zpool_dataset", counted, "zpool", "dataset")
                columns.setdefault(family, []).append(((name, dataset or ""), number))
        if pool.state is not None:
            now = pool.state.strip(BLANKS).lower()
            if not now:
                skips.add("unparsable", f"{place}/state")
            states = dict.fromkeys((*STATES, now) if now else STATES)
            columns.setdefault(STATE, []).extend(((name, state), int(state == now)) for state in states)
    return [*metrics, *columns.items()]


def _numbers(text: str, place: str, skips: Skips) -> Iterator[tuple[str, int]]:
    """Yield the names and values of the rows of a table that are numbers."""
    for name, kind, value in parse_part(skips, place, lambda text: list(table_rows(text)), text) or ():
        if kind in _NUMBERS and (number := parse_part(skips, f"{place} {name}", whole, value)) is not None:
            yield name, number


def dataset_name(text: str) -> str:
    """Return the name of the dataset in its table; raise KeyError without one."""
    return {name: value for name, _, value in table_rows(text)}["dataset_name"]


def pool_counters(text: str) -> list[tuple[str, int]]:
    """Return names and values of a table with one row below its headings. Older ZFS has one for each pool."""
    heads, *values = [words for line in lines_of(text) if (words := words_of(line))][1:]
    if not values:
        raise ValueError("the table has no row")
    return [(head, whole(value)) for row in values for head, value in zip(heads, row, strict=True)]


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
        return self.parse_parts_if_changed(read(self.host), parse)
