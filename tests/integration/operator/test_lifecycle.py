"""A target on a real API server: created, changed, repaired and deleted."""

import json
import time
from functools import partial
from typing import Any

import pytest

from metricat_operator.conditions import ConditionType
from metricat_tools.cluster import ControlPlane
from metricat_tools.cluster.audit import AuditLog
from support.harness import (
    CHILD,
    WANTED_CHILDREN,
    Cluster,
    Manifest,
    RunningOperator,
    eventually,
    target,
    wait_ready,
)

NODES = 3
OPERATOR = "system:serviceaccount:monitoring:metricat"

pytestmark = pytest.mark.usefixtures("operator")


def gone(cluster: Cluster, kind: str, namespace: str) -> bool:
    return cluster.get(kind, CHILD, namespace) is None


def test_a_target_gets_agents_on_every_node(cluster: Cluster, namespace: str) -> None:
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)

    found = cluster.get("mtarget", "nodes", namespace)
    assert found is not None
    assert found["status"]["nodes"] == {"desired": NODES, "ready": NODES, "updated": NODES, "uncovered": 0}
    assert found["status"]["observedGeneration"] == found["metadata"]["generation"]
    assert {c["type"]: c["status"] for c in found["status"]["conditions"]} == {
        **dict.fromkeys((str(kind) for kind in ConditionType if not kind.about.optional), "True"),
        "Selected": "False",  # no Prometheus exists
        "RulesLoaded": "Unknown",
        "Scraped": "Unknown",
        "Monitored": "False",
    }
    for kind in WANTED_CHILDREN:
        child = cluster.get(kind, CHILD, namespace)
        assert child is not None, kind
        [owner] = child["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"]) == (found["metadata"]["uid"], True)
        assert "finalizers" not in child["metadata"]
    assert "finalizers" not in found["metadata"]
    columns = cluster.do("get", "mtarget", "-n", namespace).splitlines()
    assert columns[0].split() == ["NAME", "NODES", "READY", "UNCOVERED", "SCRAPED", "ACCEPTED", "MONITORED", "AGE"]
    assert columns[1].split()[:6] == [
        "nodes",
        str(NODES),
        str(NODES),
        "0",
        "True",
        "False",
    ]  # Monitored is False: no Prometheus exists


def test_an_edit_changes_the_children_and_deletes_disabled_ones(cluster: Cluster, namespace: str) -> None:
    group = {"name": "own", "rules": [{"record": "own:up", "expr": "count(up)"}]}
    cluster.apply(target(namespace, {"alerts": {"extraGroups": [group]}}))
    wait_ready(cluster, namespace)
    eventually(lambda: cluster.get("prometheusrule", f"extra-{CHILD}", namespace))

    cluster.apply(
        target(
            namespace,
            {"agent": {"port": 9101}, "monitor": {"labels": {"release": "kps"}}, "alerts": {"enabled": False}},
        )
    )
    eventually(lambda: cluster.get("prometheusrule", CHILD, namespace) is None)
    eventually(lambda: cluster.get("prometheusrule", f"extra-{CHILD}", namespace) is None)

    def followed() -> bool:
        service = cluster.get("service", CHILD, namespace) or {}
        daemon_set = cluster.get("daemonset", CHILD, namespace) or {}
        monitor = cluster.get("servicemonitor", CHILD, namespace) or {}
        [container] = daemon_set["spec"]["template"]["spec"]["containers"]
        return bool(
            service["spec"]["ports"][0]["port"] == 9101
            and container["ports"][0]["containerPort"] == 9101
            and monitor["metadata"]["labels"]["release"] == "kps"
        )

    eventually(followed)
    wait_ready(cluster, namespace)


