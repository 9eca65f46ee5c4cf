"""Metrics of cordoned and new nodes, used to inhibit alerts if kube-state-metrics is absent. Pure.

Only these nodes have series: a series for each of 5,000 nodes would cost too much at every scrape.
"""

from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from metricat_operator.alerts.node_lifecycle import BEFORE_DELETION
from metricat_operator.facts.model import Node

_NEW_SECONDS = 3600


def node_families(nodes: Iterable[Node], now: float) -> Iterator[Metric]:
    """Yield cordoned nodes with the reason, and creation times of nodes younger than an hour; `now` is Unix time."""
    cordoned = GaugeMetricFamily(
        "metricat_node_cordoned",
        "Always 1, for each node that is cordoned or about to be deleted. The reason may be a taint.",
        labels=["node", "reason"],
    )
    created = GaugeMetricFamily(
        "metricat_node_created_timestamp_seconds",
        "Unix time at which a node was created, for nodes younger than an hour.",
        labels=["node"],
    )
    for node in nodes:
        if reason := _cordoned(node):
            cordoned.add_metric([node.name, reason], 1)
        if now - node.created < _NEW_SECONDS:
            created.add_metric([node.name], node.created)
    yield from (cordoned, created)


def _cordoned(node: Node) -> str:
    if node.deleted:
        return "Deleted"
    taint = next((taint.key for taint in node.taints if taint.key in BEFORE_DELETION), "")
    return taint or ("Cordoned" if node.unschedulable else "")
