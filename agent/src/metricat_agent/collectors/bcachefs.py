"""What bcachefs filesystems did, from ``/sys/fs/bcachefs`` (bcachefs: fs/sysfs.c)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Family, Metrics, Sample, counter, gauge
from metricat_agent.host.human_units import parse_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from metricat_agent.host.hostfs import Host

INFO = gauge("node_bcachefs_info", "1 for each filesystem that is mounted.", "uuid")
CACHE = gauge("node_bcachefs_btree_cache_size_bytes", "Memory that holds trees, in bytes.", "uuid")
COMPRESSED, UNCOMPRESSED = (
    gauge(f"node_bcachefs_compression_{what}_bytes", f"Size of such data {which}, in bytes.", "uuid", "algorithm")
    for what, which in (("compressed", "on disk"), ("uncompressed", "before it was compressed"))
)
ERRORS = counter("node_bcachefs_errors_total", "Errors in the filesystem that were found.", "uuid", "error_type")
WRITES = counter("node_bcachefs_btree_writes_total", "Writes of trees' nodes by their reason.", "uuid", "type")
WRITE_SIZE = gauge(
    "node_bcachefs_btree_write_average_size_bytes", "Mean size of such a write, in bytes.", "uuid", "type"
)
_DEVICE = ("uuid", "device")
DEVICE_INFO = gauge(
    "node_bcachefs_device_info", "1, labelled with a device's name and state.", *_DEVICE, "label", "state"
)
NUMBERS = {
    "bucket_size": gauge("node_bcachefs_device_bucket_size_bytes", "Size of a device's buckets, in bytes.", *_DEVICE),
    "nbuckets": gauge("node_bcachefs_device_buckets", "Buckets of a device.", *_DEVICE),
    "durability": gauge("node_bcachefs_device_durability", "As how many copies one on this device counts.", *_DEVICE),
}
DONE = counter(
    "node_bcachefs_device_io_done_bytes_total",
    "Bytes read and written by their use.",
    *_DEVICE,
    "operation",
    "data_type",
)
FAILED = counter("node_bcachefs_device_io_errors_total", "Requests that failed, since it was made.", *_DEVICE, "type")
FILES = ("btree_cache_size", "compression_stats", "errors", "btree_write_stats")
_DEVICE_FILES = (*NUMBERS, "label", "state", "io_done", "io_errors")
_SINCE = "since filesystem creation"
"""Other numbers of the same files begin anew at each mount, or when somebody says so."""


@dataclass(frozen=True, slots=True)
class Filesystem:
    """The directory of one filesystem: its files, those below ``counters``, and those of its devices by number."""

    uuid: str
    files: Mapping[str, str]
    counters: Mapping[str, str] = field(default_factory=dict)
    devices: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@lru_cache(maxsize=512)
def family_of(name: str) -> Family:
    """Return the family of a counter that the filesystem has."""
    return counter(f"node_bcachefs_{re.sub(r'[^a-zA-Z0-9_]', '_', name)}_total", f"The counter {name}.", "uuid")


def read(host: Host) -> list[Filesystem]:
    """Read all that are mounted; none where the kernel has no bcachefs. One unmounted meanwhile is left out."""
    return list(host.sys_each("fs/bcachefs", lambda entry: _filesystem(host, entry)).values())


def _filesystem(host: Host, entry: str) -> Filesystem:
    place = f"fs/bcachefs/{entry}"
    names = host.sys_names(place)
    counters: Mapping[str, str] = {}
    if "counters" in names:
        counters = host.sys_attributes(f"{place}/counters", host.sys_names(f"{place}/counters"))
    devices = {
        name.removeprefix("dev-"): host.sys_attributes(f"{place}/{name}", _DEVICE_FILES)
        for name in names
        if name.startswith("dev-")
    }
    return Filesystem(entry, host.sys_attributes(place, FILES), counters, devices)


def table_rows(text: str, width: int) -> Iterator[list[str]]:
    """Give the words of lines that have so many or more, without colons behind the first."""
    for line in text.splitlines():
        words = line.split()
        if len(words) >= width:
            yield [words[0].removesuffix(":"), *words[1:]]


def keyed_lines(text: str) -> Iterator[tuple[str, str, str]]:
    """Give heading, key and number of lines ``KEY: NUMBER`` below headings that have none."""
    heading = ""
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if value.strip():
            yield heading, key.strip(), value
        else:
            heading = key.strip()


def parse(filesystems: Iterable[Filesystem]) -> Metrics:
    """Turn what people read into numbers."""
    columns: dict[Family, list[Sample]] = {family: [] for family in Bcachefs.families}
    for one in filesystems:
        uuid, files = one.uuid, one.files
        columns[INFO].append(((uuid,), 1))
        if "btree_cache_size" in files:
            columns[CACHE].append(((uuid,), parse_size(files["btree_cache_size"])))
        for algorithm, compressed, uncompressed, *_ in list(table_rows(files.get("compression_stats", ""), 3))[1:]:
            columns[COMPRESSED].append(((uuid, algorithm), parse_size(compressed)))
            columns[UNCOMPRESSED].append(((uuid, algorithm), parse_size(uncompressed)))
        for kind, count, *_ in table_rows(files.get("errors", ""), 2):
            columns[ERRORS].append(((uuid, kind), parse_size(count)))
        for kind, count, size, *_ in table_rows(files.get("btree_write_stats", ""), 3):
            columns[WRITES].append(((uuid, kind), parse_size(count)))
            columns[WRITE_SIZE].append(((uuid, kind), parse_size(size)))
        for name, text in one.counters.items():
            told = {key: value for _, key, value in keyed_lines(text)}
            columns.setdefault(family_of(name), []).append(((uuid,), parse_size(told[_SINCE])))
        for device, texts in one.devices.items():
            for family, sample in of_device((uuid, device), texts):
                columns[family].append(sample)
    return list(columns.items())


def of_device(labels: tuple[str, str], texts: Mapping[str, str]) -> Iterator[tuple[Family, Sample]]:
    """Give what the files of a device tell."""
    yield DEVICE_INFO, ((*labels, texts.get("label", "").strip(), texts.get("state", "").strip()), 1)
    for file, family in NUMBERS.items():
        if file in texts:
            yield family, (labels, parse_size(texts[file]))
    for operation, kind, value in keyed_lines(texts.get("io_done", "")):
        yield DONE, ((*labels, operation, kind), parse_size(value))
    for heading, kind, value in keyed_lines(texts.get("io_errors", "")):
        if heading.endswith(_SINCE):
            yield FAILED, ((*labels, kind), parse_size(value))


class Bcachefs(Collector):
    """What bcachefs filesystems read, write, compress and lose."""

    name = "bcachefs"
    summary = "devices, compression, errors and every counter of bcachefs"
    families = (
        *(INFO, CACHE, COMPRESSED, UNCOMPRESSED, ERRORS, WRITES, WRITE_SIZE),
        *(DEVICE_INFO, *NUMBERS.values(), DONE, FAILED),
    )

    def collect(self) -> Metrics:
        """Read and parse."""
        return self.parse_if_changed(read(self.host), parse)
