"""Unusual hosts: each is a small tree of files under `tests/fixtures/hosts` with the page that it must give.

Only collectors with files in the tree run. `METRICAT_RECORD=1 pytest` of this file records the pages again. The tests
themselves create large hosts: hundreds of CPUs, thousands of devices.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from metricat_agent.collectors import cpu as cpu_time
from metricat_agent.collectors import netdev, schedstat, softnet
from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.collectors.cpufreq import CpuFrequency
from metricat_agent.config.settings import parse
from metricat_agent.host.hostfs import Host
from metricat_agent.scrape.executor import ExecutorLimits
from metricat_agent.scrape.registry import Registry
from support.paths import HOSTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from unit.agent.conftest import Scrape

SELECTED = {
    "bonded-links": ("bonding", "netclass", "netdev"),
    "cgroup-v1": ("processes",),
    "cgroup-v2": ("processes",),
    "file-server": ("bcache", "bcachefs", "btrfs", "nfs", "nfsd", "xfs", "zfs"),
    "linux-3.10": (
        "cpu",
        "diskstats",
        "filefd",
        "loadavg",
        "meminfo",
        "pressure",
        "sockstat",
        "softnet",
        "stat",
        "vmstat",
    ),
    "lvm": ("diskstats", "filesystem"),
    "rdma-and-nvme": ("infiniband", "nvme"),
    "names-that-are-not-utf8": ("filesystem", "processes"),
    "no-swap": ("meminfo", "vmstat"),
    "read-only-root": ("filesystem", "os"),
    "storage-area-network": (
        *("cpu", "diskstats", "dmmultipath", "fibrechannel", "hwmon", "ipvs", "rapl", "tapestats", "watchdog"),
    ),
    "zfs": ("diskstats", "filesystem"),
}


def registry(root: Path, *arguments: str) -> Registry:
    host = Host(f"{root}/proc", f"{root}/sys", f"{root}/root", self_proc=f"{root}/own")
    given = parse(["--collector.disable-defaults", *arguments], {}, COLLECTORS)
    return Registry(
        (COLLECTORS[name](host, chosen.filters, chosen.options) for name, chosen in given.collectors.items()),
        series_limit=given.series_limit,
        detailed=given.detailed_metrics,
        limits=ExecutorLimits(timeout=60),  # only the content matters
    )


def host_series(page: str) -> str:
    """Return the host's series, without the agent's own metrics and with paths as on the host."""
    kept = [
        line for line in page.splitlines(keepends=True) if not re.search(r"metricat_(collector|agent)_|_scrape_", line)
    ]
    return re.sub(f"{HOSTS}/[^/]+", "", "".join(kept))


def test_every_tree_has_a_test() -> None:
    assert {path.name for path in HOSTS.iterdir() if path.is_dir()} == set(SELECTED)


@pytest.mark.parametrize("name", sorted(SELECTED))
def test_host_gives_its_recorded_page(
    name: str, monkeypatch: pytest.MonkeyPatch, scrape_of: Callable[[str], Scrape]
) -> None:
    monkeypatch.setattr(os, "sysconf", lambda _: 4096)
    flags = [f"--collector.{one}" for one in SELECTED[name]]
    page = registry(HOSTS / name, "--agent.detailed-metrics", *flags).scrape()
    assert scrape_of(page).of("node_scrape_collector_success") == {(one,): 1 for one in SELECTED[name]}
    recorded = HOSTS / f"{name}.prom"
    if os.environ.get("METRICAT_RECORD"):
        recorded.write_text(host_series(page))
    assert host_series(page) == recorded.read_text()


def test_256_cpus_with_some_offline_are_exposed(tmp_path: Path, scrape_of: Callable[[str], Scrape]) -> None:
    online = [number for number in range(256) if number % 64 != 63]
    (tmp_path / "proc/1/net").mkdir(parents=True)
    rows = "".join(f"cpu{number} {number * 100} 0 0 200 0 0 0 0 0 0\n" for number in online)
    (tmp_path / "proc/stat").write_text(f"cpu  1 0 0 2 0 0 0 0 0 0\n{rows}intr 9 {'0 ' * 20_000}\nctxt 7\n")
    turns = "".join(f"cpu{number} 0 0 0 0 0 0 {number}000000000 0 3\ndomain0 {'f' * 64} 1\n" for number in online)
    (tmp_path / "proc/schedstat").write_text(f"version 15\ntimestamp 1\n{turns}")
    queues = "".join(f"{number:08x} {'00000000 ' * 11}{number:08x}\n" for number in online)
    (tmp_path / "proc/1/net/softnet_stat").write_text(queues)
    names = (cpu_time.Cpu.name, schedstat.Scheduler.name, softnet.SoftNet.name)
    scrape = scrape_of(registry(tmp_path, *(f"--collector.{name}" for name in names)).scrape())
    assert len(scrape.of("node_cpu_seconds_total")) == 252 * 8
    assert scrape.get("node_cpu_seconds_total", cpu="254", mode="user") == 254
    assert scrape.get("node_cpu_seconds_total", cpu="255", mode="user") is None
    assert scrape.get("node_schedstat_running_seconds_total", cpu="254") == 254
    assert scrape.get("node_softnet_processed_total", cpu="254") == 254
    assert not scrape.of("metricat_collector_dropped_series_total"), "256 CPUs are within every limit of series"


@pytest.mark.parametrize("number", [768, 1920])
def test_large_machine_keeps_all_series_of_its_cpus(
    tmp_path: Path, scrape_of: Callable[[str], Scrape], number: int
) -> None:
    (tmp_path / "proc/1/net").mkdir(parents=True)
    rows = "".join(f"cpu{cpu} 0 0 0 500 0 0 0 0 0 0\n" for cpu in range(number))
    (tmp_path / "proc/stat").write_text(f"cpu  0 0 0 9 0 0 0 0 0 0\n{rows}")
    turns = "".join(f"cpu{cpu} 0 0 0 0 0 0 1 1 3\n" for cpu in range(number))
    (tmp_path / "proc/schedstat").write_text(f"version 15\n{turns}")
    queues = "".join(f"{cpu:08x} {'00000000 ' * 11}{cpu:08x}\n" for cpu in range(number))
    (tmp_path / "proc/1/net/softnet_stat").write_text(queues)
    for cpu in range(number):
        files = tmp_path / f"sys/devices/system/cpu/cpu{cpu}/cpufreq"
        files.mkdir(parents=True)
        (files / "scaling_governor").write_text("powersave\n")
        (files / "scaling_available_governors").write_text("a b c d e f powersave\n")
    names = (cpu_time.Cpu.name, CpuFrequency.name, schedstat.Scheduler.name, softnet.SoftNet.name)
    scrape = scrape_of(registry(tmp_path, *(f"--collector.{name}" for name in names)).scrape())
    last = str(number - 1)
    assert scrape.get("node_cpu_seconds_total", cpu=last, mode="idle") == 5
    assert len(scrape.of("node_cpu_seconds_total")) == number * 8
    assert len(scrape.of("node_schedstat_timeslices_total")) == number
    assert len(scrape.of("node_softnet_backlog_len")) == number
    assert len(scrape.of("node_cpu_scaling_governor")) == number * 7
    assert not scrape.of("metricat_collector_dropped_series_total")


def test_thousands_of_veth_devices_are_excluded_by_default(tmp_path: Path, scrape_of: Callable[[str], Scrape]) -> None:
    (tmp_path / "proc/1/net").mkdir(parents=True)
    table = tmp_path / "proc/1/net/dev"

    def devices(first: int) -> str:
        names = ["eth0", *(f"veth{number:08x}" for number in range(first, first + 5000))]
        return "\n\n" + "".join(f"{name}: 5 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n" for name in names)

    by_default = registry(tmp_path, f"--collector.{netdev.NetworkDevices.name}")
    every = registry(tmp_path, "--collector.netdev", "--collector.netdev.device-exclude=")
    for churn in range(2):
        table.write_text(devices(5000 * churn))
        assert set(scrape_of(by_default.scrape()).of("node_network_receive_bytes_total")) == {("eth0",)}
        scrape = scrape_of(every.scrape())
        assert len(scrape.of("node_network_receive_bytes_total")) == 5001, "no limit for an essential collector"
        assert not scrape.of("metricat_collector_dropped_series_total")
