"""The agent and node_exporter on the same host expose the same values in every common family.

The test scrapes node_exporter, the agent, and node_exporter again. A counter of the agent must lie between the two
values of node_exporter, and a gauge must be near one of them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from metricat_tools.binaries import ensure
from support.exporters import page, running
from support.paths import HOSTS, ROOT

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]
SELF_METRICS = ("node_scrape_collector_", "node_exporter_build_info", "process_", "promhttp_", "go_")
OURS_BY_DESIGN = {
    "node_network_speed_bytes": "node_exporter exposes -1 B for a link without a known speed",
    "node_filesystem_purgeable_bytes": "macOS only; node_exporter exposes 0",
}
TOLERANCES = {
    # Gauges that other programs of this host change between two scrapes, and by which share.
    "node_memory_": 0.2,
    "node_sockstat_": 1.0,
    "node_netstat_Tcp_CurrEstab": 1.0,
    "node_filesystem_": 0.2,
    "node_filefd_allocated": 0.3,
    "node_load": 0.5,
    "node_procs_": 10.0,
    "node_timex_": 10.0,
    "node_nf_conntrack_": 1.0,
    "node_arp_entries": 1.0,
    "node_udp_queues": 10.0,
    "node_disk_io_now": 100.0,
    "node_softnet_backlog_len": 100.0,
    "node_entropy_available_bits": 0.5,
}


def read(text: str) -> tuple[Series, dict[str, str]]:
    series: Series = {}
    kinds: dict[str, str] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            kinds[sample.name] = family.type
            labels = frozenset((name, value) for name, value in sample.labels.items() if value)
            series[sample.name, labels] = sample.value
    return series, kinds


def agrees(name: str, kind: str, before: float, ours: float, after: float) -> bool:
    low, high = sorted((before, after))
    if kind == "counter" or (kind == "unknown" and low >= 0):
        slack = 0.011 if "seconds" in name else 0
        if low - slack <= ours <= high + slack:
            return True
    share = next((share for prefix, share in TOLERANCES.items() if name.startswith(prefix)), 0.0)
    room = share * max(abs(low), abs(high), 1.0) + 1e-9 * abs(high) + (5 if name == "node_time_seconds" else 0)
    return low - room <= ours <= high + room


def test_common_families_have_the_same_values() -> None:
    node_exporter = ensure("node_exporter")["node_exporter"]
    agent = [sys.executable, "-m", "metricat_agent", "--collector.netdev.device-exclude="]
    agent += ["--collector.netclass.ignored-devices=", "--collector.diskstats.device-exclude=^(z?ram|loop|fd)[0-9]+$"]
    same = "--collector.filesystem.mount-points-exclude=^/(dev|proc|sys|run|tmp|var/lib|root/.cache)($|/)"
    others: list[str | Path] = [node_exporter, same, "--collector.diskstats.device-exclude=^(z?ram|loop|fd)[0-9]+$"]
    with running(others) as theirs, running([*agent, same]) as ours:
        (before, kinds), (here, our_kinds), (after, _) = (read(page(port)) for port in (theirs, ours, theirs))
    names, our_names = ({name for name, _ in series} for series in (before, here))
    common = {name for name in names & our_names if not name.startswith(SELF_METRICS)}
    disagree: dict[str, object] = {}
    for key in before.keys() & after.keys():
        name, labels = key
        if name not in common or name in OURS_BY_DESIGN:
            continue
        if key not in here:
            disagree[name] = f"no {dict(labels)}"
        elif not agrees(name, kinds[name], before[key], here[key], after[key]):
            disagree[name] = (dict(labels), before[key], here[key], after[key])
    lacking = {name for name in names - our_names - OURS_BY_DESIGN.keys() if not name.startswith(SELF_METRICS)}
    equal = len(common - set(disagree))
    counts = f"node_exporter {len(names)}, agent {len(our_names)}, common {len(common)}, equal {equal}"
    sys.stdout.write(f"families: {counts}; lacking: {sorted(lacking)}\n")
    assert disagree == {}, counts
    assert lacking == set(), counts
    assert {name for name in common if kinds[name] != our_kinds[name]} == set()


RECORDED = {
    "bonded-links": ("bonding",),
    "file-server": ("bcache", "bcachefs", "btrfs", "nfs", "nfsd", "xfs", "zfs"),
    "linux-3.10": ("filefd", "loadavg", "meminfo", "sockstat", "softnet", "stat", "vmstat"),
    "rdma-and-nvme": ("infiniband",),
    "storage-area-network": (
        *("cpu", "diskstats", "dmmultipath", "fibrechannel", "hwmon", "ipvs", "rapl", "tapestats", "watchdog"),
    ),
}
"""Collectors for hardware that test machines lack, by the recorded host that has it."""


BCACHE = {
    "node_bcache_btree_read_average_duration_seconds": "the kernel counts it in microseconds",
}
"""node_exporter also reads the digit after a point as less than a tenth (``20.4G``): values agree only roughly."""


NFS_SWAPPED = ("GetDeviceInfo", "LayoutGet")
"""node_exporter exposes each of these two procedures of NFS clients under the name of the other."""


def different(expected: Series, found: Series) -> dict[object, object]:
    """Return both values, the agent's first, of the series of node_exporter that the agent exposes differently."""
    return {
        key: (found.get(key), value)
        for key, value in expected.items()
        if found.get(key) != pytest.approx(value, rel=0.02 if key[0].startswith("node_bcache_") else 1e-12)
        and key[0] not in BCACHE
        and not (key[0] == "node_nfs_requests_total" and dict(key[1])["method"] in NFS_SWAPPED)
    }


