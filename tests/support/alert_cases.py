"""What each alert is put to: series, and the severities that they make fire."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from support.promtool import DAY, Case, change, rate, steady

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.promtool import Values

Series = Mapping[str, "Values"]
NONE: frozenset[str] = frozenset()
INFO = frozenset({"info"})
WARNING = frozenset({"warning"})
CRITICAL = frozenset({"critical"})
BOTH = WARNING | CRITICAL
GIB = float(2**30)

SLOW = {
    "NodeFilesystemFillsUp": (120, "4m", 480),
    "NodeInodesFillUp": (120, "4m", 480),
    "NodeUnusual": (900, "15m", 3600),
}
"""Cases that last for hours or days are looked at more seldom: seconds between samples, evaluation, window."""


def cpu(percent: float) -> Series:
    """One core, busy so much."""
    return {
        'node_cpu_seconds_total{cpu="0",mode="user"}': rate(percent / 100),
        'node_cpu_seconds_total{cpu="0",mode="idle"}': rate(1 - percent / 100),
    }


def memory(percent: float) -> Series:
    return {"node_memory_MemTotal_bytes": steady(100), "node_memory_MemAvailable_bytes": steady(100 - percent)}


def memory_over_days(percent: Callable[[float, float], float]) -> Series:
    """Used so much at a day and an hour of it, both counted from zero."""

    def left(at: float) -> float:
        return 100 - percent(at // 86400, at % 86400 / 3600)

    return {"node_memory_MemTotal_bytes": steady(100), "node_memory_MemAvailable_bytes": left}


def season(_day: float, hour: float) -> float:
    """Little by night, much by day."""
    return 45 + 25 * math.sin(2 * math.pi * hour / 24)


def working_week(day: float, _hour: float) -> float:
    """Nothing to do at weekends."""
    return 60 if day % 7 < 5 else 20


def swap(total: float, free: float) -> Series:
    return {"node_memory_SwapTotal_bytes": steady(total), "node_memory_SwapFree_bytes": steady(free)}


def filesystem(mount: str, percent: float | Values, *, read_only: int = 0, device: str = "/dev/sdb") -> Series:
    """A file system of 1000 bytes, filled so far."""
    used = percent if callable(percent) else steady(percent)

    def left(at: float) -> float:
        filled = used(at)
        assert filled is not None
        return 1000 - 10 * filled

    labels = f'{{device="{device}",mountpoint="{mount}",fstype="ext4"}}'
    return {
        f"node_filesystem_size_bytes{labels}": steady(1000),
        f"node_filesystem_free_bytes{labels}": left,
        f"node_filesystem_avail_bytes{labels}": left,
        f"node_filesystem_readonly{labels}": steady(read_only),
    }


def inodes(percent: float | Values, *, read_only: int = 0, files: float = 1000) -> Series:
    used = percent if callable(percent) else steady(percent)

    def left(at: float) -> float:
        taken = used(at)
        assert taken is not None
        return files - files / 100 * taken

    labels = '{device="/dev/sdb",mountpoint="/data",fstype="ext4"}'
    return {
        f"node_filesystem_files{labels}": steady(files),
        f"node_filesystem_files_free{labels}": left,
        f"node_filesystem_readonly{labels}": steady(read_only),
    }


def growth(start: float, per_day: float) -> Values:
    """Per cent, growing evenly."""
    return lambda at: start + per_day * at / 60 / DAY


def saw_tooth(low: float, height: float, hours: float) -> Values:
    """Per cent, rising and falling at once, as logs do that are rotated."""
    return lambda at: low + height * (at % (3600 * hours)) / (3600 * hours)


def read_only(values: Values) -> Series:
    return {'node_filesystem_readonly{device="/dev/sdb",mountpoint="/data",fstype="ext4"}': values}


def disk(*, util: float = 0, queue: float = 0, await_ms: float = 0, operations: float = 100) -> Series:
    labels = '{device="sda"}'
    return {
        f"node_disk_io_time_seconds_total{labels}": rate(util / 100),
        f"node_disk_io_time_weighted_seconds_total{labels}": rate(queue),
        f"node_disk_reads_completed_total{labels}": rate(operations / 2),
        f"node_disk_writes_completed_total{labels}": rate(operations / 2),
        f"node_disk_read_time_seconds_total{labels}": rate(operations / 2 * await_ms / 1000),
        f"node_disk_write_time_seconds_total{labels}": rate(operations / 2 * await_ms / 1000),
    }


def network(metric: str, per_second: float, packets: float, way: str = "receive") -> Series:
    return {
        f'node_network_{way}_{metric}_total{{device="eth0"}}': rate(per_second),
        f'node_network_{way}_packets_total{{device="eth0"}}': rate(packets),
    }


def bandwidth(share: float, device: str = "eth0", speed: float | None = 1000, way: str = "receive") -> Series:
    found: dict[str, Values] = {f'node_network_{way}_bytes_total{{device="{device}"}}': rate(10 * share)}
    if speed is not None:
        found[f'node_network_speed_bytes{{device="{device}"}}'] = steady(speed)
    return found


def share(used: str, limit: str, percent: float, whole: float = 1000) -> Series:
    return {used: steady(whole * percent / 100), limit: steady(whole)}


def conntrack(percent: float) -> Series:
    return share("node_nf_conntrack_entries", "node_nf_conntrack_entries_limit", percent)


def descriptors(percent: float, whole: float = 1000) -> Series:
    return share("node_filefd_allocated", "node_filefd_maximum", percent, whole)


def raid(required: int, active: int, failed: int) -> Series:
    return {
        'node_md_disks_required{device="md0"}': steady(required),
        'node_md_disks{device="md0",state="active"}': steady(active),
        'node_md_disks{device="md0",state="failed"}': steady(failed),
        'node_md_disks{device="md0",state="spare"}': steady(0),
    }


def bond(slaves: int, active: int) -> Series:
    return {
        'node_bonding_slaves{master="bond0"}': steady(slaves),
        'node_bonding_active{master="bond0"}': steady(active),
    }


def flapping(per_minute: float, device: str = "eth0") -> Series:
    return {
        f'node_network_carrier_changes_total{{device="{device}"}}': lambda at: 2 + float(int(per_minute * at / 60)),
    }


def sensor(celsius: float, critical: float) -> Series:
    labels = '{chip="coretemp",sensor="temp1"}'
    return {
        f"node_hwmon_temp_celsius{labels}": steady(celsius),
        f"node_hwmon_temp_crit_celsius{labels}": steady(critical),
    }


def clock_source(status: float, error: float) -> Series:
    return {"node_timex_sync_status": steady(status), "node_timex_maxerror_seconds": steady(error)}


def agents(down: int, up: int) -> Series:
    return {f'up{{node="n{number}"}}': steady(0 if number <= down else 1) for number in range(1, down + up + 1)}


def uncovered(reason: str = "ImagePullBackOff", target: str = "nodes") -> Series:
    """A node that the operator tells of."""
    labels = f'node="n99",pool="default",reason="{reason}",target="{target}",target_namespace="monitoring"'
    return {f"metricat_node_uncovered{{{labels}}}": steady(1)}


def cordoned(node: str, reason: str = "Cordoned") -> Series:
    """What the operator tells."""
    return {f'metricat_node_cordoned{{node="{node}",reason="{reason}"}}': steady(1)}


def tainted(node: str, taint: str) -> Series:
    """What kube-state-metrics tells."""
    return {f'kube_node_spec_taint{{node="{node}",key="{taint}",value="",effect="NoSchedule"}}': steady(1)}


def spared(node: str, created: float = 300) -> list[tuple[str, str, Series]]:
    """Why nobody should be told of the node, who says so, and how; created at so many seconds."""
    born = steady(created)
    by_both = {
        "cordoned": ({f'kube_node_spec_unschedulable{{node="{node}"}}': steady(1)}, cordoned(node)),
        "about to be deleted": (tainted(node, "karpenter.sh/disrupted"), cordoned(node, "karpenter.sh/disrupted")),
        "new": (
            {f'kube_node_created{{node="{node}"}}': born},
            {f'metricat_node_created_timestamp_seconds{{node="{node}"}}': born},
        ),
    }
    return [
        (why, who, told)
        for why, (theirs, ours) in by_both.items()
        for who, told in (
            ("kube-state-metrics", theirs),
            ("the operator", ours),
            ("each of them", {**theirs, **ours}),
        )
    ]


def until(minute: float, series: Series) -> Series:
    """The series, which end then; Prometheus notices five minutes later."""
    return {name: change(values, minute, lambda _: None) for name, values in series.items()}


def in_pool(pool: str) -> Series:
    return {f'up{{node="n1",pool="{pool}"}}': steady(1)}


def gone(since: float, until: float) -> Series:
    """An agent that is not there from minute to minute."""
    return {'up{node="n1"}': change(change(steady(1), since, lambda _: None), until, steady(1))}


def taking_turns() -> Series:
    """Each minute another reason, as a pod has that fails to pull its image."""
    reasons = ("ErrImagePull", "ImagePullBackOff")
    return {
        name: lambda at, turn=turn: 1 if at // 60 % 2 == turn else None  # type: ignore[misc]
        for turn, reason in enumerate(reasons)
        for name in uncovered(reason)
    }


def kills(at_minute: float) -> Series:
    return {"node_vmstat_oom_kill": change(steady(3), at_minute, steady(4))}


def swaying(about: float, by: float) -> Values:
    """Above, then below, minutes each."""
    return lambda at: about + (by if at // 300 % 2 else -by)


def ends(values: Values, minute: float, *, begins: float = 0) -> Values:
    """The same, from one minute until another only."""
    return lambda at: values(at) if 60 * begins <= at < 60 * minute else None


def replaced(series: Series, minute: float) -> Series:
    """The same from two agents, the one replaced by the other."""

    def of(name: str, pod: str) -> str:
        return f'{name.rstrip("}")}{"," if "{" in name else "{"}pod="{pod}"}}'

    return {
        **{of(name, "old"): ends(values, minute) for name, values in series.items()},
        **{of(name, "new"): ends(values, 10**6, begins=minute) for name, values in series.items()},
    }


BUSY_THEN_IDLE: Series = {
    'node_cpu_seconds_total{cpu="0",mode="user"}': change(rate(0.9), 10, steady(540)),
    'node_cpu_seconds_total{cpu="0",mode="idle"}': change(rate(0.1), 10, lambda at: 60 + (at - 600)),
}
CORES: Series = {f'node_cpu_seconds_total{{cpu="{core}",mode="idle"}}': rate(1) for core in range(2)}
IMAGES_APART = filesystem("/var/lib/containerd", 50, device="/dev/sdc")

CASES: dict[str, tuple[Case, ...]] = {
    "NodeCPUUsageHigh": (
        Case("busy", 8, WARNING, cpu(90)),
        Case("very busy", 8, BOTH, cpu(97)),
        Case("not for long enough", 4, NONE, cpu(90)),
        Case("calm", 20, NONE, cpu(79)),
        Case(
            "waiting for disks is not busy",
            20,
            NONE,
            {
                'node_cpu_seconds_total{cpu="0",mode="user"}': rate(0.2),
                'node_cpu_seconds_total{cpu="0",mode="iowait"}': rate(0.8),
            },
        ),
        Case("lingers, so that it does not flap", 14, WARNING, BUSY_THEN_IDLE),
        Case("and then ends", 18, NONE, BUSY_THEN_IDLE),
        Case("an agent that is replaced changes nothing: busy", 10.5, WARNING, replaced(cpu(90), 10)),
        Case("an agent that is replaced changes nothing: calm", 20, NONE, replaced(cpu(60), 10)),
    ),
    "NodeLoadHigh": (
        Case("high", 20, WARNING, {"node_load1": steady(4.4), **CORES}),
        Case("not for long enough", 14, NONE, {"node_load1": steady(4.4), **CORES}),
        Case("more cores", 30, NONE, {"node_load1": steady(3.6), **CORES}),
        Case("sways about it", 40, WARNING, {"node_load1": change(steady(4.4), 20, swaying(4, 0.2)), **CORES}),
    ),
    "NodePressureCPU": (
        Case("high", 15, WARNING, {"node_pressure_cpu_waiting_seconds_total": rate(0.3)}),
        Case("low", 30, NONE, {"node_pressure_cpu_waiting_seconds_total": rate(0.2)}),
        Case("not for long enough", 9, NONE, {"node_pressure_cpu_waiting_seconds_total": rate(0.3)}),
    ),
    "NodeMemoryUsageHigh": (
        Case("high", 8, WARNING, memory(90)),
        Case("very high", 8, BOTH, memory(97)),
        Case("calm", 20, NONE, memory(84)),
        Case("full of caches", 20, NONE, {**memory(50), "node_memory_MemFree_bytes": steady(1)}),
    ),
    "NodeOOMKill": (
        Case("a container at its limit", 12, INFO, {**memory(50), **kills(10)}),
        Case("the node has no memory left", 12, CRITICAL, {**memory(96), **kills(10)}),
        Case("none", 12, NONE, {**memory(96), "node_vmstat_oom_kill": steady(7)}),
        Case("long ago", 20, NONE, {**memory(96), **kills(10)}),
        Case("a reboot", 12, NONE, {**memory(50), "node_vmstat_oom_kill": change(steady(7), 10, steady(0))}),
    ),
    "NodeMemoryMajorFaults": (
        Case("many", 20, WARNING, {"node_vmstat_pgmajfault": rate(600)}),
        Case("few", 30, NONE, {"node_vmstat_pgmajfault": rate(400)}),
    ),
    "NodeSwapUsageHigh": (
        Case("full", 20, WARNING, swap(100, 15)),
        Case("room", 30, NONE, swap(100, 25)),
        Case("no swap", 30, NONE, swap(0, 0)),
    ),
    "NodePressureMemory": (
        Case("stalls", 15, WARNING, {"node_pressure_memory_stalled_seconds_total": rate(0.15)}),
        Case("stalls much", 15, BOTH, {"node_pressure_memory_stalled_seconds_total": rate(0.4)}),
        Case("stalls little", 30, NONE, {"node_pressure_memory_stalled_seconds_total": rate(0.05)}),
        Case("some tasks wait, not all", 30, NONE, {"node_pressure_memory_waiting_seconds_total": rate(0.9)}),
    ),
    "NodeFilesystemUsageHigh": (
        Case("nearly full", 35, WARNING, filesystem("/data", 85)),
        Case("full", 35, BOTH, filesystem("/data", 92)),
        Case("not for long enough", 29, NONE, filesystem("/data", 92)),
        Case("room", 60, NONE, filesystem("/data", 79)),
        Case("read-only", 60, NONE, filesystem("/data", 100, read_only=1)),
        Case("the images' has an alert of its own", 60, NONE, filesystem("/", 92)),
        Case("images elsewhere", 35, WARNING, {**filesystem("/", 85), **IMAGES_APART}),
    ),
    "NodeImageFilesystemUsageHigh": (
        Case("kubelet cannot keep it down", 35, WARNING, filesystem("/", 89)),
        Case("full", 35, BOTH, filesystem("/var", 94)),
        Case("where kubelet's cleaning lets it be", 60, NONE, filesystem("/", 85)),
        Case("images elsewhere", 60, NONE, {**filesystem("/", 94), **IMAGES_APART}),
        Case("another one", 60, NONE, {**filesystem("/", 50), **filesystem("/data", 99)}),
        Case("read-only", 60, NONE, filesystem("/", 100, read_only=1)),
    ),
    "NodeFilesystemFillsUp": (
        Case("within a week", DAY + 120, WARNING, filesystem("/data", growth(40, 15))),
        Case("in more than a week", DAY + 120, NONE, filesystem("/data", growth(40, 5))),
        Case("today, and nearly full", 8 * 60, CRITICAL, filesystem("/data", growth(83, 15))),
        Case("today, and much room", 8 * 60, NONE, filesystem("/data", growth(10, 90))),
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
    "NodeNetworkBandwidthHigh": (
        Case("nearly full", 10, WARNING, bandwidth(85)),
        Case("full, the other way", 10, BOTH, bandwidth(97, way="transmit")),
        Case("room", 30, NONE, bandwidth(70)),
        Case("speed unknown", 30, NONE, bandwidth(97, speed=None)),
        Case("speed of -1", 30, NONE, bandwidth(97, speed=-1)),
        Case("speed of 0", 30, NONE, bandwidth(97, speed=0)),
        Case("no physical link", 30, NONE, bandwidth(97, device="br-1a2b")),
    ),
    "NodeNetworkDropsHigh": (
        Case("drops", 20, WARNING, network("drop", 2, 100)),
        Case("drops, the other way", 20, WARNING, network("drop", 2, 100, "transmit")),
        Case("drops few", 30, NONE, network("drop", 0.5, 100)),
        Case("few packets", 30, NONE, network("drop", 2, 5)),
        Case(
            "few packets one way, many the other",
            30,
            NONE,
            {**network("drop", 0, 1000), **network("drop", 1, 5, "transmit")},
        ),
    ),
    "NodeNetworkErrorsHigh": (
        Case("broken", 20, WARNING, network("errs", 2, 100)),
        Case("few broken", 30, NONE, network("errs", 0.5, 100)),
        Case("few packets", 30, NONE, network("errs", 2, 5)),
        Case("no packets", 30, NONE, network("errs", 2, 0)),
    ),
    "NodeConntrackHigh": (
        Case("nearly full", 10, WARNING, conntrack(80)),
        Case("full", 10, BOTH, conntrack(95)),
        Case("room", 30, NONE, conntrack(70)),
    ),
    "NodeBondDegraded": (
        Case("one down", 10, WARNING, bond(2, 1)),
        Case("not for long enough", 4, NONE, bond(2, 1)),
        Case("whole", 30, NONE, bond(2, 2)),
    ),
    "NodeInterfaceFlapping": (
        Case("flaps", 10, WARNING, flapping(4)),
        Case("twice in 2 minutes", 30, NONE, flapping(1)),
        Case("no physical link", 30, NONE, flapping(4, device="veth1")),
    ),
    "NodeFileDescriptorsHigh": (
        Case("few left", 20, WARNING, descriptors(80)),
        Case("very few left", 20, BOTH, descriptors(95)),
        Case("many left", 30, NONE, descriptors(60)),
        Case("no limit", 30, NONE, descriptors(1e-10, whole=9.22e18)),
    ),
    "NodeClockSkew": (
        Case("ahead", 15, WARNING, {"node_timex_offset_seconds": steady(0.2)}),
        Case("behind, and more so", 20, WARNING, {"node_timex_offset_seconds": lambda at: -0.1 - at / 10000}),
        Case("coming nearer", 20, NONE, {"node_timex_offset_seconds": lambda at: 1 - at / 10000}),
        Case("right", 30, NONE, {"node_timex_offset_seconds": steady(0.001)}),
    ),
    "NodeClockNotSynchronising": (
        Case("nothing sets it", 20, WARNING, clock_source(0, 16)),
        Case("set", 30, NONE, clock_source(1, 16)),
        Case("not long ago", 30, NONE, clock_source(0, 2)),
    ),
    "NodeTemperatureHigh": (
        Case("hot", 15, WARNING, sensor(96, 100)),
        Case("too hot", 15, BOTH, sensor(101, 100)),
        Case("warm", 30, NONE, sensor(90, 100)),
        Case("no critical temperature", 30, NONE, sensor(50, 0)),
        Case("a nonsensical one", 30, NONE, sensor(65260, 65261.85)),
    ),
    "NodeRebooted": (
        Case("rebooted", 35, INFO, {"node_boot_time_seconds": change(steady(1e9), 30, steady(1e9 + 3600))}),
        Case("long ago", 50, NONE, {"node_boot_time_seconds": change(steady(1e9), 30, steady(1e9 + 3600))}),
        Case(
            "the clock was set a little", 35, NONE, {"node_boot_time_seconds": change(steady(1e9), 30, steady(1e9 + 2))}
        ),
        Case("new", 5, NONE, {"node_boot_time_seconds": steady(1e9)}),
    ),
    "NodeUnusual": (
        Case("more than on other days", 7 * DAY + 90, INFO, memory_over_days(lambda day, _: 70 if day >= 7 else 40)),
        Case("less than on other days", 7 * DAY + 90, INFO, memory_over_days(lambda day, _: 10 if day >= 7 else 40)),
        Case(
            "the hour of the day counts",
            7 * DAY + 19 * 60,
            INFO,
            memory_over_days(lambda day, hour: 70 if day >= 7 and hour >= 17 else season(day, hour)),
        ),
        Case("as every day", 7 * DAY + 6 * 60, NONE, memory_over_days(season)),
        Case(
            "a job of the night",
            7 * DAY + 180,
            NONE,
            memory_over_days(lambda _, hour: 90 if 2 <= hour < 4 else 40),
        ),
        Case(
            "one of the days before was bad",
            7 * DAY + 180,
            NONE,
            memory_over_days(lambda day, hour: 95 if day == 3 and 1 <= hour < 5 else 40),
        ),
        Case("not for long", 7 * DAY + 30, NONE, memory_over_days(lambda day, _: 70 if day >= 7 else 40)),
        Case("within the floor", 7 * DAY + 180, NONE, memory_over_days(lambda day, _: 47 if day >= 7 else 40)),
        Case("too few days", 6 * DAY + 180, NONE, memory_over_days(lambda day, _: 70 if day >= 6 else 40)),
        Case("a weekend as the one before", 12 * DAY + 180, NONE, memory_over_days(working_week)),
        Case("and the Monday after it", 14 * DAY + 180, NONE, memory_over_days(working_week)),
        Case(
            "a weekend unlike the one before, and unlike the week",
            12 * DAY + 180,
            INFO,
            memory_over_days(lambda day, hour: 90 if day == 12 else working_week(day, hour)),
        ),
        Case(
            "a week after a bad day",
            10 * DAY + 180,
            NONE,
            memory_over_days(lambda day, _: 90 if day == 3 else 40),
        ),
    ),
    "NodeAgentDown": (
        Case("many", 10, BOTH, agents(1, 3)),
        Case("one of many", 10, WARNING, agents(1, 19)),
        Case("not for long enough", 4, NONE, agents(1, 3)),
        Case("all well", 30, NONE, agents(0, 4)),
        *(Case(f"{why}, says {who}", 12, NONE, {**agents(1, 3), **told}) for why, who, told in spared("n1")),
        *(
            Case(f"no agent, but {why}, says {who}", 12, NONE, {**agents(0, 4), **uncovered(), **told})
            for why, who, told in spared("n99")
        ),
        *(Case(f"another is {why}, says {who}", 10, BOTH, {**agents(1, 3), **told}) for why, who, told in spared("n2")),
        Case("not cordoned", 10, BOTH, {**agents(1, 3), 'kube_node_spec_unschedulable{node="n1"}': steady(0)}),
        Case("another taint", 10, BOTH, {**agents(1, 3), **tainted("n1", "node.kubernetes.io/disk-pressure")}),
        *(
            Case(f"no longer new, says {who}", 21, BOTH, {**agents(1, 3), **told})
            for why, who, told in spared("n1", created=0)
            if why == "new"
        ),
        Case("of another target", 30, NONE, {'up{service="other"}': steady(0)}),
        Case("no agent at all", 10, WARNING, {**agents(0, 10), **uncovered()}),
        Case("no agent on many", 10, BOTH, {**agents(0, 8), **uncovered()}),
        Case("no agent, for changing reasons", 10, WARNING, {**agents(0, 10), **taking_turns()}),
        Case("virtual", 30, NONE, {**agents(0, 4), **uncovered(reason="VirtualNode")}),
        Case("uncovered by another target", 30, NONE, {**agents(0, 4), **uncovered(target="other")}),
    ),
    "NodeCordoned": (
        *(
            Case(f"{why}, says {who}", 2, NONE if why == "new" else INFO, {**agents(0, 4), **told})
            for why, who, told in spared("n1")
        ),
        Case("no agent, and cordoned", 2, INFO, {**agents(0, 4), **uncovered(), **cordoned("n99")}),
        Case("another target's", 2, NONE, {'up{service="other"}': steady(1), **cordoned("n1")}),
        Case("until a moment ago", 33, INFO, {**agents(0, 4), **until(30, cordoned("n1"))}),
        Case("no longer", 41, NONE, {**agents(0, 4), **until(30, cordoned("n1"))}),
        Case("no longer, and without an agent", 41, NONE, {**agents(1, 3), **until(30, cordoned("n1"))}),
        Case("when it was deleted", 100, INFO, until(30, {**agents(0, 4), **cordoned("n1")})),
        Case("long ago, when it was deleted", 170, NONE, until(30, {**agents(0, 4), **cordoned("n1")})),
        Case("when it was deleted, but is back", 100, NONE, {**gone(30, 90), **until(30, cordoned("n1"))}),
        Case("in another pool since", 100, NONE, {**until(30, {**agents(0, 4), **cordoned("n1")}), **in_pool("other")}),
        Case("not when it was deleted", 40, NONE, until(30, agents(0, 4))),
        Case("nobody says", 30, NONE, agents(0, 4)),
    ),
    "NodeNew": (
        *(
            Case(f"{why}, says {who}", 14, INFO if why == "new" else NONE, {**agents(0, 4), **told})
            for why, who, told in spared("n1", created=0)
        ),
        *(
            Case(f"no longer new, or {why}, says {who}", 16, NONE, {**agents(0, 4), **told})
            for why, who, told in spared("n1", created=0)
        ),
        Case("nobody says", 30, NONE, agents(0, 4)),
    ),
    "NodeCollectorFailing": (
        Case("fails", 20, WARNING, {'node_scrape_collector_success{collector="hwmon"}': steady(0)}),
        Case("not for long enough", 14, NONE, {'node_scrape_collector_success{collector="hwmon"}': steady(0)}),
        Case("works", 30, NONE, {'node_scrape_collector_success{collector="hwmon"}': steady(1)}),
    ),
    "MetricatWatchdog": (Case("always", 2, INFO),),
}


def monitored(status: str) -> Series:
    """What the operator tells of a target's last condition."""
    labels = 'target_namespace="monitoring",target="nodes",type="Monitored"'
    return {
        f'metricat_target_condition{{{labels},status="{one}"}}': steady(float(one == status))
        for one in ("True", "False", "Unknown")
    }


