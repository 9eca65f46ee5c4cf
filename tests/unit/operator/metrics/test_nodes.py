"""Metrics of nodes cover nodes that are cordoned, new or under pressure, and no others."""

from typing import Any

import pytest

from metricat_operator.cluster.cluster_cache import ClusterCache
from metricat_operator.facts.model import Node, Taint
from metricat_operator.metrics.nodes import node_families

NOW = 1_800_000_000.0


def exported(*nodes: Node) -> dict[str, dict[tuple[str, ...], float]]:
    return {
        family.name: {tuple(sample.labels.values()): sample.value for sample in family.samples}
        for family in node_families(nodes, NOW)
    }


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (Node("a", unschedulable=True), "Cordoned"),
        (Node("a", deleted=True, unschedulable=True), "Deleted"),
        (Node("a", taints=(Taint("gpu"), Taint("karpenter.sh/disrupted"))), "karpenter.sh/disrupted"),
        (Node("a", taints=(Taint("gpu"), Taint("node.kubernetes.io/not-ready"))), None),
        (Node("a"), None),
    ],
)
def test_cordoned_node_is_exported_with_its_reason(node: Node, reason: str | None) -> None:
    assert exported(node)["metricat_node_cordoned"] == ({("a", reason): 1} if reason else {})


def test_each_pressure_of_a_node_is_exported() -> None:
    nodes = (Node("a", pressures=("DiskPressure", "PIDPressure")), Node("b"))
    assert exported(*nodes)["metricat_node_pressure"] == {("a", "DiskPressure"): 1, ("a", "PIDPressure"): 1}


def test_each_problem_of_a_node_is_exported_with_its_reason() -> None:
    nodes = (Node("a", problems=(("KernelDeadlock", "DockerHung"),)), Node("b"))
    assert exported(*nodes)["metricat_node_condition"] == {("a", "KernelDeadlock", "DockerHung"): 1}


def test_creation_time_is_exported_for_an_hour() -> None:
    nodes = (Node("old", created=NOW - 3601), Node("new", created=NOW - 60), Node("unknown"))
    assert exported(*nodes)["metricat_node_created_timestamp_seconds"] == {("new",): NOW - 60}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, Node("a", created=1_700_000_000)),
        ({"spec": {"unschedulable": True}}, Node("a", created=1_700_000_000, unschedulable=True)),
        (
            {"metadata": {"deletionTimestamp": "2023-11-15T00:00:00Z"}},
            Node("a", created=1_700_000_000, deleted=True),
        ),
        (
            {"status": {"conditions": [{"type": one, "status": "True"} for one in ("PIDPressure", "Ready")]}},
            Node("a", created=1_700_000_000, pressures=("PIDPressure",)),
        ),
        (
            {
                "status": {
                    "conditions": [
                        {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown", "message": "gone"},
                        {"type": "KernelReady", "status": "True"},
                        {"type": "StorageReady", "status": "False"},
                        {"type": "KernelDeadlock", "status": "True", "reason": "DockerHung"},
                        {"type": "ReadonlyFilesystem", "status": "Unknown"},
                        {"type": "HappyHour", "status": "True"},
                    ]
                }
            },
            Node(
                "a",
                created=1_700_000_000,
                ready=False,
                why="gone",
                problems=(("KernelDeadlock", "DockerHung"), ("Ready", "NodeStatusUnknown"), ("StorageReady", "")),
            ),
        ),
    ],
)
def test_trimmed_node_keeps_what_metrics_need(change: dict[str, Any], expected: Node) -> None:
    cluster = ClusterCache(lambda *_: None)
    metadata = {"name": "a", "uid": "a", "resourceVersion": "1", "creationTimestamp": "2023-11-14T22:13:20Z"}
    status = {"conditions": [{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "False"}]}
    node: dict[str, Any] = {"metadata": metadata, "spec": {}, "status": status}
    cluster.nodes.put({**node, **change, "metadata": metadata | change.get("metadata", {})})
    assert cluster.all_nodes() == (expected,)
