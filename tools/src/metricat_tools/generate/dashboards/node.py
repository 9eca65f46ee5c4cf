"""Dashboard of one node."""

from metricat_tools.generate.dashboards.grafana import GREEN_TO_RED, Board, Panel, PanelRow, Query
from metricat_tools.generate.dashboards.series import CLUSTER, NODES, ONE_NODE, RATE, TARGET, both_ways, recorded


def _usage(title: str, name: str) -> Panel:
    """Return a panel with the usage of each mount."""
    query = Query(recorded(name, "mountpoint"), "{{mountpoint}}")
    return Panel(title, (query,), "bargauge", "percent", most=100, levels=GREEN_TO_RED)


BOARD = Board(
    "node",
    "Node",
    "One node: CPU, memory, storage, network, limits, clock.",
    (CLUSTER, TARGET, ONE_NODE),
    (
        PanelRow(
            "CPU and memory",
            (
                Panel(
                    "CPU by mode",
                    (Query(f'max by (mode) (metricat:node_cpu_mode:percent{{mode!="idle",{NODES}}})', "{{mode}}"),),
                    unit="percent",
                    stacked=True,
                    most=100,
                ),
                Panel(
                    "CPUs",
                    (Query(recorded("node_cpu_core_usage:percent", "cpu"), "{{cpu}}"),),
                    unit="percent",
                    most=100,
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
                ),
                Panel(
                    "Load",
                    tuple(Query(f"max(node_load{minutes}{{{NODES}}})", f"{minutes} m") for minutes in (1, 5, 15)),
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
                ),
                Panel(
                    "Memory problems",
                    (
                        Query(recorded("node_memory_major_faults:rate"), "major faults a second"),
                        Query(recorded("node_oom_kills:increase5m"), "OOM kills in 5 m"),
                    ),
                ),
            ),
        ),
        PanelRow(
            "Storage",
            (
                _usage("Filesystems", "node_filesystem_usage:percent"),
                _usage("Inodes", "node_inode_usage:percent"),
                Panel(
                    "Read and written",
                    (
                        Query(recorded("node_disk_read_bytes:rate", "device"), "{{device}} read"),
                        Query(f"-{recorded('node_disk_written_bytes:rate', 'device')}", "{{device}} written"),
                    ),
                    unit="Bps",
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
                    (Query(recorded("node_disk_await:milliseconds", "device"), "{{device}}"),),
                    unit="ms",
                    may_be_empty=True,
                ),
                Panel("Queue", (Query(recorded("node_disk_queue:length", "device"), "{{device}}"),)),
            ),
        ),
        PanelRow(
            "Network",
            (
                Panel("Bytes", both_ways("bytes"), unit="Bps"),
                Panel("Packets", both_ways("packets"), unit="pps"),
                Panel("Drops", both_ways("drops"), unit="pps"),
                Panel("Errors", both_ways("errors"), unit="pps"),
                Panel(
                    "TCP",
                    (
                        Query(f"max(node_netstat_Tcp_CurrEstab{{{NODES}}})", "connections"),
                        Query(
                            f"max(rate(node_netstat_Tcp_RetransSegs{{{NODES}}}[{RATE}]))",
                            "retransmitted segments a second",
                        ),
                    ),
                ),
            ),
        ),
        PanelRow(
            "Limits and clock",
            (
                Panel(
                    "Descriptors in use",
                    (Query(recorded("node_filefd_usage:percent"), "of the kernel's limit"),),
                    unit="percent",
                    width=8,
                ),
                Panel(
                    "Processes",
                    (
                        Query(f"max(node_procs_running{{{NODES}}})", "running"),
                        Query(f"max(node_procs_blocked{{{NODES}}})", "blocked"),
                    ),
                    width=8,
                ),
                Panel(
                    "Clock offset", (Query(f"max(node_timex_offset_seconds{{{NODES}}})", "offset"),), unit="s", width=8
                ),
            ),
        ),
    ),
)
