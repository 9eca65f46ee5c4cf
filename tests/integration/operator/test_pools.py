"""Pools on the real API server: the DaemonSet controller moves a node's agent when the node's labels change."""

import time
from collections.abc import Iterator
from functools import partial

import pytest

from support.harness import CHILD, Cluster, Manifest, eventually, target, wait_ready

pytestmark = pytest.mark.usefixtures("operator")

KEY = "pools-test.metricat.dev/role"
POOLS = {
    "pools": [
        {
            "name": "gpu",
            "nodeSelector": {"matchLabels": {KEY: "gpu"}},
            "agent": {"resources": {"limits": {"memory": "200Mi"}}},
        },
        {
            "name": "batch",
            "nodeSelector": {"matchExpressions": [{"key": KEY, "operator": "Exists"}]},
            "alerts": {"rules": {"NodeCPUUsageHigh": {"warning": {"enabled": False}}}},
        },
    ]
}


@pytest.fixture
def nodes(cluster: Cluster) -> Iterator[list[str]]:
    """Yield the names of the nodes. Remove the labels that the test set after it."""
    names = cluster.do("get", "nodes", "-o", "name").split()
    yield [name.removeprefix("node/") for name in names]
    for name in names:
        cluster.do("label", name, f"{KEY}-")
        cluster.run("taint", name, f"{KEY}-")


def placed(cluster: Cluster, namespace: str) -> dict[str, str]:
    """Return the pool of the agent on each node, without terminating pods."""
    alive = [
        (pod["spec"].get("nodeName", ""), pod["metadata"]["labels"]["metricat.dev/pool"])
        for pod in cluster.pods(namespace)
        if "deletionTimestamp" not in pod["metadata"]
    ]
    assert len(dict(alive)) == len(alive), f"two agents on a node: {alive}"
    return dict(alive)


def runs(cluster: Cluster, namespace: str, node: str, pool: str) -> bool:
    return placed(cluster, namespace).get(node) == pool


def status(cluster: Cluster, namespace: str) -> Manifest:
    found: Manifest = (cluster.get("mtarget", "nodes", namespace) or {}).get("status", {})
    return found


def counts(cluster: Cluster, namespace: str) -> list[tuple[str, int, int]]:
    pools = status(cluster, namespace).get("pools", [])
    return [(pool["name"], pool["desired"], pool["ready"]) for pool in pools]


@pytest.mark.slow
def test_a_node_follows_its_labels_from_pool_to_pool(cluster: Cluster, namespace: str, nodes: list[str]) -> None:
    first, second, third = nodes
    cluster.do("label", "node", first, f"{KEY}=gpu")
    cluster.apply(target(namespace, POOLS))
    wait_ready(cluster, namespace)
    assert placed(cluster, namespace) == {first: "gpu", second: "default", third: "default"}
    assert counts(cluster, namespace) == [("gpu", 1, 1), ("batch", 0, 0), ("default", 2, 2)]

    for name, role, now in ((first, "batch", "batch"), (second, "gpu", "gpu"), (first, "gpu", "gpu")):
        cluster.do("label", "node", name, f"{KEY}={role}", "--overwrite")
        eventually(partial(runs, cluster, namespace, name, now))
    eventually(lambda: counts(cluster, namespace) == [("gpu", 2, 2), ("batch", 0, 0), ("default", 1, 1)])

    daemon_sets = {"gpu": f"gpu-{CHILD}", "batch": f"batch-{CHILD}", "default": CHILD}
    found = cluster.do("get", "daemonsets", "-n", namespace, "-o", "jsonpath={.items[*].metadata.name}")
    assert set(found.split()) == set(daemon_sets.values())
    cluster.apply(target(namespace, {"pools": POOLS["pools"][:1]}))
    eventually(lambda: cluster.get("daemonset", daemon_sets["batch"], namespace) is None)


