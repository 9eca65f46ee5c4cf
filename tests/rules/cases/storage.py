"""Cases of the alerts about disks, filesystems and RAIDs."""

from __future__ import annotations

from rules.cases.samples import (
    BOTH,
    CRITICAL,
    NONE,
    SEPARATE_IMAGE_FS,
    WARNING,
    btrfs_errors,
    disk,
    filesystem,
    growth,
    hourly_growth,
    inodes,
    mount_error,
    nvme,
    raid,
    read_only,
    ripple,
    saw_tooth,
    smart,
    zpool,
)
from support.promtool import DAY, Case, change, rate, steady

CASES: dict[str, tuple[Case, ...]] = {
    "NodeFilesystemUsageHigh": (
        Case("nearly full", 35, WARNING, filesystem("/data", 85)),
        Case("full", 35, BOTH, filesystem("/data", 92)),
        Case("not for long enough", 29, NONE, filesystem("/data", 92)),
        Case("below threshold", 60, NONE, filesystem("/data", 79)),
        Case("read-only", 60, NONE, filesystem("/data", 100, read_only=1)),
        Case("the images' has an alert of its own", 60, NONE, filesystem("/", 92)),
        Case("images elsewhere", 35, WARNING, {**filesystem("/", 85), **SEPARATE_IMAGE_FS}),
    ),
    "NodeImageFilesystemUsageHigh": (
        Case("kubelet cannot keep it down", 35, WARNING, filesystem("/", 89)),
        Case("full", 35, BOTH, filesystem("/var", 94)),
        Case("where kubelet's cleaning lets it be", 60, NONE, filesystem("/", 85)),
        Case("images elsewhere", 60, NONE, {**filesystem("/", 94), **SEPARATE_IMAGE_FS}),
        Case("another one", 60, NONE, {**filesystem("/", 50), **filesystem("/data", 99)}),
        Case("read-only", 60, NONE, filesystem("/", 100, read_only=1)),
    ),
    "NodeEvictionNear": (
        # 60 to 86 % in three hours: 85 % is reached after 173 minutes.
        Case("logs, 30 minutes before the eviction", 143, WARNING, filesystem("/", hourly_growth(60, 26 / 3))),
        Case("logs, when the growth began lately", 240, WARNING, filesystem("/", hourly_growth(60, 26 / 3, 100))),
        Case("logs, long before the eviction", 90, NONE, filesystem("/", hourly_growth(60, 26 / 3))),
        Case(
            "/var/lib/kubelet alone", 190, WARNING, {**SEPARATE_IMAGE_FS, **filesystem("/", hourly_growth(60, 26 / 3))}
        ),
        Case("another one", 143, NONE, {**filesystem("/", 50), **filesystem("/data", hourly_growth(60, 26 / 3))}),
        Case("not for long", 99, NONE, filesystem("/", hourly_growth(82, 4, 85))),
        Case("an image was pulled", 70, NONE, filesystem("/", change(steady(70), 60, steady(82)))),
        Case("an image was pulled, 15 minutes later", 85, NONE, filesystem("/", change(steady(70), 60, steady(82)))),
        Case("images, where the kubelet stops them", DAY, NONE, filesystem("/", 84)),
        Case("images, nearly the same all day", DAY, NONE, filesystem("/", ripple(84, 0.4, 30))),
        Case("images, removed by the kubelet each hour", DAY - 1, NONE, filesystem("/", saw_tooth(80, 5, 1))),
        Case("images, removed by the kubelet twice a day", DAY - 5, NONE, filesystem("/", saw_tooth(80, 5, 12))),
        Case(
            "images, up to where the kubelet stops them",
            300,
            NONE,
            filesystem("/", change(hourly_growth(60, 8), 180, steady(84))),
        ),
        Case(
            "a day later, logs",
            DAY + 50,
            WARNING,
            filesystem("/", change(steady(84), DAY, lambda at: 84 + (at - 60 * DAY) / 3600)),
        ),
        Case("read-only", 143, NONE, filesystem("/", hourly_growth(60, 26 / 3), read_only=1)),
    ),
    "NodeFilesystemFillsUp": (
        Case("within a week", DAY + 120, WARNING, filesystem("/data", growth(40, 15))),
        Case("in more than a week", DAY + 120, NONE, filesystem("/data", growth(40, 5))),
        Case("today, and nearly full", 8 * 60, CRITICAL, filesystem("/data", growth(83, 15))),
        Case("today, and much free space", 8 * 60, NONE, filesystem("/data", growth(10, 90))),
        Case("new", 2 * 60, NONE, filesystem("/data", growth(86, 40))),
        Case("logs, rotated daily", 2 * DAY - 30, NONE, filesystem("/data", saw_tooth(60, 20, 24))),
        Case("logs, rotated by the hour", DAY + 150, NONE, filesystem("/data", saw_tooth(87, 6, 1))),
        Case("emptied", DAY + 120, NONE, filesystem("/data", growth(95, -20))),
        Case(
            "filled yesterday, quiet since", DAY + 120, NONE, filesystem("/data", change(steady(40), 900, steady(80)))
        ),
        Case("read-only", DAY + 120, NONE, filesystem("/data", growth(40, 15), read_only=1)),
        Case("images, before kubelet cleans up", DAY + 120, NONE, filesystem("/", growth(40, 15))),
    ),
    "NodeInodeUsageHigh": (
        Case("few left", 35, WARNING, inodes(85)),
        Case("none left", 35, BOTH, inodes(97)),
        Case("many left", 60, NONE, inodes(79)),
        Case("read-only", 60, NONE, inodes(100, read_only=1)),
        Case("made as needed", 60, NONE, inodes(0, files=0)),
    ),
    "NodeInodesFillUp": (
        Case("within a day", 8 * 60, WARNING, inodes(growth(60, 40))),
        Case("within hours", 8 * 60, BOTH, inodes(growth(60, 110))),
        Case("not within a day", 8 * 60, NONE, inodes(growth(60, 10))),
        Case("many left", 8 * 60, NONE, inodes(growth(10, 90))),
        Case("new", 2 * 60, NONE, inodes(growth(65, 150))),
        Case("read-only", 8 * 60, NONE, inodes(growth(60, 110), read_only=1)),
    ),
    "NodeFilesystemReadOnly": (
        Case("turned read-only", 35, WARNING, read_only(change(steady(0), 30, steady(1)))),
        Case("always so", 100, NONE, read_only(steady(1))),
        Case("long ago", 100, NONE, read_only(change(steady(0), 30, steady(1)))),
        Case("writable", 35, NONE, read_only(steady(0))),
    ),
    "NodeDiskIOUtilHigh": (
        Case("busy, and requests queue up", 10, WARNING, disk(util=95, queue=12)),
        Case("busy, and requests take long", 10, WARNING, disk(util=95, queue=1, await_ms=60)),
        Case("busy, as a disk with many queues may be", 30, NONE, disk(util=100, queue=4, await_ms=1)),
        Case("calm", 30, NONE, disk(util=70, queue=12)),
    ),
    "NodeDiskAwaitHigh": (
        Case("slow", 10, WARNING, disk(await_ms=200)),
        Case("very slow", 10, BOTH, disk(await_ms=600)),
        Case("quick", 30, NONE, disk(await_ms=50)),
        Case("one request now and then", 30, NONE, disk(await_ms=600, operations=0.5)),
        Case("none", 30, NONE, disk(operations=0)),
    ),
    "NodePressureIO": (
        Case("stalls", 15, WARNING, {"node_pressure_io_stalled_seconds_total": rate(0.15)}),
        Case("stalls little", 30, NONE, {"node_pressure_io_stalled_seconds_total": rate(0.05)}),
        Case("some tasks wait, not all", 30, NONE, {"node_pressure_io_waiting_seconds_total": rate(0.9)}),
    ),
    "NodeRAIDDegraded": (
        Case("lacks a disk", 20, CRITICAL, raid(2, 1, 1)),
        Case("not for long enough", 14, NONE, raid(2, 1, 1)),
        Case("whole", 30, NONE, raid(2, 2, 1)),
    ),
    "NodeRAIDDiskFailed": (
        Case("failed, and a spare took over", 5, WARNING, raid(2, 2, 1)),
        Case("whole", 30, NONE, raid(2, 2, 0)),
    ),
    "NodeZFSPoolUnhealthy": (
        Case("degraded", 8, WARNING, zpool("degraded")),
        Case("suspended", 8, CRITICAL, zpool("suspended")),
        Case("not for long enough", 4, NONE, zpool("degraded")),
        Case("online", 30, NONE, zpool("online")),
    ),
    "NodeBtrfsErrors": (
        Case("an error", 35, WARNING, btrfs_errors(30)),
        Case("long ago", 100, NONE, btrfs_errors(30)),
        Case("old errors", 30, NONE, btrfs_errors(90)),
    ),
    "NodeNVMeUnhealthy": (
        Case("resets for minutes", 8, WARNING, nvme("resetting")),
        Case("is dead", 8, BOTH, nvme("dead")),
        Case("not for long enough", 4, NONE, nvme("connecting")),
        Case("live", 30, NONE, nvme("live")),
    ),
    "NodeDiskSMARTFailing": (
        Case("expects to fail", 20, CRITICAL, smart(0)),
        Case("not for long enough", 10, NONE, smart(0)),
        Case("passed", 30, NONE, smart(1)),
    ),
    "NodeMountHung": (
        Case("the file server is gone", 15, WARNING, mount_error("nfs4", 1)),
        Case("not for long enough", 9, NONE, mount_error("nfs4", 1)),
        Case("without permission", 30, NONE, mount_error("fuse.sshfs", 1)),
        Case("works", 30, NONE, mount_error("nfs4", 0)),
    ),
}
