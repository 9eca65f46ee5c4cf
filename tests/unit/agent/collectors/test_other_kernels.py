"""Files of other kernels: unknown names stay on the page, and a damaged line costs only its own series."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from metricat_agent.collectors import (
    POD_DEVICES,
    cpu,
    filesystem,
    meminfo,
    netclass,
    nfs,
    processes,
    schedstat,
    sockstat,
    stat,
    textfile,
    vmstat,
    zfs,
)
from metricat_agent.collectors import pattern as compiled
from metricat_agent.host.hostfs import Host
from metricat_agent.host.skips import Skips, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metricat_agent.exposition.model import Metrics


def values(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    return {labels: value for family, samples in metrics if family.name == name for labels, value in samples}


def value(metrics: Metrics, name: str) -> float | None:
    return values(metrics, name).get(())


@pytest.mark.parametrize(("speed", "known"), [("4294967295", False), ("65535", False), ("-1", False), ("400000", True)])
def test_unknown_speed_of_an_older_kernel_has_no_series(speed: str, known: bool) -> None:  # noqa: FBT001 -- a parameter
    metrics = netclass.parse({"eth0": {"speed": speed, "operstate": "up"}})
    assert values(metrics, "node_network_speed_bytes") == ({("eth0",): 50_000_000_000} if known else {})
    assert values(metrics, "node_network_up") == {("eth0",): 1}


def procedures(number: int) -> str:
    return f"{number} {' '.join(map(str, range(number)))}"


def test_nfs_client_exposes_every_procedure_of_version_4() -> None:
    skips = Skips()
    metrics = nfs.parse_client(f"net 0 0 0 0\nrpc 1 2 3\nproc4 {procedures(71)}\n", skips)
    found = {method: count for (_, method), count in values(metrics, "node_nfs_requests_total").items()}
    assert sorted(found.values()) == list(range(71))
    # the order of include/linux/nfs4.h
    known = {"LayoutGet": 44, "GetDeviceInfo": 45, "Clone": 58, "Copy": 59, "GetXattr": 64, "ReadPlus": 68}
    assert known | {"Operation69": 69, "Operation70": 70} == {
        method: found[method] for method in (*known, "Operation69", "Operation70")
    }
    assert not skips.take()


def test_nfs_server_exposes_every_operation_of_version_4() -> None:
    metrics = nfs.parse_server(f"net 0 0 0 0\nrpc 1 2 3 4 5\nproc4ops {procedures(77)}\nwdeleg_getattr 900\n")
    found = {method: count for (_, method), count in values(metrics, "node_nfsd_requests_total").items()}
    # the numbers of RFC 7530, 8881, 7862 and 8276
    known = {"PutRootFH": 24, "RelLockOwner": 39, "ExchangeID": 42, "Sequence": 53, "Seek": 69, "RemoveXattr": 75}
    assert known | {"Operation76": 76, "WdelegGetattr": 900} == {
        method: found[method] for method in (*known, "Operation76", "WdelegGetattr")
    }
    assert sorted(found.values()) == [*range(3, 77), 900], "the numbers 0 to 2 are not operations"


def test_damaged_line_of_nfs_costs_its_own_series_only() -> None:
    skips = Skips()
    metrics = nfs.parse_server("net 1 2\nrpc 1 x 3 4 5\nproc3 22 1 2\nth 8 0 0.000\n", skips)
    assert value(metrics, "node_nfsd_server_threads") == 8
    assert value(metrics, "node_nfsd_server_rpcs_total") == 1
    assert values(metrics, "node_nfsd_requests_total") == {}
    assert {part for _, part in skips.take()} == {"net/rpc/nfsd net", "net/rpc/nfsd proc3"}


def test_zfs_rows_of_every_type_and_name_are_exposed() -> None:
    rows = {
        "a": "1    -9",
        "b": "2    9",
        "c": "3    -5",
        "d": "4    100",
        "e": "5    -6",
        "f.g-h": "6    7",
        "t": "7    1",
    }
    table = "9 1 0x01 147 39984 1 2\nname  type data\n" + "".join(f"{name}    {row}\n" for name, row in rows.items())
    found = {family.name: samples[0][1] for family, samples in zfs.parse(zfs.ZfsFiles({"arcstats": table}))}
    numbers = {"a": -9, "b": 9, "c": -5, "d": 100, "e": -6, "f_g_h": 7}
    assert found == {f"node_zfs_arc_{name}": number for name, number in numbers.items()}


def test_unknown_fields_of_sockstat_are_exposed() -> None:
    metrics = sockstat.parse(["sockets: used 9\nTCP: inuse 3 mem 2 zc 4\nMPTCP: inuse 6\n", None], 4096)
    names = {"sockets_used": 9, "TCP_inuse": 3, "TCP_mem": 2, "TCP_mem_bytes": 8192, "TCP_zc": 4, "MPTCP_inuse": 6}
    assert {name: value(metrics, f"node_sockstat_{name}") for name in names} == names


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("Active(purg): 8 kB", "Active_purg_bytes"),
        ("DMA/Heap.used: 8 kB", "DMA_Heap_used_bytes"),
        ("Cma 2 Total: 8192", "Cma_2_Total"),
    ],
)
def test_unknown_field_of_meminfo_keeps_the_valid_characters_of_its_name(field: str, name: str) -> None:
    skips = Skips()
    assert value(meminfo.parse(f"MemTotal: 1 kB\n{field}\n", skips), f"node_memory_{name}") == 8192
    assert not skips.take()


def test_selected_field_of_vmstat_keeps_the_valid_characters_of_its_name() -> None:
    family = vmstat.select("pgmigrate-odd.x", compiled("^pgmigrate"))
    assert family is not None
    assert family.name == "node_vmstat_pgmigrate_odd_x"


@pytest.mark.parametrize(
    ("device", "excluded"),
    [("lxcbr0", False), ("lxdbr0", False), ("lxc_health", True), ("lxc0a1b2c3d4e5f", True), ("veth1", True)],
)
def test_bridge_of_lxc_is_not_excluded_as_a_device_of_pods(device: str, excluded: bool) -> None:  # noqa: FBT001 -- as above
    assert bool(compiled(POD_DEVICES).search(device)) is excluded


@pytest.mark.parametrize("number", [errno.ENETDOWN, 524, errno.EAGAIN])
def test_sensor_of_a_device_that_is_off_has_no_value_and_is_not_an_error(number: int) -> None:
    assert reason_of(OSError(number, "x"), "/sys/class/hwmon/hwmon0/temp1_input") == "no_value"


def test_damaged_line_of_mountinfo_costs_one_filesystem(tmp_path: Path) -> None:
    (tmp_path / "proc/1").mkdir(parents=True)
    (tmp_path / "root/y").mkdir(parents=True)
    table = tmp_path / "proc/1/mountinfo"
    good = "20 1 8:1 / / rw shared:1 - ext4 /dev/root rw\n32 20 0:52 / /y rw - fuse.a\\040b /dev/y rw\n"
    table.write_text(good + "31 20 0:51 / /mnt/x rw shared:7 fuse x\n33 20 0: / /z rw - ext4 /dev/z rw\n")
    collector = filesystem.Filesystems(Host(procfs=f"{tmp_path}/proc", rootfs=f"{tmp_path}/root"))
    for _ in range(2):
        found = values(collector.collect(), "node_filesystem_readonly")
        assert set(found) == {("/dev/root", "/", "ext4"), ("/dev/y", "/y", "fuse.a b")}
        assert [reason for reason, _ in collector.host.skips.take()] == ["unparsable"] * 2
    table.write_text(good)
    collector.collect()
    assert not collector.host.skips.take()


def test_damaged_line_of_stat_costs_its_own_series_only() -> None:
    text = "cpu  1 2 3 4\ncpu0 1 2 3 4\ncpu1 1 x 3 4\ncpu2 1 2 3 4\nintr (null)\nctxt 5\nsoftirq 9 1 x\n"
    skips = Skips()
    assert set(cpu.parse(text, skips)) == {"0", "2"}
    metrics = stat.parse(text, skips, softirqs=True)
    assert value(metrics, "node_context_switches_total") == 5
    assert value(metrics, "node_intr_total") is None
    assert set(skips.take()) == {("unparsable", "stat cpu1"), ("no_value", "stat intr"), ("unparsable", "stat softirq")}
    turns = schedstat.parse("version 17\ncpu0 0 0 0 0 0 0 1 2 3\ncpu1 0\ncpu2 0 0 0 0 0 0 1 2 4\n", skips)
    assert values(turns, "node_schedstat_timeslices_total") == {("0",): 3, ("2",): 4}
    assert set(skips.take()) == {("unparsable", "schedstat cpu1")}


def test_soft_interrupts_of_an_unknown_kind_are_exposed() -> None:
    metrics = stat.parse(f"softirq 99 {' '.join(map(str, range(12)))}\nctxt 1\n", softirqs=True)
    found = values(metrics, "node_softirqs_total")
    assert (found["rcu",], found["vector_10",], found["vector_11",]) == (9, 10, 11)


def test_directory_that_is_given_twice_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/x.prom").write_text("one 1\n")
    given = (f"{tmp_path}/*", f"{tmp_path}/a/", f"{tmp_path}/a")
    metrics, errors = textfile.merge(textfile.read(given))
    assert value(metrics, "one") == 1
    assert errors == {}


STAT = "2 (a b) c) S 0 0 0 0 -1 0 0 0 0 0 5 6 0 0 20 0 1 0 100 4096 2 0\n"


@pytest.fixture
def proc() -> Iterator[Path]:
    """Return a directory that other users can read, unlike the parents of `tmp_path`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="changes the user")
@pytest.mark.parametrize(("hidden", "counted"), [("", 0), ("3", 1), ("1", 1)])
def test_processes_that_hidepid_hides_are_counted(proc: Path, hidden: str, counted: int) -> None:
    (proc / "uptime").write_text("500.0 1.0\n")
    for pid in ("1", "2", "3"):
        (proc / pid).mkdir()
        (proc / pid / "stat").write_text(STAT)
    if hidden:
        (proc / hidden).chmod(0o700)
    if hidden == "1":  # hidepid=invisible
        (proc / "1/stat").unlink()
        (proc / "1").rmdir()
    collector = processes.Processes(Host(procfs=str(proc)))
    os.seteuid(65534)
    try:
        metrics = collector.collect()
    finally:
        os.seteuid(0)
        collector.suspend()
    assert value(metrics, "node_processes_pids") == 3 - counted
    assert [reason for reason, _ in collector.host.skips.take()] == ["denied"] * counted
