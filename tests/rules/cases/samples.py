"""Series for the cases: samples of metrics as functions of time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from support.promtool import DAY, change, rate, steady

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


def cpu(percent: float) -> Series:
    """Series of one core with this usage."""
    return {
        'node_cpu_seconds_total{cpu="0",mode="user"}': rate(percent / 100),
        'node_cpu_seconds_total{cpu="0",mode="idle"}': rate(1 - percent / 100),
    }


def mode(name: str, share: float) -> Series:
    """Series of one core that is in this mode for this share of the time, and idle otherwise."""
    return {
        f'node_cpu_seconds_total{{cpu="0",mode="{name}"}}': rate(share),
        'node_cpu_seconds_total{cpu="0",mode="idle"}': rate(1 - share),
    }


def waiting(share: float) -> Series:
    """Series of a node on which a task waits for a CPU for this share of the time."""
    return {"node_pressure_cpu_waiting_seconds_total": rate(share)}


def pids(threads: float, max_processes: float, max_threads: float) -> Series:
    return {
        "node_processes_threads": steady(threads),
        "node_processes_max_processes": steady(max_processes),
        "node_processes_max_threads": steady(max_threads),
    }


def zpool(state: str) -> Series:
    states = ("online", "degraded", "faulted", "offline", "removed", "unavail", "suspended")
    return {f'node_zfs_zpool_state{{zpool="tank",state="{one}"}}': steady(one == state) for one in states}


def btrfs_errors(at_minute: float) -> Series:
    """Series of a device that had seven errors before, and has one more at this minute."""
    labels = 'uuid="0abb23a9",device="sdb"'
    return {
        f'node_btrfs_device_errors_total{{{labels},type="write"}}': change(steady(7), at_minute, steady(8)),
        f'node_btrfs_device_errors_total{{{labels},type="read"}}': steady(7),
    }


def nvme(state: str) -> Series:
    return {f'node_nvme_info{{device="nvme0",state="{state}",model="a",serial="1"}}': steady(1)}


def smart(healthy: float) -> Series:
    return {'smartmon_device_smart_healthy{disk="/dev/sda",type="sat"}': steady(healthy)}


def mount_error(fstype: str, error: float) -> Series:
    return {f'node_filesystem_device_error{{device="files:/data",mountpoint="/mnt",fstype="{fstype}"}}': steady(error)}


def memory_errors(kind: str, at_minute: float, number: float) -> Series:
    return {f'node_edac_{kind}_errors_total{{controller="0"}}': change(steady(3), at_minute, steady(3 + number))}


def problem(condition: str, reason: str = "BecauseOfATest", node: str = "n1") -> Series:
    """The operator's series of a condition that reports a problem."""
    return {f'metricat_node_condition{{node="{node}",condition="{condition}",reason="{reason}"}}': steady(1)}


def memory(percent: float) -> Series:
    return {"node_memory_MemTotal_bytes": steady(100), "node_memory_MemAvailable_bytes": steady(100 - percent)}


