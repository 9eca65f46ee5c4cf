"""Alerts about disks, filesystems and RAIDs."""

from metricat_rules.alert import NODE, Alert, Level, plural
from metricat_rules.recording import DEVICE, FILESYSTEM, KEYS

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
    " At the growth rate of the last 6 hours, the remainder lasts until "
    "{{ . | first | value | humanizeTimestamp }}.{{ end }}"
)
"""When the filesystem will be full at the current growth rate; empty if that is more than 30 days away."""
_FULL_6H = "metricat:node_filesystem_full_6h:hours{<selector>} <= <threshold>"
_FULL_1D = "metricat:node_filesystem_full_1d:hours{<selector>} <= <threshold>"
_MARGIN = "metricat:node_eviction_margin:percent{<selector>}"
_EVICTION = " and ".join(
    f"clamp_min({_MARGIN}, 0) / (-3600 * deriv({_MARGIN}[{window}]) > 0) <= <threshold>" for window in ("1h", "15m")
)
"""Requires both growth rates: after an image pull, the rate of 1 hour stays high although the growth has ended."""
_CLEANED = "metricat:node_image_filesystem_usage:percent{<selector>} < 85"
"""The filesystem of the images, below the usage at which the kubelet removes images."""

_NETWORK = "nfs|nfs4|cifs|smb3|ceph|glusterfs|lustre|gpfs|9p|afs"
"""Filesystems of a server. Others report an error also where the agent has no permission, as for FUSE mounts."""


def _zfs_state(matcher: str) -> str:
    return f"max by ({KEYS}, zpool, state) (node_zfs_zpool_state{{{matcher},<selector>}}) == 1"


