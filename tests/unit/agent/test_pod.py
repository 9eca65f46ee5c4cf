"""The agent in a pod, as an unprivileged user in its own namespaces, exposes the node's numbers and not the pod's.

One process in namespaces simulates the node, and another one below it the pod. Nothing outside of them is changed.
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
    """The values that the node reported, and the agent's scrapes of the node."""

    def __init__(self, out: Path, read: type[Scrape]) -> None:
        self.out = out
        self.scrape = read((out / "metrics").read_text())
        self.scrape_as_root = read((out / "metrics.root").read_text())
        self.scrape_with_pod_sysfs = read((out / "metrics.pod-sysfs").read_text())
        self.log = (out / "log").read_text()
        self.log_with_pod_sysfs = (out / "log.pod-sysfs").read_text()

    def reported(self, name: str) -> str:
        return (self.out / name).read_text()

    def filesystem(self, name: str) -> dict[str, float]:
        """Return a filesystem metric by mount point, for the mounts that the test made."""
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
    """A pod whose mounts of the host have HostToContainer propagation, as in the operator's DaemonSet."""
    return pod(tmp_path_factory.mktemp("slave"), "slave", scrape_type)


def test_every_collector_works(in_pod: Pod) -> None:
    assert in_pod.log == ""
    assert set(in_pod.scrape.of("node_scrape_collector_success").values()) == {1}


MISSING_IN_A_POD = {"node_time_zone_offset_seconds"}
"""The zone comes from the container's files and may differ from the node's: see docs/reference/agent.md."""


def test_pod_lacks_only_the_documented_metrics(in_pod: Pod) -> None:
    root = in_pod.scrape_as_root
    assert len(root.names) > 200
    assert root.names - in_pod.scrape.names == MISSING_IN_A_POD
    hidden = {
        (name, labels.get("mountpoint"))
        for name, pairs in root.series.keys() - in_pod.scrape.series.keys()
        if (labels := dict(pairs)).get("mountpoint", "").startswith("/mnt/")
    }
    assert {point for _, point in hidden} == {"/mnt/closed/inner"}, "below a directory that only root may enter"


def test_network_metrics_are_those_of_the_node(in_pod: Pod) -> None:
    before, after = (netdev.parse(in_pod.reported(f"net-dev-{when}"), Filter()) for when in ("before", "after"))
    for (family, first), (_, last) in zip(before, after, strict=True):
        exposed = in_pod.scrape.of(family.name)
        assert set(exposed) == set(dict(first))
        assert all(dict(first)[device] <= exposed[device] <= dict(last)[device] for device in exposed)
    assert (in_pod.scrape.get("node_network_receive_bytes_total", device="lo") or 0) > 900
    assert set(in_pod.scrape.of("node_network_mtu_bytes")) == {("lo",), ("wire0",), ("wire1",)}
    assert in_pod.scrape.get("node_network_mtu_bytes", device="wire0") == 1400
    assert in_pod.scrape.get("node_network_up", device="wire0") == 1
    assert in_pod.scrape.get("node_network_speed_bytes", device="wire0") == 1_250_000_000


def test_sysfs_of_the_pod_is_rejected(in_pod: Pod) -> None:
    scrape = in_pod.scrape_with_pod_sysfs
    assert scrape.get("node_scrape_collector_success", collector="netclass") == 0
    assert not scrape.of("node_network_up")
    assert scrape.of("node_network_receive_bytes_total")
    assert "--path.sysfs" in in_pod.log_with_pod_sysfs


def test_cpu_metrics_are_those_of_the_node(in_pod: Pod) -> None:
    def forks(text: str) -> int:
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("processes"))

    exposed = in_pod.scrape.get("node_forks_total")
    assert exposed is not None
    assert forks(in_pod.reported("stat-before")) < exposed < forks(in_pod.reported("stat-after"))
    assert len(in_pod.scrape.of("node_cpu_seconds_total")) == 8 * (os.cpu_count() or 0)


def test_uname_has_the_name_of_the_node(in_pod: Pod) -> None:
    [labels] = in_pod.scrape.of("node_uname_info")
    assert "node-7" in labels


def test_filesystem_sizes_have_the_paths_of_the_host(in_pod: Pod) -> None:
    assert in_pod.filesystem("size_bytes") == {
        "/mnt/with blank": 3 << 20,
        "/mnt/read-only": 4 << 20,
        "/mnt/late": 5 << 20,
    }
    truth = os.statvfs("/")
    sizes = in_pod.scrape.of("node_filesystem_size_bytes")
    assert {value for (_, _, point), value in sizes.items() if point == "/"} <= {truth.f_blocks * truth.f_frsize}


def test_readonly_follows_the_mount_options_of_the_host(in_pod: Pod) -> None:
    assert in_pod.filesystem("readonly") == {
        "/mnt/with blank": 0,
        "/mnt/read-only": 1,
        "/mnt/late": 0,
        "/mnt/closed/inner": 0,
    }


def test_unreachable_filesystem_has_a_device_error(in_pod: Pod) -> None:
    assert in_pod.filesystem("device_error") == {
        "/mnt/with blank": 0,
        "/mnt/read-only": 0,
        "/mnt/late": 0,
        "/mnt/closed/inner": 1,
    }


def test_mount_that_did_not_propagate_has_a_device_error(
    tmp_path_factory: pytest.TempPathFactory, scrape_type: type[Scrape]
) -> None:
    late = pod(tmp_path_factory.mktemp("private"), "private", scrape_type)
    assert late.filesystem("device_error")["/mnt/late"] == 1
    assert "/mnt/late" not in late.filesystem("size_bytes")