def memory_over_days(percent: Callable[[float, float], float]) -> Series:
    """Memory usage as a function of day and hour of the day, both counted from zero."""

    def left(at: float) -> float:
        return 100 - percent(at // 86400, at % 86400 / 3600)

    return {"node_memory_MemTotal_bytes": steady(100), "node_memory_MemAvailable_bytes": left}


def season(_day: float, hour: float) -> float:
    """Return a usage that is low at night and high by day."""
    return 45 + 25 * math.sin(2 * math.pi * hour / 24)


def working_week(day: float, _hour: float) -> float:
    """Return a usage that is low at weekends."""
    return 60 if day % 7 < 5 else 20


def swap(total: float, free: float) -> Series:
    return {"node_memory_SwapTotal_bytes": steady(total), "node_memory_SwapFree_bytes": steady(free)}


def filesystem(mount: str, percent: float | Values, *, read_only: int = 0, device: str = "/dev/sdb") -> Series:
    """Series of a filesystem of 1000 bytes with this usage."""
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
    """Return linear growth, in %."""
    return lambda at: start + per_day * at / 60 / DAY


def hourly_growth(start: float, per_hour: float, begins: float = 0) -> Values:
    """Return linear growth that starts at this minute, in %."""
    return lambda at: start + per_hour * max(0, at / 60 - begins) / 60


def ripple(middle: float, height: float, minutes: float) -> Values:
    """Return a sine curve, in %."""
    return lambda at: middle + height * math.sin(2 * math.pi * at / 60 / minutes)


def saw_tooth(low: float, height: float, hours: float) -> Values:
    """Return a rise with sudden falls, in %, like that of rotated logs."""
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


ENDPOINT = '{probe="shop",target="https://shop.example/health"}'


def endpoint(*, failing: float = 0.0, seconds: float = 0.1, valid_days: float = 60.0) -> Series:
    """Series of a probe of which every n-th fails, so that the share `failing` does."""

    def success(at: float) -> float:
        return float(not failing or at // 60 % round(1 / failing) != 0)

    return {
        f"probe_success{ENDPOINT}": success,
        f"probe_duration_seconds{ENDPOINT}": steady(seconds),
        f"probe_ssl_earliest_cert_expiry{ENDPOINT}": steady(valid_days * 60 * DAY),
    }


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
    """A node that the operator reports as uncovered."""
    labels = f'node="n99",pool="default",reason="{reason}",target="{target}",target_namespace="monitoring"'
    return {f"metricat_node_uncovered{{{labels}}}": steady(1)}


def cordoned(node: str, reason: str = "Cordoned") -> Series:
    """The operator's series of a cordoned node."""
    return {f'metricat_node_cordoned{{node="{node}",reason="{reason}"}}': steady(1)}


def pressure(condition: str, node: str = "n1") -> Series:
    """The operator's series of a node under pressure."""
    return {f'metricat_node_pressure{{node="{node}",condition="{condition}"}}': steady(1)}


def node_condition(condition: str, status: str = "true", node: str = "n1") -> Series:
    """The series of kube-state-metrics for a condition of a node: one for each status."""
    return {
        f'kube_node_status_condition{{node="{node}",condition="{condition}",status="{one}"}}': steady(one == status)
        for one in ("true", "false", "unknown")
    }


def tainted(node: str, taint: str) -> Series:
    """The series of kube-state-metrics for a tainted node."""
    return {f'kube_node_spec_taint{{node="{node}",key="{taint}",value="",effect="NoSchedule"}}': steady(1)}


def inhibiting_states(node: str, created: float = 300) -> list[tuple[str, str, Series]]:
    """States in which the node sends no messages: the state, the source of its series, and the series.

    `created` is in seconds.
    """
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
        (state, source, series)
        for state, (theirs, ours) in by_both.items()
        for source, series in (
            ("kube-state-metrics", theirs),
            ("the operator", ours),
            ("each of them", {**theirs, **ours}),
        )
    ]


def until(minute: float, series: Series) -> Series:
    """Return the series, which end at this minute. Prometheus treats them as absent five minutes later."""
    return {name: change(values, minute, lambda _: None) for name, values in series.items()}


def since(minute: float, series: Series) -> Series:
    return {name: change(lambda _: None, minute, values) for name, values in series.items()}


def in_pool(pool: str) -> Series:
    return {f'up{{node="n1",pool="{pool}"}}': steady(1)}


def gone(since: float, until: float) -> Series:
    """Series of an agent that is absent between two minutes."""
    return {'up{node="n1"}': change(change(steady(1), since, lambda _: None), until, steady(1))}


def alternating() -> Series:
    """Return a reason that changes each minute, like that of a pod that fails to pull its image."""
    reasons = ("ErrImagePull", "ImagePullBackOff")
    return {
        name: lambda at, turn=turn: 1 if at // 60 % 2 == turn else None  # type: ignore[misc]
        for turn, reason in enumerate(reasons)
        for name in uncovered(reason)
    }


def kills(at_minute: float) -> Series:
    return {"node_vmstat_oom_kill": change(steady(3), at_minute, steady(4))}


def oscillating(about: float, by: float) -> Values:
    """Return values that alternate between `about` - `by` and `about` + `by` every five minutes."""
    return lambda at: about + (by if at // 300 % 2 else -by)


def ends(values: Values, minute: float, *, begins: float = 0) -> Values:
    """Return these values, but only from the minute `begins` until `minute`."""
    return lambda at: values(at) if 60 * begins <= at < 60 * minute else None


def replaced(series: Series, minute: float) -> Series:
    """Return the same series from two agents, of which the second replaces the first."""

    def of(name: str, pod: str) -> str:
        return f'{name.rstrip("}")}{"," if "{" in name else "{"}pod="{pod}"}}'

    return {
        **{of(name, "old"): ends(values, minute) for name, values in series.items()},
        **{of(name, "new"): ends(values, 10**6, begins=minute) for name, values in series.items()},
    }


BUSY_THEN_IDLE: Series = {
    'node_cpu_seconds_total{cpu="0",mode="user"}': change(rate(0.92), 20, steady(0.92 * 1200)),
    'node_cpu_seconds_total{cpu="0",mode="idle"}': change(rate(0.08), 20, lambda at: 0.08 * 1200 + (at - 1200)),
}
CORES: Series = {f'node_cpu_seconds_total{{cpu="{core}",mode="idle"}}': rate(1) for core in range(2)}
SEPARATE_IMAGE_FS = filesystem("/var/lib/containerd", 50, device="/dev/sdc")


def monitored(status: str) -> Series:
    """The operator's series of a target's Monitored condition."""
    return _condition("Monitored", status)


def nodes_selected(status: str) -> Series:
    """The operator's series of a target's NodesSelected condition."""
    return _condition("NodesSelected", status)


def left(reason: str) -> Series:
    """The series of an operator that leaves a target to another operator."""
    labels = f'target_namespace="monitoring",target="nodes",operator="team/metricat",reason="{reason}"'
    return {f"metricat_target_managed_by_other{{{labels}}}": steady(1)}


def _condition(kind: str, status: str) -> Series:
    labels = f'target_namespace="monitoring",target="nodes",type="{kind}"'
    return {
        f'metricat_target_condition{{{labels},status="{one}"}}': steady(float(one == status))
        for one in ("True", "False", "Unknown")
    }
