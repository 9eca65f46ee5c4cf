"""Each file of a host in turn is missing, unreadable or damaged. Its own series may disappear, and nothing disappears
without a count.

The collectors keep their descriptors open when the damage comes, and new collectors must return the same series. Errors
of read(2) and open(2) cannot be caused on a disk, so two functions of `os` raise them.
"""

from __future__ import annotations

import errno
import os
import re
import threading
from collections import Counter
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.exposition.writer import Writer
from metricat_agent.host.hostfs import Host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from metricat_agent.collectors import Collector
    from metricat_agent.exposition.model import Metrics

PROCESSES = ("processes", "agent", "textfile")
"""Collectors of live processes, and of a directory that is not set."""
TABLES = {
    # Files that hold more than one value: the families that they may cost, or * for all of the collector.
    r"proc/(stat|meminfo|loadavg|vmstat|diskstats|schedstat|sys/fs/file-nr|1/mountinfo)": "*",
    r"proc/sys/kernel/hung_task_detect_count": "*",
    r"proc/1/net/(dev|arp|softnet_stat|rpc/nfsd?|stat/nf_conntrack)": "*",
    r"root/(etc|usr/lib)/os-release": "*",
    r"own/mountinfo": "*",
    r"proc/mdstat": r"node_md_(state|disks|disks_required|blocks|blocks_synced)",
    r"proc/1/net/netstat": r"node_netstat_\w+Ext_\w+",
    r"proc/1/net/snmp": r"node_netstat_(Ip|Icmp|Tcp|Udp|UdpLite)_\w+",
    r"proc/1/net/snmp6": r"node_netstat_\w+6_\w+",
    r"proc/1/net/sockstat": r"node_sockstat_\w+",
    r"proc/1/net/sockstat6": r"node_sockstat_\w+6_\w+",
    r"proc/1/net/(tcp|udp)6?": r"node_(tcp_connection_states|udp_queues)",
    r"proc/1/net/ip_vs_stats": r"node_ipvs_\w+_total",
    r"proc/1/net/ip_vs": r"node_ipvs_backend_\w+",
    r"proc/pressure/\w+": r"node_pressure_\w+",
    r"proc/spl/kstat/zfs/\w+": r"node_zfs_[a-z]+_\w+",
    r"proc/spl/kstat/zfs/\w+/(io|state)": r"node_zfs_zpool_\w+",
    r"proc/spl/kstat/zfs/\w+/objset-\w+": r"node_zfs_zpool_dataset_\w+",
    r"sys/class/net/(bonding_masters|\w+/bonding/slaves)": r"node_bonding_\w+",
    r"sys/fs/xfs/[\w-]+/stats/stats": r"node_xfs_\w+",
    r"sys/fs/btrfs/[\w-]+/(commit_stats|devinfo/\d+/error_stats)": r"node_btrfs_(\w*commit\w*|device_errors_total)",
    r"sys/fs/bcachefs/[\w-]+/\w+": r"node_bcachefs_(compression|errors|btree)\w+",
    r"sys/fs/bcachefs/[\w-]+/dev-\d+/io_\w+": r"node_bcachefs_device_io_\w+",
    r"sys/fs/bcache/[\w-]+/\w+/(writeback_rate_debug|priority_stats)": r"node_bcache_\w+",
    r"sys/block/dm-\d+/dm/uuid": r"node_dmmultipath_\w+",
    r"sys/devices/system/cpu/cpu0/online": r"node_cpu_online",
    r"sys/devices/system/cpu/isolated": r"node_cpu_isolated",
    r"sys/devices/system/cpu/cpu\d+/cpufreq/scaling_\w*governors?": r"node_cpu_scaling_governor",
    r"sys/devices/system/clocksource/\w+/available_clocksource": r"node_time_clocksource_available_info",
    r"root/run/udev/data/.*": r"node_disk_\w+",
    r"sys/class/nvme/.*/logical_block_size": r"node_nvme_namespace_\w+",
}
MAY_BE_EMPTY = (
    r".*/isolated|proc/diskstats|root/run/udev/.*|sys/fs/bcachefs/.*/(errors|io_done|io_errors)|sys/.*/\w*label"
)
UNDETECTABLE = (
    r"sys/class/net/bonding_masters|.*/scaling_available_governors|.*/available_clocksource|.*/dm/uuid"
    r"|.*/powercap/.*/name"
)
"""Names and lists of names, whose length is not known: other content is a valid one of another device."""
CUT = f"{UNDETECTABLE}|.*/isolated|root/(run/udev/data|etc)/.*|sys/fs/bcachefs/.*|sys/fs/xfs/.*"
"""Lists that may be shorter: a cut name is another name."""
REMEMBERED = (
    r"cpu (proc/stat|sys/devices/system/cpu/cpu\d+/topology/\w+)|netclass (own/mountinfo|proc/1/(mountinfo|net/dev))"
    r"|os root/etc/os-release"
)
"""Files whose earlier content matters.

CPU counters do not decrease. The place of a CPU is fixed while its files exist. `netclass` selects the devices again
when a device is added or removed. A test writes os-release twice within one tick.
"""
REQUIRED = r"proc/(stat|meminfo|loadavg)|(proc/1/net/dev)|(proc/1|own)/mountinfo"
"""Files that every Linux has: without them, their collectors fail."""
MOST_LOST = 2
"""Series that one attribute may cost: `node_btrfs_size_bytes` and the allocation ratio come from one file."""


