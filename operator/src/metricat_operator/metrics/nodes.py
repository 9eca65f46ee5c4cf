"""Metrics of nodes that are cordoned, new or report a problem, for alerts without kube-state-metrics. Pure.

Only these nodes have series: a series for each of 5,000 nodes would cost too much at every scrape.
"""

from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from metricat_operator.facts.model import Node
from metricat_rules.node_lifecycle import BEFORE_DELETION

_NEW_SECONDS = 3600


def node_families(nodes: Iterable[Node], now: float) -> Iterator[Metric]:
    """Yield the metrics: cordoned nodes with the reason, conditions that report a problem, creation times of new nodes.

    `now` is Unix time. A node is new for an hour.
    """
    cordoned = GaugeMetricFamily(
        "metricat_node_cordoned",
        "Always 1, for each node that is cordoned or about to be deleted. The reason may be a taint.",
        labels=["node", "reason"],
    )
    pressure = GaugeMetricFamily(
        "metricat_node_pressure",
        "Always 1, for each condition of a node under which the kubelet evicts pods: DiskPressure, MemoryPressure or "
        "PIDPressure.",
        labels=["node", "condition"],
    )
    problems = GaugeMetricFamily(
        "metricat_node_condition",
        "Always 1, for each condition of a node that reports a problem, such as Ready or KernelDeadlock, with its "
        "reason. Conditions under which the kubelet evicts pods are in metricat_node_pressure.",
        labels=["node", "condition", "reason"],
    )
    created = GaugeMetricFamily(
        "metricat_node_created_timestamp_seconds",
        "Unix time at which a node was created, for nodes younger than an hour.",
        labels=["node"],
    )
    for node in nodes:
        if reason := _cordoned(node):
            cordoned.add_metric([node.name, reason], 1)
        for condition in node.pressures:
            pressure.add_metric([node.name, condition], 1)
        for kind, reason in node.problems:
            problems.add_metric([node.name, kind, reason], 1)
        if now - node.created < _NEW_SECONDS:
            created.add_metric([node.name], node.created)
    yield from (cordoned, pressure, problems, created)


def _cordoned(node: Node) -> str:
    if node.deleted:
        return "Deleted"
    taint = next((taint.key for taint in node.taints if taint.key in BEFORE_DELETION), "")
    return taint or ("Cordoned" if node.unschedulable else "")
