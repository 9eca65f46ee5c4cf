"""The recording rules, and the measures: common names of series to query."""

from dataclasses import dataclass

KEYS = "namespace, service, node, pool"
"""Labels that identify a node of a target. A node that moves between pools has series of both for a moment."""

DEVICE = f"{KEYS}, device"
FILESYSTEM = f"{DEVICE}, mountpoint, fstype"
_SENSOR = f"{KEYS}, chip, sensor"


@dataclass(frozen=True)
class Recording:
    """A recording rule. `<selector>` restricts it to one target's series, `<window>` becomes the target's rate window.

    Raw series are aggregated by the labels of the measured object: for a moment, a replaced agent and its successor
    both have series. Join recorded series to raw series only with `on (...)`: recorded series also have the target's
    extra labels.
    """

    name: str
    expr: str


def _raw(metric: str, keys: str = KEYS) -> str:
    return f"max by ({keys}) ({metric}{{<selector>}})"


def _rate(metric: str, keys: str = KEYS) -> str:
    """Return the rate per second over the rate window."""
    return f"max by ({keys}) (rate({metric}{{<selector>}}[<window>]))"


def _recorded(name: str) -> str:
    """Return the selector of a recorded series."""
    return f"metricat:{name}{{<selector>}}"


def _disk(name: str, metric: str, factor: str = "") -> Recording:
    return Recording(f"metricat:node_disk_{name}", factor + _rate(f"node_disk_{metric}", DEVICE))


def _network(name: str, metric: str) -> Recording:
    """Return the rates in both directions, with the label `direction`."""
    ways = (
        f'label_replace({_rate(f"node_network_{way}_{metric}", DEVICE)}, "direction", "{way}", "", "")'
        for way in ("receive", "transmit")
    )
    return Recording(f"metricat:node_network_{name}:rate", " or ".join(ways))


def _hours_until(left: str, used: str) -> str:
    """Return the hours until nothing is left at the growth rate of the last 6 hours.

    The value is absent without 3 hours of history, or without growth.
    """
    growth = f"(3600 * deriv({_recorded(used)}[6h]) > 0)"
    return f"{left} / on ({FILESYSTEM}) {growth} and on ({FILESYSTEM}) ({_recorded(used)} offset 3h)"


_CPU_TIME = "node_cpu_seconds_total"
_FS_AVAILABLE = _raw("node_filesystem_avail_bytes", FILESYSTEM)
_FS_WRITABLE = f"{_raw('node_filesystem_readonly', FILESYSTEM)} == 0"
_FILES = _raw("node_filesystem_files", FILESYSTEM)
_FILES_FREE = _raw("node_filesystem_files_free", FILESYSTEM)
_FS_USED = "node_filesystem_used:bytes"
_KUBELET_DIRECTORY = '="/var/lib/kubelet"'
_RUNTIME_DIRECTORIES = '=~"/var/lib/(containerd|docker|containers|containers/storage|rancher|k0s)(/.*)?"'


def _nearest_mount(directory: str) -> str:
    """Return the usage of the filesystem that holds a directory in /var/lib. The argument is a matcher of its path.

    It is the mount at that directory; otherwise the nearest mount above it.
    """
    return f" or on ({KEYS}) ".join(
        f"metricat:node_filesystem_usage:percent{{mountpoint{matcher},<selector>}}"
        for matcher in (directory, '="/var/lib"', '="/var"', '="/"')
    )


