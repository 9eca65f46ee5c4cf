"""What the targets' statuses say, as metrics. Pure: alerts join on what the status tells people."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from metricat_operator.facts.model import Manifest

_TARGET = ["target_namespace", "target"]
"""Not `namespace`: Prometheus puts the scraped pod's own there."""

_COUNTS = {
    "desired": "Nodes that should have an agent.",
    "ready": "Nodes with a ready agent.",
    "updated": "Nodes with the newest agent.",
    "uncovered": "Nodes that should have a ready agent and have none.",
}


def target_families(targets: Iterable[Manifest]) -> Iterator[Metric]:
    """Conditions, counts and uncovered nodes of all targets.

    Every replica tells the same, what the API server holds: asked for by `max by`, no series ends when another leads.
    A status lists at most 50 uncovered nodes, and so does `metricat_node_uncovered`; the count has all of them.
    """
    conditions = GaugeMetricFamily(
        "metricat_target_condition",
        "Whether a condition of the target has this status: 1 for the one it has, 0 for the others.",
        labels=[*_TARGET, "type", "status"],
    )
    counts = {
        what: GaugeMetricFamily(f"metricat_target_nodes_{what}", text, labels=_TARGET) for what, text in _COUNTS.items()
    }
    uncovered = GaugeMetricFamily(
        "metricat_node_uncovered",
        "A node that should have a ready agent and has none, with the reason: always 1.",
        labels=[*_TARGET, "node", "pool", "reason"],
    )
    for target in targets:
        name = [target["metadata"]["namespace"], target["metadata"]["name"]]
        status = target.get("status") or {}
        for condition in status.get("conditions", []):
            for value in ("True", "False", "Unknown"):
                conditions.add_metric([*name, condition["type"], value], float(condition["status"] == value))
        for what, family in counts.items():
            if what in status.get("nodes", {}):
                family.add_metric(name, status["nodes"][what])
        for node in status.get("uncovered", []):
            uncovered.add_metric([*name, node["node"], node.get("pool", ""), node["reason"]], 1)
    yield from (conditions, *counts.values(), uncovered)