@pytest.mark.parametrize("host", RECORDED)
def test_recorded_host_has_the_same_values(host: str, tmp_path: Path) -> None:
    root = shutil.copytree(HOSTS / host, tmp_path / host, symlinks=True)
    for missing in ("proc", "sys", "root/run/udev/data"):
        (root / missing).mkdir(parents=True, exist_ok=True)
    (root / "proc/net").mkdir()
    for name in ("ip_vs", "ip_vs_stats", "rpc"):  # node_exporter reads these paths
        (root / "proc/net" / name).symlink_to(f"../1/net/{name}")
    (root / "proc" / "stat").touch()  # without it the agent rejects the directory
    where = [f"--path.procfs={root}/proc", f"--path.sysfs={root}/sys", f"--path.rootfs={root}/root"]
    where.append(f"--path.udev.data={root}/root/run/udev/data")
    chosen = [*where, "--collector.disable-defaults", *(f"--collector.{name}" for name in RECORDED[host])]
    with (
        running([ensure("node_exporter")["node_exporter"], *chosen, "--web.disable-exporter-metrics"]) as theirs,
        running([sys.executable, "-m", "metricat_agent", *chosen]) as ours,
    ):
        (expected, kinds), (found, our_kinds) = (read(page(port)) for port in (theirs, ours))
    compared = {key: value for key, value in expected.items() if not key[0].startswith(SELF_METRICS)}
    assert compared
    assert different(compared, found) == {}
    assert {name: kinds[name] for name, _ in compared} == {name: our_kinds[name] for name, _ in compared}


NODE_EXPORTERS_HOST_BY_DESIGN = {
    "node_disk_info": "the agent does not call a device of an unknown kind non-rotational",
    "node_md_disks": "for an inactive RAID without a list, the agent uses the count of the table",
    "node_md_disks_required": "the same",
    "node_nf_conntrack_entries": "the agent reads the namespace of process 1, not its own",
    "node_nfs_requests_total": "the agent exposes no zeros for operations that an old kernel does not count",
    "node_nvme_namespace_capacity_bytes": "the kernel counts sectors of 512 bytes, for any size of sectors",
    "node_nvme_namespace_size_bytes": "the same",
}
_NO_ZEROS = ("node_btrfs_", "node_md_degraded", "node_softnet_backlog_len")
"""For a file that the recorded kernel lacks, node_exporter exposes 0 and the agent nothing."""
NOT_RECORDED = ("bonding", "filesystem", "netclass", "os", "textfile", "time", "timex", "uname")
"""Collectors that read this machine, or network devices that the recording does not mark as the host's."""


def unpack(archive: str, root: Path) -> None:
    """Unpack a ttar archive, a text format: each entry has a path, then its lines or the target of its link."""
    lines = iter(archive.split("\n"))
    where = root
    for line in lines:
        word, _, rest = line.partition(": ")
        if word == "Directory":
            (root / rest).mkdir(parents=True, exist_ok=True)
        elif word == "Path":
            where = root / rest
        elif word == "SymlinkTo":
            where.symlink_to(rest)
        elif word == "Lines":
            text = "".join(f"{next(lines)}\n" for _ in range(int(rest)))
            where.write_text(text.replace("NULLBYTE", "\0").removesuffix("EOF\n"))


def test_node_exporters_recorded_host_has_the_same_values(tmp_path: Path) -> None:
    listed = ["go", "list", "-m", "-f", "{{.Dir}}", "github.com/prometheus/node_exporter"]
    module = ROOT / "tools" / "binaries" / "node_exporter"
    source = Path(subprocess.run(listed, cwd=module, check=True, capture_output=True, text=True).stdout.strip())
    fixtures = source / "collector" / "fixtures"
    root = tmp_path / "host"
    shutil.copytree(fixtures / "proc", root / "proc", copy_function=shutil.copyfile)
    subprocess.run(["chmod", "-R", "u+w", root], check=True)  # Go's modules are read-only
    for archive in ("sys", "udev"):
        unpack((fixtures / f"{archive}.ttar").read_text(), root)
    devices = sorted(path.name for path in (root / "sys/class/net").iterdir() if path.is_dir())
    (root / "proc/net/dev").write_text("\n\n" + "".join(f"{name}: {' '.join('1' * 16)}\n" for name in devices))
    (root / "proc/1/net").symlink_to("../net")
    where = [f"--path.{name}fs={root}/{name}" for name in ("proc", "sys")]
    where += [f"--path.rootfs={root}", f"--path.udev.data={root}/udev/data"]
    chosen = [*where, *(f"--no-collector.{name}" for name in NOT_RECORDED)]
    chosen += ["--collector.bcache.priorityStats", "--collector.cpu.info.flags-include=^(aes|avx.?)$"]
    chosen += ["--collector.diskstats.device-exclude=^ram"]
    node_exporter_only = [f"--no-collector.{name}.netlink" for name in ("arp", "netdev")]
    with (
        running([ensure("node_exporter")["node_exporter"], *chosen, *node_exporter_only]) as theirs,
        running([sys.executable, "-m", "metricat_agent", *chosen]) as ours,
    ):
        (expected, kinds), (found, our_kinds) = (read(page(port)) for port in (theirs, ours))
    left_out = (*SELF_METRICS, *NODE_EXPORTERS_HOST_BY_DESIGN)
    compared = {
        key: value
        for key, value in expected.items()
        if not key[0].startswith(left_out) and (key in found or value or not key[0].startswith(_NO_ZEROS))
    }
    assert len({name for name, _ in compared}) > 600
    assert different(compared, found) == {}
    assert {name: kinds[name] for name, _ in compared} == {name: our_kinds[name] for name, _ in compared}