CPU_MEMORY: tuple[Recording, ...] = (
    Recording(
        "metricat:node_cpu_mode:percent",
        f"100 * avg by ({KEYS}, mode) ({_rate(_CPU_TIME, f'{KEYS}, cpu, mode')})",
    ),
    Recording(
        "metricat:node_cpu_usage:percent",
        f'100 - sum by ({KEYS}) (metricat:node_cpu_mode:percent{{mode=~"idle|iowait|steal",<selector>}})',
    ),
    Recording(
        "metricat:node_cpu_core_usage:percent",
        f"100 * (1 - sum by ({KEYS}, cpu) (max by ({KEYS}, cpu, mode) "
        f'(rate({_CPU_TIME}{{mode=~"idle|iowait|steal",<selector>}}[<window>]))))',
    ),
    Recording(
        "metricat:node_load1_per_cpu:ratio",
        f'{_raw("node_load1")} / count by ({KEYS}) (max by ({KEYS}, cpu) ({_CPU_TIME}{{mode="idle",<selector>}}))',
    ),
    Recording(
        "metricat:node_memory_used:bytes",
        f"{_raw('node_memory_MemTotal_bytes')} - {_raw('node_memory_MemAvailable_bytes')}",
    ),
    Recording(
        "metricat:node_memory_usage:percent",
        f"100 * {_recorded('node_memory_used:bytes')} / on ({KEYS}) {_raw('node_memory_MemTotal_bytes')}",
    ),
    Recording(
        "metricat:node_swap_used:bytes", f"{_raw('node_memory_SwapTotal_bytes')} - {_raw('node_memory_SwapFree_bytes')}"
    ),
    Recording(
        "metricat:node_swap_usage:percent",
        f"100 * {_recorded('node_swap_used:bytes')} / on ({KEYS}) ({_raw('node_memory_SwapTotal_bytes')} > 0)",
    ),
    Recording("metricat:node_memory_major_faults:rate", _rate("node_vmstat_pgmajfault")),
    Recording(
        "metricat:node_oom_kills:increase5m", f"max by ({KEYS}) (increase(node_vmstat_oom_kill{{<selector>}}[5m]))"
    ),
    Recording(
        "metricat:node_pressure_cpu_waiting:percent", f"100 * {_rate('node_pressure_cpu_waiting_seconds_total')}"
    ),
    Recording(
        "metricat:node_pressure_memory_stalled:percent", f"100 * {_rate('node_pressure_memory_stalled_seconds_total')}"
    ),
    Recording("metricat:node_pressure_io_stalled:percent", f"100 * {_rate('node_pressure_io_stalled_seconds_total')}"),
    Recording(
        "metricat:node_filefd_usage:percent", f"100 * {_raw('node_filefd_allocated')} / {_raw('node_filefd_maximum')}"
    ),
    Recording(
        "metricat:node_conntrack_usage:percent",
        f"100 * {_raw('node_nf_conntrack_entries')} / ({_raw('node_nf_conntrack_entries_limit')} > 0)",
    ),
    # Some sensors report 0, or thousands, if they have no critical temperature.
    Recording(
        "metricat:node_temperature_margin:celsius",
        f"({_raw('node_hwmon_temp_crit_celsius', _SENSOR)} > 0 < 200) - {_raw('node_hwmon_temp_celsius', _SENSOR)}",
    ),
)

DEVICES: tuple[Recording, ...] = (
    _disk("read_bytes:rate", "read_bytes_total"),
    _disk("written_bytes:rate", "written_bytes_total"),
    _disk("reads:rate", "reads_completed_total"),
    _disk("writes:rate", "writes_completed_total"),
    _disk("read_time:rate", "read_time_seconds_total"),
    _disk("write_time:rate", "write_time_seconds_total"),
    Recording(
        "metricat:node_disk_await:milliseconds",
        f"1000 * ({_recorded('node_disk_read_time:rate')} + {_recorded('node_disk_write_time:rate')}) "
        f"/ (({_recorded('node_disk_reads:rate')} + {_recorded('node_disk_writes:rate')}) > 0)",
    ),
    _disk("io_util:percent", "io_time_seconds_total", "100 * "),
    _disk("queue:length", "io_time_weighted_seconds_total"),
    _network("bytes", "bytes_total"),
    _network("packets", "packets_total"),
    _network("errors", "errs_total"),
    _network("drops", "drop_total"),
    Recording(
        "metricat:node_network_error:ratio",
        f"{_recorded('node_network_errors:rate')} / ({_recorded('node_network_packets:rate')} > 0)",
    ),
    Recording(
        "metricat:node_network_drop:ratio",
        f"{_recorded('node_network_drops:rate')} / ({_recorded('node_network_packets:rate')} > 0)",
    ),
    Recording(
        "metricat:node_network_bandwidth:percent",
        f"100 * {_recorded('node_network_bytes:rate')} / on ({DEVICE}) group_left () "
        f"({_raw('node_network_speed_bytes', DEVICE)} > 0)",
    ),
)

