"""What the operator knows of nodes that alerts should leave alone, as metrics. Pure: kube-state-metrics may be absent.

Only of the nodes that it matters for, or each of 5,000 nodes would cost a line at every scrape.
"""

from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from metricat_operator.alerts.node_lifecycle import BEFORE_DELETION
from metricat_operator.facts.model import Node

_NEW_SECONDS = 3600


def node_families(nodes: Iterable[Node], now: float) -> Iterator[Metric]:
    """Cordoned nodes with the reason, and when the nodes of the last hour were created; `now` is Unix time."""
    cordoned = GaugeMetricFamily(
        "metricat_node_cordoned",
        "A node that is cordoned or about to be deleted, with the reason, which may be a taint: always 1.",
        labels=["node", "reason"],
    )
    created = GaugeMetricFamily(
        "metricat_node_created_timestamp_seconds",
        "When a node that came within the last hour was created.",
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
