"""Devices with unusual names, and states that the agent does not list: they stay on the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from metricat_agent.collectors import bonding, mdadm, nvme
from metricat_agent.host.hostfs import Host

if TYPE_CHECKING:
    from pathlib import Path

    from metricat_agent.exposition.model import Metrics


def values(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    return {labels: value for family, samples in metrics if family.name == name for labels, value in samples}


def write(root: Path, files: dict[str, str]) -> Host:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Host(procfs=f"{root}/proc", sysfs=f"{root}/sys")


def namespace(path: str, size: int, **more: str) -> dict[str, str]:
    place = f"sys/class/nvme/{path}"
    files = {f"{place}/size": f"{size}\n", f"{place}/queue/logical_block_size": "4096\n"}
    return files | {f"{place}/{name}": text for name, text in more.items()}


@pytest.mark.parametrize(
    ("files", "sizes"),
    [
        ({**namespace("nvme0/nvme1n1", 8), **namespace("nvme1/nvme0n1", 16)}, {("nvme0", "1"): 8, ("nvme1", "1"): 16}),
        (
            {**namespace("nvme0/nvme0c0n1", 8), **namespace("nvme0/nvme0c0n12", 9)},
            {("nvme0", "1"): 8, ("nvme0", "12"): 9},
        ),
        (
            {**namespace("nvme3/nvme0c3n1", 8), **namespace("nvme4/nvme0c4n1", 8)},
            {("nvme3", "1"): 8, ("nvme4", "1"): 8},
        ),
        (
            {**namespace("nvme0/nvme0n1", 8), "sys/class/nvme/nvme0/nvme0c0n1/ana_state": "optimized"},
            {("nvme0", "1"): 8},
        ),
        ({**namespace("nvme0/nvme0n1", 8), **namespace("nvme0/ng0n1", 9)}, {("nvme0", "1"): 8}),
        ({"sys/class/nvme/nvme0/nvme0n1/nuse": "1"}, {}),
    ],
    ids=("by subsystem", "multipath", "two controllers", "both names", "generic", "no size"),
)
def test_nvme_namespace_is_found_under_every_name(
    tmp_path: Path, files: dict[str, str], sizes: dict[tuple[str, str], int]
) -> None:
    controllers = {path.split("/")[3] for path in files}
    host = write(tmp_path, files | {f"sys/class/nvme/{name}/state": "live\n" for name in controllers})
    metrics = nvme.Nvme(host).collect()
    assert values(metrics, "node_nvme_namespace_size_bytes") == {place: 512 * size for place, size in sizes.items()}
    assert {labels[0] for labels in values(metrics, "node_nvme_info")} == controllers
    assert all(len(samples) == len(dict(samples)) for _, samples in metrics)


def test_nvme_namespace_with_one_bad_file_keeps_the_others(tmp_path: Path) -> None:
    collector = nvme.Nvme(write(tmp_path, namespace("nvme0/nvme0n1", 8, nuse="many", ana_state="inaccessible")))
    metrics = collector.collect()
    assert values(metrics, "node_nvme_namespace_info") == {("nvme0", "1", "inaccessible"): 1}
    assert values(metrics, "node_nvme_namespace_size_bytes") == {("nvme0", "1"): 4096}
    assert values(metrics, "node_nvme_namespace_used_bytes") == {}
    assert [reason for reason, _ in collector.host.skips.take()] == ["unparsable"]


BOND = {
    "proc/1/net/dev": "head\nhead\n bond0: 1\n  eth0: 1\n  eth1: 1\n",
    "sys/class/net/bonding_masters": "bond0\n",
    "sys/class/net/bond0/bonding/slaves": "eth0 eth1\n",
}
TABLE = """Ethernet Channel Bonding Driver: v3.7.1

MII Status: up
Slave Interface: eth0
MII Status: up
Speed: 1000 Mbps

