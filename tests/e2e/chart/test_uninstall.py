"""`helm uninstall` removes the operator. The value `crds.keep` decides about the objects of users.

This file runs after the others.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from metricat_tools.demo.demo_cluster import SERVICE, TARGET, DemoCluster
from metricat_tools.stack.apis import NAMESPACE
from metricat_tools.stack.kubectl import Object
from metricat_tools.stack.metricat import CHART, RELEASE, uninstall_metricat
from metricat_tools.stack.wait import until

pytestmark = pytest.mark.e2e
CRDS = {"CustomResourceDefinition/leaderfences.metricat.dev", "CustomResourceDefinition/monitoringtargets.metricat.dev"}
OTHER = "uninstall"
"""Another namespace with a MonitoringTarget."""
NOISE = {"APIService", "Event", "EndpointSlice", "ControllerRevision", "Pod", "PodMetrics", "ReplicaSet"}
"""Kinds that Kubernetes itself creates and deletes, for example the APIService of a CRD."""


def remains(demo: DemoCluster) -> dict[str, Object]:
    """Return all objects of all kinds that belong to Metricat, as KIND/NAME or NAMESPACE/KIND/NAME."""
    kinds = [kind for kind in demo.kubectl.run("api-resources", "--verbs=list", "--output=name").split() if kind]
    kinds = [kind for kind in kinds if not kind.startswith(("events", "componentstatuses"))]
    found: dict[str, Object] = {}
    for one in demo.kubectl.items(",".join(kinds), "--all-namespaces"):
        metadata: Any = one["metadata"]
        ours = "metricat" in json.dumps([metadata["name"], metadata.get("labels", {}), one["apiVersion"]])
        if ours and one["kind"] not in NOISE:
            place = [metadata["namespace"]] if "namespace" in metadata else []
            found["/".join([*place, one["kind"], metadata["name"]])] = one
    return found


def children(namespace: str) -> set[str]:
    """Return the objects that stay for a target: those of the operator, and the Endpoints of its Service."""
    kinds = ("DaemonSet", "Endpoints", "PrometheusRule", "Service", "ServiceAccount", "ServiceMonitor")
    return {f"{namespace}/MonitoringTarget/{TARGET}", *(f"{namespace}/{kind}/{SERVICE}" for kind in kinds)}


@pytest.fixture
def other(demo: DemoCluster) -> Iterator[str]:
    """A namespace with a MonitoringTarget that gets no node, because the demo's target is older."""
    demo.kubectl.run("create", "namespace", OTHER)
    spec = {"apiVersion": "metricat.dev/v1alpha1", "kind": "MonitoringTarget", "spec": {"allowEmpty": True}}
    demo.kubectl.apply(json.dumps({**spec, "metadata": {"name": TARGET, "namespace": OTHER}}))
    until("its objects", lambda: demo.kubectl.exists("servicemonitor", SERVICE, "--namespace", OTHER))
    yield OTHER
    demo.kubectl.run("delete", "namespace", OTHER, "--ignore-not-found", "--timeout=60s")


def test_uninstall_leaves_the_crds_the_targets_and_their_objects(demo: DemoCluster, other: str) -> None:
    uninstall_metricat(demo.kubectl)
    # Otherwise the next install would wait for the Lease of a deleted pod that had no permission to release it.
    until("the Lease to go", lambda: not demo.kubectl.exists("lease", RELEASE, "--namespace", NAMESPACE), seconds=30)
    kept = remains(demo)
    fence = {f"{NAMESPACE}/LeaderFence/{RELEASE}"}
    assert set(kept) == CRDS | fence | children(NAMESPACE) | children(other)
    assert {name: one["metadata"]["finalizers"] for name, one in kept.items() if "finalizers" in one["metadata"]} == {}
    daemon_set = demo.kubectl.get("daemonset", SERVICE, "--namespace", NAMESPACE)
    assert daemon_set["status"]["numberReady"] == 2

    demo.kubectl.run("delete", "namespace", other, "--timeout=60s")  # without an operator


def test_a_new_install_takes_the_targets_over_without_a_rollout(demo: DemoCluster) -> None:
    before = demo.kubectl.get("daemonset", SERVICE, "--namespace", NAMESPACE)["metadata"]
    demo.install_metricat()
    until("the target to be ready", demo.ready)
    after = demo.kubectl.get("daemonset", SERVICE, "--namespace", NAMESPACE)["metadata"]
    assert (after["uid"], after["generation"]) == (before["uid"], before["generation"])


def test_uninstall_without_crds_keep_leaves_nothing(demo: DemoCluster, other: str) -> None:
    demo.kubectl.helm(
        *("upgrade", RELEASE, str(CHART), "--namespace", NAMESPACE, "--reuse-values", "--set", "crds.keep=false"),
        *("--wait", "--timeout=3m"),
    )
    try:
        uninstall_metricat(demo.kubectl)
        until("the garbage collection", lambda: not remains(demo), seconds=60, why=lambda: str(list(remains(demo))))
        demo.kubectl.run("delete", "namespace", other, "--timeout=60s")
    finally:
        demo.install_metricat()
        demo.apply_target()
    demo.wait_scraped()
    demo.wait_monitored()
