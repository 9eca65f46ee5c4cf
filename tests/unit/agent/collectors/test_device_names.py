"""Devices with unusual names, and states that the agent does not list: they stay on the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from metricat_agent.collectors import Filter, bonding, btrfs, cpu, cpufreq, edac, mdadm, nvme, tcpstat, zfs
from metricat_agent.host.hostfs import Host
from metricat_agent.host.skips import Skips

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


def test_unreadable_bond_does_not_affect_other_bonds(tmp_path: Path) -> None:
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


def test_line_that_is_not_a_raid_is_counted() -> None:
    skips = Skips()
    text = "Personalities : [raid1]\nmd0 is odd\nmd1 : active raid1 b[1] a[0]\n      9 blocks [2/2] [UU]\n"
    metrics = mdadm.parse(text + "unused devices: <none>\n", {}, skips)
    assert values(metrics, "node_md_disks_required") == {("md1",): 2}
    assert list(skips.take()) == [("unparsable", "mdstat md0")]


def group(path: str, total: int, used: int | None = 1) -> dict[str, str]:
    place = f"sys/fs/btrfs/a-b/allocation/{path}"
    return {f"{place}/total_bytes": f"{total}\n"} | ({} if used is None else {f"{place}/used_bytes": f"{used}\n"})


@pytest.mark.parametrize(
    ("files", "sizes", "ratios"),
    [
        (group("data/single", 8) | group("data/raid1", 16), {("data", "single"): 8, ("data", "raid1"): 16}, {1, 2}),
        (group("mixed/dup", 8) | group("system/dup", 4), {("mixed", "dup"): 8, ("system", "dup"): 4}, {2}),
        (group("data/raid7", 8) | group("data/single", 2), {("data", "raid7"): 8, ("data", "single"): 2}, {1}),
        (group("metadata-remap/raid1", 8), {("metadata-remap", "raid1"): 8}, {2}),
        (group("data/data-reloc", 8, None) | group("data/single", 2), {("data", "single"): 2}, {1}),
    ],
    ids=("two profiles", "mixed", "unknown profile", "unknown group", "group in a group"),
)
def test_btrfs_space_of_every_group_and_profile_is_exposed(
    tmp_path: Path, files: dict[str, str], sizes: dict[tuple[str, str], int], ratios: set[int]
) -> None:
    plain = {f"sys/fs/btrfs/a-b/{name}": "1\n" for name in ("label", "allocation/global_rsv_size", "devices/sda/size")}
    collector = btrfs.Btrfs(write(tmp_path, files | plain | {"sys/fs/btrfs/a-b/allocation/data/flags": "1\n"}))
    metrics = collector.collect()
    assert {labels[1:]: value for labels, value in values(metrics, "node_btrfs_size_bytes").items()} == sizes
    assert set(values(metrics, "node_btrfs_used_bytes").values()) == {1}
    assert set(values(metrics, "node_btrfs_allocation_ratio").values()) == ratios
    assert {reason for reason, _ in collector.host.skips.take()} == (
        {"unknown"} if ("data", "raid7") in sizes else set()
    )


def test_zfs_pool_in_an_unknown_state_is_exposed() -> None:
    states = values(zfs.parse(zfs.ZfsFiles(pools={"tank": zfs.Pool("RESILVERING\n")})), "node_zfs_zpool_state")
    assert states == {("tank", state): 0 for state in zfs.STATES} | {("tank", "resilvering"): 1}


@pytest.mark.parametrize("available", ["performance powersave", "", "performance schedutil"])
def test_active_governor_that_the_kernel_does_not_list_is_exposed(available: str) -> None:
    files = {"scaling_governor": "schedutil", "scaling_available_governors": available}
    found = values(cpufreq.parse({"0": files}), "node_cpu_scaling_governor")
    assert found == {("0", name): int(name == "schedutil") for name in {*available.split(), "schedutil"}}


def test_connections_in_an_unknown_state_are_exposed() -> None:
    table = "head\n" + "".join(f"{at}: 00:01 00:02 {state} 0\n" for at, state in enumerate(("01", "0D", "0D")))
    found = values(tcpstat.parse({"net/tcp": table}), "node_tcp_connection_states")
    assert found == {("established",): 1, ("state_13",): 2}


def test_memory_errors_of_kernels_without_rows_are_those_of_their_modules(tmp_path: Path) -> None:
    place = "sys/devices/system/edac/mc/mc0"
    files = {f"{place}/ce_count": "3\n", f"{place}/ue_count": "0\n"}
    for name, label, location in (
        ("dimm0", "CPU_SrcID#0_MC#0_Chan#1_DIMM#0", "channel 1 slot 0 "),
        ("dimm4", "", "memory 4 "),
        ("rank2", "mc#0csrow#1channel#0", "csrow 1 channel 0 "),
    ):
        texts = {"dimm_ce_count": "3", "dimm_ue_count": "1", "dimm_label": label, "dimm_location": location}
        files |= {f"{place}/{name}/{file}": f"{text}\n" for file, text in texts.items()}
    metrics = edac.MemoryErrors(write(tmp_path, files)).collect()
    assert values(metrics, "node_edac_correctable_errors_total") == {("0",): 3}
    assert values(metrics, "node_edac_channel_correctable_errors_total") == {
        ("0", "unknown", "1", "CPU_SrcID0_MC0_Chan1_DIMM0"): 3,
        ("0", "unknown", "unknown", "dimm4"): 3,
        ("0", "1", "0", "mc0_csrow1_channel0"): 3,
    }
    assert set(values(metrics, "node_edac_channel_uncorrectable_errors_total").values()) == {1}


@pytest.mark.parametrize("text", [None, "cpu\t\t: UltraSparc T2 (Niagara2)\n"])
def test_cpu_times_do_not_depend_on_cpuinfo(tmp_path: Path, text: str | None) -> None:
    host = write(tmp_path, {"proc/stat": "cpu0 1 2 3 4\n"} | ({} if text is None else {"proc/cpuinfo": text}))
    collector = cpu.Cpu(host, None, {"info": True, "info.flags-include": Filter(), "info.bugs-include": Filter()})
    assert len(values(collector.collect(), "node_cpu_seconds_total")) == 8
    assert [reason for reason, _ in collector.host.skips.take()] == ["unparsable"] * (text is not None)