FILESYSTEMS: tuple[Recording, ...] = (
    Recording(
        f"metricat:{_FS_USED}",
        f"{_raw('node_filesystem_size_bytes', FILESYSTEM)} - {_raw('node_filesystem_free_bytes', FILESYSTEM)}",
    ),
    Recording(
        "metricat:node_filesystem_usage:percent",
        f"100 * (1 - {_FS_AVAILABLE} / {_raw('node_filesystem_size_bytes', FILESYSTEM)}) and {_FS_WRITABLE}",
    ),
    Recording("metricat:node_image_filesystem_usage:percent", _nearest_mount(_RUNTIME_DIRECTORIES)),
    # The kubelet's default thresholds: imagefs.available < 15 %, nodefs.available < 10 %.
    Recording(
        "metricat:node_eviction_margin:percent",
        f"85 - {_recorded('node_image_filesystem_usage:percent')} "
        f"or on ({FILESYSTEM}) 90 - ({_nearest_mount(_KUBELET_DIRECTORY)})",
    ),
    Recording(
        "metricat:node_filesystem_full_6h:hours",
        f"{_hours_until(_FS_AVAILABLE, _FS_USED)} and on ({FILESYSTEM}) {_recorded('node_filesystem_usage:percent')}",
    ),
    Recording(
        "metricat:node_filesystem_full_1d:hours",
        f"24 * {_FS_AVAILABLE} / on ({FILESYSTEM}) ({_recorded(_FS_USED)} - {_recorded(_FS_USED)} offset 1d > 0) "
        f"and on ({FILESYSTEM}) {_recorded('node_filesystem_usage:percent')}",
    ),
    Recording("metricat:node_inode_used:count", f"({_FILES} > 0) - {_FILES_FREE}"),
    Recording(
        "metricat:node_inode_usage:percent",
        f"100 * {_recorded('node_inode_used:count')} / on ({FILESYSTEM}) {_FILES} and on ({FILESYSTEM}) {_FS_WRITABLE}",
    ),
    Recording(
        "metricat:node_inode_full_6h:hours",
        f"{_hours_until(_FILES_FREE, 'node_inode_used:count')} "
        f"and on ({FILESYSTEM}) {_recorded('node_inode_usage:percent')}",
    ),
)

RECORDINGS: tuple[Recording, ...] = (*CPU_MEMORY, *DEVICES, *FILESYSTEMS)


def _directions(what: str) -> dict[str, str]:
    return {
        f"network {what} {word}": f'metricat:node_network_{what}:rate{{direction="{way}"}}'
        for word, way in (("in", "receive"), ("out", "transmit"))
    }


MEASURES: dict[str, str] = {
    "CPU usage": "metricat:node_cpu_usage:percent",
    "CPU usage per core": "metricat:node_cpu_core_usage:percent",
    **{
        f"CPU {mode} time": f'metricat:node_cpu_mode:percent{{mode="{mode}"}}'
        for mode in ("user", "system", "idle", "iowait")
    },
    **{f"load {minutes}": f"node_load{minutes}" for minutes in (1, 5, 15)},
    "memory total": "node_memory_MemTotal_bytes",
    "memory used": "metricat:node_memory_used:bytes",
    "memory free": "node_memory_MemFree_bytes",
    "memory available": "node_memory_MemAvailable_bytes",
    "memory usage": "metricat:node_memory_usage:percent",
    "memory cached": "node_memory_Cached_bytes",
    "memory buffers": "node_memory_Buffers_bytes",
    "swap total": "node_memory_SwapTotal_bytes",
    "swap used": "metricat:node_swap_used:bytes",
    "swap free": "node_memory_SwapFree_bytes",
    "swap usage": "metricat:node_swap_usage:percent",
    "disk read bytes": "metricat:node_disk_read_bytes:rate",
    "disk written bytes": "metricat:node_disk_written_bytes:rate",
    "disk reads": "metricat:node_disk_reads:rate",
    "disk writes": "metricat:node_disk_writes:rate",
    "disk read time": "metricat:node_disk_read_time:rate",
    "disk write time": "metricat:node_disk_write_time:rate",
    "disk await": "metricat:node_disk_await:milliseconds",
    "disk utilization": "metricat:node_disk_io_util:percent",
    "disk queue length": "metricat:node_disk_queue:length",
    **_directions("bytes"),
    **_directions("packets"),
    **_directions("errors"),
    **_directions("drops"),
    "network bandwidth usage": "metricat:node_network_bandwidth:percent",
    "connections": "node_netstat_Tcp_CurrEstab",
    "filesystem total": "node_filesystem_size_bytes",
    "filesystem used": "metricat:node_filesystem_used:bytes",
    "filesystem free": "node_filesystem_free_bytes",
    "filesystem usage": "metricat:node_filesystem_usage:percent",
    "inodes total": "node_filesystem_files",
    "inodes used": "metricat:node_inode_used:count",
    "inodes free": "node_filesystem_files_free",
    "inode usage": "metricat:node_inode_usage:percent",
}
"""Measures by their common name, each with the series to query: a recorded series or a series of the agent."""