ALERTS: tuple[Alert, ...] = (
    Alert(
        name="NodeFilesystemUsageHigh",
        meaning="A writable filesystem is nearly full, measured by the space available to unprivileged users. The "
        "filesystem that holds container images has a separate alert, NodeImageFilesystemUsageHigh.",
        expr="metricat:node_filesystem_usage:percent{<selector>} >= <threshold> "
        "unless metricat:node_image_filesystem_usage:percent{<selector>}",
        resource="filesystem {{ $labels.mountpoint }}",
        summary="Filesystem {{ $labels.mountpoint }} on {{ $labels.node }} is nearly full",
        description=f'{_WHERE} is {{{{ $value | printf "%.1f" }}}} % full (threshold <threshold> %).'
        f"{_FORECAST % 'node_filesystem'}",
        action="Run du -xh --max-depth=2 {{ $labels.mountpoint }} | sort -h | tail on the node to find large "
        "directories.",
        unit="%",
        levels=(Level("warning", 80, "30m"), Level("critical", 90, "30m")),
        keep_firing=True,
    ),
    Alert(
        name="NodeImageFilesystemUsageHigh",
        meaning="The filesystem that holds container images is nearly full, although the kubelet removes unused "
        "images above 85 %. It is the filesystem of the container runtime's directory, /var/lib, /var or /: the first "
        "of them that is a mount point.",
        expr="metricat:node_image_filesystem_usage:percent{<selector>} >= <threshold>",
        resource="filesystem {{ $labels.mountpoint }}",
        summary="The image filesystem {{ $labels.mountpoint }} on {{ $labels.node }} is nearly full",
        description=f'{_WHERE} is {{{{ $value | printf "%.1f" }}}} % full (threshold <threshold> %) although the '
        f"kubelet removes unused images above 85 %.{_FORECAST % 'node_filesystem'}",
        action="Run kubectl describe node {{ $labels.node }}. Events ImageGCFailed or FreeDiskSpaceFailed show "
        "why the kubelet frees nothing.",
        unit="%",
        levels=(Level("warning", 88, "30m"), Level("critical", 93, "30m")),
        keep_firing=True,
    ),
    Alert(
        name="NodeEvictionNear",
        meaning="At the current growth rate, a filesystem will soon reach the usage at which the kubelet evicts pods. "
        "This is 85 % on the filesystem of the images, and 90 % on that of /var/lib/kubelet. Both growth rates (over "
        "the last hour, and over the last 15 minutes) reach the usage within the threshold. In addition, the usage is "
        "higher than at any time in the day before the last hour. So the alert does not fire while the kubelet keeps "
        "the usage in bounds by removing unused images.",
        expr=f"{_EVICTION} and {_MARGIN} < min_over_time({_MARGIN}[1d:10m] offset 1h)",
        resource="eviction {{ $labels.mountpoint }}",
        summary="The kubelet on {{ $labels.node }} will soon evict pods, because {{ $labels.mountpoint }} fills up",
        description=f"At the current growth rate {_WHERE} reaches the usage at which the kubelet evicts pods in "
        '{{ $value | printf "%.1f" }} hours (threshold <threshold> hours).',
        action="Run du -xh --max-depth=3 /var/lib /var/log | sort -h | tail on the node, now and later, to find the "
        "directories that grow.",
        unit="hours or less",
        levels=(Level("warning", 1, "10m"),),
        keep_firing=True,
    ),
    Alert(
        name="NodeFilesystemFillsUp",
        meaning="At the current growth rate, a writable filesystem will soon be full. The warning fires if both growth "
        "rates (since the same time yesterday, and over the last 6 hours) fill the filesystem within the threshold. "
        "The critical level uses only the growth rate of the last 6 hours, and requires less than 15 % free space. For "
        "the filesystem that holds container images, neither level fires below 85 %: the kubelet removes unused images "
        "only above that.",
        expr="",
        resource="filesystem growth {{ $labels.mountpoint }}",
        summary="Filesystem {{ $labels.mountpoint }} on {{ $labels.node }} will soon be full",
        description=f'At the current growth rate {_WHERE} is full in {{{{ $value | printf "%.1f" }}}} hours '
        f"(threshold <threshold> hours).{_WHEN}",
        action="Run du -xh --max-depth=2 {{ $labels.mountpoint }} | sort -h | tail on the node, now and later, "
        "to find the directories that grow.",
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
        meaning="A writable filesystem has few inodes left. Without free inodes, no file can be created, even with "
        "free space.",
        expr="metricat:node_inode_usage:percent{<selector>} >= <threshold>",
        resource="inodes {{ $labels.mountpoint }}",
        summary="Filesystem {{ $labels.mountpoint }} on {{ $labels.node }} has few inodes left",
        description=f'{_WHERE} uses {{{{ $value | printf "%.1f" }}}} % of its inodes (threshold <threshold> %).'
        f"{_FORECAST % 'node_inode'}",
        action="Run du --inodes -xd2 {{ $labels.mountpoint }} | sort -n | tail on the node to find the directory "
        "with the most files.",
        unit="%",
        levels=(Level("warning", 80, "30m"), Level("critical", 95, "30m")),
        keep_firing=True,
    ),
    Alert(
        name="NodeInodesFillUp",
        meaning="At the growth rate of the last 6 hours, a writable filesystem will soon have no inodes left. It "
        "already uses more than 60 % of its inodes.",
        expr="metricat:node_inode_full_6h:hours{<selector>} <= <threshold> "
        "and metricat:node_inode_usage:percent{<selector>} > 60",
        resource="inode growth {{ $labels.mountpoint }}",
        summary="Filesystem {{ $labels.mountpoint }} on {{ $labels.node }} will soon be out of inodes",
        description=f'At the current growth rate {_WHERE} has no inodes left in {{{{ $value | printf "%.1f" }}}} hours '
        f"(threshold <threshold> hours).{_WHEN}",
        action="Run du --inodes -xd2 {{ $labels.mountpoint }} | sort -n | tail on the node, now and later, to find "
        "the directories with new files.",
        unit="hours or less",
        levels=(Level("warning", 24, "1h"), Level("critical", 4, "1h")),
        keep_firing=True,
    ),
    Alert(
        name="NodeFilesystemReadOnly",
        meaning="A filesystem became read-only within the last hour. The kernel usually makes a filesystem read-only "
        "after a disk error.",
        expr=f"max by ({FILESYSTEM}) (node_filesystem_readonly{{<selector>}}) == 1 "
        f"and min by ({FILESYSTEM}) (min_over_time(node_filesystem_readonly{{<selector>}}[1h])) == 0",
        resource="filesystem mode {{ $labels.mountpoint }}",
        summary="Filesystem {{ $labels.mountpoint }} on {{ $labels.node }} became read-only",
        description=f"{_WHERE} became read-only within the last hour.",
        action="Run dmesg -T on the node to find the disk error. Drain the node before you repair the filesystem.",
        levels=(Level("warning", None, "1m"),),
    ),
    Alert(
        name="NodeDiskIOUtilHigh",
        meaning="A disk is busy most of the time. In addition, its queue has 10 or more requests, or a request takes "
        "50 ms or more on average. Usage alone is not enough: a disk with many queues can be busy all the time and "
        "still be far from its limit.",
        expr="metricat:node_disk_io_util:percent{<selector>} >= <threshold> and "
        "(metricat:node_disk_queue:length{<selector>} >= 10 "
        "or metricat:node_disk_await:milliseconds{<selector>} >= 50)",
        resource="disk {{ $labels.device }}",
        summary="Disk {{ $labels.device }} on {{ $labels.node }} is busy all the time",
        description=f'{_DISK} was busy {{{{ $value | printf "%.1f" }}}} % of the time (threshold <threshold> %), and '
        "requests wait.",
        action="Run iotop -oPa or pidstat -d 5 on the node to find the processes that read and write.",
        unit="%",
        levels=(Level("warning", 80, "5m"),),
        keep_firing=True,
    ),
    Alert(
        name="NodeDiskAwaitHigh",
        meaning="Reads and writes of a disk take long on average, including the time in the queue. Disks with less "
        "than one request a second are ignored.",
        expr="metricat:node_disk_await:milliseconds{<selector>} >= <threshold> "
        "and (metricat:node_disk_reads:rate{<selector>} + metricat:node_disk_writes:rate{<selector>}) >= 1",
        resource="disk latency {{ $labels.device }}",
        summary="Disk {{ $labels.device }} on {{ $labels.node }} is slow",
        description=f'A request to {_DISK} takes {{{{ $value | printf "%.0f" }}}} ms (threshold <threshold> ms).',
        action="Check whether the disk is overloaded (NodeDiskIOUtilHigh). If not, run smartctl -a /dev/{{ "
        "$labels.device }} to check whether it fails.",
        unit="milliseconds",
        levels=(Level("warning", 100, "5m"), Level("critical", 500, "5m")),
        keep_firing=True,
    ),
    Alert(
        name="NodePressureIO",
        meaning="All non-idle tasks wait for disks at the same time. The value is the share of time in which they do "
        "(pressure stall information, full).",
        expr="metricat:node_pressure_io_stalled:percent{<selector>} > <threshold>",
        resource="io pressure",
        summary="Tasks on {{ $labels.node }} stall because they wait for disks",
        description=f'On {NODE}, all non-idle tasks waited for disks {{{{ $value | printf "%.1f" }}}} % of the time '
        "(threshold <threshold> %).",
        action="Find the disk with metricat:node_disk_await:milliseconds and metricat:node_disk_queue:length.",
        unit="%",
        levels=(Level("warning", 10, "10m"),),
        keep_firing=True,
    ),
    Alert(
        name="NodeRAIDDegraded",
        meaning="A software RAID has fewer active disks than it needs, and no spare has replaced them.",
        expr=f"max by ({DEVICE}) (node_md_disks_required{{<selector>}}) - max by ({DEVICE}) "
        '(node_md_disks{state="active",<selector>}) > 0',
        resource="raid {{ $labels.device }}",
        summary="RAID {{ $labels.device }} on {{ $labels.node }} is degraded",
        description=f"{_DISK} lacks {plural('disk', 'disks')}.",
        action="Run cat /proc/mdstat and mdadm --detail /dev/{{ $labels.device }} on the node to find the missing "
        "disk.",
        levels=(Level("critical", None, "15m"),),
    ),
    Alert(
        name="NodeRAIDDiskFailed",
        meaning="A disk of a software RAID has failed, whether or not a spare has replaced it.",
        expr=f'max by ({DEVICE}) (node_md_disks{{state="failed",<selector>}}) > 0',
        resource="raid {{ $labels.device }}",
        summary="A disk of RAID {{ $labels.device }} on {{ $labels.node }} has failed",
        description=f"{plural('disk has', 'disks have')} failed in {_DISK}.",
        action="Run mdadm --detail /dev/{{ $labels.device }} on the node to find the disk. Replace it.",
        levels=(Level("warning", None, "1m"),),
    ),
    Alert(
        name="NodeZFSPoolUnhealthy",
        meaning="A ZFS pool is not online. Warning: the pool is degraded, and its data is still available. Critical: "
        "the pool is in another state, such as faulted or suspended. Its data is then usually not available.",
        expr="",
        resource="zpool {{ $labels.zpool }}",
        summary="ZFS pool {{ $labels.zpool }} on {{ $labels.node }} is {{ $labels.state }}",
        description=f"ZFS pool {{{{ $labels.zpool }}}} on {NODE} is in the state {{{{ $labels.state }}}}.",
        action="Run zpool status -x on the node: it names the device and the error.",
        levels=(
            Level("warning", None, "5m", _zfs_state('state="degraded"')),
            Level("critical", None, "1m", _zfs_state('state!~"online|degraded"')),
        ),
    ),
    Alert(
        name="NodeBtrfsErrors",
        meaning="A device of a Btrfs filesystem had errors within the last hour: reads, writes, flushes, corruption or "
        "wrong generations.",
        expr=f"sum by ({KEYS}, uuid, device) (max by ({KEYS}, uuid, device, type) "
        "(increase(node_btrfs_device_errors_total{<selector>}[1h]))) > 0",
        resource="btrfs {{ $labels.device }}",
        summary="Btrfs device {{ $labels.device }} on {{ $labels.node }} has errors",
        description=f"{plural('error', 'errors')} on {_DISK} within the last hour, in the Btrfs filesystem "
        "{{ $labels.uuid }}.",
        action="Run btrfs device stats on the mount point to see the kind of error. Replace the device if it has read "
        "or write errors.",
        levels=(Level("warning", None, "0s"),),
    ),
    Alert(
        name="NodeNVMeUnhealthy",
        meaning="An NVMe controller is not live. Warning: the controller is in another state for minutes, for example "
        "because it resets or reconnects. Critical: the controller is dead, and the kernel no longer uses it.",
        expr=f'max by ({DEVICE}, state) (node_nvme_info{{state!="live",<selector>}}) == 1',
        resource="nvme {{ $labels.device }}",
        summary="NVMe controller {{ $labels.device }} on {{ $labels.node }} is {{ $labels.state }}",
        description=f"{_DISK} is in the state {{{{ $labels.state }}}}.",
        action="Run dmesg -T | grep {{ $labels.device }} and nvme smart-log /dev/{{ $labels.device }} on the node.",
        levels=(
            Level("warning", None, "5m"),
            Level("critical", None, "1m", f'max by ({DEVICE}, state) (node_nvme_info{{state="dead",<selector>}}) == 1'),
        ),
    ),
    Alert(
        name="NodeDiskSMARTFailing",
        meaning="The self-assessment (SMART) of a disk failed: the disk expects to fail soon. The agent cannot read "
        "SMART data, because this needs the capabilities CAP_SYS_RAWIO or CAP_SYS_ADMIN. The alert needs the script "
        "smartmon of the Prometheus community on the node, which writes a file for the collector textfile.",
        expr=f'max by ({DEVICE}) (label_replace(smartmon_device_smart_healthy{{<selector>}}, "device", "$1", "disk", '
        '"(.+)")) == 0',
        resource="smart {{ $labels.device }}",
        summary="Disk {{ $labels.device }} on {{ $labels.node }} expects to fail",
        description=f"The SMART self-assessment of disk {{{{ $labels.device }}}} of {NODE} failed.",
        action="Run smartctl -a {{ $labels.device }} on the node to read the failed attributes. Move the data off the "
        "disk, and replace it.",
        levels=(Level("critical", None, "15m"),),
    ),
    Alert(
        name="NodeMountHung",
        meaning="A network filesystem does not respond: reading its size fails or takes too long. Programs that use "
        "the mount hang.",
        expr=f'max by ({FILESYSTEM}) (node_filesystem_device_error{{fstype=~"{_NETWORK}",<selector>}}) == 1',
        resource="mount {{ $labels.mountpoint }}",
        summary="Mount {{ $labels.mountpoint }} on {{ $labels.node }} does not respond",
        description=f"{_WHERE} does not respond.",
        action="Check the file server and the network to it. ps -eo stat,pid,comm | grep ^D on the node lists the "
        "programs that hang.",
        levels=(Level("warning", None, "10m"),),
    ),
)
