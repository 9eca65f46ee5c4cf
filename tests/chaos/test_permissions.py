"""Each verb of the operator's roles is removed alone: a condition, the readiness probe or the log names it."""

import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from metricat_operator import naming
from metricat_operator.cluster.kinds import CHILDREN, Kind
from metricat_tools.cluster.api import ClusterApiError
from support.churn import empty, named
from support.harness import Cluster, Manifest, RunningOperator, crd_file, eventually
from support.operator_cluster import Replica
from support.reliability import record

from .conftest import Rig, killed_at_end, runs

Permission = tuple[str, str, str]
"""API group, resource and verb."""

ROLES = (
    "/apis/rbac.authorization.k8s.io/v1/clusterroles/metricat",
    "/apis/rbac.authorization.k8s.io/v1/namespaces/monitoring/roles/metricat",
)
NAMED_SECONDS = 60.0
NOT_USED_HERE: dict[Permission, str] = {
    ("metricat.dev", "monitoringtargets/finalizers", "update"): "only with OwnerReferencesPermissionEnforcement",
    ("coordination.k8s.io", "leases", "delete"): "only with OwnerReferencesPermissionEnforcement",
    ("", "events", "list"): "only for agents that do not start for an unknown reason",
    ("", "events", "watch"): "only for agents that do not start for an unknown reason",
}
"""Permissions that these tests do not need, with the case that needs each."""
LEASES = "coordination.k8s.io/v1/namespaces/monitoring/leases"
FENCES = "metricat.dev/v1alpha1/namespaces/monitoring/leaderfences"
SMALLEST: dict[str, Manifest] = {
    "DaemonSet": {
        "spec": {
            "selector": {"matchLabels": {"app": "small"}},
            "template": {
                "metadata": {"labels": {"app": "small"}},
                "spec": {"nodeSelector": {"no": "node"}, "containers": [{"name": "small", "image": "small"}]},
            },
        }
    },
    "Service": {"spec": {"ports": [{"name": "metrics", "port": 80}]}},
    "ServiceMonitor": {"spec": {"selector": {}, "endpoints": []}},
    "PrometheusRule": {"spec": {}},
    "AlertmanagerConfig": {"spec": {}},
}
"""The smallest valid objects of each kind of child object."""
INSTANCES = ("prometheuses", "prometheusagents", "thanosrulers", "alertmanagers")


