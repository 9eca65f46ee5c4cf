"""Reads and writes of tape drives, from ``/sys/class/scsi_tape`` (kernel: ABI/testing/sysfs-class-scsi_tape)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector, Filter, FilterFlags
from metricat_agent.collectors.parts import UNCOUNTED, parse_file, whole
from metricat_agent.exposition.model import Family, Metrics, Sample, counter, gauge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips


def _counter(name: str, text: str) -> Family:
    return counter(f"node_tape_{name}_total", text, "device")


COLUMNS: dict[str, tuple[Family, float]] = {
    "in_flight": (gauge("node_tape_io_now", "Requests in progress on the drive.", "device"), 1),
    "io_ns": (
        _counter("io_time_seconds", "Sum of the durations of all requests, including winding, in seconds."),
        1e-9,
    ),
    "other_cnt": (_counter("io_others", "Requests that are neither reads nor writes."), 1),
    "read_byte_cnt": (_counter("read_bytes", "Bytes read."), 1),
    "read_cnt": (_counter("reads_completed", "Reads completed."), 1),
    "read_ns": (_counter("read_time_seconds", "Sum of the durations of all reads, in seconds."), 1e-9),
    "resid_cnt": (_counter("residual", "Requests that transferred less data than requested."), 1),
    "write_byte_cnt": (_counter("written_bytes", "Bytes written."), 1),
    "write_cnt": (_counter("writes_completed", "Writes completed."), 1),
    "write_ns": (_counter("write_time_seconds", "Sum of the durations of all writes, in seconds."), 1e-9),
}
_DRIVE = re.compile(r"st\d+")
"""A drive under its main name. Other names have a prefix or suffix: nst0 does not rewind."""


def read(host: Host, drives: Filter) -> Mapping[str, Mapping[str, str]]:
    """Return the counter files of each selected drive."""
    return host.sys_each(
        "class/scsi_tape",
        lambda entry: host.sys_attributes(f"class/scsi_tape/{entry}/stats", COLUMNS),
        lambda entry: _DRIVE.fullmatch(entry) and drives.keeps(entry),
    )


def parse(drives: Mapping[str, Mapping[str, str]], skips: Skips = UNCOUNTED) -> Metrics:
    """Return the counters of each drive. Convert nanoseconds to seconds."""
    columns: dict[Family, list[Sample]] = {family: [] for family, _ in COLUMNS.values()}
    for name, files in drives.items():
        for file, (family, share) in COLUMNS.items():
            number = parse_file(skips, files, file, f"class/scsi_tape/{name}/stats", whole)
            if number is not None:
                columns[family].append(((name,), number * share))
    return list(columns.items())


class TapeDrives(Collector):
    """I/O counters of tape drives."""

    name = "tapestats"
    summary = "reads and writes of tape drives"
    families = tuple(family for family, _ in COLUMNS.values())
    filter_flags = (FilterFlags("tape drives", "ignored-devices", ""),)

    def collect(self) -> Metrics:
        """Return I/O counters of each tape drive from /sys/class/scsi_tape."""
        return self.parse_parts_if_changed(read(self.host, self.filter("ignored-devices")), parse)
