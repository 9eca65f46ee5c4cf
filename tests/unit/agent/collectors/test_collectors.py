"""Collectors on the recorded host, and parsers of single files."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from metricat_agent.collectors import (
    POD_DEVICES,
    Filter,
    cpu,
    cpuinfo,
    diskstats,
    filefd,
    loadavg,
    meminfo,
    netclass,
    netdev,
    stat,
    uname,
)
from metricat_agent.collectors.agent import parse as parse_agent
from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.config.settings import parse
from metricat_agent.host.hostfs import Host

if TYPE_CHECKING:
    from metricat_agent.exposition.model import Metrics

NO_PODS = Filter(exclude=re.compile(POD_DEVICES))
DISKS = Filter(exclude=re.compile(diskstats.NO_DISKS))


def values(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    return {labels: value for family, samples in metrics if family.name == name for labels, value in samples}


def test_load_averages(host: Host) -> None:
    metrics = loadavg.parse(loadavg.read(host))
    assert [(family.name, samples) for family, samples in metrics] == [
        ("node_load1", [((), 0.52)]),
        ("node_load5", [((), 1.25)]),
        ("node_load15", [((), 2.0)]),
    ]


def test_cpu_seconds_are_those_of_online_cpus(host: Host) -> None:
    seconds = values(cpu.Cpu(host).collect(), "node_cpu_seconds_total")
    assert {number for number, _ in seconds} == {"0", "3"}
    assert {mode: seconds["0", mode] for mode in cpu.MODES} == {
        "user": 15.02,
        "nice": 1.0,
        "system": 8.0,
        "idle": 209.3,
        "iowait": 4.2,
        "irq": 0.0,
        "softirq": 0.4,
        "steal": 0.12,
    }


def test_guest_time_has_its_own_family(host: Host) -> None:
    assert values(cpu.Cpu(host).collect(), "node_cpu_guest_seconds_total") == {
        ("0", "user"): 0.9,
        ("0", "nice"): 0.07,
        ("3", "user"): 0.5,
        ("3", "nice"): 0.0,
    }


def test_cpu_modes_that_an_old_kernel_lacks_are_zero() -> None:
    assert cpu.parse("cpu  1 2 3 4\ncpu0 1 2 3 4 5 6 7\nintr 1\n") == {"0": (1, 2, 3, 4, 5, 6, 7, 0, 0, 0)}


BEFORE = dict(zip(cpu.MODES, (50_000, 1_000, 9_000, 100_000, 900_000, 400, 700, 6_000), strict=True))


def ticks(modes: dict[str, int]) -> cpu.Ticks:
    return {"0": (*modes.values(), 0, 0)}


@pytest.mark.parametrize(
    ("changed", "kept"),
    [
        ({"idle": 99_900}, {"idle": 100_000}),
        ({"idle": 100_500, "iowait": 899_000}, {"iowait": 900_000}),
        ({"idle": 999_000, "iowait": 100}, {"iowait": 900_000}),
        ({"idle": 100_000, "iowait": 0}, {"iowait": 900_000}),
        ({"idle": 5_000, "iowait": 995_100}, {"idle": 100_000}),
        ({"idle": 100_500, "steal": 5}, {"steal": 6_000}),
        ({"idle": 100_500, "softirq": 50, "iowait": 7}, {"softirq": 700, "iowait": 900_000}),
        ({"idle": 100_500, "system": 2_000}, {"system": 9_000}),
    ],
)
def test_cpu_counter_that_steps_back_keeps_its_value(changed: dict[str, int], kept: dict[str, int]) -> None:
    now = {**BEFORE, "user": 50_010, **changed}
    assert cpu.monotonic(ticks(BEFORE), ticks(now)) == ticks({**now, **kept})


@pytest.mark.parametrize(
    "now",
    [
        dict.fromkeys(cpu.MODES, 3),
        {**BEFORE, "user": 50_001, "idle": 20, "iowait": 1},
        {**dict.fromkeys(cpu.MODES, 3), "idle": 100_500},
        {**BEFORE, "idle": 20, "iowait": 1, "steal": 10},
    ],
    ids=("all counters", "idle and iowait", "a virtual machine that idles", "steal as well"),
)
def test_cpu_that_restarts_its_counters_is_exposed_with_them(now: dict[str, int]) -> None:
    assert cpu.monotonic(ticks(BEFORE), ticks(now)) == ticks(now)


def test_small_decrease_during_a_restart_is_ignored() -> None:
    now = {**BEFORE, "idle": 20, "iowait": 1, "steal": 5_900}
    assert cpu.monotonic(ticks(BEFORE), ticks(now)) == ticks({**now, "steal": 6_000})


def test_guest_time_that_steps_back_keeps_its_value() -> None:
    before, now = (*BEFORE.values(), 900, 800), (*BEFORE.values(), 100, 900)
    assert cpu.monotonic({"0": before}, {"0": now}) == {"0": (*BEFORE.values(), 900, 900)}


def test_new_cpu_starts_with_its_own_counters() -> None:
    assert cpu.monotonic({}, ticks(BEFORE)) == ticks(BEFORE)


def test_offline_cpu_has_no_series_and_continues_its_counters(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("cpu0 1 0 0 9 0\ncpu1 9 0 0 900 90000\n")
    collector = cpu.Cpu(Host(procfs=str(tmp_path), sysfs=str(tmp_path)))
    collector.collect()
    (tmp_path / "stat").write_text("cpu0 2 0 0 9 0\n")
    assert {number for number, _ in values(collector.collect(), "node_cpu_seconds_total")} == {"0"}
    (tmp_path / "stat").write_text("cpu0 2 0 0 9 0\ncpu1 9 0 0 950 70000\n")
    found = values(collector.collect(), "node_cpu_seconds_total")
    assert (found["1", "idle"], found["1", "iowait"]) == (9.5, 900)


CPUS = """processor\t: 0
cpu MHz\t\t: 799.998
physical id\t: 0
core id\t\t: 4
flags\t\t: fpu aes avx