class Damage(NamedTuple):
    """The damage of a file: an error of open(2) or read(2), other content, or its removal."""

    opening: int = 0
    reading: int = 0
    content: Callable[[bytes], bytes] | None = None


def cut(content: bytes) -> bytes:
    """Return the content without the last half of its first line that is long enough, or of its only line."""
    lines = content.split(b"\n")
    at = next((at for at, line in enumerate(lines) if len(line.split()) > 1), 0)
    return b"\n".join([*lines[:at], lines[at][: len(lines[at]) // 2], *lines[at + 1 :]])


DAMAGES = {
    "absent": Damage(),
    "EACCES": Damage(opening=errno.EACCES),
    "ENODEV": Damage(reading=errno.ENODEV),
    "EINVAL": Damage(reading=errno.EINVAL),
    "EIO": Damage(reading=errno.EIO),
    "empty": Damage(content=lambda _: b""),
    "null": Damage(content=lambda _: b"(null)\n"),
    "binary": Damage(content=lambda _: b"\x00\xff\xfe\x80 \x00\n\xc3"),
    "cut": Damage(content=cut),
}


class Faults:
    """Makes open(2) or read(2) of one file fail, and lists the files that the thread of the test opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.inode: tuple[int, int] | None = None
        self.damage = Damage()
        self.opened: set[str] = set()
        self.as_sysfs = False
        """Whether a read of a removed file fails with ENODEV."""
        self._open, self._pread = os.open, os.pread
        self._thread = threading.get_ident()
        monkeypatch.setattr(os, "open", self.open)
        monkeypatch.setattr(os, "pread", self.pread)

    def open(self, path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        descriptor = self._open(path, flags, mode, dir_fd=dir_fd)
        if threading.get_ident() == self._thread:
            self.opened.add(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115 -- a descriptor
        if self.damage.opening and self.is_damaged(descriptor):
            os.close(descriptor)
            raise OSError(self.damage.opening, os.strerror(self.damage.opening), path)
        return descriptor

    def pread(self, descriptor: int, count: int, at: int) -> bytes:
        number = self.damage.reading or self.damage.opening  # the descriptor was open before the file was denied
        if number and self.is_damaged(descriptor):
            raise OSError(number, os.strerror(number))
        if self.as_sysfs and not os.fstat(descriptor).st_nlink:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        return self._pread(descriptor, count, at)

    def is_damaged(self, descriptor: int) -> bool:
        found = os.fstat(descriptor)
        return (found.st_dev, found.st_ino) == self.inode


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    return Faults(monkeypatch)


class Result(NamedTuple):
    """One collection: its series, what it left out, and the error of a failure."""

    series: dict[tuple[str, tuple[str, ...]], float]
    skipped: frozenset[tuple[str, str]]
    error: str = ""

    @property
    def families(self) -> Counter[str]:
        """The number of series of each family."""
        return Counter(name for name, _ in self.series)


def collected(collector: Collector) -> Result:
    """Collect as the registry does."""
    metrics: Metrics = []
    error = ""
    try:
        metrics = collector.collect()
    except FileNotFoundError as missing:
        error = str(missing) if collector.essential else ""
    except Exception as failure:  # noqa: BLE001 -- as the registry
        error = repr(failure)
    check_page(Writer().text(metrics))
    skipped = frozenset(collector.host.skips.take())
    series = {(family.name, labels): value for family, samples in metrics for labels, value in samples}
    series.pop(("node_time_seconds", ()), None)
    return Result(series, skipped, error)


@lru_cache(256)
def check_page(text: str) -> None:
    """Check that the reference parser reads a page. Most collections of one test have equal pages."""
    assert list(text_string_to_metric_families(text)) is not None


def host_of(tree: Path) -> Host:
    return Host(f"{tree}/proc", f"{tree}/sys", f"{tree}/root", self_proc=f"{tree}/own")


def damaged(path: Path, damage: Damage, faults: Faults) -> Iterator[None]:
    """Damage a file until the generator continues."""
    before = path.read_bytes()
    found = path.stat()
    if damage.opening or damage.reading:
        faults.inode, faults.damage = (found.st_dev, found.st_ino), damage
    elif damage.content is not None:
        path.write_bytes(damage.content(before))
    else:
        path.unlink()
    yield
    faults.damage = Damage()
    path.write_bytes(before)


def problems(name: str, damage: str, before: Result, after: Result) -> Iterator[str]:
    """Yield a line for each effect that one damaged file must not have."""
    lost = before.families - after.families
    skipped = after.skipped - before.skipped
    table = next((most for pattern, most in TABLES.items() if re.fullmatch(pattern, name)), None)
    if after.error and table != "*":
        yield f"fails: {after.error}. Handle it in the collector, or add the file to TABLES"
    elif table != "*" and (others := [one for one in lost if not re.fullmatch(table or ".*", one)]):
        yield f"costs {others}"
    elif table is None and lost.total() > MOST_LOST:
        yield f"costs {dict(lost)}"
    if damage == "absent":
        if any(reason != "missing" for reason, _ in skipped):
            yield f"counts a missing file: {skipped}"
        if after.error and not re.fullmatch(REQUIRED, name):
            yield f"fails without it: {after.error}"
    elif lost and not skipped and not after.error and not may_lose(name, damage):
        yield f"loses {dict(lost)} without a count"


def may_lose(name: str, damage: str) -> bool:
    """Return whether the content after the damage is also valid."""
    if damage == "cut":
        return name in ("proc/stat", "proc/mdstat") or re.fullmatch(CUT, name) is not None
    valid = UNDETECTABLE if DAMAGES[damage].content else "(?!)"
    if damage == "empty":
        valid += f"|{MAY_BE_EMPTY}"
    return re.fullmatch(valid, name) is not None


@pytest.mark.parametrize("damage", DAMAGES)
def test_one_damaged_file_costs_its_own_series_only_and_is_counted(
    damage: str, merged_tree: Path, faults: Faults
) -> None:
    host, found, damages = host_of(merged_tree), [], 0
    for kind in (kind for name, kind in COLLECTORS.items() if name not in PROCESSES):
        faults.opened.clear()
        warm = kind(host)
        before = collected(warm)
        assert not before.error
        assert collected(warm) == before
        for opened in sorted(faults.opened):
            path = Path(opened)
            if not path.is_file():
                continue
            name = str(path.relative_to(merged_tree))
            damages += 1
            for _ in damaged(path, DAMAGES[damage], faults):
                after = collected(warm)
                fresh = collected(kind(host))
            what = [*problems(name, damage, before, after)]
            if (after.series, after.error) != (fresh.series, fresh.error) and not re.fullmatch(
                REMEMBERED, f"{kind.name} {name}"
            ):
                what.append(f"a new agent returns other series: {dict(after.families - fresh.families)}")
            found += [f"{kind.name} {name}: {one}" for one in what]
        assert collected(warm).series.keys() == before.series.keys(), "the tree is as before"
    assert not found, "\n".join(["", *found])
    assert damages > 400


class Kept:
    """A directory whose modification time stays when entries are added or removed, as in sysfs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        self._before = self.path.stat()

    def __exit__(self, *_: object) -> None:
        os.utime(self.path, ns=(self._before.st_atime_ns, self._before.st_mtime_ns))


def attributes_and_directories(tree: Path, opened: set[str]) -> list[Path]:
    """Return the files below sys that a collector opened, and the directories above them."""
    files = [path for path in map(Path, opened) if path.is_relative_to(tree / "sys") and path.is_file()]
    above = {parent for path in files for parent in path.parents if parent.is_relative_to(tree / "sys")}
    return sorted({*files, *above} - {tree / "sys"})


@pytest.mark.parametrize("keeps_times", [True, False], ids=["sysfs", "disk"])
def test_what_comes_goes_or_is_renamed_is_seen_at_the_next_scrape(
    keeps_times: bool,  # noqa: FBT001 -- a parameter of the test
    merged_tree: Path,
    faults: Faults,
) -> None:
    host, found, changes = host_of(merged_tree), [], 0
    faults.as_sysfs = keeps_times
    for kind in (kind for name, kind in COLLECTORS.items() if name not in PROCESSES):
        faults.opened.clear()
        before = collected(kind(host)).series
        for path in attributes_and_directories(merged_tree, set(faults.opened)):
            other = path.with_name(f"{path.name}9")
            name = str(path.relative_to(merged_tree))
            inode = path.parent.stat().st_ino
            warm = kind(host)
            collected(warm)
            renames = not (keeps_times and path.is_file())  # the kernel renames directories only
            for old, new in ((path, other), (other, path)) if renames else ():
                with Kept(path.parent) if keeps_times else nullcontext():
                    old.rename(new)
                if collected(warm).series != collected(kind(host)).series:
                    found.append(f"{kind.name} {name}: another page after {old.name} became {new.name}")
            together = keeps_times and path.parent.name == "topology"  # comes and goes with the throttle counts
            if path.is_file() and not together:
                content = path.read_bytes()
                for change in (path.unlink, lambda: path.write_bytes(content)):  # noqa: B023 -- called at once
                    with Kept(path.parent) if keeps_times else nullcontext():
                        change()
                    if collected(warm).series != collected(kind(host)).series:
                        found.append(f"{kind.name} {name}: another page after it came or went")
            assert path.parent.stat().st_ino == inode
            changes += 1
        assert collected(kind(host)).series == before or kind.name == "cpu"
    assert not found, "\n".join(["", *found])
    assert changes > 400
