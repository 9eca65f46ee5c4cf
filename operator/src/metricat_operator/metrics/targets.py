"""Metrics of the targets' statuses, which alerts use. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric

from metricat_operator.facts.model import Manifest, OperatorClaim

_TARGET = ["target_namespace", "target"]
"""Not `namespace`: Prometheus sets that label to the namespace of the scraped pod."""

_COUNTS = {
    "desired": "Nodes that should have an agent.",
    "ready": "Nodes with a ready agent.",
    "updated": "Nodes with the newest agent.",
    "uncovered": "Selected nodes without a ready agent, including virtual nodes.",
}


def left_families(left: Mapping[tuple[str, str], OperatorClaim]) -> Iterator[Metric]:
    """Yield the metric of the targets in `left`, which this operator leaves to others. Only the leader exports them."""
    family = GaugeMetricFamily(
        "metricat_target_managed_by_other",
        "Always 1, for each target that this operator watches and leaves to the operator of another release.",
        labels=[*_TARGET, "operator", "reason"],
    )
    for (namespace, name), claim in sorted(left.items()):
        family.add_metric([namespace, name, claim.operator, str(claim.reason)], 1)
    yield family


UncoveredNodes = Mapping[tuple[str, str], Iterable[tuple[str, str, str]]]
"""Node, pool and reason of every uncovered node, by namespace and name of the target."""


def target_families(targets: Iterable[Manifest], uncovered_nodes: UncoveredNodes) -> Iterator[Metric]:
    """Yield conditions, counts and uncovered nodes of all targets.

    Every replica exports the same values, those of the API server: a query with `max by` continues when the leader
    changes. A status lists at most 50 uncovered nodes. For a target with more, `uncovered_nodes` has all of them: the
    leader computed them.
    """
    conditions = GaugeMetricFamily(
        "metricat_target_condition",
        "1 for the current status of a condition of the target, 0 for its other statuses.",
        labels=[*_TARGET, "type", "status"],
    )
    counts = {
        what: GaugeMetricFamily(f"metricat_target_nodes_{what}", text, labels=_TARGET) for what, text in _COUNTS.items()
    }
    pools = GaugeMetricFamily(
        "metricat_target_pool_nodes_desired",
        "Nodes of each pool that should have an agent, if the target defines pools.",
        labels=[*_TARGET, "pool"],
    )
    uncovered = GaugeMetricFamily(
        "metricat_node_uncovered",
        "Always 1, for each selected node without a ready agent, with the reason.",
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
        for pool in status.get("pools", []):
            pools.add_metric([*name, pool["name"]], pool["desired"])
        listed = [(node["node"], node.get("pool", ""), node["reason"]) for node in status.get("uncovered", [])]
        for node in uncovered_nodes.get((name[0], name[1]), listed):
            uncovered.add_metric([*name, *node], 1)
    yield from (conditions, *counts.values(), pools, uncovered)
