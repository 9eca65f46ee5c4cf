"""Metrics of targets: every uncovered node is exported, also those that the status does not list."""

from metricat_operator.metrics.targets import UncoveredNodes, target_families

TARGET = {
    "metadata": {"namespace": "monitoring", "name": "nodes"},
    "status": {"uncovered": [{"node": "a", "pool": "default", "reason": "NoPod"}]},
}


def uncovered(nodes: UncoveredNodes) -> set[tuple[str, ...]]:
    [family] = [one for one in target_families([TARGET], nodes) if one.name == "metricat_node_uncovered"]
    return {tuple(sample.labels.values()) for sample in family.samples}


def test_uncovered_nodes_of_the_status_are_exported() -> None:
    assert uncovered({}) == {("monitoring", "nodes", "a", "default", "NoPod")}


def test_all_uncovered_nodes_are_exported_if_the_status_does_not_list_all() -> None:
    every = [("a", "default", "NoPod"), ("b", "gpu", "NodeNotReady")]
    found = uncovered({("monitoring", "nodes"): every, ("other", "nodes"): []})
    assert found == {("monitoring", "nodes", *one) for one in every}
