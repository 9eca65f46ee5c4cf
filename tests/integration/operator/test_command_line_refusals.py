"""`metricat` on a real API server that refuses one right, and with a target that is being deleted."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from metricat_cli.__main__ import main
from support.harness import Cluster, eventually, target, wait_ready

pytestmark = pytest.mark.usefixtures("operator")

_RULES = {
    "monitoringtargets": "metricat.dev",
    "nodes": "",
    "pods": "",
    "events": "",
    "secrets": "",
    "deployments": "apps",
    "daemonsets": "apps",
    "leases": "coordination.k8s.io",
    "servicemonitors": "monitoring.coreos.com",
    "prometheusrules": "monitoring.coreos.com",
}
_FINALIZER = "team.example/backup"
_CASES = [
    ("status -n NS", "list", "monitoringtargets", "namespace"),
    ("status nodes -n NS", "get", "monitoringtargets", "namespace"),
    ("status", "list", "monitoringtargets", "cluster"),
    ("status -n NS", "get", "leases", "monitoring"),
    ("check -n NS", "list", "deployments", "cluster"),
    ("check -n NS", "list", "monitoringtargets", "namespace"),
    ("check -n NS", "list", "pods", "namespace"),
    ("nodes", "list", "monitoringtargets", "cluster"),
    ("nodes", "list", "nodes", "cluster"),
    ("nodes", "list", "pods", "cluster"),
    ("top -n NS", "list", "monitoringtargets", "namespace"),
    ("top -n NS", "list", "pods", "namespace"),
    ("alerts -n NS", "list", "monitoringtargets", "namespace"),
    ("version", "list", "deployments", "cluster"),
    ("diff -f FILE", "get", "monitoringtargets", "namespace"),
    ("diff -f FILE", "get", "daemonsets", "namespace"),
    ("diff -f FILE", "get", "servicemonitors", "namespace"),
    ("diff -f FILE", "get", "prometheusrules", "namespace"),
    ("migrate --release node-exporter -n NS", "list", "secrets", "namespace"),
    *(("bundle -n NS --dry-run", "list", one, "namespace") for one in ("events", "pods", "daemonsets")),
    ("bundle -n NS --dry-run", "list", "prometheusrules", "namespace"),
    ("bundle -n NS --dry-run", "list", "nodes", "cluster"),
    ("bundle -n NS --dry-run", "list", "deployments", "cluster"),
]
"""A command, and the verb, the resource and the place that the API server refuses to its user."""


@pytest.fixture(autouse=True)
def kubeconfig(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))


def user_without(cluster: Cluster, resource: str) -> str:
    """Return a user who may read everything that the commands read, except one resource."""
    name = f"without-{resource}"
    rules = [
        {"apiGroups": [group], "resources": [one], "verbs": ["get", "list"]}
        for one, group in _RULES.items()
        if one != resource
    ]
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}
    binding = {**role, "kind": "ClusterRoleBinding", "roleRef": reference, "subjects": [subject]}
    cluster.api.call("POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles", {**role, "rules": rules})
    cluster.api.call("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
    return name


def test_refused_right_is_named_with_the_remedy(
    cluster: Cluster, namespace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.apply(target(namespace))
    users = {resource: user_without(cluster, resource) for resource in _RULES}
    wait_ready(cluster, namespace)
    file = tmp_path / "target.yaml"
    file.write_text(yaml.safe_dump(target(namespace)))
    words = {"NS": namespace, "FILE": str(file)}
    scope = {"cluster": "at the cluster scope", "namespace": f'in the namespace "{namespace}"'}
    printed = ""

    def refused(command: str, user: str, expected: str) -> bool:
        nonlocal printed
        main([*(words.get(word, word) for word in command.split()), "--as", user])
        out, err = capsys.readouterr()
        printed = out + err
        return expected in printed

    for command, verb, resource, place in _CASES:
        user = users[resource]
        where = scope.get(place, f'in the namespace "{place}"')
        expected = f'User "{user}" cannot {verb} resource "{resource}" in API group "{_RULES[resource]}" {where}'
        try:
            eventually(lambda one=(command, user, expected): refused(*one), 20)  # type: ignore[misc]  # the roles are new
        except AssertionError:
            pytest.fail(f"{command}: expected: {expected}\nprinted: {printed}")
        assert "Ask the administrator of the cluster for this permission" in printed, command
        assert "No MonitoringTarget" not in printed, command


def test_user_of_a_namespace_can_check_its_targets(
    cluster: Cluster, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    cluster.do(
        "create", "role", "read", "-n", namespace, "--verb=get,list", "--resource=monitoringtargets.metricat.dev"
    )
    cluster.do("create", "rolebinding", "read", "-n", namespace, "--role=read", "--user=eve")

    def checks() -> dict[str, dict[str, str]]:
        capsys.readouterr()
        main(["check", "-n", namespace, "--as", "eve", "-o", "json"])
        return {one["name"]: one for one in json.loads(capsys.readouterr().out)["checks"]}

    eventually(lambda: "every node has a ready agent" in checks(), 20)
    found = checks()
    assert found["every node has a ready agent"]["state"] == "ok"
    skipped = found["the operator's objects are readable"]
    assert skipped["state"] == "skipped"
    assert 'User "eve" cannot list resource "deployments"' in skipped["message"]


def test_target_that_is_being_deleted_is_named(
    cluster: Cluster, namespace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held: dict[str, Any] = target(namespace)
    held["metadata"]["finalizers"] = [_FINALIZER]
    cluster.apply(held)
    wait_ready(cluster, namespace)
    file = tmp_path / "target.yaml"
    file.write_text(yaml.safe_dump(target(namespace)))
    cluster.api.call("DELETE", f"/apis/metricat.dev/v1alpha1/namespaces/{namespace}/monitoringtargets/nodes")
    try:
        capsys.readouterr()
        assert main(["status", "-n", namespace]) == 0
        shown = capsys.readouterr().out
        assert "The MonitoringTarget is being deleted since " in shown
        assert f"It waits for the finalizer {_FINALIZER}. The operator no longer updates it." in shown
        main(["status", "nodes", "-n", namespace, "-o", "json"])
        assert json.loads(capsys.readouterr().out)[0]["deleted"]
        assert main(["check", "-n", namespace, "-o", "json"]) == 1
        checks = {one["name"]: one for one in json.loads(capsys.readouterr().out)["checks"]}
        failed = checks["the target is not being deleted"]
        assert failed["state"] == "failed"
        assert f"kubectl patch mtarget nodes -n {namespace} --type=merge" in failed["remedy"]
        for command in (["nodes"], ["alerts", "-n", namespace], ["diff", "-f", str(file)]):
            main(command)
            assert f"note: {namespace}/nodes: The MonitoringTarget is being deleted since" in capsys.readouterr().err
        command = failed["remedy"].partition("kubectl ")[2].split(" -p ")[0].split()
        cluster.do(*command, "-p", failed["remedy"].partition(" -p ")[2].strip("'"))
        eventually(lambda: cluster.get("mtarget", "nodes", namespace) is None)
    finally:
        if cluster.get("mtarget", "nodes", namespace):
            cluster.patch("mtarget", "nodes", namespace, [{"op": "remove", "path": "/metadata/finalizers"}])
