"""Dashboard of all nodes together."""

from metricat_tools.generate.dashboards.grafana import BAD_IF_ANY, GREEN_TO_RED, Board, Panel, PanelRow, Query
from metricat_tools.generate.dashboards.series import (
    ANNOTATIONS,
    CLUSTER,
    CPU,
    LINKS,
    NODE,
    NODES,
    PLACE,
    TARGET,
    TO_NODE_OF_ROW,
    WITHIN,
    ranked,
    recorded,
)

_NETWORK = recorded("node_network_bytes:rate", "node, device, direction")
_WAITING = "metricat:node_pressure_cpu_waiting:percent"
_PSI = "The kernel has no pressure stall information (psi=1 on its command line)"
_HIGHEST = "The ten nodes with the highest average over the time range."


def _stat(title: str, expr: str, what: str, **more: object) -> Panel:
    return Panel(title, (Query(expr),), "stat", width=4, height=4, what=what, **more)  # type: ignore[arg-type] # keywords


def _spread(title: str, name: str, what: str) -> Panel:
    """Return a panel with the quantiles over all nodes: four lines, however many nodes there are."""
    query = recorded(name)
    lines = [Query(f"quantile({share}, {query})", f"{share:.0%} of the nodes are below") for share in (0.5, 0.9, 0.99)]
    return Panel(title, (*lines, Query(f"max({query})", "highest")), unit="percent", most=100, what=what)


BOARD = Board(
    "fleet",
    "Fleet",
    "All nodes: their resource usage and their firing alerts.",
    (CLUSTER, TARGET, NODE),
    (
        PanelRow(
            "Now",
            (
                _stat(
                    "Nodes with samples",
                    f"count(count by (node) ({CPU}{{{NODES}}}))",
                    "Nodes with samples of the CPU usage.",
                ),
                _stat(
                    "Agents down",
                    f"count(up{{{NODES}}} == 0) or vector(0)",
                    "Agents that Prometheus cannot scrape. The dashboard Coverage names the causes.",
                    levels=BAD_IF_ANY,
                ),
                _stat(
                    "Alerts firing",
                    f'count(ALERTS{{alertstate="firing",severity=~"warning|critical",{WITHIN}}}) or vector(0)',
                    "Firing warning and critical alerts. The table below lists them.",
                    levels=BAD_IF_ANY,
                ),
                _stat(
                    "CPU",
                    f"avg({recorded('node_cpu_usage:percent')})",
                    "Average CPU usage of all nodes.",
                    unit="percent",
                    levels=GREEN_TO_RED,
                ),
                _stat(
                    "Memory",
                    f"avg({recorded('node_memory_usage:percent')})",
                    "Average memory usage of all nodes. Caches count as available.",
                    unit="percent",
                    levels=GREEN_TO_RED,
                ),
                _stat(
                    "Fullest filesystem",
                    f"max({recorded('node_filesystem_usage:percent')})",
                    "The highest usage of a writable filesystem.",
                    unit="percent",
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
                        Query(recorded("node_cpu_usage:percent"), "CPU", "percent", GREEN_TO_RED),
                        Query(recorded("node_load1_per_cpu:ratio"), "Load per CPU", "short"),
                        Query(recorded("node_memory_usage:percent"), "Memory", "percent", GREEN_TO_RED),
                        Query(recorded("node_filesystem_usage:percent"), "Fullest filesystem", "percent", GREEN_TO_RED),
                        Query(recorded("node_inode_usage:percent"), "Fullest inodes", "percent", GREEN_TO_RED),
                        Query(recorded("node_disk_io_util:percent"), "Busiest disk", "percent"),
                        Query(f"sum by (node) ({_NETWORK})", "Network", "Bps"),
                        Query(f"time() - max by (node) (node_boot_time_seconds{{{NODES}}})", "Uptime", "s"),
                    ),
                    "table",
                    "none",
                    24,
                    10,
                    hidden=PLACE,
                    what="Each node with its latest values. Click a node to open its dashboard.",
                    links=(TO_NODE_OF_ROW,),
                    sort="CPU",
                ),
                Panel(
                    "Alerts",
                    (Query(f'ALERTS{{alertstate="firing",alertname!="MetricatWatchdog",{WITHIN}}}', "Firing"),),
                    "table",
                    "none",
                    24,
                    8,
                    hidden=(*PLACE, "alertstate"),
                    what="Firing alerts of all severities, without MetricatWatchdog, which always fires.",
                    links=(TO_NODE_OF_ROW,),
                    empty="No alert is firing",
                ),
            ),
        ),
        PanelRow(
            "All nodes",
            (
                _spread("CPU", "node_cpu_usage:percent", "Distribution of the CPU usage over the nodes."),
                _spread("Memory", "node_memory_usage:percent", "Distribution of the memory usage over the nodes."),
            ),
        ),
        PanelRow(
            "The ten highest",
            (
                Panel(
                    "CPU",
                    (Query(ranked(CPU), "{{node}}"),),
                    unit="percent",
                    most=100,
                    what=_HIGHEST,
                    links=LINKS,
                ),
                Panel(
                    "Memory",
                    (Query(ranked("metricat:node_memory_usage:percent"), "{{node}}"),),
                    unit="percent",
                    most=100,
                    what=_HIGHEST,
                    links=LINKS,
                ),
                Panel(
                    "Waiting for CPU",
                    (Query(ranked(_WAITING), "{{node}}"),),
                    unit="percent",
                    what=f"Share of time in which a task waited for a CPU (pressure stall information). {_HIGHEST}",
                    links=LINKS,
                    empty=_PSI,
                ),
                Panel(
                    "Network",
                    (Query(ranked("metricat:node_network_bytes:rate", how="sum"), "{{node}}"),),
                    unit="Bps",
                    what=f"Bytes received and sent by all devices of a node. {_HIGHEST}",
                    links=LINKS,
                ),
            ),
        ),
    ),
    ANNOTATIONS,
)
