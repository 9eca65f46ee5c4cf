"""Hosts that are not like most: each a small tree of files under `tests/fixtures/hosts`, and the page it must give.

Only the collectors that find a file of theirs in the tree are asked. `METRICAT_RECORD=1 pytest` of this file writes the
pages anew. What is big is made here: hundreds of CPUs, thousands of devices.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from metricat_agent.collectors import cpu, netdev, schedstat, softnet
from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.config.settings import parse
from metricat_agent.host.hostfs import Host
from metricat_agent.scrape.executor import ExecutorLimits
from metricat_agent.scrape.registry import Registry
from support.paths import HOSTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from unit.agent.conftest import Scrape

ASKED = {
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
    "names-that-are-no-utf8": ("filesystem", "processes"),
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
        limits=ExecutorLimits(timeout=60),  # not of speed
    )


def told(page: str) -> str:
    """The host's series, without the agent's own account; sizes of memory in pages of 4 KiB, paths as on the host."""
    kept = [
        line for line in page.splitlines(keepends=True) if not re.search(r"metricat_(collector|agent)_|_scrape_", line)
    ]
    return re.sub(f"{HOSTS}/[^/]+", "", "".join(kept))


def test_every_tree_is_asked() -> None:
    assert {path.name for path in HOSTS.iterdir() if path.is_dir()} == set(ASKED)


@pytest.mark.parametrize("name", sorted(ASKED))
def test_a_host_and_its_page(name: str, monkeypatch: pytest.MonkeyPatch, scrape_of: Callable[[str], Scrape]) -> None:
    monkeypatch.setattr(os, "sysconf", lambda _: 4096)
    page = registry(HOSTS / name, *(f"--collector.{one}" for one in ASKED[name])).scrape()
    assert scrape_of(page).of("node_scrape_collector_success") == {(one,): 1 for one in ASKED[name]}
    recorded = HOSTS / f"{name}.prom"
    if os.environ.get("METRICAT_RECORD"):
        recorded.write_text(told(page))
    assert told(page) == recorded.read_text()


def test_256_cpus_of_which_some_are_offline(tmp_path: Path, scrape_of: Callable[[str], Scrape]) -> None:
    online = [number for number in range(256) if number % 64 != 63]
    (tmp_path / "proc/1/net").mkdir(parents=True)
    rows = "".join(f"cpu{number} {number * 100} 0 0 200 0 0 0 0 0 0\n" for number in online)
    (tmp_path / "proc/stat").write_text(f"cpu  1 0 0 2 0 0 0 0 0 0\n{rows}intr 9 {'0 ' * 20_000}\nctxt 7\n")
    turns = "".join(f"cpu{number} 0 0 0 0 0 0 {number}000000000 0 3\ndomain0 {'f' * 64} 1\n" for number in online)
    (tmp_path / "proc/schedstat").write_text(f"version 15\ntimestamp 1\n{turns}")
    queues = "".join(f"{number:08x} {'00000000 ' * 11}{number:08x}\n" for number in online)
    (tmp_path / "proc/1/net/softnet_stat").write_text(queues)
    names = (cpu.Cpu.name, schedstat.Scheduler.name, softnet.SoftNet.name)
    scrape = scrape_of(registry(tmp_path, *(f"--collector.{name}" for name in names)).scrape())
    assert len(scrape.of("node_cpu_seconds_total")) == 252 * 8
    assert scrape.get("node_cpu_seconds_total", cpu="254", mode="user") == 254
    assert scrape.get("node_cpu_seconds_total", cpu="255", mode="user") is None
    assert scrape.get("node_schedstat_running_seconds_total", cpu="254") == 254
    assert scrape.get("node_softnet_processed_total", cpu="254") == 254
    assert not scrape.of("metricat_collector_dropped_series_total"), "so many CPUs are within every budget"


def test_veth_by_the_thousand(tmp_path: Path, scrape_of: Callable[[str], Scrape]) -> None:
    (tmp_path / "proc/1/net").mkdir(parents=True)
    table = tmp_path / "proc/1/net/dev"

    def devices(first: int) -> str:
        names = ["eth0", *(f"veth{number:08x}" for number in range(first, first + 5000))]
        return "\n\n" + "".join(f"{name}: 5 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n" for name in names)

    by_default = registry(tmp_path, f"--collector.{netdev.NetworkDevices.name}")
    every = registry(tmp_path, "--collector.netdev", "--collector.netdev.device-exclude=")
    for churn in range(3):
        table.write_text(devices(5000 * churn))
        assert set(scrape_of(by_default.scrape()).of("node_network_receive_bytes_total")) == {("eth0",)}
        scrape = scrape_of(every.scrape())
        assert scrape.get("metricat_collector_series", collector="netdev") == 312 * 16, "whole devices, 5,000 series"
        assert scrape.get("node_network_receive_bytes_total", device="eth0") == 5
        dropped = scrape.get("metricat_collector_dropped_series_total", collector="netdev")
        assert dropped == (churn + 1) * (5001 - 312) * 16