@pytest.mark.slow
def test_taint_that_one_pool_tolerates_is_reported(cluster: Cluster, namespace: str, nodes: list[str]) -> None:
    cluster.do("label", "node", nodes[0], f"{KEY}=gpu")
    cluster.do("taint", "node", nodes[0], f"{KEY}=yes:NoSchedule")
    cluster.do("taint", "node", nodes[1], f"{KEY}=yes:NoSchedule")
    pool = POOLS["pools"][0] | {"agent": {"tolerations": [{"key": "other", "operator": "Exists"}]}}
    cluster.apply(target(namespace, {"pools": [pool]}))
    eventually(lambda: status(cluster, namespace).get("nodes", {}).get("ready") == len(nodes) - 1)
    [uncovered] = status(cluster, namespace)["uncovered"]
    assert (uncovered["node"], uncovered["reason"]) == (nodes[0], "TaintNotTolerated")
    assert f"The node has the taint {KEY}=yes:NoSchedule" in uncovered["message"]
    cluster.do("taint", "node", nodes[0], f"{KEY}-")
    wait_ready(cluster, namespace)


@pytest.mark.slow
def test_node_selector_restricts_a_target(cluster: Cluster, namespace: str, nodes: list[str]) -> None:
    cluster.do("label", "node", nodes[0], f"{KEY}=gpu")
    cluster.apply(target(namespace, {"nodeSelector": {"matchLabels": {KEY: "gpu"}}}))
    wait_ready(cluster, namespace)
    assert placed(cluster, namespace) == {nodes[0]: "default"}
    cluster.do("label", "node", nodes[1], f"{KEY}=gpu")
    eventually(lambda: status(cluster, namespace)["nodes"]["ready"] == 2)
    assert placed(cluster, namespace) == {nodes[0]: "default", nodes[1]: "default"}


def test_deleted_objects_are_restored_while_the_spec_is_rejected(cluster: Cluster, namespace: str) -> None:
    pool, service = f"gpu-{CHILD}", ("service", CHILD, namespace)
    cluster.apply(target(namespace, {"pools": POOLS["pools"][:1]}))
    wait_ready(cluster, namespace)
    rejected = {"agent": {"collectors": {"diskstats": {"excludeDevices": r"sd\z"}}}}
    cluster.apply(target(namespace, rejected))
    eventually(lambda: cluster.condition(namespace, "nodes", "Accepted").get("status") == "False")
    assert cluster.get("daemonset", pool, namespace), "a rejected spec deletes no pool"
    cluster.delete("daemonset", pool, namespace)
    cluster.delete(*service)
    eventually(lambda: cluster.get("daemonset", pool, namespace) and cluster.get(*service))
    assert cluster.condition(namespace, "nodes", "Applied")["reason"] == "NotAccepted"

    cluster.apply(target(namespace, {**rejected, "paused": True}))
    generation = cluster.get("mtarget", "nodes", namespace)
    assert generation
    eventually(lambda: status(cluster, namespace)["observedGeneration"] == generation["metadata"]["generation"])
    cluster.delete(*service)
    time.sleep(2)  # no event shows that nothing happens
    assert cluster.get(*service) is None


def test_rules_of_many_pools_are_split_into_several_objects(cluster: Cluster, namespace: str) -> None:
    """With many pools, the rules are in several objects. With few pools, one object holds them again."""
    many = [
        {
            "name": f"p{number}",
            "nodeSelector": {"matchLabels": {KEY: f"p{number}"}},
            "agent": {"extraLabels": {"team": f"t{number}"}},
        }
        for number in range(8)
    ]

    def held() -> list[str]:
        found = cluster.do("get", "prometheusrules", "--namespace", namespace, "-o", "name").split()
        return [name.rpartition("/")[2] for name in found]

    cluster.apply(target(namespace, {"pools": many}))
    eventually(lambda: len(held()) > 1 and held() == [CHILD, *(f"part-{n}-{CHILD}" for n in range(2, len(held()) + 1))])
    cluster.apply(target(namespace, {"pools": many[:1]}))
    eventually(lambda: held() == [CHILD])
