"""The agent in a pod: as nobody, in namespaces of its own, it tells the node's numbers and not the pod's.

A process in namespaces plays the node, another below it the pod; nothing outside of them is touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from metricat_agent.collectors import Filter, netdev
from support.paths import ROOT

if TYPE_CHECKING:
    from unit.agent.conftest import Scrape

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root makes namespaces of every kind"),
    pytest.mark.skipif(
        not all(map(shutil.which, ("unshare", "setpriv", "ip"))), reason="needs util-linux and iproute2"
    ),
]
HERE = Path(__file__).parent
SOURCE = ROOT / "agent" / "src"


class Pod:
    """What the node said of itself, and the agent of the node."""

    def __init__(self, out: Path, read: type[Scrape]) -> None:
        self.out = out
        self.scrape = read((out / "metrics").read_text())
        self.scrape_as_root = read((out / "metrics.root").read_text())
        self.scrape_with_pod_sysfs = read((out / "metrics.pod-sysfs").read_text())
        self.log = (out / "log").read_text()
        self.log_with_pod_sysfs = (out / "log.pod-sysfs").read_text()

    def said(self, name: str) -> str:
        return (self.out / name).read_text()

    def filesystem(self, name: str) -> dict[str, float]:
        """A family of filesystems by mount point, of those that the test made."""
        found = self.scrape.of(f"node_filesystem_{name}")
        return {point: value for (_, _, point), value in found.items() if point.startswith("/mnt/")}


def pod(out: Path, propagation: str, read: type[Scrape]) -> Pod:
    subprocess.run(
        (
            *("unshare", "--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child"),
            *("--propagation", "private", "sh", HERE / "node.sh", out, sys.base_prefix, SOURCE, propagation),
        ),
        check=True,
        timeout=60,
    )
    return Pod(out, read)


@pytest.fixture(scope="module")
def in_pod(tmp_path_factory: pytest.TempPathFactory, scrape_type: type[Scrape]) -> Pod:
    """A pod whose mounts of the host are HostToContainer, as the operator makes them."""
    return pod(tmp_path_factory.mktemp("slave"), "slave", scrape_type)


def test_nothing_fails(in_pod: Pod) -> None:
    assert in_pod.log == ""
    assert set(in_pod.scrape.of("node_scrape_collector_success").values()) == {1}


MISSING_IN_A_POD = {"node_time_zone_offset_seconds"}
"""The zone is that of the container's own files, the node's is not known there: docs/reference/agent.md says so."""


def test_what_a_pod_does_not_see_and_root_on_the_node_does(in_pod: Pod) -> None:
    root = in_pod.scrape_as_root
    assert len(root.names) > 200
    assert root.names - in_pod.scrape.names == MISSING_IN_A_POD
    hidden = {
        (name, labels.get("mountpoint"))
        for name, pairs in root.series.keys() - in_pod.scrape.series.keys()
        if (labels := dict(pairs)).get("mountpoint", "").startswith("/mnt/")
    }
    assert {point for _, point in hidden} == {"/mnt/closed/inner"}, "below a directory that nobody may enter"


def test_the_node_s_network_and_not_the_pods(in_pod: Pod) -> None:
    before, after = (netdev.parse(in_pod.said(f"net-dev-{when}"), Filter()) for when in ("before", "after"))
    for (family, first), (_, last) in zip(before, after, strict=True):
        told = in_pod.scrape.of(family.name)
        assert set(told) == set(dict(first))
        assert all(dict(first)[device] <= told[device] <= dict(last)[device] for device in told)
    assert (in_pod.scrape.get("node_network_receive_bytes_total", device="lo") or 0) > 900
    assert set(in_pod.scrape.of("node_network_mtu_bytes")) == {("lo",), ("wire0",), ("wire1",)}
    assert in_pod.scrape.get("node_network_mtu_bytes", device="wire0") == 1400
    assert in_pod.scrape.get("node_network_up", device="wire0") == 1
    assert in_pod.scrape.get("node_network_speed_bytes", device="wire0") == 1_250_000_000


def test_a_sysfs_of_the_pod_is_not_taken_for_the_nodes(in_pod: Pod) -> None:
    scrape = in_pod.scrape_with_pod_sysfs
    assert scrape.get("node_scrape_collector_success", collector="netclass") == 0
    assert not scrape.of("node_network_up")
    assert scrape.of("node_network_receive_bytes_total")
    assert "--path.sysfs" in in_pod.log_with_pod_sysfs


def test_the_nodes_processors(in_pod: Pod) -> None:
    def forks(text: str) -> int:
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("processes"))

    told = in_pod.scrape.get("node_forks_total")
    assert told is not None
    assert forks(in_pod.said("stat-before")) < told < forks(in_pod.said("stat-after"))
    assert len(in_pod.scrape.of("node_cpu_seconds_total")) == 8 * (os.cpu_count() or 0)


def test_the_nodes_name(in_pod: Pod) -> None:
    [labels] = in_pod.scrape.of("node_uname_info")
    assert "node-7" in labels


def test_sizes_at_the_hosts_paths(in_pod: Pod) -> None:
    assert in_pod.filesystem("size_bytes") == {
        "/mnt/with blank": 3 << 20,
        "/mnt/read-only": 4 << 20,
        "/mnt/late": 5 << 20,
    }
    truth = os.statvfs("/")
    sizes = in_pod.scrape.of("node_filesystem_size_bytes")
    assert {value for (_, _, point), value in sizes.items() if point == "/"} <= {truth.f_blocks * truth.f_frsize}


def test_read_only_is_what_the_host_mounted_so(in_pod: Pod) -> None:
    assert in_pod.filesystem("readonly") == {
        "/mnt/with blank": 0,
        "/mnt/read-only": 1,
        "/mnt/late": 0,
        "/mnt/closed/inner": 0,
    }


def test_where_nobody_may_not_look_is_an_error(in_pod: Pod) -> None:
    assert in_pod.filesystem("device_error") == {
        "/mnt/with blank": 0,
        "/mnt/read-only": 0,
        "/mnt/late": 0,
        "/mnt/closed/inner": 1,
    }


def test_a_mount_that_did_not_propagate_is_an_error(
    tmp_path_factory: pytest.TempPathFactory, scrape_type: type[Scrape]
) -> None:
    late = pod(tmp_path_factory.mktemp("private"), "private", scrape_type)
    assert late.filesystem("device_error")["/mnt/late"] == 1
    assert "/mnt/late" not in late.filesystem("size_bytes")
