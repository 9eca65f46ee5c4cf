"""Counters and devices of bcachefs filesystems, from ``/sys/fs/bcachefs`` (bcachefs: fs/sysfs.c)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.parts import UNCOUNTED, name_part, parse_file, parse_part
from metricat_agent.exposition.model import Family, Metrics, Sample, counter, gauge
from metricat_agent.host.ascii_text import BLANKS, words_of
from metricat_agent.host.human_units import parse_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

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
    return counter(f"node_bcachefs_{name_part(name)}_total", text, "uuid")


def read(host: Host) -> list[BcachefsFilesystem]:
    """Return the files of all mounted filesystems, if any. Skip a filesystem that is unmounted during the read."""
    return list(host.sys_each("fs/bcachefs", lambda entry: _filesystem(host, entry)).values())


def _filesystem(host: Host, entry: str) -> BcachefsFilesystem:
    place = f"fs/bcachefs/{entry}"
    files = host.sys_attributes(place, FILES)
    counters = host.optional_attributes(f"{place}/counters", host.optional_sys_names(f"{place}/counters"))
    devices = host.sys_each(
        place,
        lambda name: host.sys_attributes(f"{place}/{name}", _DEVICE_FILES),
        lambda name: name.startswith("dev-"),
    )
    numbered = {name.removeprefix("dev-"): texts for name, texts in devices.items()}
    return BcachefsFilesystem(entry, files, counters, numbered)


def table_rows(text: str, width: int) -> Iterator[list[str]]:
    """Yield the words of each line that has at least ``width`` words. Remove a colon after the first word."""
    for line in text.split("\n"):
        words = words_of(line)
        if len(words) >= width:
            yield [words[0].removesuffix(":"), *words[1:]]


def keyed_lines(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield heading, key and number of lines ``KEY: NUMBER``. A heading is a line without a number."""
    heading = ""
    for line in text.split("\n"):
        key, _, value = line.partition(":")
        if value.strip(BLANKS):
            yield heading, key.strip(BLANKS), value
        else:
            heading = key.strip(BLANKS)


class _Samples:
    """Samples by family. Each part of a file is parsed separately."""

    def __init__(self, skips: Skips) -> None:
        self._skips = skips
        self.columns: dict[Family, list[Sample]] = {family: [] for family in Bcachefs.families}

    def add(self, family: Family, labels: tuple[str, ...], text: str | None, part: str) -> None:
        """Add the size in a text; do nothing for None."""
        if text is not None and (size := parse_part(self._skips, part, parse_size, text)) is not None:
            self.columns.setdefault(family, []).append((labels, size))

    def keyed(self, files: Mapping[str, str], file: str, place: str) -> list[tuple[str, str, str]]:
        """Return the keyed lines of a file, none without the file. Count a file that has no keyed line."""
        found = list(keyed_lines(files.get(file, "")))
        if file in files and not found:
            self._skips.add("unparsable", f"{place}/{file}")
        return found

    def rows(self, files: Mapping[str, str], file: str, place: str, width: int) -> list[list[str]]:
        """Return the rows of a file with a table, none without the file. Count a file that has no row."""

        def parse_table(text: str) -> list[list[str]]:
            rows = list(table_rows(text, width))
            if not rows:
                raise ValueError(f"no line has {width} words")
            return rows

        return parse_file(self._skips, files, file, place, parse_table) or []


def parse(filesystems: Iterable[BcachefsFilesystem], skips: Skips = UNCOUNTED) -> Metrics:
    """Return the metrics of each filesystem and its devices. Convert the kernel's human-readable numbers."""
    samples = _Samples(skips)
    for one in filesystems:
        uuid, files, place = one.uuid, one.files, f"fs/bcachefs/{one.uuid}"
        samples.columns[INFO].append(((uuid,), 1))
        samples.add(CACHE, (uuid,), files.get("btree_cache_size"), f"{place}/btree_cache_size")
        for algorithm, compressed, uncompressed, *_ in samples.rows(files, "compression_stats", place, 3)[1:]:
            part = f"{place}/compression_stats {algorithm}"
            samples.add(COMPRESSED, (uuid, algorithm), compressed, f"{part} compressed")
            samples.add(UNCOMPRESSED, (uuid, algorithm), uncompressed, f"{part} uncompressed")
        for kind, count, *_ in samples.rows(files, "errors", place, 2) if files.get("errors") else ():
            samples.add(ERRORS, (uuid, kind), count, f"{place}/errors {kind}")
        for kind, count, size, *_ in samples.rows(files, "btree_write_stats", place, 3):
            samples.add(WRITES, (uuid, kind), count, f"{place}/btree_write_stats {kind} count")
            samples.add(WRITE_SIZE, (uuid, kind), size, f"{place}/btree_write_stats {kind} size")
        for name, text in one.counters.items():
            numbers = {key: value for _, key, value in keyed_lines(text)}
            samples.add(family_of(name), (uuid,), numbers.get(_SINCE, ""), f"{place}/counters/{name}")
        for device, texts in one.devices.items():
            add_device(samples, (uuid, device), texts, f"{place}/dev-{device}")
    return list(samples.columns.items())


def add_device(samples: _Samples, labels: tuple[str, str], texts: Mapping[str, str], place: str) -> None:
    """Add the samples of a device's files."""
    state = (*labels, texts.get("label", "").strip(BLANKS), texts.get("state", "").strip(BLANKS))
    samples.columns[DEVICE_INFO].append((state, 1))
    for file, family in NUMBERS.items():
        samples.add(family, labels, texts.get(file), f"{place}/{file}")
    for operation, kind, value in samples.keyed(texts, "io_done", place):
        samples.add(DONE, (*labels, operation, kind), value, f"{place}/io_done {operation} {kind}")
    for heading, kind, value in samples.keyed(texts, "io_errors", place):
        if heading.endswith(_SINCE):
            samples.add(FAILED, (*labels, kind), value, f"{place}/io_errors {kind}")


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
        return self.parse_parts_if_changed(read(self.host), parse)
