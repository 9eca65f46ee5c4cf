"""If an admission policy mutates the operator's writes, the status names the field."""

import json
from collections.abc import Iterator

import pytest

from support.harness import Cluster, Manifest, eventually, target, wait_ready

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("operator")]
MIRRORED = '[JSONPatch{op: "replace", path: "/spec/template/spec/containers/0/image", value: "mirror.example/agent:1"}]'


@pytest.fixture
def mirror(cluster: Cluster, namespace: str) -> Iterator[None]:
    """A policy that replaces the image registry in every DaemonSet of the namespace, as with Kyverno."""
    policy: Manifest = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": namespace},
        "spec": {
            "reinvocationPolicy": "Never",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "resourceRules": [
                    {
                        "apiGroups": ["apps"],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["daemonsets"],
                    }
                ],
            },
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": MIRRORED}}],
        },
    }
    binding = {**policy, "kind": "MutatingAdmissionPolicyBinding", "spec": {"policyName": namespace}}
    cluster.do("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": [policy, binding]}))
    labels = {"app": "probe"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "probe", "image": "probe"}]}}
    daemon_set = json.dumps(
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": "probe", "namespace": namespace},
            "spec": {"selector": {"matchLabels": labels}, "template": pod},
        }
    )
    probe = ("create", "--dry-run=server", "-o", "json", "-f", "-")
    eventually(lambda: "mirror.example" in cluster.do(*probe, stdin=daemon_set))  # until the policy is in force
    yield
    cluster.do("delete", "--ignore-not-found", "mutatingadmissionpolicy,mutatingadmissionpolicybinding", namespace)


@pytest.mark.usefixtures("mirror")
def test_a_field_mutated_by_admission_is_reported(cluster: Cluster, namespace: str) -> None:
    def applied() -> Manifest:
        return cluster.condition(namespace, "nodes", "Applied")

    cluster.apply(target(namespace))
    eventually(lambda: applied().get("reason") == "MutatedByAdmission")
    assert applied()["message"] == (
        "DaemonSet metricat-nodes: /spec/template/spec/containers/0/image is changed on every write, most likely by "
        "an admission webhook or policy. Exclude objects labelled app.kubernetes.io/managed-by=metricat-operator from "
        "it, or set the field in the target to the value that it enforces"
    )
    wait_ready(cluster, namespace)  # agents with an image of another registry also count
    cluster.do("delete", "mutatingadmissionpolicybinding", namespace)
    eventually(lambda: applied().get("status") == "True", seconds=90)