processor\t: 1
cpu MHz\t\t: 3401.005
physical id\t: 1
core id\t\t: 5

Hardware\t: a board
"""


def test_cpuinfo_has_properties_and_frequencies() -> None:
    metrics = cpuinfo.parse(CPUS, Filter(include=re.compile("^a")), Filter(include=re.compile("(?!)")))
    assert values(metrics, "node_cpu_frequency_hertz") == {("0", "4", "0"): 799_998_000, ("1", "5", "1"): 3_401_005_000}
    assert values(metrics, "node_cpu_flag_info") == {("aes",): 1, ("avx",): 1}
    assert [labels[:3] for labels in values(metrics, "node_cpu_info")] == [("0", "4", "0"), ("1", "5", "1")]


def test_cpu_frequency_has_one_source(tmp_path: Path) -> None:
    """If the hardware reports it, cpufreq exposes it. Otherwise cpu exposes that of /proc/cpuinfo on request."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/stat").write_text("cpu  1 2 3 4\ncpu0 1 2 3 4\n")
    (tmp_path / "proc/cpuinfo").write_text(CPUS)
    files = tmp_path / "sys/devices/system/cpu/cpu0/cpufreq"
    files.mkdir(parents=True)
    (files / "scaling_cur_freq").write_text("800000\n")
    arguments = ["--collector.disable-defaults", "--collector.cpu", "--collector.cpu.info", "--collector.cpufreq"]
    chosen = parse(arguments, {}, COLLECTORS).collectors

    def frequencies() -> list[tuple[str, ...]]:
        host = Host(procfs=f"{tmp_path}/proc", sysfs=f"{tmp_path}/sys")
        metrics = [COLLECTORS[name](host, None, one.options).collect() for name, one in chosen.items()]
        return sorted(labels for one in metrics for labels in values(one, "node_cpu_frequency_hertz"))

    assert frequencies() == [("0", "4", "0"), ("1", "5", "1")]
    (files / "cpuinfo_cur_freq").write_text("801000\n")
    assert frequencies() == [("0",)]


