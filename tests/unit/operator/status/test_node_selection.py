"""A target or a pool that selects no node is not healthy, and the message names the nearest label."""

from typing import Any

import pytest

from metricat_operator.api.overlap import claim
from metricat_operator.api.parse import parse
from metricat_operator.api.pools import requirements
from metricat_operator.api.selectors import matches
from metricat_operator.facts.model import AgentPod, Facts, Manifest, Node, ObjectKey, Taint
from metricat_operator.status import compute_status
from support.reasons import documented

NODES = (
    Node("a", labels={"node-pool": "gpu", "topology.kubernetes.io/zone": "z1", "disk": "ssd"}),
    Node("b", labels={"node-pool": "cpu", "topology.kubernetes.io/zone": "z2"}),
    Node("c", labels={"node-pool": "cpu", "topology.kubernetes.io/zone": "z2"}),
    Node("w", linux=False, labels={"kubernetes.io/os": "windows", "node-pool": "windows"}),
    Node("v", labels={"type": "virtual-kubelet", "node-pool": "serverless"}),
)


def status(
    spec: dict[str, Any], nodes: tuple[Node, ...] = NODES, older: tuple[Manifest, ...] = (), *, ready: bool = True
) -> Manifest:
    """The status of a target with a ready agent on each node that can have one."""
    found = parse(spec, [claim(one) for one in older])
    wanted = requirements(found.spec.node_selector) if found.spec and not found.errors else ()
    metadata = {"name": "metricat-nodes", "generation": 1, "labels": {"metricat.dev/pool": "default"}}
    counts = {"observedGeneration": 1, "updatedNumberScheduled": len(nodes)}
    given = Facts(
        children={ObjectKey("DaemonSet", "metricat-nodes"): {"metadata": metadata, "status": counts}},
        nodes=tuple(node for node in nodes if matches(wanted, node.labels)),
        all_nodes=nodes,
        pods=tuple(AgentPod(f"p-{node.name}", node.name, ready=True) for node in nodes if ready),
    )
    target = {"metadata": {"name": "nodes", "namespace": "monitoring", "generation": 1}}
    computed = compute_status(target, found, given, (), "2030-01-02T03:04:05Z")
    assert [one for one in computed["conditions"] if not documented(one["type"], one["reason"])] == []
    return computed


def conditions(found: Manifest) -> dict[str, tuple[str, str]]:
    return {one["type"]: (one["status"], one["reason"]) for one in found["conditions"]}


def message(found: Manifest, kind: str = "NodesSelected") -> str:
    [one] = [one for one in found["conditions"] if one["type"] == kind]
    return str(one["message"])


def labels(**expected: str) -> dict[str, Any]:
    return {"matchLabels": expected}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, **({"values": list(values)} if values else {})}]}


@pytest.mark.parametrize(
    ("selector", "why"),
    [
        (
            {"matchLabels": {"nod-pool": "gpu"}},
            "No node has the label nod-pool; the nearest label is node-pool (3 nodes).",
        ),
        ({"matchLabels": {"Node-Pool": "gpu"}}, "has the label Node-Pool; the nearest label is node-pool (3 nodes)."),
        ({"matchLabels": {"zone": "z1"}}, "the nearest label is topology.kubernetes.io/zone (3 nodes)."),
        ({"matchLabels": {"pool": "gpu"}}, "No node has the label pool; the nearest label is node-pool (3 nodes)."),
        ({"matchLabels": {"node-pool": "gpus"}}, "No node has node-pool=gpus; the nearest value is gpu (1 node)."),
        ({"matchLabels": {"node-pool": "CPU"}}, "No node has node-pool=CPU; the nearest value is cpu (2 nodes)."),
        ({"matchLabels": {"node-pool": "x"}}, "No node has node-pool=x; the nodes have cpu, gpu."),
        ({"matchLabels": {"qqq": "x"}}, "No node has the label qqq. To list the labels, run: kubectl get nodes "),
        (expression("nod-pool", "Exists"), "No node has the label nod-pool; the nearest label is node-pool"),
        (
            expression("node-pool", "In", "gpux", "zzz"),
            "No node has node-pool in (gpux, zzz); the nearest value is gpu",
        ),
        (expression("node-pool", "NotIn", "cpu", "gpu"), "Every node has node-pool in (cpu, gpu)."),
        (expression("node-pool", "DoesNotExist"), "Every node has the label node-pool."),
        (
            {"matchLabels": {"node-pool": "cpu", "disk": "ssd"}},
            "No node meets all requirements together: disk=ssd (1 node), node-pool=cpu (2 nodes).",
        ),
        (
            {"matchLabels": {"node-pool": "cpu"}, **expression("disk", "Exists")},
            "No node meets all requirements together: disk (1 node), node-pool=cpu (2 nodes).",
        ),
        (
            {"matchLabels": {"node-pool": "gpu"}, **expression("disk", "DoesNotExist")},
            "No node meets all requirements together: !disk (2 nodes), node-pool=gpu (1 node).",
        ),
        (
            {"matchLabels": {"disk": "ssx", "nod-pool": "gpu"}},
            "No node has disk=ssx; the nearest value is ssd (1 node). No node has the label nod-pool;",
        ),
    ],
)
def test_target_without_nodes_is_not_ready_and_names_the_nearest_label(selector: dict[str, Any], why: str) -> None:
    nodes = NODES if "NotIn" not in str(selector) and "DoesNotExist" not in str(selector) else NODES[:3]
    found = status({"nodeSelector": selector}, nodes)
    assert conditions(found)["NodesSelected"] == ("False", "NoNodes")
    assert conditions(found)["Ready"] == conditions(found)["AgentsReady"] == ("False", "NoNodes")
    assert message(found).startswith("spec.nodeSelector matches no node. ")
    assert why in message(found)
    assert message(found).endswith("set spec.allowEmpty: true.")