def permissions(roles: list[Manifest]) -> list[Permission]:
    return sorted(
        {
            (group, resource, verb)
            for role in roles
            for rule in role["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
        - NOT_USED_HERE.keys()
    )


def without(rules: list[Manifest], permission: Permission) -> list[Manifest]:
    """Return the rules without one verb of one resource."""
    group, resource, verb = permission
    kept: list[Manifest] = []
    for rule in rules:
        if group not in rule["apiGroups"] or resource not in rule["resources"]:
            kept.append(rule)
            continue
        others = [one for one in rule["resources"] if one != resource]
        verbs = [one for one in rule["verbs"] if one != verb]
        kept += [{**rule, "resources": others}] if others else []
        kept += [{**rule, "resources": [resource], "verbs": verbs}] if verbs else []
    return kept


@contextmanager
def removed(cluster: Cluster, permission: Permission) -> Iterator[None]:
    """Remove the verb from both roles while the context is open."""
    before = {path: cluster.api.get(path)["rules"] for path in ROLES}

    def write(path: str, rules: list[Manifest]) -> None:
        operations = [{"op": "replace", "path": "/rules", "value": rules}]
        cluster.api.call("PATCH", path, operations, "application/json-patch+json")

    for path, rules in before.items():
        write(path, without(rules, permission))
    try:
        yield
    finally:
        for path, rules in before.items():
            write(path, rules)


def smallest(kind: Kind, metadata: Manifest) -> Manifest:
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, **SMALLEST.get(kind.name, {})}


def use_everything(rig: Rig, name: str) -> None:
    """Make changes for which the operator needs each of its permissions.

    One target has a conflicting object of each kind, which the operator reads. Another target owns a superfluous object
    of each kind, which the operator deletes.
    """
    api, namespace = rig.cluster.api, rig.churn.namespace
    conflicting = f"{name}-conflicts"
    receiver = {"name": "chat", "slack": {"url": {"name": "chat", "key": "url"}}}
    for kind in CHILDREN:
        api.create(kind.path(namespace), smallest(kind, {"name": naming.child(conflicting)}))
    for one in (name, conflicting):
        spec = {**empty(one), "notifications": {"receivers": [receiver]}}
        rig.cluster.apply(named(namespace, one, spec))
    made = rig.cluster.get("mtarget", name, namespace)
    assert made is not None
    owner = {"apiVersion": made["apiVersion"], "kind": made["kind"], "name": name, "uid": made["metadata"]["uid"]}
    metadata = {
        "name": f"superfluous-{name}",
        "labels": naming.labels(name, "agent"),
        "ownerReferences": [{**owner, "controller": True}],
    }
    for kind in CHILDREN:
        api.create(kind.path(namespace), smallest(kind, metadata))


def refusal(request: urllib.request.Request) -> str:
    """Return the body of a response with an error status; empty for any other response, and without one."""
    try:
        with urllib.request.urlopen(request, timeout=10, context=ssl._create_unverified_context()):
            return ""
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()
    except OSError:
        return ""


def readiness(operator: RunningOperator) -> str:
    url = f"http://127.0.0.1:{operator.environment['METRICAT_HEALTH_PORT']}/readyz"
    return refusal(urllib.request.Request(url))


def conditions(rig: Rig) -> str:
    path = f"/apis/metricat.dev/v1alpha1/namespaces/{rig.churn.namespace}/monitoringtargets"
    found = [one.get("status", {}).get("conditions", []) for one in rig.cluster.api.get(path)["items"]]
    return "\n".join(one["message"] for all_of in found for one in all_of)


def places(rig: Rig, operator: RunningOperator, permission: Permission, token: str) -> list[str]:
    """Return where the missing permission is named."""
    group, resource, verb = permission
    text = f'cannot {verb} resource "{resource}" in API group "{group}"'
    log = operator.log.read_text().replace('\\"', '"')
    texts = {"condition": conditions(rig), "readiness": readiness(operator), "metrics": operator.scrape(token)[1]}
    return [place for place, found in {**texts, "log": log}.items() if text in found]


def reset_leadership(cluster: Cluster) -> None:
    """Remove Lease and LeaderFence, so that the next leader creates both."""
    for resource in (LEASES, FENCES):
        with suppress(ClusterApiError):
            cluster.api.call("DELETE", f"/apis/{resource}/metricat")


def other_holder(cluster: Cluster) -> None:
    """Let another, released replica be the last leader, so that the next leader replaces the LeaderFence."""
    fence = {"apiVersion": "metricat.dev/v1alpha1", "kind": "LeaderFence", "spec": {"holderIdentity": "metricat-z"}}
    fence["metadata"] = {"namespace": "monitoring", "name": "metricat"}
    cluster.api.create(f"/apis/{FENCES}", fence)


def test_each_missing_permission_is_named(rig: Rig, replica: Replica) -> None:
    cluster = rig.cluster
    for plural in INSTANCES:
        cluster.do("apply", "--server-side", "-f", str(crd_file(plural)))
    token = cluster.do("create", "token", "default", "-n", "monitoring").strip()
    every = permissions([cluster.api.get(path) for path in ROLES])
    chosen = sorted(rig.churn.random.sample(every, min(rig.form.permissions, len(every))))
    silent: list[Permission] = []
    for number, permission in enumerate(chosen):
        reset_leadership(cluster)
        if permission[1:] == ("leaderfences", "update"):
            other_holder(cluster)
        operator = replica(f"metricat-{number}", METRICAT_LOG_LEVEL="INFO")
        with killed_at_end(operator), removed(cluster, permission), rig.watcher.excused():
            operator.start()
            use_everything(rig, f"p{number}")
            found: list[str] = []

            def is_named(operator: RunningOperator = operator, permission: Permission = permission) -> bool:
                nonlocal found
                found = places(rig, operator, permission, token)
                return bool(found)

            with suppress(AssertionError):
                eventually(is_named, NAMED_SECONDS)
            assert runs(operator), permission
            sys.stderr.write(f"{permission}: {found}\n")
            silent += [] if found else [permission]
        cluster.api.call("DELETE", f"/apis/metricat.dev/v1alpha1/namespaces/{rig.churn.namespace}/monitoringtargets")
    part = f"{len(chosen)} of {len(every)} verbs, each removed alone"
    record(
        "RBAC: verbs whose lack a condition, the readiness or the log names",
        str(len(chosen) - len(silent)),
        "all",
        part,
    )
    assert silent == []