def test_stat_has_the_totals_since_boot(host: Host) -> None:
    assert {family.name: samples for family, samples in stat.parse(stat.read(host))} == {
        "node_intr_total": [((), 1237827)],
        "node_context_switches_total": [((), 1747262)],
        "node_boot_time_seconds": [((), 1795253636)],
        "node_forks_total": [((), 48213)],
        "node_procs_running": [((), 3)],
        "node_procs_blocked": [((), 1)],
    }


def test_soft_interrupts_on_request() -> None:
    text = "ctxt 7\nsoftirq 55 1 2 3 4 5 6 7 8 9 10\n"
    assert values(stat.parse(text), "node_softirqs_total") == {}
    found = values(stat.parse(text, softirqs=True), "node_softirqs_total")
    assert found == {(kind,): number for number, kind in enumerate(stat.VECTORS, 1)}


def test_softirq_flag_adds_soft_interrupts(host: Host) -> None:
    for flag, expected in (("--collector.stat.softirq", True), ("--no-collector.stat.softirq", False), ("", False)):
        chosen = parse([flag] if flag else [], {}, COLLECTORS).collectors["stat"]
        assert bool(values(stat.Stat(host, None, chosen.options).collect(), "node_softirqs_total")) is expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("node_memory_MemTotal_bytes", 24684100 * 1024),
        ("node_memory_Active_anon_bytes", 961204 * 1024),
        ("node_memory_Inactive_file_bytes", 1224000 * 1024),
        ("node_memory_Committed_AS_bytes", 1923000 * 1024),
        ("node_memory_HugePages_Total", 4),
        ("node_memory_Hugepagesize_bytes", 2048 * 1024),
        ("node_memory_NewInLinux99_bytes", 12 * 1024),
    ],
)
def test_meminfo_has_every_field(host: Host, name: str, value: float) -> None:
    assert values(meminfo.parse(meminfo.read(host)), name) == {(): value}


def test_filefd_has_handles_and_their_limit(host: Host) -> None:
    metrics = filefd.parse(filefd.read(host))
    assert values(metrics, "node_filefd_allocated") == {(): 7584}
    assert values(metrics, "node_filefd_maximum") == {(): 9223372036854775807}