EDITS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "our image": (
        "daemonset",
        [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "other"}],
    ),
    "a privileged container": (
        "daemonset",
        [
            {
                "op": "add",
                "path": "/spec/template/spec/containers/-",
                "value": {"name": "evil", "image": "evil", "securityContext": {"privileged": True}},
            }
        ],
    ),
    "an init container": (
        "daemonset",
        [{"op": "add", "path": "/spec/template/spec/initContainers", "value": [{"name": "evil", "image": "evil"}]}],
    ),
    "a pull secret": (
        "daemonset",
        [{"op": "add", "path": "/spec/template/spec/imagePullSecrets", "value": [{"name": "theirs"}]}],
    ),
    "the host's processes": ("daemonset", [{"op": "add", "path": "/spec/template/spec/hostPID", "value": True}]),
    "a node selector": (
        "daemonset",
        [{"op": "add", "path": "/spec/template/spec/nodeSelector/disk", "value": "ssd"}],
    ),
    "a limit": (
        "daemonset",
        [{"op": "add", "path": "/spec/template/spec/containers/0/resources/limits/cpu", "value": "30m"}],
    ),
    "a default": ("daemonset", [{"op": "replace", "path": "/spec/template/spec/dnsPolicy", "value": "Default"}]),
    "all containers": (
        "daemonset",
        [{"op": "replace", "path": "/spec/template/spec/containers", "value": [{"name": "x", "image": "y"}]}],
    ),
    "a token": ("serviceaccount", [{"op": "replace", "path": "/automountServiceAccountToken", "value": True}]),
    "the port": ("service", [{"op": "replace", "path": "/spec/ports/0/port", "value": 1}]),
    "session affinity": ("service", [{"op": "replace", "path": "/spec/sessionAffinity", "value": "ClientIP"}]),
    "the interval": ("servicemonitor", [{"op": "replace", "path": "/spec/endpoints/0/interval", "value": "7m"}]),
    "a second endpoint": (
        "servicemonitor",
        [{"op": "add", "path": "/spec/endpoints/-", "value": {"port": "metrics", "interval": "1s"}}],
    ),
    "a rule less": ("prometheusrule", [{"op": "remove", "path": "/spec/groups/0/rules/0"}]),
    "a group more": ("prometheusrule", [{"op": "add", "path": "/spec/groups/-", "value": {"name": "z", "rules": []}}]),
    "a label of ours": ("daemonset", [{"op": "remove", "path": "/metadata/labels/metricat.dev~1target"}]),
    "another's label": (
        "daemonset",
        [{"op": "replace", "path": "/metadata/labels/metricat.dev~1target", "value": "another"}],
    ),
    "the label that we watch by": (
        "service",
        [{"op": "remove", "path": "/metadata/labels/app.kubernetes.io~1managed-by"}],
    ),
    "the owner": ("servicemonitor", [{"op": "remove", "path": "/metadata/ownerReferences"}]),
    "the owner and the label": (
        "serviceaccount",
        [
            {"op": "remove", "path": "/metadata/ownerReferences"},
            {"op": "replace", "path": "/metadata/labels/metricat.dev~1target", "value": "another"},
        ],
    ),
    "another owner": (
        "prometheusrule",
        [
            {
                "op": "replace",
                "path": "/metadata/ownerReferences",
                "value": [
                    {
                        "apiVersion": "metricat.dev/v1alpha1",
                        "kind": "MonitoringTarget",
                        "name": "another",
                        "uid": "00000000-0000-0000-0000-000000000001",
                    }
                ],
            }
        ],
    ),
}


def essence(child: Manifest | None) -> Manifest:
    """The part of an object that the operator manages, without the fields of the API server and others."""
    assert child is not None
    kept = {key: child["metadata"].get(key) for key in ("labels", "ownerReferences")}
    return {"metadata": kept, **{key: child[key] for key in child if key not in {"metadata", "status"}}}


def test_every_edit_by_hand_is_repaired(cluster: Cluster, namespace: str) -> None:
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    right = {kind: essence(cluster.get(kind, CHILD, namespace)) for kind in WANTED_CHILDREN}

    for what, (kind, patch) in EDITS.items():
        before = cluster.get(kind, CHILD, namespace)
        assert before is not None
        cluster.patch(kind, CHILD, namespace, patch)
        # The garbage collector may have deleted the object, if the edit set an owner that does not exist.
        after = cluster.get(kind, CHILD, namespace)
        assert after is None or after["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"], what

        def repaired(kind: str = kind) -> bool:
            assert essence(cluster.get(kind, CHILD, namespace)) == right[kind]
            return True

        eventually(repaired, seconds=5)


def test_every_deletion_by_hand_is_repaired(cluster: Cluster, namespace: str) -> None:
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    for kind in WANTED_CHILDREN:
        before = cluster.get(kind, CHILD, namespace)
        assert before is not None
        cluster.delete(kind, CHILD, namespace)

        def back(kind: str = kind, uid: str = before["metadata"]["uid"]) -> bool:
            child = cluster.get(kind, CHILD, namespace)
            return child is not None and child["metadata"]["uid"] != uid

        eventually(back, seconds=5)


