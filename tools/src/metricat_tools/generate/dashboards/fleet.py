"""Dashboard of all nodes together."""

from metricat_tools.generate.dashboards.grafana import BAD_IF_ANY, GREEN_TO_RED, Board, Panel, PanelRow, Query
from metricat_tools.generate.dashboards.series import CLUSTER, CPU, NODE, NODES, PLACE, TARGET, WITHIN, recorded

_NETWORK = recorded("node_network_bytes:rate", "node, device, direction")

BOARD = Board(
    "fleet",
    "Fleet",
    "All nodes: which lack a resource, and which alerts are firing.",
    (CLUSTER, TARGET, NODE),
    (
        PanelRow(
            "Now",
            (
                Panel(
                    "Nodes with samples",
                    (Query(f"count(count by (node) ({CPU}{{{NODES}}}))"),),
                    "stat",
                    width=4,
                    height=4,
                ),
                Panel(
                    "Agents down",
                    (Query(f"count(up{{{NODES}}} == 0) or vector(0)"),),
                    "stat",
                    width=4,
                    height=4,
                    levels=BAD_IF_ANY,
                ),
                Panel(
                    "Alerts firing",
                    (
                        Query(
                            f'count(ALERTS{{alertstate="firing",severity=~"warning|critical",{WITHIN}}}) or vector(0)'
                        ),
                    ),
                    "stat",
                    width=4,
                    height=4,
                    levels=BAD_IF_ANY,
                ),
                Panel(
                    "CPU",
                    (Query(f"avg({recorded('node_cpu_usage:percent')})"),),
                    "stat",
                    "percent",
                    4,
                    4,
                    levels=GREEN_TO_RED,
                ),
                Panel(
                    "Memory",
                    (Query(f"avg({recorded('node_memory_usage:percent')})"),),
                    "stat",
                    "percent",
                    4,
                    4,
                    levels=GREEN_TO_RED,
                ),
                Panel(
                    "Fullest filesystem",
                    (Query(f"max({recorded('node_filesystem_usage:percent')})"),),
                    "stat",
                    "percent",
                    4,
                    4,
                    levels=GREEN_TO_RED,
                ),
            ),
        ),
        PanelRow(
            "Nodes",
            (
                Panel(
                    "Nodes",
                    (
                        Query(recorded("node_cpu_usage:percent"), "CPU %"),
                        Query(recorded("node_load1_per_cpu:ratio"), "Load per CPU"),
                        Query(recorded("node_memory_usage:percent"), "Memory %"),
                        Query(recorded("node_filesystem_usage:percent"), "Fullest filesystem %"),
                        Query(recorded("node_inode_usage:percent"), "Fullest inodes %"),
                        Query(recorded("node_disk_io_util:percent"), "Busiest disk %"),
                        Query(f"sum by (node) ({_NETWORK})", "Network B/s"),
                    ),
                    "table",
                    "none",
                    24,
                    10,
                    hidden=PLACE,
                ),
                Panel(
                    "Alerts",
                    (Query(f'ALERTS{{alertstate="firing",{WITHIN}}}', "Firing"),),
                    "table",
                    "none",
                    24,
                    8,
                    hidden=(*PLACE, "alertstate"),
                ),
            ),
        ),
        PanelRow(
            "The ten highest",
            (
                Panel(
                    "CPU",
                    (Query(f"topk(10, {recorded('node_cpu_usage:percent')})", "{{node}}"),),
                    unit="percent",
                    most=100,
                ),
                Panel(
                    "Memory",
                    (Query(f"topk(10, {recorded('node_memory_usage:percent')})", "{{node}}"),),
                    unit="percent",
                    most=100,
                ),
                Panel(
                    "Waiting for CPU",
                    (Query(f"topk(10, {recorded('node_pressure_cpu_waiting:percent')})", "{{node}}"),),
                    unit="percent",
                    what="Share of time in which a task waited for a CPU (pressure stall information).",
                ),
                Panel(
                    "Network",
                    (
                        Query(
                            f"topk(10, sum by (node) ({_NETWORK}))",
                            "{{node}}",
                        ),
                    ),
                    unit="Bps",
                ),
            ),
        ),
    ),
)
