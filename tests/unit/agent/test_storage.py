"""Filesystems and servers of files that few nodes have: what their recorded page does not show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricat_agent.collectors import btrfs, nfs, xfs, zfs
from metricat_agent.host import Host

if TYPE_CHECKING:
    from metricat_agent.collectors import Collector
    from metricat_agent.families import Metrics

SERVER = Path(__file__).parents[2] / "fixtures" / "hosts" / "file-server"
ALL: tuple[type[Collector], ...] = (btrfs.Btrfs, nfs.NfsClient, nfs.NfsServer, xfs.Xfs, zfs.Zfs)


def values(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    return {labels: value for family, samples in metrics if family.name == name for labels, value in samples}


@pytest.mark.parametrize("collector", ALL)
def test_a_node_without_it_is_told_nothing(collector: type[Collector], tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    metrics = collector(Host(procfs=str(tmp_path), sysfs=str(tmp_path))).collect()
    assert [samples for _, samples in metrics if samples] == []


@pytest.mark.parametrize("collector", ALL)
def test_no_two_series_are_the_same(collector: type[Collector]) -> None:
    metrics = collector(Host(procfs=f"{SERVER}/proc", sysfs=f"{SERVER}/sys")).collect()
    names = [family.name for family, _ in metrics]
    assert len(names) == len(set(names)) > 0
    assert all(len(samples) == len(dict(samples)) for _, samples in metrics)


def test_a_version_that_the_kernel_does_not_speak() -> None:
    client = nfs.parse_client("net 0 0 0 0\nrpc 1 2 3\nproc4 3 7 8 9\n")
    assert values(client, "node_nfs_requests_total") == {("4", "Null"): 7, ("4", "Read"): 8, ("4", "Write"): 9}
    server = nfs.parse_server("net 0 0 0 5\nrpc 1 2 3 4 5\n")
    assert values(server, "node_nfsd_requests_total") == {}
    assert values(server, "node_nfsd_connections_total") == {(): 5}
    assert values(server, "node_nfsd_rpc_errors_total") == {("fmt",): 3, ("auth",): 4, ("cInt",): 5}


@pytest.mark.parametrize(
    ("mode", "devices", "bytes_on_devices"),
    [("single", 3, 1), ("dup", 1, 2), ("raid1c4", 4, 4), ("raid5", 4, 4 / 3), ("raid6", 4, 2), ("raid5", 1, 1)],
)
def test_what_a_byte_costs_on_btrfs(mode: str, devices: int, bytes_on_devices: float) -> None:
    assert btrfs.ratio(mode, devices) == pytest.approx(bytes_on_devices)


def test_btrfs_before_linux_6() -> None:
    metrics = btrfs.parse([btrfs.Filesystem("aa-bb", {}, {"sda": "8"}, {"data": {"single/used_bytes": "5"}})])
    assert values(metrics, "node_btrfs_info") == {("aa-bb", ""): 1}
    assert values(metrics, "node_btrfs_commits_total") == {}
    assert values(metrics, "node_btrfs_device_size_bytes") == {("aa-bb", "sda"): 4096}
    assert values(metrics, "node_btrfs_used_bytes") == {("aa-bb", "data", "single"): 5}


def test_a_pool_that_is_suspended_counts_nothing() -> None:
    metrics = zfs.parse(zfs.Found(pools={"tank": zfs.Pool("SUSPENDED\n")}))
    states = values(metrics, "node_zfs_zpool_state")
    assert states == {("tank", state): int(state == "suspended") for state in zfs.STATES}


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=4), st.text(max_size=8))
def test_any_files_of_btrfs(files: dict[str, str], mode: str) -> None:
    named = {"commit_stats": "".join(files), "allocation/global_rsv_size": mode, **files}
    groups = {"data": {f"{mode}/{name}": text for name, text in files.items()}}
    try:
        btrfs.parse([btrfs.Filesystem("a-b", named, {}, groups)])
    except (ValueError, KeyError):
        return
