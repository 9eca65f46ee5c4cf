"""Older targets whose nodes a target leaves to them, also those of other operators."""

from typing import Any

from metricat_operator.cluster.target_claims import older_claims, trim

CONDITIONS = {"conditions": [{"type": "Ready", "status": "True"}]}


def target(namespace: str, born: int, status: dict[str, Any] | None = None) -> dict[str, Any]:
    created = f"2030-01-01T00:00:0{born}Z"
    metadata = {"name": "nodes", "namespace": namespace, "uid": namespace, "creationTimestamp": created}
    return {"metadata": metadata, "spec": {}, "status": status}


def older(*others: dict[str, Any]) -> list[str]:
    found = older_claims([trim(one) for one in others], target("team", 5), lambda namespace: namespace == "team")
    return [one.namespace for one in found]


def test_older_target_of_another_operator_claims_its_nodes() -> None:
    assert older(target("monitoring", 1, CONDITIONS), target("later", 9, CONDITIONS)) == ["monitoring"]


def test_older_target_that_no_operator_watches_claims_no_nodes() -> None:
    assert older(target("nowhere", 1), target("nowhere-else", 2, {})) == []


def test_older_target_of_this_operator_claims_its_nodes_before_it_has_a_status() -> None:
    assert older({**target("team", 1), "metadata": {**target("team", 1)["metadata"], "name": "first"}}) == ["team"]
