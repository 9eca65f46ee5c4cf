"""Collectors for other systems, with samples as psutil returns them there, and with psutil on this system."""

from __future__ import annotations

import re
from types import SimpleNamespace as Sample
from typing import TYPE_CHECKING

import pytest

from metricat_agent.collectors import Filter, portable
from metricat_agent.collectors.catalog import COLLECTORS, collectors_for
from metricat_agent.collectors.portable import PORTABLE
from metricat_agent.config.settings import parse
from metricat_agent.host.hostfs import Host
from metricat_agent.scrape.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from metricat_agent.exposition.model import Metrics
    from unit.agent.conftest import Scrape


def values(metrics: Metrics) -> dict[tuple[str, ...], float]:
    return {(family.name, *labels): value for family, samples in metrics for labels, value in samples}


def test_cpu_times_of_macos_and_windows_are_parsed() -> None:
    macos = Sample(user=10.5, nice=0.0, system=5.25, idle=100.0)
    windows = Sample(user=1.0, system=2.0, idle=3.0, interrupt=0.5, dpc=0.25)
    assert values(portable.parse_cpu([macos])) == {
        ("node_cpu_seconds_total", "0", "user"): 10.5,
        ("node_cpu_seconds_total", "0", "nice"): 0.0,
        ("node_cpu_seconds_total", "0", "system"): 5.25,
        ("node_cpu_seconds_total", "0", "idle"): 100.0,
    }
    found = values(portable.parse_cpu([windows]))
    assert found["node_cpu_seconds_total", "0", "irq"] == 0.5
    assert found["node_cpu_seconds_total", "0", "softirq"] == 0.25


def test_counter_of_another_system_does_not_step_back() -> None:
    assert portable.monotonic({"idle": 100.0, "user": 7.0}, {"idle": 99.5, "user": 8.0}) == {"idle": 100.0, "user": 8.0}
    assert portable.monotonic({"idle": 42949672.9}, {"idle": 0.25, "user": 1.0}) == {"idle": 0.25, "user": 1.0}


def test_memory_of_macos_and_windows_is_parsed() -> None:
    macos = Sample(total=16 << 30, available=8 << 30, percent=50.0, free=1 << 30, active=2, inactive=3, wired=4)
    windows = Sample(total=8 << 30, available=4 << 30, percent=50.0, used=4 << 30, free=4 << 30)
    assert values(portable.parse_fields(portable.MEMORY, macos))["node_memory_wired_bytes",] == 4
    assert ("node_memory_wired_bytes",) not in values(portable.parse_fields(portable.MEMORY, windows))


def test_disks_and_network_devices_are_parsed() -> None:
    disk = Sample(read_count=1, write_count=2, read_bytes=3, write_bytes=4, read_time=1500, write_time=10)
    found = values(portable.parse_devices(portable._DISKS, {"disk0": disk, "disk9": disk}, Filter(re.compile("0$"))))
    assert found["node_disk_read_time_seconds_total", "disk0"] == 1.5
    assert found["node_disk_written_bytes_total", "disk0"] == 4
    assert ("node_disk_written_bytes_total", "disk9") not in found
    nic = Sample(bytes_sent=1, bytes_recv=2, packets_sent=3, packets_recv=4, errin=5, errout=6, dropin=7, dropout=8)
    found = values(portable.parse_devices(portable._NETWORK, {"en0": nic}, Filter()))
    assert found["node_network_receive_drop_total", "en0"] == 7


def test_filesystems_are_parsed() -> None:
    root = Sample(device="/dev/disk1s1", mountpoint="/", fstype="apfs", opts="ro,local")
    drive = Sample(device="E:\\", mountpoint="E:\\", fstype="", opts="cdrom")
    usage = Sample(total=1000, used=600, free=300, percent=66.0)
    found = values(portable.parse_filesystems([(root, usage), (drive, None)], Filter(), Filter()))
    assert found["node_filesystem_free_bytes", "/dev/disk1s1", "/", "apfs"] == 400
    assert found["node_filesystem_avail_bytes", "/dev/disk1s1", "/", "apfs"] == 300
    assert found["node_filesystem_readonly", "/dev/disk1s1", "/", "apfs"] == 1
    assert found["node_filesystem_device_error", "E:\\", "E:\\", ""] == 1
    assert ("node_filesystem_size_bytes", "E:\\", "E:\\", "") not in found


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_other_systems_have_their_own_collectors(platform: str) -> None:
    assert collectors_for(platform) is PORTABLE
    assert collectors_for("linux") is COLLECTORS
    assert set(PORTABLE) <= set(COLLECTORS), "the same settings work on every system"


def test_portable_collectors_work_on_this_system(scrape_of: Callable[[str], Scrape]) -> None:
    given = parse([], {}, PORTABLE)
    registry = Registry(PORTABLE[name](Host(), one.filters, one.options) for name, one in given.collectors.items())
    scrape = scrape_of(registry.scrape())
    assert set(scrape.of("node_scrape_collector_success").values()) == {1}
    assert (scrape.get("node_memory_total_bytes") or 0) > 0
    assert scrape.of("node_network_receive_bytes_total")
    assert scrape.of("metricat_process_cpu_ratio")
