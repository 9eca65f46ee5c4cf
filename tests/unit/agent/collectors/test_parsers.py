"""Parsers of corrupt files return metrics that the writer accepts, or raise. They never hang."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from metricat_agent.collectors import (
    Filter,
    arp,
    bcache,
    bcachefs,
    btrfs,
    conntrack,
    cpu,
    diskstats,
    filefd,
    ipvs,
    loadavg,
    mdadm,
    meminfo,
    netdev,
    netstat,
    nfs,
    pressure,
    schedstat,
    sockstat,
    softnet,
    stat,
    tcpstat,
    textfile,
    udp_queues,
    vmstat,
    xfs,
    zfs,
)
from metricat_agent.collectors import os as os_release
from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.collectors.fields import FieldList
from metricat_agent.exposition.model import counter, gauge
from metricat_agent.exposition.writer import Writer
from metricat_agent.host.hostfs import Host
from metricat_agent.host.mountinfo import visible_mounts
from metricat_agent.scrape.registry import Registry
from support.paths import RECORDED_HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from metricat_agent.exposition.model import Metrics
    from unit.agent.conftest import Scrape

RECORDED = RECORDED_HOST
_RPC = "../hosts/file-server/proc/1/net/rpc"
_ZFS = "../hosts/file-server/proc/spl/kstat/zfs"
_BCACHE = "../hosts/file-server/sys/fs/bcache/3d7a1c52-90be-4d0f-8a61-5c2e7f9b1a04"
_BCACHEFS = "../hosts/file-server/sys/fs/bcachefs/81f0c2d4-66aa-4b19-9d27-0e5b3c4d2a17"
_BTRFS = "../hosts/file-server/sys/fs/btrfs/5b2c1d0e-7f3a-4c55-9e0d-3d1f4a5b6c7d"
EVERY = re.compile("")
PARSERS: dict[str, tuple[str, Callable[[str], Metrics]]] = {
    "arp": ("proc/1/net/arp", lambda text: arp.parse(text, Filter())),
    "bcache": (
        f"{_BCACHE}/bdev0/writeback_rate_debug",
        lambda text: bcache.parse([bcache.CacheSet("a-b", {}, {"bdev0": {"writeback_rate_debug": text}})]),
    ),
    "bcachefs": (
        f"{_BCACHEFS}/compression_stats",
        lambda text: bcachefs.parse(
            [bcachefs.BcachefsFilesystem("a-b", dict.fromkeys(bcachefs.FILES, text), {"c": text})]
        ),
    ),
    "bcachefs-device": (
        f"{_BCACHEFS}/dev-0/io_errors",
        lambda text: bcachefs.parse(
            [bcachefs.BcachefsFilesystem("a-b", {}, {}, {"0": {"io_errors": text, "io_done": text, "label": text}})]
        ),
    ),
    "btrfs": (
        f"{_BTRFS}/devinfo/2/error_stats",
        lambda text: btrfs.parse([btrfs.BtrfsFilesystem("a-b", {}, {}, {}, {"1": text, "2": text})]),
    ),
    "conntrack": ("proc/1/net/stat/nf_conntrack", lambda text: conntrack.parse(text, "9")),
    "cpu": ("proc/stat", lambda text: cpu.metrics(cpu.parse(text))),
    "diskstats": ("proc/diskstats", lambda text: diskstats.parse(diskstats.rows(text, Filter()), {})),
    "filefd": ("proc/sys/fs/file-nr", filefd.parse),
    "ipvs": ("../hosts/storage-area-network/proc/1/net/ip_vs", lambda text: ipvs.parse(None, text)),
    "ipvs-stats": ("../hosts/storage-area-network/proc/1/net/ip_vs_stats", lambda text: ipvs.parse(text, None)),
    "loadavg": ("proc/loadavg", loadavg.parse),
    "mdadm": ("proc/mdstat", lambda text: mdadm.parse(text, {})),
    "meminfo": ("proc/meminfo", meminfo.parse),
    "netdev": ("proc/1/net/dev", lambda text: netdev.parse(text, Filter())),
    "netstat": ("proc/1/net/snmp", lambda text: netstat.parse_tables(text, EVERY, {})),
    "netstat-6": ("proc/1/net/snmp6", lambda text: FieldList(lambda name: netstat.select6(name, EVERY)).parse(text)),
    "nfs": (f"{_RPC}/nfs", nfs.parse_client),
    "nfsd": (f"{_RPC}/nfsd", nfs.parse_server),
    "os": ("root/etc/os-release", os_release.parse),
    "pressure": ("proc/pressure/io", lambda text: pressure.parse({"io": text})),
    "schedstat": ("proc/schedstat", schedstat.parse),
    "sockstat": ("proc/1/net/sockstat", lambda text: sockstat.parse([text, None], 4096)),
    "softnet": ("proc/1/net/softnet_stat", softnet.parse),
    "stat": ("proc/stat", lambda text: stat.parse(text, softirqs=True)),
    "tcpstat": ("proc/1/net/tcp", lambda text: tcpstat.parse({"net/tcp": text})),
    "textfile": ("textfile/backup.prom", lambda text: textfile.parse([textfile.File("/a.prom", 1, text)])),
    "udp_queues": ("proc/1/net/udp", lambda text: udp_queues.parse({"v4": text})),
    "vmstat": ("proc/vmstat", lambda text: FieldList(lambda name: vmstat.select(name, EVERY)).parse(text)),
    "xfs": ("../hosts/file-server/sys/fs/xfs/sdb1/stats/stats", lambda text: xfs.parse({"sdb1": text})),
    "zfs": (f"{_ZFS}/arcstats", lambda text: zfs.parse(zfs.ZfsFiles({"arcstats": text}))),
    "zfs-dataset": (
        f"{_ZFS}/tank/objset-0x1a",
        lambda text: zfs.parse(zfs.ZfsFiles(pools={"tank": zfs.Pool(datasets={"objset-1": text})})),
    ),
    "zfs-pool": (f"{_ZFS}/tank/io", lambda text: zfs.parse(zfs.ZfsFiles(pools={"tank": zfs.Pool("ONLINE\n", text)}))),
}


WITHOUT_TABLE = {
    *("bonding", "cpufreq", "dmi", "dmmultipath", "edac", "entropy", "fibrechannel", "hwmon", "infiniband"),
    *(
        "kernel_hung",
        "netclass",
        "nvme",
        "powersupplyclass",
        "rapl",
        "selinux",
        "tapestats",
        "thermal_zone",
        "watchdog",
    ),
    *("agent", "filesystem", "probe", "processes", "time", "timex", "uname"),
}
"""Collectors of files with one value each, and of results of system calls. `test_mutated_hosts` changes their files."""


def test_every_collector_of_a_table_has_a_parser_here() -> None:
    with_parser = {name.partition("-")[0] for name in PARSERS}
    assert with_parser & WITHOUT_TABLE == set()
    assert with_parser | WITHOUT_TABLE == set(COLLECTORS)


@pytest.mark.parametrize("name", sorted(PARSERS))
@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_corrupt_file_returns_metrics_or_raises(name: str, data: st.DataObject) -> None:
    path, parse = PARSERS[name]
    text = (RECORDED / path).read_text()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        gone = data.draw(st.integers(0, 30))
        text = text[:at] + data.draw(st.text(alphabet='0 -:\n\t{}"\\=%aé\udcff[]/()', max_size=8)) + text[at + gone :]
    try:
        metrics = parse(text)
    except (ValueError, IndexError, KeyError):
        return
    assert Writer().text(metrics).encode() is not None


@given(st.text(max_size=300))
def test_parser_of_mounts_raises_only_value_index_and_key_errors(text: str) -> None:
    try:
        visible_mounts(text)
    except (ValueError, IndexError, KeyError):
        return


def test_corrupt_file_fails_only_its_collector(scrape_of: Callable[[str], Scrape], tmp_path: Path) -> None:
    for name, text in (("loadavg", "no numbers here"), ("stat", (RECORDED / "proc/stat").read_text())):
        (tmp_path / name).write_text(text)
    host = Host(procfs=str(tmp_path))
    scrape = scrape_of(Registry([loadavg.LoadAverage(host), stat.Stat(host), filefd.FileDescriptors(host)]).scrape())
    assert scrape.of("node_scrape_collector_success") == {("loadavg",): 0, ("stat",): 1}, "no failure without a file"
    assert scrape.get("node_forks_total") == 48213


class Reference:
    """Collector of prometheus_client that returns the given families."""

    def __init__(self, rows: Iterable[tuple[str, str, list[tuple[str, float]]]]) -> None:
        self.rows = list(rows)

    def collect(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
        for name, kind, samples in self.rows:
            make = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
            family = make(name, f'Help of "{name}" \\ and\nmore.', labels=["device"])
            for label, value in samples:
                family.add_metric([label], value)
            yield family


TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["counter", "gauge"]),
        st.dictionaries(TEXT, st.floats() | st.integers(0, 2**63), min_size=1, max_size=4),
    ),
    max_size=4,
)


@given(ROWS)
def test_writer_and_prometheus_client_give_the_same_page(rows: list[tuple[str, dict[str, float]]]) -> None:
    named = [
        (f"node_{at}{'_total' * (kind == 'counter')}", kind, list(found.items()))
        for at, (kind, found) in enumerate(rows)
    ]
    registry = CollectorRegistry()
    registry.register(Reference(named))
    metrics: Metrics = [
        (
            (counter if kind == "counter" else gauge)(
                name, f'Help of "{name.removesuffix("_total")}" \\ and\nmore.', "device"
            ),
            [((label,), value) for label, value in samples],
        )
        for name, kind, samples in named
    ]
    expected = read(generate_latest(registry).decode())
    assert read(Writer().text(metrics)) == expected


def read(text: str) -> list[object]:
    return [
        (family.name, family.type, [(s.name, s.labels, repr(float(s.value))) for s in family.samples])
        for family in text_string_to_metric_families(text)
    ]