OPERATOR_CASES: dict[str, tuple[Case, ...]] = {
    "MetricatNotMonitored": (
        Case("broken", 16, WARNING, monitored("False")),
        Case("not for long enough", 14, NONE, monitored("False")),
        Case("works", 30, NONE, monitored("True")),
        Case("nobody knows", 30, NONE, monitored("Unknown")),
    ),
    "MetricatNoLeader": (
        Case("nobody tells", 6, WARNING),
        Case("both stand by", 6, WARNING, {f'metricat_leader{{pod="{pod}"}}': steady(0) for pod in "ab"}),
        Case("one leads", 30, NONE, {'metricat_leader{pod="a"}': steady(0), 'metricat_leader{pod="b"}': steady(1)}),
        Case(
            "handed over",
            30,
            NONE,
            {
                'metricat_leader{pod="a"}': change(steady(1), 10, steady(0)),
                'metricat_leader{pod="b"}': change(steady(0), 11, steady(1)),
            },
        ),
    ),
    "MetricatReconcileFailing": (
        Case("again and again", 20, WARNING, {'metricat_reconcile_errors_total{reason="Forbidden"}': rate(0.02)}),
        Case(
            "once",
            40,
            NONE,
            {'metricat_reconcile_errors_total{reason="Unreachable"}': change(steady(0), 5, steady(1))},
        ),
    ),
    "MetricatWatchStale": (
        Case("silent", 6, WARNING, {'metricat_watch_last_activity_age_seconds{kind="Node",pod="a"}': steady(200)}),
        Case(
            "a bookmark each minute",
            30,
            NONE,
            {'metricat_watch_last_activity_age_seconds{kind="Node",pod="a"}': steady(61)},
        ),
    ),
}
"""The same for those that the chart brings."""