def test_labels_and_annotations_of_others_stay(cluster: Cluster, namespace: str) -> None:
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    cluster.do("annotate", "daemonset", CHILD, "-n", namespace, "example.com/note=kept")
    cluster.do("label", "service", CHILD, "-n", namespace, "example.com/team=kept")
    finalizer = [{"op": "add", "path": "/metadata/finalizers", "value": ["example.com/kept"]}]
    cluster.patch("serviceaccount", CHILD, namespace, finalizer)
    limit = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": CHILD, "namespace": namespace}}
    limit["spec"] = {"revisionHistoryLimit": 10}  # the same as the API default
    cluster.do("apply", "--server-side", "--field-manager=theirs", "-f", "-", stdin=json.dumps(limit))
    cluster.do("rollout", "restart", "daemonset", CHILD, "-n", namespace)
    # The repair of the deleted object shows that a reconcile ran after the edits.
    cluster.do("delete", "servicemonitor", CHILD, "-n", namespace)
    eventually(lambda: cluster.get("servicemonitor", CHILD, namespace))
    wait_ready(cluster, namespace)

    daemon_set = cluster.get("daemonset", CHILD, namespace)
    service = cluster.get("service", CHILD, namespace)
    assert daemon_set
    assert service
    assert daemon_set["metadata"]["annotations"]["example.com/note"] == "kept"
    assert "kubectl.kubernetes.io/restartedAt" in daemon_set["spec"]["template"]["metadata"]["annotations"]
    assert service["metadata"]["labels"]["example.com/team"] == "kept"
    assert cluster.condition(namespace, "nodes", "Applied")["status"] == "True"
    cluster.patch("serviceaccount", CHILD, namespace, [{"op": "remove", "path": "/metadata/finalizers"}])


def test_the_operator_does_not_write_children_of_a_paused_target(cluster: Cluster, namespace: str) -> None:
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    cluster.apply(target(namespace, {"paused": True}))
    eventually(lambda: cluster.condition(namespace, "nodes", "Applied").get("reason") == "Paused")
    cluster.delete("service", CHILD, namespace)
    time.sleep(2)  # no event shows that nothing happens
    assert cluster.get("service", CHILD, namespace) is None
    cluster.apply(target(namespace, {"agent": {}}))
    eventually(lambda: cluster.get("service", CHILD, namespace), seconds=5)
    eventually(lambda: cluster.condition(namespace, "nodes", "Applied").get("status") == "True")


def test_removing_a_field_from_the_spec_restores_its_default(cluster: Cluster, namespace: str) -> None:
    spec: dict[str, Any] = {"agent": {"port": 9101}, "monitor": {"interval": "30s"}, "alerts": {"enabled": False}}
    cluster.apply(target(namespace, spec))
    wait_ready(cluster, namespace)
    # The API server turns a map that lost its last field into null.
    cluster.apply(target(namespace, {"agent": {}, "monitor": {}, "alerts": {}}))
    eventually(lambda: cluster.get("prometheusrule", CHILD, namespace))
    cluster.apply(target(namespace, {}))
    wait_ready(cluster, namespace)


def test_deleting_a_target_deletes_its_children(cluster: Cluster, namespace: str) -> None:
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    cluster.do("delete", "mtarget", "nodes", "-n", namespace)
    for kind in WANTED_CHILDREN:
        eventually(partial(gone, cluster, kind, namespace))


def test_children_of_a_target_deleted_while_the_operator_is_down_are_deleted(
    cluster: Cluster, namespace: str, operator: RunningOperator
) -> None:
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    operator.kill()
    try:
        cluster.do("delete", "mtarget", "nodes", "-n", namespace)
        eventually(lambda: cluster.get("daemonset", CHILD, namespace) is None)
    finally:
        operator.start()
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)


def test_edits_of_the_status_by_others_are_repaired(cluster: Cluster, namespace: str) -> None:
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    pools = [{"name": "ghost", "desired": 1, "ready": 1}]
    lie = {"status": {"nodes": {"desired": 99, "scraped": 77}, "pools": pools, "conditions": []}}
    path = f"/apis/metricat.dev/v1alpha1/namespaces/{namespace}/monitoringtargets/nodes/status"
    cluster.api.call("PATCH", path, lie, "application/merge-patch+json")

    def right() -> bool:
        status = (cluster.get("mtarget", "nodes", namespace) or {})["status"]
        return status["nodes"]["desired"] == NODES and "scraped" not in status["nodes"] and "pools" not in status

    eventually(right)
    wait_ready(cluster, namespace)


def test_a_name_conflict_is_reported_and_the_object_is_not_changed(cluster: Cluster, namespace: str) -> None:
    theirs = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": CHILD, "namespace": namespace},
        "spec": {"ports": [{"name": "metrics", "port": 80}], "selector": {"app": "theirs"}},
    }
    cluster.apply(theirs)
    cluster.apply(target(namespace))
    eventually(lambda: cluster.condition(namespace, "nodes", "Applied").get("reason") == "NameConflict")
    assert "exists and does not belong to Metricat" in cluster.condition(namespace, "nodes", "Applied")["message"]
    service = cluster.get("service", CHILD, namespace)
    assert service
    assert service["spec"]["selector"] == {"app": "theirs"}
    wait_ready(cluster, namespace)  # the agents run nevertheless


