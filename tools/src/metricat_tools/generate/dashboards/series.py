"""PromQL of the dashboards, for the series of the selected targets and nodes."""

from metricat_tools.generate.dashboards.grafana import Annotation, Link, Query, Variable, board_link

CPU = "metricat:node_cpu_usage:percent"
WITHIN = 'cluster=~"$cluster",service=~"$target"'
NODES = f'{WITHIN},node=~"$node"'
ANYWHERE = 'cluster=~"$cluster"'
CLUSTER = Variable("cluster", "cluster", CPU)
TARGET = Variable("target", "service", f'{CPU}{{cluster=~"$cluster"}}')
NODE = Variable("node", "node", f"{CPU}{{{WITHIN}}}")
ONE_NODE = Variable("node", "node", f"{CPU}{{{WITHIN}}}", single=True)
RATE = "$__rate_interval"
PLACE = ("cluster", "namespace", "service", "pool", "prometheus", "instance", "job", "endpoint", "container", "pod")
"""Labels that tables hide because every row has the same value."""


def recorded(name: str, keys: str = "node") -> str:
    """Return the query of a recorded series, with max: two agents may report one node for a moment."""
    return f"max by ({keys}) (metricat:{name}{{{NODES}}})"


TO_NODE = board_link("Open the node", "node", "node")
TO_NODE_OF_ROW = board_link("Open the node", "node", "node", in_table=True)
TO_PROCESSES = board_link("Open its processes", "processes", "node")
LINKS: tuple[Link, ...] = (TO_NODE, TO_PROCESSES)

ANNOTATIONS = (
    Annotation(
        "Alerts",
        f'max by (alertname, severity, node) (ALERTS{{alertstate="firing",severity=~"warning|critical",{NODES}}})',
        "{{alertname}} ({{severity}}) on {{node}}",
        "orange",
    ),
    Annotation(
        "Reboots", f"1000 * max by (node) (node_boot_time_seconds{{{NODES}}})", "{{node}} booted", "red", at_value=True
    ),
    Annotation(
        "Rollouts of agents",
        f"max by (node, version) (metricat_agent_build_info{{{NODES}}}) "
        f"unless on (node, version) (metricat_agent_build_info{{{NODES}}} offset 5m) "
        f"and on (node) (up{{{NODES}}} offset 5m)",
        "Agent {{version}} on {{node}}",
        "blue",
    ),
)


def ranked(metric: str, keys: str = "node", shown: str = "", rank: str = "avg_over_time", how: str = "max") -> str:
    """Return the query of the ten series that are highest over the whole time range.

    `topk` alone ranks each moment, so a range query returns many more series. The rank at the end of the range is the
    same for each moment, and Prometheus computes it once.

    Args:
        metric: the name of the metric, with matchers other than those of targets and nodes.
        keys: the labels that identify a series.
        shown: further labels to keep.
        rank: the function over the range that ranks.
        how: the aggregation of the series with the same keys.
    """
    series = f"{metric.rstrip('}')}{',' if '{' in metric else '{'}{NODES}}}"
    best = f"topk(10, {how} by ({keys}) ({rank}({series}[$__range] @ end())))"
    kept = f"{keys}, {shown}" if shown else keys
    return f"{how} by ({kept}) ({series}) and on ({keys}) {best}"


def both_ways(name: str) -> tuple[Query, ...]:
    """Return queries for received (positive) and transmitted (negative) data."""

    def direction(way: str) -> str:
        return f'max by (device) (metricat:node_network_{name}:rate{{direction="{way}",{NODES}}})'

    return Query(direction("receive"), "{{device}} in"), Query(f"-{direction('transmit')}", "{{device}} out")