@pytest.mark.parametrize(
    ("release", "required", "value"),
    [
        ("ID=debian\n", False, {(): 0}),
        ("ID=debian\n", True, {(): 1}),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"\n', False, {(): 0}),
        ("ID=rhel\n", False, {}),
        ("ID=flatcar\n", True, {(): 1}),
    ],
)
def test_reboot_is_required_while_the_file_exists(
    tmp_path: Path, release: str, *, required: bool, value: dict[tuple[str, ...], float]
) -> None:
    """Only packages of Debian and its derivatives create the file: elsewhere, its absence means nothing."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "etc" / "os-release").write_text(release)
    file = tmp_path / "run" / "reboot-required"
    collector = COLLECTORS["os"](Host(rootfs=str(tmp_path)), {}, {})
    for exists in (not required, required, required):
        file.touch() if exists else file.unlink(missing_ok=True)
        found = collector.collect()
    assert values(found, "node_reboot_required") == value


def test_uname_has_the_node_name_if_known() -> None:
    machine = os.uname_result(("Linux", "the-pod", "6.1", "#1", "x86_64"))
    [(_, named)] = uname.parse(machine, "(none)", "node-7")
    [(_, unnamed)] = uname.parse(machine, "(none)", "")
    assert named == [(("Linux", "6.1", "#1", "x86_64", "node-7", "(none)"), 1)]
    assert unnamed == [(("Linux", "6.1", "#1", "x86_64", "the-pod", "(none)"), 1)]


def test_agent_has_its_memory_and_cpu_time() -> None:
    metrics = parse_agent("9000 4000 1500 1 0 2000 0", 4096, 1.5)
    assert values(metrics, "metricat_agent_resident_memory_bytes") == {(): 4000 * 4096}
    assert values(metrics, "metricat_agent_cpu_seconds_total") == {(): 1.5}


def test_default_filter_excludes_partitions_and_loop_devices(host: Host) -> None:
    metrics = diskstats.parse(*diskstats.read(host, DISKS))
    assert set(values(metrics, "node_disk_reads_completed_total")) == {("sda",), ("cciss/c0d0",), ("nvme0n1",)}


def test_diskstats_has_all_columns_of_a_disk(host: Host) -> None:
    metrics = diskstats.parse(*diskstats.read(host, Filter(include=re.compile("^sda$"))))
    assert {family.name.removeprefix("node_disk_"): samples[0][1] for family, samples in metrics[1:] if samples} == {
        "reads_completed_total": 25354,
        "reads_merged_total": 6,
        "read_bytes_total": 4367880 * 512,
        "read_time_seconds_total": 15.532,
        "writes_completed_total": 180422,
        "writes_merged_total": 35012,
        "written_bytes_total": 8412362 * 512,
        "write_time_seconds_total": 131.456,
        "io_now": 2,
        "io_time_seconds_total": 24.532,
        "io_time_weighted_seconds_total": 150.999,
        "discards_completed_total": 6444,
        "discards_merged_total": 37,
        "discarded_sectors_total": 669648,
        "discard_time_seconds_total": 2.267,
        "flush_requests_total": 1125,
        "flush_requests_time_seconds_total": 0.071,
    }


def test_disks_of_old_kernels_have_no_series_of_discards_and_flushes(host: Host) -> None:
    metrics = diskstats.parse(*diskstats.read(host, DISKS))
    assert set(values(metrics, "node_disk_discards_completed_total")) == {("sda",), ("nvme0n1",)}
    assert set(values(metrics, "node_disk_flush_requests_total")) == {("sda",)}


def test_disk_info_has_the_hardware_of_a_disk(host: Host) -> None:
    infos = values(diskstats.parse(*diskstats.read(host, DISKS)), "node_disk_info")
    path, wwn = "pci-0000:00:1f.2-ata-1", "0x5002538e40a1b2c3"
    assert infos == {
        ("sda", "8", "0", path, wwn, "Example_Disk", "S4X123", "1.0=beta", "0"): 1,
        ("cciss/c0d0", "104", "0", "", "", "", "", "", "1"): 1,
        ("nvme0n1", "259", "0", "", "", "", "", "", ""): 1,
    }


def test_netdev_has_all_columns_of_a_device(host: Host) -> None:
    metrics = netdev.parse(netdev.read(host), Filter(include=re.compile("^eth0$")))
    assert {family.name.removeprefix("node_network_"): samples for family, samples in metrics} == {
        f"{name}_total": [(("eth0",), value)]
        for name, value in {
            "receive_bytes": 919210635,
            "receive_packets": 61284,
            "receive_errs": 1,
            "receive_drop": 2,
            "receive_fifo": 3,
            "receive_frame": 4,
            "receive_compressed": 5,
            "receive_multicast": 6,
            "transmit_bytes": 5294136,
            "transmit_packets": 48019,
            "transmit_errs": 7,
            "transmit_drop": 8,
            "transmit_fifo": 9,
            "transmit_colls": 10,
            "transmit_carrier": 11,
            "transmit_compressed": 12,
        }.items()
    }


def test_default_filter_excludes_devices_of_pods(host: Host) -> None:
    received = values(netdev.parse(netdev.read(host), NO_PODS), "node_network_receive_bytes_total")
    assert received == {("lo",): 3293, ("eth0",): 919210635, ("eth0:1",): 100, ("bond0",): 2**64 - 1}


def attributes(host: Host, monkeypatch: pytest.MonkeyPatch) -> Metrics:
    monkeypatch.setattr(netclass, "device_of", lambda _: os.makedev(0, 22))
    return netclass.parse(netclass.read(host, netclass.host_devices(host, host.sys_names("class/net"), NO_PODS)))


def test_state_of_devices_from_the_hosts_sysfs(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = attributes(host, monkeypatch)
    assert values(metrics, "node_network_up") == {("bond0",): 0, ("eth0",): 1, ("lo",): 0}
    assert values(metrics, "node_network_mtu_bytes")["eth0",] == 9001
    assert values(metrics, "node_network_flags")["eth0",] == 0x1003
    assert ("eth0", "52:54:00:12:34:56", "ff:ff:ff:ff:ff:ff", "full", "up", "up", 'to the "core"') in values(
        metrics, "node_network_info"
    )


def test_link_without_speed_and_carrier_has_no_such_series(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = attributes(host, monkeypatch)
    assert values(metrics, "node_network_speed_bytes") == {("eth0",): 1_250_000_000}
    assert set(values(metrics, "node_network_carrier")) == {("eth0",), ("lo",)}


def test_switched_off_device_has_no_speed_until_it_is_switched_on(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(netclass, "device_of", lambda _: os.makedev(0, 22))
    for name in ("proc", "sys"):
        shutil.copytree(Path(host.procfs).parent / name, tmp_path / name)
    collector = netclass.NetworkClass(replace(host, procfs=f"{tmp_path}/proc", sysfs=f"{tmp_path}/sys"))
    flags = tmp_path / "sys/class/net/eth0/flags"
    for text, has_speed in (("0x1003", True), ("0x1002", False), ("0x1003", True), ("odd", True)):
        flags.write_text(f"{text}\n")
        for _ in range(2):
            metrics = collector.collect()
            assert (("eth0",) in values(metrics, "node_network_speed_bytes")) == has_speed
            assert ("eth0",) in values(metrics, "node_network_mtu_bytes")


def test_carrier_changes_are_the_sum_of_ups_and_downs(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(netclass, "device_of", lambda _: os.makedev(0, 22))
    for name in ("proc", "sys"):
        shutil.copytree(Path(host.procfs).parent / name, tmp_path / name)
    collector = netclass.NetworkClass(replace(host, procfs=f"{tmp_path}/proc", sysfs=f"{tmp_path}/sys"))
    eth0 = tmp_path / "sys/class/net/eth0"
    for ups, downs in ((1, 1), (5, 4), (5, None)):
        (eth0 / "carrier_up_count").write_text(f"{ups}\n")
        (eth0 / "carrier_down_count").unlink()
        if downs is not None:
            (eth0 / "carrier_down_count").write_text(f"{downs}\n")
        changes = values(collector.collect(), "node_network_carrier_changes_total")["eth0",]
        assert changes == (ups + downs if downs is not None else 3), "3 is the number in the file carrier_changes"


def test_loopback_device_without_speed_counts_no_skip() -> None:
    collector = netclass.NetworkClass(Host())
    for _ in range(2):
        collector.host.skips.take()
        collector.collect()
    skipped = collector.host.skips.take()
    assert [part for _, part in skipped if "/lo/" in part] == []


def test_netclass_follows_added_and_removed_devices(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(netclass, "device_of", lambda _: os.makedev(0, 22))
    for name in ("proc", "sys"):
        shutil.copytree(Path(host.procfs).parent / name, tmp_path / name)
    collector = netclass.NetworkClass(replace(host, procfs=f"{tmp_path}/proc", sysfs=f"{tmp_path}/sys"))
    first = collector.collect()
    assert collector.collect() is first, "the same object while no file changes"
    eth0 = tmp_path / "sys" / "class" / "net" / "eth0"
    (eth0 / "mtu").write_text("1500\n")
    assert values(collector.collect(), "node_network_mtu_bytes")["eth0",] == 1500
    with (tmp_path / "proc" / "1" / "net" / "dev").open("a") as table:
        table.write("  eth9: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n")
    shutil.copytree(eth0, eth0.parent / "eth9")
    assert ("eth9",) in values(collector.collect(), "node_network_up")
    shutil.rmtree(eth0.parent / "eth9")
    assert ("eth9",) not in values(collector.collect(), "node_network_up")


def test_netclass_rejects_the_sysfs_of_a_pod_and_accepts_a_recording(host: Host, tmp_path: Path) -> None:
    assert netclass.is_host_sysfs(host)
    device = Path(host.sysfs).stat().st_dev
    mounted = f"9 1 {os.major(device)}:{os.minor(device)} / /host/sys ro - sysfs sysfs ro\n"
    (tmp_path / "mountinfo").write_text(mounted)
    with pytest.raises(netclass.NotHostNetworkError, match=r"--path\.sysfs.*--no-collector\.netclass"):
        netclass.NetworkClass(replace(host, self_proc=str(tmp_path))).collect()