def test_an_object_of_others_with_the_same_name_is_not_merged(cluster: Cluster, namespace: str) -> None:
    """Neither object conflicts with a field of Metricat, so an apply would succeed."""
    metadata = {"name": CHILD, "namespace": namespace}
    groups = [{"name": "theirs", "rules": [{"record": "theirs:up", "expr": "up"}]}]
    theirs = {
        "serviceaccount": {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        "prometheusrule": {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": metadata,
            "spec": {"groups": groups},
        },
    }
    cluster.apply(*theirs.values())
    before = {kind: cluster.get(kind, CHILD, namespace) for kind in theirs}
    cluster.apply(target(namespace))
    eventually(lambda: cluster.condition(namespace, "nodes", "Applied").get("reason") == "NameConflict")
    assert {kind: cluster.get(kind, CHILD, namespace) for kind in theirs} == before


def test_a_pool_does_not_take_over_the_daemon_set_of_another_target(cluster: Cluster, namespace: str) -> None:
    """Two pairs of target and pool result in the same DaemonSet name."""
    for team, name, pool in (("x", "c", "a-metricat-b"), ("y", "b-metricat-c", "a")):
        labels = {"matchLabels": {"team": team}}
        one = target(namespace, {"nodeSelector": labels, "pools": [{"name": pool, "nodeSelector": labels}]})
        one["metadata"]["name"] = name
        cluster.apply(one)
        eventually(partial(cluster.condition, namespace, name, "Applied"))
    eventually(lambda: cluster.condition(namespace, "b-metricat-c", "Applied").get("reason") == "NameConflict")
    message = cluster.condition(namespace, "b-metricat-c", "Applied")["message"]
    assert "DaemonSet a-metricat-b-metricat-c belongs to MonitoringTarget c" in message
    daemon_set = cluster.get("daemonset", "a-metricat-b-metricat-c", namespace)
    assert daemon_set
    assert [owner["name"] for owner in daemon_set["metadata"]["ownerReferences"]] == ["c"]


UNUSUAL: dict[str, Any] = {
    "agent": {
        "tolerations": [],
        "resources": {"requests": {"cpu": "0.05", "memory": "1024Ki"}, "limits": {"memory": "1024Mi"}},
        "updateStrategy": {"maxUnavailable": 2},
        "extraLabels": {"env": "a$b"},
        "collectors": {"diskstats": {"excludeDevices": "^(ram|loop)$"}},
    },
    "monitor": {"labels": {"release": "kps"}, "jobName": "a$1b", "sampleLimit": 10},
    "alerts": {"extraGroups": [{"name": "own", "rules": [{"record": "own:up", "expr": "up"}]}]},
}
"""A spec with fields that the API server normalizes."""


@pytest.mark.parametrize(
    "spec", [pytest.param({}, marks=pytest.mark.slow, id="defaults"), pytest.param(UNUSUAL, id="unusual")]
)
def test_a_restart_and_a_reconcile_without_drift_write_nothing(
    cluster: Cluster, spec: dict[str, Any], namespace: str, operator: RunningOperator, control_plane: ControlPlane
) -> None:
    cluster.apply(target(namespace, spec))
    wait_ready(cluster, namespace)
    operator.stop()
    audit = AuditLog(control_plane.audit_log)
    audit.skip()
    before = operator.log.read_text()

    def reconciles() -> int:
        lines = operator.log.read_text()[len(before) :].splitlines()
        return sum(event["event"] == "reconciled" for event in map(json.loads, lines))

    operator.start()
    eventually(lambda: reconciles() >= 1)
    for verb in ("cordon", "uncordon"):  # a change of a node reconciles every target
        done = reconciles()
        cluster.do(verb, "sim-0001")
        eventually(partial(lambda done: reconciles() > done, done))

    ours = [request for request in audit.read() if request.user == OPERATOR]
    assert {"list", "watch"} <= {request.verb for request in ours}
    assert [request for request in ours if request.writes and request.resource != "coordination.k8s.io/leases"] == []


def test_creating_a_child_takes_one_request(cluster: Cluster, namespace: str, control_plane: ControlPlane) -> None:
    audit = AuditLog(control_plane.audit_log)
    audit.skip()
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    mine = [one for one in audit.read() if one.user == OPERATOR and one.namespace == namespace]
    asked = sorted((one.verb, one.resource.rpartition("/")[2], one.code) for one in mine)
    made = [one for one in asked if one[1] not in {"events", "status"}]
    assert [(verb, code) for verb, _, code in made] == [("patch", 201)] * len(WANTED_CHILDREN), made
    assert asked.count(("patch", "status", 200)) <= 3  # after the creation, and when the agents run
