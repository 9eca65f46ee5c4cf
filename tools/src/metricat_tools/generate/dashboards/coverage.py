"""Dashboard that shows whether every node is monitored."""

from metricat_tools.generate.dashboards.grafana import BAD_IF_ANY, Board, Panel, PanelRow, Query
from metricat_tools.generate.dashboards.series import (
    ANNOTATIONS,
    ANYWHERE,
    CLUSTER,
    LINKS,
    NODE,
    NODES,
    PLACE,
    RATE,
    TARGET,
    TO_NODE_OF_ROW,
    ranked,
)

_UNCOVERED = f"max by (target_namespace, target, node, pool, reason) (metricat_node_uncovered{{{ANYWHERE}}})"
_CONDITIONS = f'metricat_target_condition{{status="True",{ANYWHERE}}}'
_AGENT_CPU = f"metricat_agent_cpu_seconds_total{{{NODES}}}"
_DOWN = f"max by (node, pool, service) (up{{{NODES}}}) == 0"

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
                    what="Requires the operator's own metrics: set operator.serviceMonitor.enabled in the chart.",
                ),
                Panel(
                    "Conditions that are not true",
                    (Query(f"max by (target_namespace, target, type) ({_CONDITIONS}) == 0", "True"),),
                    "table",
                    "none",
                    10,
                    6,
                    what="Conditions of MonitoringTargets. kubectl describe mtarget shows the message of each.",
                    empty="Every condition is true",
                ),
                Panel(
                    "Nodes without a ready agent",
                    (Query(_UNCOVERED, "Uncovered"),),
                    "table",
                    "none",
                    10,
                    6,
                    what="kubectl get mtarget -o yaml shows the remedy, for at most 50 nodes of each target.",
                    links=(TO_NODE_OF_ROW,),
                    empty="Every node has a ready agent",
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
                    what="Nodes that should have an agent, nodes with a ready agent, and nodes with an agent of the "
                    "newest version.",
                ),
                Panel(
                    "Nodes whose agent does not respond",
                    (
                        Query(f"({_DOWN}) + 1", "Targets down", "none"),
                        Query(
                            "time() - max by (node, pool, service) "
                            f"(max_over_time(timestamp(up{{{NODES}}} == 1)[$__range:1m])) and {_DOWN}",
                            "Since the last successful scrape",
                            "s",
                        ),
                    ),
                    "table",
                    "none",
                    what="Agents that Prometheus cannot scrape. Without a time, no scrape succeeded in the time range.",
                    links=(TO_NODE_OF_ROW,),
                    empty="Every agent responds",
                ),
                Panel(
                    "Scraped",
                    (Query(f"sum by (service) (up{{{NODES}}})", "{{service}}"),),
                    what="Number of agents that Prometheus scrapes, by target.",
                ),
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
                    what="Collectors that fail now. The log of the agent has the cause.",
                    links=(TO_NODE_OF_ROW,),
                    empty="Every collector works",
                ),
                Panel(
                    "Slowest collectors",
                    (Query(ranked("node_scrape_collector_duration_seconds", "collector"), "{{collector}}"),),
                    unit="s",
                    what="The ten slowest collectors, each on its slowest node. An agent exports its ten slowest.",
                ),
                Panel(
                    "CPU of the agents",
                    (
                        Query(
                            f"max by (node) (rate({_AGENT_CPU}[{RATE}])) and on (node) "
                            f"topk(10, max by (node) (rate({_AGENT_CPU}[$__range] @ end())))",
                            "{{node}}",
                        ),
                    ),
                    unit="percentunit",
                    what="CPU usage of the ten agents with the highest usage in the time range, as a share of one CPU.",
                    links=LINKS,
                ),
                Panel(
                    "Memory of the agents",
                    (Query(ranked("metricat_agent_resident_memory_bytes"), "{{node}}"),),
                    unit="bytes",
                    what="Resident memory of the ten agents with the highest average.",
                    links=LINKS,
                ),
                Panel(
                    "Scrape duration",
                    (Query(ranked("scrape_duration_seconds"), "{{node}}"),),
                    unit="s",
                    what="The ten nodes with the longest scrapes on average.",
                    links=LINKS,
                ),
                Panel(
                    "Series",
                    (Query(ranked("scrape_samples_scraped"), "{{node}}"),),
                    what="The ten nodes with the most series on average.",
                    links=LINKS,
                ),
            ),
        ),
    ),
    ANNOTATIONS,
)
