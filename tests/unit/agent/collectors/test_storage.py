"""Filesystems and NFS: cases that their recorded page does not cover."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricat_agent.collectors import bcache, bcachefs, btrfs, nfs, xfs, zfs
from metricat_agent.host.hostfs import Host
from metricat_agent.host.human_units import parse_size
from support.paths import HOSTS

if TYPE_CHECKING:
    from pathlib import Path

    from metricat_agent.collectors import Collector
    from metricat_agent.exposition.model import Metrics

SERVER = HOSTS / "file-server"
ALL: tuple[type[Collector], ...] = (
    *(bcache.Bcache, bcachefs.Bcachefs, btrfs.Btrfs),
    *(nfs.NfsClient, nfs.NfsServer, xfs.Xfs, zfs.Zfs),
)


def values(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    return {labels: value for family, samples in metrics if family.name == name for labels, value in samples}


@pytest.mark.parametrize("collector", ALL)
def test_node_without_the_files_has_no_series(collector: type[Collector], tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    metrics = collector(Host(procfs=str(tmp_path), sysfs=str(tmp_path))).collect()
    assert [samples for _, samples in metrics if samples] == []


@pytest.mark.parametrize("collector", ALL)
def test_series_are_unique(collector: type[Collector]) -> None:
    metrics = collector(Host(procfs=f"{SERVER}/proc", sysfs=f"{SERVER}/sys")).collect()
    names = [family.name for family, _ in metrics]
    assert len(names) == len(set(names)) > 0
    assert all(len(samples) == len(dict(samples)) for _, samples in metrics)


def test_nfs_version_that_the_kernel_does_not_support_has_no_series() -> None:
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
def test_btrfs_ratio_depends_on_the_mode(mode: str, devices: int, bytes_on_devices: float) -> None:
    assert btrfs.ratio(mode, devices) == pytest.approx(bytes_on_devices)


def test_btrfs_before_linux_6_has_no_commits() -> None:
    metrics = btrfs.parse([btrfs.BtrfsFilesystem("aa-bb", {}, {"sda": "8"}, {"data": {"single/used_bytes": "5"}})])
    assert values(metrics, "node_btrfs_info") == {("aa-bb", ""): 1}
    assert values(metrics, "node_btrfs_commits_total") == {}
    assert values(metrics, "node_btrfs_device_size_bytes") == {("aa-bb", "sda"): 4096}
    assert values(metrics, "node_btrfs_used_bytes") == {("aa-bb", "data", "single"): 5}


def test_btrfs_errors_of_a_single_device_have_its_name() -> None:
    texts = {"3": "write_errs 1\nread_errs 2\nnew_in_linux_99 7\n"}
    alone = btrfs.parse([btrfs.BtrfsFilesystem("aa-bb", {}, {"sda": "8"}, {}, texts)])
    assert values(alone, "node_btrfs_device_errors_total") == {
        ("aa-bb", "write", "sda"): 1,
        ("aa-bb", "read", "sda"): 2,
    }
    missing = btrfs.parse([btrfs.BtrfsFilesystem("aa-bb", {}, {"sda": "8"}, {}, {**texts, "4": "invalid\n"})])
    assert ("aa-bb", "read", "devid 3") in values(missing, "node_btrfs_device_errors_total")


def test_bcache_set_without_devices() -> None:
    [one] = bcache.parse([bcache.CacheSet("aa-bb", {"congested": "1.5k"})])[3:4]
    assert (one[0].name, list(one[1])) == ("node_bcache_congested", [(("aa-bb",), 1536)])


def test_bcache_priority_stats_on_request() -> None:
    host = Host(sysfs=f"{SERVER}/sys")
    for requested in (True, False):
        metrics = bcache.Bcache(host, None, {"priorityStats": requested}).collect()
        assert bool(values(metrics, "node_bcache_priority_stats_unused_percent")) is requested


def test_bcachefs_of_the_first_kernel_is_parsed() -> None:
    metrics = bcachefs.parse([bcachefs.BcachefsFilesystem("aa-bb", {"btree_cache_size": "1.00M"}, {}, {"0": {}})])
    found = {family.name: list(samples) for family, samples in metrics if samples}
    assert found == {
        "node_bcachefs_info": [(("aa-bb",), 1)],
        "node_bcachefs_btree_cache_size_bytes": [(("aa-bb",), 1 << 20)],
        "node_bcachefs_device_info": [(("aa-bb", "0", "", ""), 1)],
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("512\n", 512), ("0.0k", 0), ("20.4G", 20.4 * (1 << 30)), ("-1.5k", -1536), ("1.50G", 1.5 * (1 << 30))],
)
def test_sizes_are_parsed(text: str, value: float) -> None:
    assert parse_size(text) == int(value)


@pytest.mark.parametrize("text", ["", "k", "1.k", "1,5k", "1.5x", "1.5kk", "N/A", "nan", "--1"])
def test_parse_size_rejects_other_texts(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


def test_suspended_zfs_pool_has_only_its_state() -> None:
    metrics = zfs.parse(zfs.ZfsFiles(pools={"tank": zfs.Pool("SUSPENDED\n")}))
    states = values(metrics, "node_zfs_zpool_state")
    assert states == {("tank", state): int(state == "suspended") for state in zfs.STATES}


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=4), st.text(max_size=8))
def test_btrfs_parser_raises_only_value_and_key_errors(files: dict[str, str], mode: str) -> None:
    named = {"commit_stats": "".join(files), "allocation/global_rsv_size": mode, **files}
    groups = {"data": {f"{mode}/{name}": text for name, text in files.items()}}
    try:
        btrfs.parse([btrfs.BtrfsFilesystem("a-b", named, {}, groups)])
    except (ValueError, KeyError):
        return
