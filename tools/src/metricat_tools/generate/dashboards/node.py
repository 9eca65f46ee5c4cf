"""Dashboard of one node."""

from metricat_tools.generate.dashboards.grafana import (
    BAD_IF_ANY,
    GREEN_TO_RED,
    Board,
    Panel,
    PanelRow,
    Query,
    explore_link,
)
from metricat_tools.generate.dashboards.series import (
    ANNOTATIONS,
    CLUSTER,
    NODES,
    ONE_NODE,
    PLACE,
    RATE,
    TARGET,
    TO_PROCESSES,
    both_ways,
    recorded,
)

_PSI = "The kernel has no pressure stall information (psi=1 on its command line)"
_DEVICE = 'node="${__field.labels.node}",device="${__field.labels.device}"'


def _usage(title: str, name: str, what: str) -> Panel:
    """Return a panel with the usage of each mount."""
    query = Query(recorded(name, "mountpoint"), "{{mountpoint}}")
    return Panel(title, (query,), "bargauge", "percent", most=100, levels=GREEN_TO_RED, what=what)


def _stat(title: str, query: Query, what: str, *, empty: str = "") -> Panel:
    """Return a small panel with one value, or with the legend if the query has one."""
    return Panel(title, (query,), "stat", query.unit, 4, 4, what=what, names=bool(query.legend), empty=empty)


def _bytes(metric: str) -> str:
    return f"max by (mountpoint, device) (node_filesystem_{metric}_bytes{{{NODES}}})"


_WAYS = "Received is positive, sent negative."

