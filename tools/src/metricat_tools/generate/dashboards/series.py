"""PromQL of the dashboards, for the series of the selected targets and nodes."""

from metricat_tools.generate.dashboards.grafana import Query, Variable

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


def both_ways(name: str) -> tuple[Query, ...]:
    """Return queries for received (positive) and transmitted (negative) data."""

    def direction(way: str) -> str:
        return f'max by (device) (metricat:node_network_{name}:rate{{direction="{way}",{NODES}}})'

    return Query(direction("receive"), "{{device}} in"), Query(f"-{direction('transmit')}", "{{device}} out")
