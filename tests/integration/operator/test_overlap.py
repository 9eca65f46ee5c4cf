"""Two targets on the real API server: a node that both select belongs to the older one, whatever is changed."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from support.harness import Cluster, Manifest, eventually, target, wait_ready

pytestmark = pytest.mark.usefixtures("operator")

KEY = "overlap-test.metricat.dev/team"
AGENTS = "app.kubernetes.io/name=metricat,app.kubernetes.io/component=agent"
YOUNGER = "others"


def agents(cluster: Cluster) -> list[tuple[str, str, bool]]:
    """Return node and target of each agent that was bound to a node, and whether it is not being deleted."""
    return [
        (
            pod["spec"]["nodeName"],
            pod["metadata"]["labels"]["metricat.dev/target"],
            "deletionTimestamp" not in pod["metadata"],
        )
        for pod in cluster.pods(selector=AGENTS)
        if pod["spec"].get("nodeName")
    ]


def owners(cluster: Cluster) -> dict[str, str]:
    return {node: owner for node, owner, stays in agents(cluster) if stays}


@contextmanager
def never_two(cluster: Cluster) -> Iterator[None]:
    """During the test, no node ever has two agents, even if one of them is terminating."""
    too_many_terms: list[str] = []
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.1):
            too_many_terms.extend(
                node for node, count in Counter(node for node, _, _ in agents(cluster)).items() if count > 1
            )

    watching = threading.Thread(target=look)
    watching.start()
    try:
        yield
    finally:
        done.set()
        watching.join()
    assert too_many_terms == []


def named(namespace: str, name: str, spec: dict[str, Any] | None = None) -> Manifest:
    made = target(namespace, spec)
    made["metadata"]["name"] = name
    return made


def accepted(cluster: Cluster, namespace: str) -> str:
    return str(cluster.condition(namespace, YOUNGER, "Accepted").get("reason"))


@pytest.fixture
def nodes(cluster: Cluster) -> Iterator[list[str]]:
    names = [name.removeprefix("node/") for name in cluster.do("get", "nodes", "-o", "name").split()]
    eventually(lambda: not agents(cluster))  # those of an earlier test
    cluster.do("label", "node", names[0], f"{KEY}=x")
    yield names
    cluster.do("label", "node", names[0], f"{KEY}-")


def test_the_older_target_owns_the_nodes_that_both_select(cluster: Cluster, namespace: str, nodes: list[str]) -> None:
    first, *rest = nodes
    some: dict[str, Any] = {"nodeSelector": {"matchLabels": {KEY: "x"}}}
    every: dict[str, Any] = {"nodeSelector": {"matchLabels": {}}}
    with never_two(cluster):
        cluster.apply(target(namespace, some))
        wait_ready(cluster, namespace)
        cluster.apply(named(namespace, YOUNGER))
        eventually(lambda: owners(cluster) == {first: "nodes", **dict.fromkeys(rest, YOUNGER)})
        eventually(lambda: accepted(cluster, namespace) == "Overlaps")
        message = cluster.condition(namespace, YOUNGER, "Accepted")["message"]
        assert f"older MonitoringTargets: {namespace}/nodes (1 node)" in message

        cluster.apply(target(namespace, every))  # the older one is edited
        eventually(lambda: owners(cluster) == dict.fromkeys(nodes, "nodes"))
        eventually(lambda: cluster.condition(namespace, YOUNGER, "Ready").get("reason") == "Overlaps")
        wait_ready(cluster, namespace)

        cluster.apply(target(namespace, some))
        eventually(lambda: owners(cluster) == {first: "nodes", **dict.fromkeys(rest, YOUNGER)})

        cluster.do("delete", "mtarget", "nodes", "-n", namespace)
        eventually(lambda: owners(cluster) == dict.fromkeys(nodes, YOUNGER))
        eventually(lambda: accepted(cluster, namespace) == "Accepted")


def test_a_paused_target_keeps_its_nodes(cluster: Cluster, namespace: str, nodes: list[str]) -> None:
    with never_two(cluster):
        cluster.apply(target(namespace))
        wait_ready(cluster, namespace)
        cluster.apply(target(namespace, {"paused": True}), named(namespace, YOUNGER))
        eventually(lambda: cluster.condition(namespace, YOUNGER, "Ready").get("reason") == "Overlaps")
        assert owners(cluster) == dict.fromkeys(nodes, "nodes")
