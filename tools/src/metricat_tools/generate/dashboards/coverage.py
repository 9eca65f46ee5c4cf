"""Dashboard that shows whether every node is monitored."""

from metricat_tools.generate.dashboards.grafana import BAD_IF_ANY, Board, Panel, PanelRow, Query
from metricat_tools.generate.dashboards.series import ANYWHERE, CLUSTER, NODE, NODES, PLACE, RATE, TARGET

_UNCOVERED = f"max by (target_namespace, target, node, pool, reason) (metricat_node_uncovered{{{ANYWHERE}}})"
_CONDITIONS = f'metricat_target_condition{{status="True",{ANYWHERE}}}'
BOARD = Board(
    "coverage",
    "Coverage",
    "Whether every node is monitored, and whether the monitoring works.",
    (CLUSTER, TARGET, NODE),
    (
        PanelRow(
            "Targets",
            (
                Panel(
                    "Uncovered nodes",
                    (Query(f"sum(max by (target_namespace, target) (metricat_target_nodes_uncovered{{{ANYWHERE}}}))"),),
                    "stat",
                    width=4,
                    height=6,
                    levels=BAD_IF_ANY,
                    what="Needs the operator's own metrics: operator.serviceMonitor in the chart.",
                ),
                Panel(
                    "Conditions that are not true",
                    (Query(f"max by (target_namespace, target, type) ({_CONDITIONS}) == 0", "True"),),
                    "table",
                    "none",
                    10,
                    6,
                    may_be_empty=True,
                ),
                Panel(
                    "Nodes without a ready agent",
                    (Query(_UNCOVERED, "Uncovered"),),
                    "table",
                    "none",
                    10,
                    6,
                    may_be_empty=True,
                ),
                Panel(
                    "Nodes",
                    tuple(
                        Query(
                            f"sum(max by (target_namespace, target) (metricat_target_nodes_{what}{{{ANYWHERE}}}))",
                            what,
                        )
                        for what in ("desired", "ready", "updated")
                    ),
                ),
                Panel(
                    "Nodes whose agent does not respond",
                    (Query(f"max by (node, pool, service) (up{{{NODES}}}) == 0", "Up"),),
                    "table",
                    "none",
                    may_be_empty=True,
                ),
                Panel("Scraped", (Query(f"sum by (service) (up{{{NODES}}})", "{{service}}"),)),
            ),
        ),
        PanelRow(
            "Agents",
            (
                Panel(
                    "Failing collectors",
                    (Query(f"max by (node, collector) (node_scrape_collector_success{{{NODES}}}) == 0", "Works"),),
                    "table",
                    "none",
                    hidden=PLACE,
                    may_be_empty=True,
                ),
                Panel(
                    "Slowest collectors",
                    (
                        Query(
                            f"topk(10, max by (collector) (node_scrape_collector_duration_seconds{{{NODES}}}))",
                            "{{collector}}",
                        ),
                    ),
                    unit="s",
                ),
                Panel(
                    "CPU of the agents",
                    (
                        Query(
                            f"topk(10, max by (node) (rate(metricat_agent_cpu_seconds_total{{{NODES}}}[{RATE}])))",
                            "{{node}}",
                        ),
                    ),
                    unit="percentunit",
                    what="As a share of one CPU.",
                ),
                Panel(
                    "Memory of the agents",
                    (Query(f"topk(10, max by (node) (metricat_agent_resident_memory_bytes{{{NODES}}}))", "{{node}}"),),
                    unit="bytes",
                ),
                Panel(
                    "Scrape duration", (Query(f"topk(10, scrape_duration_seconds{{{NODES}}})", "{{node}}"),), unit="s"
                ),
                Panel("Series", (Query(f"topk(10, scrape_samples_scraped{{{NODES}}})", "{{node}}"),)),
            ),
        ),
    ),
)
