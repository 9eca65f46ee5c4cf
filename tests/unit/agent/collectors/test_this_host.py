"""Collectors on the real host, compared with psutil and with the files."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from metricat_agent.collectors import netclass
from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.host.hostfs import Host
from metricat_agent.scrape.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from unit.agent.conftest import Scrape


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry(collector(Host()) for collector in COLLECTORS.values())


@pytest.fixture
def scrape(registry: Registry, scrape_of: Callable[[str], Scrape]) -> Scrape:
    return scrape_of(registry.scrape())


def test_cpu_is_between_two_readings_of_psutil(registry: Registry, scrape_of: Callable[[str], Scrape]) -> None:
    before = psutil.cpu_times(percpu=True)
    scrape = scrape_of(registry.scrape())
    after = psutil.cpu_times(percpu=True)
    for number, (first, last) in enumerate(zip(before, after, strict=True)):
        for mode in ("user", "nice", "system", "irq", "softirq", "steal"):
            value = scrape.get("node_cpu_seconds_total", cpu=str(number), mode=mode)
            assert value is not None
            assert getattr(first, mode) <= value <= getattr(last, mode)


def test_memory_and_swap_match_psutil(scrape: Scrape) -> None:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    assert scrape.get("node_memory_MemTotal_bytes") == memory.total
    assert scrape.get("node_memory_SwapTotal_bytes") == swap.total
    assert scrape.get("node_memory_MemAvailable_bytes") == pytest.approx(memory.available, rel=0.2)


def test_network_devices_have_the_number_of_every_readable_file() -> None:
    classes = netclass.NetworkClass(Host())
    settings = {file: family for file, family in netclass.NUMBERS.items() if not file.startswith("statistics/")}
    devices = [path for path in Path("/sys/class/net").iterdir() if path.is_dir()]
    expected = {
        (family.name, device.name): int(text, 0)
        for device in devices
        for file, family in settings.items()
        if (text := text_of(device / file))
    }
    for _ in range(3):  # the first scrape selects the files that the others read
        found = {
            (family.name, labels[0]): value
            for family, samples in classes.collect()
            if family in settings.values()
            for labels, value in samples
        }
        assert found == expected


def text_of(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def test_disks_match_psutil(registry: Registry, scrape_of: Callable[[str], Scrape]) -> None:
    before = psutil.disk_io_counters(perdisk=True, nowrap=False)
    scrape = scrape_of(registry.scrape())
    after = psutil.disk_io_counters(perdisk=True, nowrap=False)
    for (device,), value in scrape.of("node_disk_read_bytes_total").items():
        assert before[device].read_bytes <= value <= after[device].read_bytes
    for (device,), value in scrape.of("node_disk_write_time_seconds_total").items():
        assert before[device].write_time / 1000 <= value <= after[device].write_time / 1000


def test_network_counters_match_psutil(registry: Registry, scrape_of: Callable[[str], Scrape]) -> None:
    before = psutil.net_io_counters(pernic=True, nowrap=False)
    scrape = scrape_of(registry.scrape())
    after = psutil.net_io_counters(pernic=True, nowrap=False)
    received = scrape.of("node_network_receive_bytes_total")
    assert received
    for device in {device for (device,) in received} & set(before) & set(after):
        assert before[device].bytes_recv <= received[device,] <= after[device].bytes_recv
    states = psutil.net_if_stats()
    sizes = {device: value for (device,), value in scrape.of("node_network_mtu_bytes").items()}
    assert sizes["lo"] == states["lo"].mtu
    assert all(states[device].mtu == value for device, value in sizes.items() if device in states)


def test_filesystems_match_psutil(scrape: Scrape) -> None:
    sizes = scrape.of("node_filesystem_size_bytes")
    for (_, _, mount_point), value in sizes.items():
        assert value == psutil.disk_usage(mount_point).total
    errors = scrape.of("node_filesystem_device_error")
    assert set(sizes) == {labels for labels, error in errors.items() if not error}, "a size, or an error"


def test_boot_time_load_and_clock(scrape: Scrape) -> None:
    assert scrape.get("node_boot_time_seconds") == psutil.boot_time()
    assert scrape.get("node_time_seconds") == pytest.approx(time.time(), abs=10)
    assert scrape.get("node_load1") == pytest.approx(os.getloadavg()[0], abs=2)
    assert (scrape.get("node_procs_running") or 0) >= 1


def test_kernel_release_and_every_field_of_meminfo(scrape: Scrape) -> None:
    [labels] = scrape.of("node_uname_info")
    assert os.uname().release in labels
    fields = Path("/proc/meminfo").read_text().splitlines()
    assert sum(name.startswith("node_memory_") for name in scrape.names) == len(fields)


def test_memory_and_cpu_of_the_agent_match_psutil(scrape: Scrape) -> None:
    here = psutil.Process()
    assert scrape.get("metricat_agent_resident_memory_bytes") == pytest.approx(here.memory_info().rss, rel=0.1)
    assert scrape.get("metricat_agent_cpu_seconds_total") == pytest.approx(sum(here.cpu_times()[:2]), abs=2)
