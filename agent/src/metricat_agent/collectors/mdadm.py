"""Software RAIDs, from ``/proc/mdstat`` (kernel: admin-guide/md.rst) and ``/sys/block/md*/md``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.parts import UNCOUNTED, parse_file, parse_part, whole
from metricat_agent.exposition.model import Metrics, Sample, gauge
from metricat_agent.host.ascii_text import BLANKS, is_digits, words_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

STATE = gauge("node_md_state", "1 for the current state of a RAID, 0 for the others.", "device", "state")
DISKS = gauge("node_md_disks", "Number of disks of a RAID, by state.", "device", "state")
REQUIRED = gauge("node_md_disks_required", "Number of disks that a RAID should have, from /proc/mdstat.", "device")
BLOCKS = gauge("node_md_blocks", "Size of a RAID, in blocks of 1024 bytes.", "device")
SYNCED = gauge("node_md_blocks_synced", "Synchronized part of a RAID, in blocks of 1024 bytes.", "device")
RAID_DISKS = gauge("node_md_raid_disks", "Number of disks that a RAID should have, from sysfs.", "device")
DEGRADED = gauge("node_md_degraded", "Number of disks that a RAID lacks, from sysfs.", "device")
_STATES = ("active", "inactive", "recovering", "resync", "check")
"""Each RAID has a series for each of these states, and for its own state if it is another one (``broken``)."""
_ACTIVITIES = {"recovery": "recovering", "recover": "recovering", "reshape": "recovering"}
"""States by the kernel's word, where they differ."""
_HEAD = re.compile(r"(\S+) : (\S+)(.*)$")
_OTHER_LINES = ("Personalities", "unused", "read_ahead")
_MEMBER = re.compile(r"\S+\[\d+\](\S*)")
_COUNTS = re.compile(r"\[(\d+)/(\d+)\]")
_PROGRESS = re.compile(r"(\w+)\s*=\s*[\d.]+%\s*\((\d+)/\d+\)")
_PENDING = re.compile(r"(\w+)\s*=\s*[A-Z]+\b")
"""An activity without progress: it is ``PENDING`` or ``DELAYED``, or another node of a cluster does it (``REMOTE``)."""


@dataclass(frozen=True, slots=True)
class Raid:
    """The parsed lines of one RAID."""

    device: str
    state: str
    required: int
    active: int
    failed: int
    spare: int
    blocks: int
    synced: int
    counted: bool = True
    """Whether the kernel reports the number of disks, which it does not for RAID 0, linear and inactive ones."""


def raids(text: str, skips: Skips = UNCOUNTED) -> list[Raid]:
    """Return the RAIDs in the text of /proc/mdstat. Lines that begin with a blank continue the RAID above them."""
    parts = [part for part in re.split(r"\n(?=\S)", text) if part.strip(BLANKS) and not part.startswith(_OTHER_LINES)]
    found = [parse_part(skips, f"mdstat {words_of(part)[0]}", _raid, part) for part in parts]
    return [raid for raid in found if raid is not None]


def _raid(part: str) -> Raid:
    first, _, rest = part.partition("\n")
    head = _HEAD.match(first)
    if head is None:
        raise ValueError("not a RAID")
    marks = _MEMBER.findall(head[3])
    failed, spare, journal = (sum(f"({mark})" in member for member in marks) for mark in "FSJ")
    size = re.search(r"(\d+) blocks", rest)
    blocks = int(size[1]) if size else 0
    counts, progress, pending = _COUNTS.search(rest), _PROGRESS.search(rest), _PENDING.search(rest)
    present = len(marks) - failed - spare - journal
    required, active = (int(counts[1]), int(counts[2])) if counts else (present, present if head[2] == "active" else 0)
    activity = progress or pending
    return Raid(
        device=head[1],
        state=_ACTIVITIES.get(activity[1], activity[1]) if activity else head[2],
        required=required,
        active=active,
        failed=failed,
        spare=spare,
        blocks=blocks,
        synced=int(progress[2]) if progress else 0 if pending else blocks,
        counted=counts is not None,
    )


def read(host: Host) -> tuple[str | None, Mapping[str, Mapping[str, str]]]:
    """Return the text of /proc/mdstat (None without the driver) and the sysfs files of each RAID."""
    files = host.sys_each(
        "block",
        lambda device: host.sys_attributes(f"block/{device}/md", ("raid_disks", "degraded")),
        lambda device: device.startswith("md"),
    )
    return host.optional_proc("mdstat"), files


def required(raid: Raid, files: Mapping[str, str]) -> int:
    """Return the number of disks that a RAID requires: from sysfs if /proc/mdstat has no count, as for RAID 0."""
    number = files.get("raid_disks", "")
    return max(raid.required, int(number)) if not raid.counted and is_digits(number) else raid.required


def parse(text: str | None, sysfs: Mapping[str, Mapping[str, str]], skips: Skips = UNCOUNTED) -> Metrics:
    """Return state, disks and size of each RAID. Every state has a series, so alerts need not handle absent series."""
    found = [] if text is None else raids(text, skips)
    if text is not None and not text.startswith(_OTHER_LINES):
        skips.add("unparsable", "mdstat")
    disks: list[Sample] = []
    for raid in found:
        for state, count in (("active", raid.active), ("failed", raid.failed), ("spare", raid.spare)):
            disks.append(((raid.device, state), count))
    columns: dict[str, list[Sample]] = {"raid_disks": [], "degraded": []}
    for device, files in sysfs.items():
        for name, samples in columns.items():
            number = parse_file(skips, files, name, f"block/{device}/md", whole)
            if number is not None:
                samples.append(((device,), number))
    return [
        (
            STATE,
            [
                ((raid.device, state), int(raid.state == state))
                for raid in found
                for state in dict.fromkeys((*_STATES, raid.state))
            ],
        ),
        (DISKS, disks),
        (REQUIRED, [((raid.device,), required(raid, sysfs.get(raid.device, {}))) for raid in found]),
        (BLOCKS, [((raid.device,), raid.blocks) for raid in found]),
        (SYNCED, [((raid.device,), raid.synced) for raid in found]),
        (RAID_DISKS, columns["raid_disks"]),
        (DEGRADED, columns["degraded"]),
    ]


class SoftwareRaids(Collector):
    """State, disks and synchronization of software RAIDs."""

    name = "mdadm"
    summary = "state and disks of software RAIDs"
    families = (STATE, DISKS, REQUIRED, BLOCKS, SYNCED, RAID_DISKS, DEGRADED)

    def collect(self) -> Metrics:
        """Return state, disks and synchronization of each RAID from /proc/mdstat and /sys/block/md*/md."""
        return self.parse_parts_if_changed(read(self.host), lambda found, skips: parse(*found, skips))
