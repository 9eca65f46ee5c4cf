"""Connection tracking on kernels with and without its table in /proc/net/stat."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from metricat_agent.collectors import conntrack
from metricat_agent.host.hostfs import Host
from metricat_agent.host.network_namespace import is_host_network

if TYPE_CHECKING:
    from collections.abc import Callable

    from metricat_agent.exposition.model import Metrics
    from unit.agent.conftest import Scrape

TABLE = "entries clashres found new invalid\n00000007 00000000 00000001 00000000 0000000a\n"
WITHOUT_TABLE = """
import errno, os, sys
real = os.open
def without_table(path, *rest, **named):
    if "net/stat/nf_conntrack" in str(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    return real(path, *rest, **named)
os.open = without_table
from metricat_agent.__main__ import main
sys.exit(main())
"""
ARGUMENTS = ("--once", "--collector.disable-defaults", "--collector.conntrack")
needs_conntrack = pytest.mark.skipif(
    not Path("/proc/sys/net/netfilter/nf_conntrack_count").exists(), reason="the kernel does not track connections"
)
needs_root = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root and unshare")


def numbers(host: Host) -> dict[str, float]:
    return {family.name.removeprefix("node_nf_conntrack_"): samples[0][1] for family, samples in collect(host)}


def collect(host: Host) -> Metrics:
    return conntrack.ConnectionTracking(host).collect()


def write(root: Path, files: dict[str, str]) -> Host:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Host(procfs=str(root))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"1/net/stat/nf_conntrack": TABLE}, {"entries": 7, "stat_found": 1, "stat_invalid": 10}),
        (
            {
                "1/net/stat/nf_conntrack": TABLE,
                "sys/net/nf_conntrack_max": "9\n",
                "sys/net/netfilter/nf_conntrack_count": "8\n",
            },
            {"entries": 7, "entries_limit": 9, "stat_found": 1, "stat_invalid": 10},
        ),
        (
            {"sys/net/netfilter/nf_conntrack_max": "65536\n", "sys/net/netfilter/nf_conntrack_count": "385\n"},
            {"entries": 385, "entries_limit": 65536},
        ),
        (
            {"sys/net/nf_conntrack_max": "65536\n", "sys/net/netfilter/nf_conntrack_count": "0\n"},
            {"entries": 0, "entries_limit": 65536},
        ),
        ({"sys/net/netfilter/nf_conntrack_max": "65536\n"}, {"entries_limit": 65536}),
        ({"1/net/dev": ""}, {}),
    ],
)
def test_entries_and_limit_from_the_files_that_the_kernel_has(
    tmp_path: Path, files: dict[str, str], expected: dict[str, float]
) -> None:
    assert numbers(write(tmp_path, files)) == expected


@pytest.mark.parametrize("table", ["entries found\n", "", "entries\nxyz\n", "entries found\n00000001\n00000001 2\n"])
def test_limit_is_exposed_with_an_invalid_table(tmp_path: Path, table: str) -> None:
    host = write(tmp_path, {"1/net/stat/nf_conntrack": table, "sys/net/nf_conntrack_max": "9\n"})
    assert numbers(host) == {"entries_limit": 9}


def agent(*before: str) -> str:
    command = (*before, sys.executable, "-c", WITHOUT_TABLE, *ARGUMENTS)
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


@needs_conntrack
def test_kernel_without_table_has_entries_and_limit(scrape_of: Callable[[str], Scrape]) -> None:
    scrape = scrape_of(agent())
    assert (scrape.get("node_nf_conntrack_entries") is not None) is is_host_network(Host())
    assert scrape.get("node_nf_conntrack_entries_limit")


@needs_conntrack
@needs_root
def test_pod_does_not_expose_its_own_connections_as_the_hosts(scrape_of: Callable[[str], Scrape]) -> None:
    scrape = scrape_of(agent("unshare", "--net"))
    assert scrape.get("node_nf_conntrack_entries") is None
    assert scrape.get("node_nf_conntrack_entries_limit")
    assert scrape.get("node_scrape_collector_success", collector="conntrack") == 1
    assert scrape.get("metricat_collector_skipped_total", collector="conntrack", reason="other_namespace") == 1


@needs_root
def test_own_network_namespace_is_not_that_of_process_1() -> None:
    code = (
        "from metricat_agent.host.hostfs import Host\n"
        "from metricat_agent.host.network_namespace import is_host_network\n"
        "print(is_host_network(Host()))"
    )
    command = ("unshare", "--net", sys.executable, "-c", code)
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"