BOARD = Board(
    "node",
    "Node",
    "One node: CPU, memory, storage, network, limits, clock.",
    (CLUSTER, TARGET, ONE_NODE),
    (
        PanelRow(
            "Now",
            (
                _stat(
                    "Uptime",
                    Query(f"time() - max(node_boot_time_seconds{{{NODES}}})", unit="s"),
                    "Time since the last boot.",
                ),
                _stat(
                    "Kernel",
                    Query(f"max by (release) (node_uname_info{{{NODES}}})", "{{release}}", "none"),
                    "Release of the running kernel.",
                ),
                _stat(
                    "Operating system",
                    Query(f"max by (pretty_name) (node_os_info{{{NODES}}})", "{{pretty_name}}", "none"),
                    "Name in /etc/os-release of the node.",
                    empty="The node has no /etc/os-release",
                ),
                _stat(
                    "CPUs",
                    Query(f'count(count by (cpu) (node_cpu_seconds_total{{mode="idle",{NODES}}}))', unit="none"),
                    "Number of logical CPUs.",
                ),
                _stat(
                    "Memory", Query(f"max(node_memory_MemTotal_bytes{{{NODES}}})", unit="bytes"), "Size of the memory."
                ),
                Panel(
                    "Alerts firing",
                    (Query(f'count(ALERTS{{alertstate="firing",{NODES}}}) or vector(0)'),),
                    "stat",
                    width=4,
                    height=4,
                    what="Alerts of this node, of all severities. The dashboard Fleet lists them.",
                    levels=BAD_IF_ANY,
                ),
            ),
        ),
        PanelRow(
            "CPU and memory",
            (
                Panel(
                    "CPU by mode",
                    (Query(f'max by (mode) (metricat:node_cpu_mode:percent{{mode!="idle",{NODES}}})', "{{mode}}"),),
                    unit="percent",
                    stacked=True,
                    most=100,
                    what="Share of the time of all CPUs. steal is the time that the hypervisor gave to other machines.",
                    links=(TO_PROCESSES,),
                ),
                Panel(
                    "CPUs",
                    (Query(recorded("node_cpu_core_usage:percent", "cpu"), "{{cpu}}"),),
                    unit="percent",
                    most=100,
                    what="Usage of each CPU, without time waiting for I/O and time stolen by the hypervisor.",
                ),
                Panel(
                    "Memory",
                    (
                        Query(recorded("node_memory_used:bytes"), "used"),
                        Query(f"max(node_memory_Cached_bytes{{{NODES}}})", "cached"),
                        Query(f"max(node_memory_Buffers_bytes{{{NODES}}})", "buffers"),
                        Query(f"max(node_memory_MemTotal_bytes{{{NODES}}})", "total"),
                        Query(recorded("node_swap_used:bytes"), "swap used"),
                    ),
                    unit="bytes",
                    what="used is the total without the memory that is available to programs.",
                    links=(TO_PROCESSES,),
                ),
                Panel(
                    "Load",
                    tuple(Query(f"max(node_load{minutes}{{{NODES}}})", f"{minutes} m") for minutes in (1, 5, 15)),
                    what="Tasks that run, or wait for a CPU or a disk. Compare it with the number of CPUs.",
                ),
                Panel(
                    "Pressure",
                    (
                        Query(recorded("node_pressure_cpu_waiting:percent"), "at least one task waits for CPU"),
                        Query(recorded("node_pressure_memory_stalled:percent"), "all non-idle tasks wait for memory"),
                        Query(recorded("node_pressure_io_stalled:percent"), "all non-idle tasks wait for I/O"),
                    ),
                    unit="percent",
                    what="Share of time (pressure stall information). More precise than load.",
                    empty=_PSI,
                ),
                Panel(
                    "Memory problems",
                    (
                        Query(recorded("node_memory_major_faults:rate"), "major faults a second"),
                        Query(recorded("node_oom_kills:increase5m"), "OOM kills in 5 m"),
                    ),
                    what="Pages read from disk because memory is short, and processes that the kernel killed.",
                ),
            ),
        ),
        PanelRow(
            "Storage",
            (
                _usage("Filesystems", "node_filesystem_usage:percent", "Usage of writable filesystems."),
                _usage("Inodes", "node_inode_usage:percent", "Inodes in use, of writable filesystems with a limit."),
                Panel(
                    "Space",
                    (
                        Query(_bytes("size"), "Size", "bytes"),
                        Query(f"{_bytes('size')} - {_bytes('free')}", "Used", "bytes"),
                        Query(_bytes("avail"), "Available", "bytes"),
                    ),
                    "table",
                    "none",
                    hidden=PLACE,
                    what="Absolute space of each filesystem. Space reserved for root is neither used nor available.",
                    sort="Size",
                ),
                Panel(
                    "Space available",
                    (Query(f"max by (mountpoint) (node_filesystem_avail_bytes{{{NODES}}})", "{{mountpoint}}"),),
                    unit="bytes",
                    what="Space available to unprivileged users.",
                ),
                Panel(
                    "Read and written",
                    (
                        Query(recorded("node_disk_read_bytes:rate", "device"), "{{device}} read"),
                        Query(f"-{recorded('node_disk_written_bytes:rate', 'device')}", "{{device}} written"),
                    ),
                    unit="Bps",
                    what="Read is positive, written negative.",
                ),
                Panel(
                    "Disks busy",
                    (Query(recorded("node_disk_io_util:percent", "device"), "{{device}}"),),
                    unit="percent",
                    most=100,
                    what="Share of time with a request in progress. Disks with many queues are not saturated at 100 %.",
                ),
                Panel(
                    "Await",
                    (Query(recorded("node_disk_await:milliseconds", "node, device"), "{{device}}"),),
                    unit="ms",
                    what="Average time of a request, including the time in the queue.",
                    links=(explore_link(f"metricat:node_disk_await:milliseconds{{{_DEVICE}}}"),),
                    empty="No disk had requests in this time range",
                ),
                Panel(
                    "Queue",
                    (Query(recorded("node_disk_queue:length", "node, device"), "{{device}}"),),
                    what="Average number of requests in progress or waiting.",
                    links=(explore_link(f"metricat:node_disk_queue:length{{{_DEVICE}}}"),),
                ),
            ),
        ),
        PanelRow(
            "Network",
            (
                Panel("Bytes", both_ways("bytes"), unit="Bps", what=_WAYS),
                Panel("Packets", both_ways("packets"), unit="pps", what=_WAYS),
                Panel("Drops", both_ways("drops"), unit="pps", what=f"Packets dropped by a device. {_WAYS}"),
                Panel("Errors", both_ways("errors"), unit="pps", what=f"Packets with errors. {_WAYS}"),
                Panel(
                    "TCP",
                    (
                        Query(f"max(node_netstat_Tcp_CurrEstab{{{NODES}}})", "connections"),
                        Query(
                            f"max(rate(node_netstat_Tcp_RetransSegs{{{NODES}}}[{RATE}]))",
                            "retransmitted segments a second",
                        ),
                    ),
                    what="Established connections, and retransmitted segments.",
                ),
                Panel(
                    "Connection tracking",
                    (
                        Query(f"max(node_nf_conntrack_entries{{{NODES}}})", "entries"),
                        Query(f"max(node_nf_conntrack_entries_limit{{{NODES}}})", "limit"),
                    ),
                    what="Entries of the connection tracking table. At the limit, the kernel drops new connections.",
                    empty="The node does not track connections",
                ),
            ),
        ),
        PanelRow(
            "Limits, clock and hardware",
            (
                Panel(
                    "Descriptors in use",
                    (Query(recorded("node_filefd_usage:percent"), "of the kernel's limit"),),
                    unit="percent",
                    width=8,
                    what="File handles in use, of the limit fs.file-max.",
                ),
                Panel(
                    "Processes",
                    (
                        Query(f"max(node_procs_running{{{NODES}}})", "running"),
                        Query(f"max(node_procs_blocked{{{NODES}}})", "blocked"),
                    ),
                    width=8,
                    what="Tasks that run or are ready to run, and tasks that wait for I/O.",
                ),
                Panel(
                    "Clock offset",
                    (Query(f"max(node_timex_offset_seconds{{{NODES}}})", "offset"),),
                    unit="s",
                    width=8,
                    what="Offset of the clock from its reference.",
                ),
                Panel(
                    "Temperatures",
                    (Query(f"max by (chip, sensor) (node_hwmon_temp_celsius{{{NODES}}})", "{{chip}} {{sensor}}"),),
                    unit="celsius",
                    what="Temperature of each sensor. node_hwmon_sensor_label has the names of sensors.",
                    empty="The node has no sensor; virtual machines have none",
                ),
                Panel(
                    "Process IDs and threads",
                    (
                        Query(f"max(node_processes_threads{{{NODES}}})", "threads"),
                        Query(f"max(node_processes_max_processes{{{NODES}}})", "limit of process IDs"),
                        Query(f"max(node_processes_max_threads{{{NODES}}})", "limit of threads"),
                    ),
                    what="Each thread takes a process ID. At the limit, no program can start.",
                ),
            ),
        ),
    ),
    ANNOTATIONS,
)