Slave Interface: eth1
MII Status: going back
"""


def status(path: str, text: str) -> dict[str, str]:
    return {f"sys/class/net/{path}/bonding_slave/mii_status": f"{text}\n"}


@pytest.mark.parametrize(
    ("files", "active"),
    [
        (status("bond0/lower_eth0", "up") | status("bond0/lower_eth1", "down"), 1),
        (status("bond0/slave_eth0", "up") | status("bond0/slave_eth1", "up"), 2),
        (status("bond0/lower_eth0", "up") | status("bond0/slave_eth1", "up"), 2),
        (status("eth0", "up") | status("eth1", "going down"), 1),
        ({"proc/1/net/bonding/bond0": TABLE}, 1),
        (status("bond0/lower_eth1", "up") | {"proc/1/net/bonding/bond0": TABLE}, 2),
        (status("bond0/lower_eth0", "up"), None),
    ],
    ids=("lower", "slave", "both", "link itself", "table", "table and lower", "unknown"),
)
def test_bond_has_the_state_of_its_links_on_every_kernel(
    tmp_path: Path, files: dict[str, str], active: int | None
) -> None:
    collector = bonding.Bonds(write(tmp_path, {**BOND, **files}))
    metrics = collector.collect()
    assert values(metrics, "node_bonding_slaves") == {("bond0",): 2}
    assert values(metrics, "node_bonding_active") == ({} if active is None else {("bond0",): active})
    assert [reason for reason, _ in collector.host.skips.take()] == ["missing"] * (active is None)


def test_bond_that_cannot_be_read_does_not_cost_the_others(tmp_path: Path) -> None:
    table = "head\nhead\n bond0: 1\n bond1: 1\n"
    host = write(tmp_path, {**BOND, "sys/class/net/bonding_masters": "bond1 bond0\n", "proc/1/net/dev": table})
    assert values(bonding.Bonds(host).collect(), "node_bonding_slaves") == {("bond0",): 2}


def mdstat(head: str, *lines: str) -> str:
    body = "".join(f"      {line}\n" for line in lines)
    return f"Personalities : [raid0] [raid1]\n{head}\n{body}\nunused devices: <none>\n"


@pytest.mark.parametrize(
    ("text", "state", "required", "active"),
    [
        (mdstat("md127 : broken raid0 sdb1[1] sda1[0]", "9 blocks super 1.2 512k chunks"), "broken", 2, 0),
        (mdstat("md_home : broken linear sdb1[1](F) sda1[0]", "9 blocks"), "broken", 1, 0),
        (
            mdstat("md0 : active (auto-read-only) raid1 b[1] a[0]", "9 blocks [2/2] [UU]", "resync=PENDING"),
            "resync",
            2,
            2,
        ),
        (mdstat("md0 : active raid1 b[1] a[0]", "9 blocks [2/1] [U_]", "recover=REMOTE"), "recovering", 2, 1),
        (mdstat("md0 : active raid1 b[1] a[0]", "9 blocks [2/2] [UU]", "\tresync=REMOTE"), "resync", 2, 2),
        (mdstat("md0 : active raid5 c[3](J) b[1] a[0]", "9 blocks [2/2] [UU]", "reshape=DELAYED"), "recovering", 2, 2),
        (
            mdstat("md0 : active raid1 b[1] a[0]", "9 blocks [2/2] [UU]", "[>..]  repair = 5.0% (1/9) finish=1min"),
            "repair",
            2,
            2,
        ),
        (mdstat("md0 : write-pending raid1 b[1] a[0]", "9 blocks [2/2] [UU]"), "write-pending", 2, 2),
        (
            mdstat("md0 : clustered raid1 b[1] a[0]", "9 blocks [2/2] [UU]", "bitmap: 0/7 pages [0KB]"),
            "clustered",
            2,
            2,
        ),
        (mdstat("md127 : inactive sda[1](S) sdb[0](S)", "5928 blocks super external:imsm"), "inactive", 0, 0),
        (mdstat("array : active raid0 c[2](J) b[1] a[0]", "9 blocks"), "active", 2, 2),
    ],
)
def test_raid_of_every_state_is_exposed(text: str, state: str, required: int, active: int) -> None:
    metrics = mdadm.parse(text, {})
    [device] = {device for device, _ in values(metrics, "node_md_state")}
    states = {found: value for (_, found), value in values(metrics, "node_md_state").items()}
    assert [found for found, value in states.items() if value] == [state]
    assert set(states) == {"active", "inactive", "recovering", "resync", "check", state}
    assert values(metrics, "node_md_disks_required") == {(device,): required}
    assert values(metrics, "node_md_disks")[device, "active"] == active


def test_raids_without_an_empty_line_between_them_are_both_exposed() -> None:
    text = "md1 : active raid0 b[1] a[0]\n      9 blocks\nmd2 : broken raid0 d[1] c[0]\n      9 blocks\n"
    assert [(raid.device, raid.state) for raid in mdadm.raids(text)] == [("md1", "active"), ("md2", "broken")]


def test_required_disks_of_a_raid_without_a_count_come_from_sysfs() -> None:
    text = mdstat("md0 : broken raid0 sda[0]", "9 blocks") + mdstat("md1 : active raid1 b[1] a[0]", "9 blocks [2/2]")
    metrics = mdadm.parse(text, {"md0": {"raid_disks": "2"}, "md1": {"raid_disks": "3"}})
    assert values(metrics, "node_md_disks_required") == {("md0",): 2, ("md1",): 2}
