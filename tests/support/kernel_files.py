"""The parsers of the kernel's files that hold tables, each with a recorded file relative to `RECORDED_HOST`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

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
from metricat_agent.collectors.fields import FieldList

if TYPE_CHECKING:
    from collections.abc import Callable

    from metricat_agent.exposition.model import Metrics

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
