"""The author of a MonitoringTarget needs the permissions to create its objects."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from metricat_operator.api.v1alpha1 import Spec
from metricat_operator.child_kinds import wanted_kinds
from metricat_operator.cluster.kinds import CHILDREN
from metricat_tools.cluster import ControlPlane
from support.harness import Cluster, target

pytestmark = pytest.mark.usefixtures("operator")

TARGETS = {"monitoringtargets.metricat.dev": "get,create,patch", "monitoringtargets.metricat.dev/status": "get,patch"}
_NAMES = {kind.name for kind in wanted_kinds(Spec()) if kind.author_must_create}
NEEDED = {kind.resource: "create" for kind in CHILDREN if kind.name in _NAMES}


@pytest.fixture
def grant(cluster: Cluster, control_plane: ControlPlane, namespace: str) -> Any:
    """Kubectl as a user with these verbs on these resources in the test's namespace."""

    def granted(name: str, rights: Mapping[str, str]) -> Cluster:
        for number, (resource, verbs) in enumerate(rights.items()):
            role = f"{name}-{number}"
            group = resource.partition("/")[0].partition(".")[2]
            rule = {"apiGroups": [group], "resources": [resource.replace(f".{group}", "")], "verbs": verbs.split(",")}
            path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
            cluster.api.create(f"{path}/roles", {"metadata": {"name": role}, "rules": [rule]})
            binding = {
                "metadata": {"name": role},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}],
            }
            cluster.api.create(f"{path}/rolebindings", binding)
        return Cluster(control_plane.user_kubeconfig(name), cluster.kubectl, cluster.api)

    return granted


@pytest.mark.parametrize("missing", NEEDED)
def test_each_missing_permission_is_rejected_with_a_remedy(
    grant: Any, cluster: Cluster, namespace: str, missing: str
) -> None:
    name = f"no-{missing.partition('.')[0]}"
    rights = {**TARGETS, **{resource: verbs for resource, verbs in NEEDED.items() if resource != missing}}
    author = grant(name, rights)
    refused = author.run("create", "-f", "-", stdin=as_text(namespace))
    assert refused.returncode != 0
    assert f"{name} may not create {missing} in namespace {namespace}, which Metricat would do" in refused.stderr

    remedy = refused.stderr.partition("run: kubectl ")[2].split()
    cluster.do(*remedy)  # the remedy in the message is sufficient
    author.do("create", "-f", "-", stdin=as_text(namespace))


def test_only_changes_of_the_spec_need_permissions(grant: Any, cluster: Cluster, namespace: str) -> None:
    cluster.apply(target(namespace))
    other = grant("labels-only", TARGETS)
    mine = ["mtarget", "nodes", "-n", namespace]
    other.do("label", *mine, "team=a")
    other.do("patch", *mine, "--subresource=status", "--type=merge", "-p", '{"status": {"observedGeneration": 1}}')
    refused = other.run("patch", *mine, "--type=merge", "-p", '{"spec": {"monitor": {"interval": "30s"}}}')
    assert refused.returncode != 0
    assert "may not create daemonsets.apps" in refused.stderr


def test_the_api_server_type_checks_the_policies(cluster: Cluster) -> None:
    for name in ("metricat-author", "metricat-leader-fencing"):
        policy = json.loads(cluster.do("get", "validatingadmissionpolicy", name, "-o", "json"))
        assert policy
        assert policy["status"]["observedGeneration"] == policy["metadata"]["generation"]
        assert policy["status"]["typeChecking"] == {}, name


def as_text(namespace: str) -> str:
    return json.dumps(target(namespace))
