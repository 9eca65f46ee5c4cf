"""Counters and devices of bcachefs filesystems, from ``/sys/fs/bcachefs`` (bcachefs: fs/sysfs.c)."""

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

INFO = gauge("node_bcachefs_info", "1 for each mounted bcachefs filesystem.", "uuid")
CACHE = gauge("node_bcachefs_btree_cache_size_bytes", "Memory used by the B-tree cache, in bytes.", "uuid")
COMPRESSED, UNCOMPRESSED = (
    gauge(
        f"node_bcachefs_compression_{what}_bytes",
        f"Size {which} of the data compressed with an algorithm, in bytes.",
        "uuid",
        "algorithm",
    )
    for what, which in (("compressed", "on disk"), ("uncompressed", "before compression"))
)
ERRORS = counter("node_bcachefs_errors_total", "Errors found in the filesystem, by type.", "uuid", "error_type")
WRITES = counter("node_bcachefs_btree_writes_total", "Number of writes of B-tree nodes, by reason.", "uuid", "type")
WRITE_SIZE = gauge(
    "node_bcachefs_btree_write_average_size_bytes",
    "Average size of writes of B-tree nodes, by reason, in bytes.",
    "uuid",
    "type",
)
_DEVICE = ("uuid", "device")
DEVICE_INFO = gauge(
    "node_bcachefs_device_info", "1, labeled with a device's label and state.", *_DEVICE, "label", "state"
)
NUMBERS = {
    "bucket_size": gauge(
        "node_bcachefs_device_bucket_size_bytes",
        "Size of a device's buckets (its units of allocation), in bytes.",
        *_DEVICE,
    ),
    "nbuckets": gauge("node_bcachefs_device_buckets", "Number of buckets (units of allocation) of a device.", *_DEVICE),
    "durability": gauge(
        "node_bcachefs_device_durability", "Number of replicas that one copy on this device counts as.", *_DEVICE
    ),
}
DONE = counter(
    "node_bcachefs_device_io_done_bytes_total",
    "Bytes read from or written to a device, by operation and type of data.",
    *_DEVICE,
    "operation",
    "data_type",
)
FAILED = counter(
    "node_bcachefs_device_io_errors_total",
    "I/O errors of a device since the filesystem was created, by type.",
    *_DEVICE,
    "type",
)
FILES = ("btree_cache_size", "compression_stats", "errors", "btree_write_stats")
_DEVICE_FILES = (*NUMBERS, "label", "state", "io_done", "io_errors")
_SINCE = "since filesystem creation"
"""Other numbers of the same files restart at each mount, or when an administrator resets them."""


@dataclass(frozen=True, slots=True)
class BcachefsFilesystem:
    """Files of one filesystem, its files below ``counters``, and the files of its devices by number."""

    uuid: str
    files: Mapping[str, str]
    counters: Mapping[str, str] = field(default_factory=dict)
    devices: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@lru_cache(maxsize=512)
def family_of(name: str) -> Family:
    """Return the family of one of the filesystem's counters."""
    text = f"Events, or bytes of data, since the filesystem was created: {name} in /sys/fs/bcachefs/UUID/counters."
    return counter(f"node_bcachefs_{re.sub(r'[^a-zA-Z0-9_]', '_', name)}_total", text, "uuid")


def read(host: Host) -> list[BcachefsFilesystem]:
    """Return the files of all mounted filesystems, if any. Skip a filesystem that is unmounted during the read."""
    return list(host.sys_each("fs/bcachefs", lambda entry: _filesystem(host, entry)).values())


def _filesystem(host: Host, entry: str) -> BcachefsFilesystem:
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
    return BcachefsFilesystem(entry, host.sys_attributes(place, FILES), counters, devices)


def table_rows(text: str, width: int) -> Iterator[list[str]]:
    """Yield the words of lines with at least ``width`` words, without a colon after the first word."""
    for line in text.splitlines():
        words = line.split()
        if len(words) >= width:
            yield [words[0].removesuffix(":"), *words[1:]]


def keyed_lines(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield heading, key and number of lines ``KEY: NUMBER``. A heading is a line without a number."""
    heading = ""
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if value.strip():
            yield heading, key.strip(), value
        else:
            heading = key.strip()


def parse(filesystems: Iterable[BcachefsFilesystem]) -> Metrics:
    """Return the metrics of each filesystem and its devices. Convert the kernel's human-readable numbers."""
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
            numbers = {key: value for _, key, value in keyed_lines(text)}
            columns.setdefault(family_of(name), []).append(((uuid,), parse_size(numbers[_SINCE])))
        for device, texts in one.devices.items():
            for family, sample in device_samples((uuid, device), texts):
                columns[family].append(sample)
    return list(columns.items())


def device_samples(labels: tuple[str, str], texts: Mapping[str, str]) -> Iterator[tuple[Family, Sample]]:
    """Yield the samples of a device's files."""
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
    """I/O, compression and errors of bcachefs filesystems."""

    name = "bcachefs"
    summary = "devices, compression, errors and every counter of bcachefs"
    families = (
        *(INFO, CACHE, COMPRESSED, UNCOMPRESSED, ERRORS, WRITES, WRITE_SIZE),
        *(DEVICE_INFO, *NUMBERS.values(), DONE, FAILED),
    )

    def collect(self) -> Metrics:
        """Return counters, compression and errors of each filesystem and device from /sys/fs/bcachefs."""
        return self.parse_if_changed(read(self.host), parse)