def test_nearest_label_ignores_nodes_that_cannot_run_an_agent() -> None:
    found = message(status({"nodeSelector": {"matchLabels": {"node-pool": "serverles"}}}))
    assert "serverless" not in found


def test_empty_target_is_ready_if_the_spec_allows_it() -> None:
    found = status({"nodeSelector": labels(disk="nvme"), "allowEmpty": True})
    assert conditions(found)["NodesSelected"] == ("True", "EmptyAllowed")
    assert conditions(found)["Ready"] == ("True", "NoNodes")
    assert "No node has disk=nvme" in message(found)


@pytest.mark.parametrize(
    ("selector", "why"),
    [
        ({"matchLabels": {"kubernetes.io/os": "windows"}}, "1 node (kubernetes.io/os=windows)."),
        ({"matchLabels": {"node-pool": "serverless"}}, "1 node (virtual)."),
        (
            expression("node-pool", "In", "serverless", "windows"),
            "1 node (kubernetes.io/os=windows), 1 node (virtual).",
        ),
    ],
)
def test_target_of_nodes_that_cannot_run_an_agent_is_not_ready(selector: dict[str, Any], why: str) -> None:
    found = status({"nodeSelector": selector})
    assert conditions(found)["NodesSelected"] == conditions(found)["Ready"] == ("False", "UnsupportedNodes")
    assert why in message(found)


def test_target_whose_nodes_all_belong_to_older_targets_is_not_ready() -> None:
    older = {"metadata": {"name": "all", "namespace": "platform", "creationTimestamp": "2020-01-01T00:00:00Z"}}
    found = status({}, older=(older,))
    assert conditions(found)["NodesSelected"] == conditions(found)["Ready"] == ("False", "Overlaps")
    assert "platform/all (3 nodes)" in message(found)


def test_cluster_without_linux_nodes_is_not_ready() -> None:
    assert "no Linux node" in message(status({}, nodes=()))
    assert conditions(status({}, nodes=()))["Ready"] == ("False", "NoNodes")


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (
            {"pools": [{"name": "gpu", "nodeSelector": labels(nodpool="gpu")}]},
            "No node of this target has the label nodpool; the nearest label is node-pool (3 nodes). Correct",
        ),
        (
            {"pools": [{"name": "gpu", "nodeSelector": {"matchLabels": {"node-pool": "gpuu"}}}]},
            "No node of this target has node-pool=gpuu; the nearest value is gpu (1 node).",
        ),
        (
            {
                "pools": [
                    {"name": "all", "nodeSelector": expression("node-pool", "Exists")},
                    {"name": "gpu", "nodeSelector": {"matchLabels": {"node-pool": "gpu"}}},
                ]
            },
            "spec.pools[1].nodeSelector matches 1 node, but an earlier pool or an older MonitoringTarget has "  # noqa: ISC004 (one text)
            "precedence: pool all.",
        ),
        (
            {
                "nodeSelector": {"matchLabels": {"node-pool": "cpu"}},
                "pools": [{"name": "gpu", "nodeSelector": {"matchLabels": {"node-pool": "gpu"}}}],
            },
            "spec.pools[0].nodeSelector matches 1 node, but spec.nodeSelector excludes them.",
        ),
        (
            {"pools": [{"name": "gpu", "nodeSelector": {"matchLabels": {"kubernetes.io/os": "windows"}}}]},
            "matches only nodes that cannot run an agent: 1 node (kubernetes.io/os=windows).",
        ),
    ],
)
def test_empty_pool_is_reported_and_the_target_stays_ready(spec: dict[str, Any], why: str) -> None:
    found = status(spec)
    assert conditions(found)["NodesSelected"] == ("False", "EmptyPool")
    assert conditions(found)["AgentsReady"][1] == "AgentsReady"
    assert why in message(found)


def test_pool_follows_the_target_unless_it_sets_allow_empty() -> None:
    pool = {"name": "gpu", "nodeSelector": {"matchLabels": {"node-pool": "tpu"}}}
    for spec, reason in (
        ({"pools": [{**pool, "allowEmpty": True}]}, "NodesSelected"),
        ({"pools": [pool], "allowEmpty": True}, "NodesSelected"),
        ({"pools": [{**pool, "allowEmpty": False}], "allowEmpty": True}, "EmptyPool"),
    ):
        assert conditions(status(spec))["NodesSelected"][1] == reason


def test_nodes_without_agents_by_taint_are_not_ready() -> None:
    tainted = tuple(Node(name, taints=(Taint("dedicated", "db"),)) for name in "ab")
    found = status({"agent": {"tolerations": []}}, tainted, ready=False)
    assert conditions(found)["NodesSelected"] == ("True", "NodesSelected")
    assert conditions(found)["Ready"] == ("False", "NodesUncovered")
    assert {one["reason"] for one in found["uncovered"]} == {"TaintNotTolerated"}


def test_rejected_spec_reports_the_nodes_of_its_daemon_sets() -> None:
    assert conditions(status({"agent": {"port": 0}}))["NodesSelected"] == ("True", "NodesSelected")
    assert conditions(status({"agent": {"port": 0}}, nodes=()))["NodesSelected"] == ("False", "NoNodes")
