"""Whether every node is watched."""

from metricat_tools.generate.dashboards.grafana import Board, Panel, Query, Row
from metricat_tools.generate.dashboards.series import CLUSTER, NODE, NODES, PLACE, RATE, TARGET

BOARD = Board(
    "coverage",
    "Coverage",
    "Whether every node is watched, and whether what watches them works.",
    (CLUSTER, TARGET, NODE),
    (
        Row(
            "Targets",
            (
                Panel(
                    "Nodes whose agent does not answer",
                    (Query(f"max by (node, pool, service) (up{{{NODES}}}) == 0", "Up"),),
                    "table",
                    "none",
                    what="Why, and which nodes have no agent at all: kubectl get mtarget -o wide.",
                ),
                Panel("Scraped", (Query(f"sum by (service) (up{{{NODES}}})", "{{service}}"),)),
            ),
        ),
        Row(
            "Agents",
            (
                Panel(
                    "Collectors that fail",
                    (Query(f"max by (node, collector) (node_scrape_collector_success{{{NODES}}}) == 0", "Works"),),
                    "table",
                    "none",
                    hidden=PLACE,
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
                    what="Of one CPU.",
                ),
                Panel(
                    "Memory of the agents",
                    (Query(f"topk(10, max by (node) (metricat_agent_resident_memory_bytes{{{NODES}}}))", "{{node}}"),),
                    unit="bytes",
                ),
                Panel("Scrapes take", (Query(f"topk(10, scrape_duration_seconds{{{NODES}}})", "{{node}}"),), unit="s"),
                Panel("Series", (Query(f"topk(10, scrape_samples_scraped{{{NODES}}})", "{{node}}"),)),
            ),
        ),
    ),
)
