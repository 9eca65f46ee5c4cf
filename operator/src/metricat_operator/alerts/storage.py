"""Alerts about disks, file systems and RAIDs."""

from metricat_operator.alerts.alert import NODE, Alert, Level
from metricat_operator.alerts.recording import DEVICE, FILESYSTEM

_WHERE = f"{{{{ $labels.mountpoint }}}} ({{{{ $labels.device }}}}) on {NODE}"
_DISK = f"{{{{ $labels.device }}}} on {NODE}"
_WHEN = (
    '{{ with printf "round(vector(time() + 3600 * %f), 60)" $value | query }}'
    " That is {{ . | first | value | humanizeTimestamp }}.{{ end }}"
)
_FORECAST = (
    "{{ with printf `round(time() + 3600 * (metricat:%s_full_6h:hours"
    "{<selector>,node=%%q,device=%%q,mountpoint=%%q} < 720), 60)` "
    "$labels.node $labels.device $labels.mountpoint | query }}"
    " At the pace of the last 6 hours the rest lasts until {{ . | first | value | humanizeTimestamp }}.{{ end }}"
)
"""Nothing, where that is more than 30 days away."""
_FULL_6H = "metricat:node_filesystem_full_6h:hours{<selector>} <= <threshold>"
_FULL_1D = "metricat:node_filesystem_full_1d:hours{<selector>} <= <threshold>"
_CLEANED = "metricat:node_image_filesystem_usage:percent{<selector>} < 85"
"""The file system of the images, while the kubelet does not yet clean up there."""

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="NodeFilesystemUsageHigh",
        meaning="A writable file system is nearly full, by the space that unprivileged users can still take. The one "
        "that holds container images has an alert of its own, NodeImageFilesystemUsageHigh.",
        expr="metricat:node_filesystem_usage:percent{<selector>} >= <threshold> "
        "unless metricat:node_image_filesystem_usage:percent{<selector>}",
        resource="filesystem {{ $labels.mountpoint }}",
        summary="File system {{ $labels.mountpoint }} on {{ $labels.node }} is nearly full",
        description=f'{_WHERE} is {{{{ $value | printf "%.1f" }}}} % full (threshold <threshold> %).'
        f"{_FORECAST % 'node_filesystem'}",
        action="du -xh --max-depth=2 {{ $labels.mountpoint }} | sort -h | tail on the node finds what is large.",
        unit="%",
        levels=(Level("warning", 80, "30m"), Level("critical", 90, "30m")),
        keep_firing=True,
    ),
    Alert(
        name="NodeImageFilesystemUsageHigh",
        meaning="The file system that holds container images is nearly full, and the kubelet, which cleans up from "
        "85 % on, did not get it down. It is that of the container runtime's directory, or of /var/lib, /var or /.",
        expr="metricat:node_image_filesystem_usage:percent{<selector>} >= <threshold>",
        resource="filesystem {{ $labels.mountpoint }}",
        summary="The image file system {{ $labels.mountpoint }} on {{ $labels.node }} is nearly full",
        description=f'{_WHERE} is {{{{ $value | printf "%.1f" }}}} % full (threshold <threshold> %) though the kubelet '
        f"removes unused images from 85 % on.{_FORECAST % 'node_filesystem'}",
        action="kubectl describe node {{ $labels.node }}: events of ImageGCFailed or FreeDiskSpaceFailed say "
        "why the kubelet frees nothing.",
        unit="%",
        levels=(Level("warning", 88, "30m"), Level("critical", 93, "30m")),
        keep_firing=True,
    ),
    Alert(
        name="NodeFilesystemFillsUp",
        meaning="At the pace of late, a writable file system will be full soon. Warning: by the growth since the same "
        "time yesterday, so that what is written and cleaned up daily does not count, and of the last 6 hours. "
        "Critical: by that of the last 6 hours, and less than 15 % is free. The one that holds container images counts "
        "from 85 % on, where the kubelet cleans up.",
        expr="",
        resource="filesystem growth {{ $labels.mountpoint }}",
        summary="File system {{ $labels.mountpoint }} on {{ $labels.node }} will soon be full",
        description=f'{_WHERE} will be full in {{{{ $value | printf "%.1f" }}}} hours at the pace of late '
        f"(threshold <threshold> hours).{_WHEN}",
        action="du -xh --max-depth=2 {{ $labels.mountpoint }} | sort -h | tail on the node, now and later, "
        "finds what grows.",
        unit="hours or less",
        levels=(
            Level("warning", 168, "1h", f"{_FULL_1D} and {_FULL_6H} unless {_CLEANED}"),
            Level(
                "critical",
                24,
                "1h",
                f"{_FULL_6H} and metricat:node_filesystem_usage:percent{{<selector>}} > 85 unless {_CLEANED}",
            ),
        ),
        keep_firing=True,
    ),
    Alert(
        name="NodeInodeUsageHigh",
        meaning="A writable file system has few inodes left: soon it takes no more files, however much space it has.",
        expr="metricat:node_inode_usage:percent{<selector>} >= <threshold>",
        resource="inodes {{ $labels.mountpoint }}",
        summary="File system {{ $labels.mountpoint }} on {{ $labels.node }} has few inodes left",
        description=f'{_WHERE} uses {{{{ $value | printf "%.1f" }}}} % of its inodes (threshold <threshold> %).'
        f"{_FORECAST % 'node_inode'}",
        action="du --inodes -xd2 {{ $labels.mountpoint }} | sort -n | tail on the node finds the directory "
        "with the many files.",
        unit="%",
        levels=(Level("warning", 80, "30m"), Level("critical", 95, "30m")),
        keep_firing=True,
    ),
    Alert(
        name="NodeInodesFillUp",
        meaning="At the pace of the last 6 hours, a writable file system will soon have no inodes left; it uses 60 % "
        "already.",
        expr="metricat:node_inode_full_6h:hours{<selector>} <= <threshold> "
        "and metricat:node_inode_usage:percent{<selector>} > 60",
        resource="inode growth {{ $labels.mountpoint }}",
        summary="File system {{ $labels.mountpoint }} on {{ $labels.node }} will soon be out of inodes",
        description=f'{_WHERE} will have no inodes left in {{{{ $value | printf "%.1f" }}}} hours at the pace of late '
        f"(threshold <threshold> hours).{_WHEN}",
        action="du --inodes -xd2 {{ $labels.mountpoint }} | sort -n | tail on the node, now and later, finds "
        "where files are made.",
        unit="hours or less",
        levels=(Level("warning", 24, "1h"), Level("critical", 4, "1h")),
        keep_firing=True,
    ),
    Alert(
        name="NodeFilesystemReadOnly",
        meaning="A file system became read-only; it was writable within the last hour. The kernel does that after an "
        "error of the disk.",
        expr=f"max by ({FILESYSTEM}) (node_filesystem_readonly{{<selector>}}) == 1 "
        f"and min by ({FILESYSTEM}) (min_over_time(node_filesystem_readonly{{<selector>}}[1h])) == 0",
        resource="filesystem mode {{ $labels.mountpoint }}",
        summary="File system {{ $labels.mountpoint }} on {{ $labels.node }} became read-only",
        description=f"{_WHERE} became read-only within the last hour.",
        action="dmesg -T on the node says which error made the kernel stop writing; drain the node before you mend it.",
        levels=(Level("warning", None, "1m"),),
    ),
    Alert(
        name="NodeDiskIOUtilHigh",
        meaning="A disk has work all the time, and requests queue up (10) or take long (50 ms): a disk with many "
        "queues may be busy all the time and yet be far from its limit.",
        expr="metricat:node_disk_io_util:percent{<selector>} >= <threshold> and "
        "(metricat:node_disk_queue:length{<selector>} >= 10 "
        "or metricat:node_disk_await:milliseconds{<selector>} >= 50)",
        resource="disk {{ $labels.device }}",
        summary="Disk {{ $labels.device }} on {{ $labels.node }} is busy all the time",
        description=f'{_DISK} had work {{{{ $value | printf "%.1f" }}}} % of the time (threshold <threshold> %), and '
        "requests wait.",
        action="iotop -oPa or pidstat -d 5 on the node shows who reads and writes.",
        unit="%",
        levels=(Level("warning", 80, "5m"),),
        keep_firing=True,
    ),
    Alert(
        name="NodeDiskAwaitHigh",
        meaning="Reads and writes of a disk take long, the time in the queue included; at least one a second.",
        expr="metricat:node_disk_await:milliseconds{<selector>} >= <threshold> "
        "and (metricat:node_disk_reads:rate{<selector>} + metricat:node_disk_writes:rate{<selector>}) >= 1",
        resource="disk latency {{ $labels.device }}",
        summary="Disk {{ $labels.device }} on {{ $labels.node }} is slow",
        description=f'A request to {_DISK} takes {{{{ $value | printf "%.0f" }}}} ms (threshold <threshold> ms).',
        action="see whether the disk has too much to do (NodeDiskIOUtilHigh); if not, smartctl -a /dev/{{ "
        "$labels.device }} tells whether it dies.",
        unit="milliseconds",
        levels=(Level("warning", 100, "5m"), Level("critical", 500, "5m")),
        keep_firing=True,
    ),
    Alert(
        name="NodePressureIO",
        meaning="All tasks at once wait for disks: the share of time (pressure stall information, full).",
        expr="metricat:node_pressure_io_stalled:percent{<selector>} > <threshold>",
        resource="io pressure",
        summary="{{ $labels.node }} stalls, waiting for its disks",
        description=f'On {NODE}, all tasks waited for disks {{{{ $value | printf "%.1f" }}}} % of the time '
        "(threshold <threshold> %).",
        action="metricat:node_disk_await:milliseconds and metricat:node_disk_queue:length tell which disk it is.",
        unit="%",
        levels=(Level("warning", 10, "10m"),),
        keep_firing=True,
    ),
    Alert(
        name="NodeRAIDDegraded",
        meaning="A software RAID runs with fewer disks than it should have, and no spare has taken over.",
        expr=f"max by ({DEVICE}) (node_md_disks_required{{<selector>}}) - max by ({DEVICE}) "
        '(node_md_disks{state="active",<selector>}) > 0',
        resource="raid {{ $labels.device }}",
        summary="RAID {{ $labels.device }} on {{ $labels.node }} is degraded",
        description=f'{_DISK} lacks {{{{ $value | printf "%.0f" }}}} of its disks.',
        action="cat /proc/mdstat and mdadm --detail /dev/{{ $labels.device }} on the node say which disk is missing.",
        levels=(Level("critical", None, "15m"),),
    ),
    Alert(
        name="NodeRAIDDiskFailed",
        meaning="A disk of a software RAID has failed, whether or not a spare took over.",
        expr=f'max by ({DEVICE}) (node_md_disks{{state="failed",<selector>}}) > 0',
        resource="raid {{ $labels.device }}",
        summary="A disk of RAID {{ $labels.device }} on {{ $labels.node }} has failed",
        description=f'{{{{ $value | printf "%.0f" }}}} disks of {_DISK} have failed.',
        action="mdadm --detail /dev/{{ $labels.device }} on the node names the disk; replace it.",
        levels=(Level("warning", None, "1m"),),
    ),
)
