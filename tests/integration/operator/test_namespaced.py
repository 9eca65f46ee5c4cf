"""An operator for some namespaces writes only there, and has no other permissions."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from metricat_tools.cluster import ControlPlane
from metricat_tools.cluster.audit import AuditLog
from support.harness import CHILD, Cluster, RunningOperator, eventually, install_chart, target, wait_ready

ACCOUNT = "system:serviceaccount:monitoring:team-metricat"
INSTANCE_KINDS = ("prometheuses", "prometheusagents", "thanosrulers", "alertmanagers")
REVIEWS = "authorization.k8s.io/subjectaccessreviews"
ANYWHERE = frozenset(
    {
        "",  # API discovery
        "nodes",
        "namespaces",
        "apiextensions.k8s.io/customresourcedefinitions",
        "metricat.dev/monitoringtargets",  # an older one may own the same nodes
        "metricat.dev/leaderfences",
        REVIEWS,
        *(f"monitoring.coreos.com/{plural}" for plural in INSTANCE_KINDS),
    }
)


@pytest.fixture
def team(cluster: Cluster, namespace: str, operator: RunningOperator, replica: Any) -> Iterator[RunningOperator]:
    """The operator of the test's namespace and a second one. The cluster-wide operator is stopped during the test."""
    other = f"{namespace}-2"
    cluster.do("create", "namespace", other)
    install_chart(cluster, "team", f"operator.namespaces={{{namespace},{other}}}")
    running: RunningOperator = replica("team-a", "team-metricat", METRICAT_NAMESPACES=f"{namespace},{other}")
    operator.stop()
    try:
        with running.alive():
            yield running
    finally:
        operator.start()
        eventually(operator.ready)
        cluster.do("delete", "namespace", other, "--wait=false")


@pytest.mark.slow
def test_a_namespaced_operator_reads_and_writes_only_its_namespaces(
    cluster: Cluster, namespace: str, team: RunningOperator, control_plane: ControlPlane
) -> None:
    audit = AuditLog(control_plane.audit_log)
    audit.skip()
    outside = f"{namespace}-out"
    cluster.do("create", "namespace", outside)
    try:
        cluster.apply(target(outside))
        for place in (namespace, f"{namespace}-2"):
            cluster.apply(target(place))
            wait_ready(cluster, place)
            cluster.do("delete", "service", CHILD, "-n", place)
            eventually(partial(cluster.get, "service", CHILD, place), seconds=5)
            # Otherwise the next target would be the younger one on these nodes.
            cluster.do("delete", "mtarget", "nodes", "-n", place)
        assert cluster.get("daemonset", CHILD, outside) is None
    finally:
        cluster.do("delete", "namespace", outside, "--wait=false")

    requests = [one for one in audit.read() if one.user == ACCOUNT]
    assert {"list", "watch", "patch"} <= {one.verb for one in requests}
    assert [one for one in requests if one.code == 403] == []
    assert {one.resource for one in requests if not one.namespace} <= ANYWHERE
    written = {one.namespace for one in requests if one.writes and one.resource != REVIEWS}
    assert written <= {namespace, f"{namespace}-2", "monitoring"}
    mine = Cluster(Path(team.environment["KUBECONFIG"]), cluster.kubectl, cluster.api)
    assert mine.run("auth", "can-i", "create", "daemonsets.apps", "-n", namespace).stdout.strip() == "yes"
    assert mine.run("auth", "can-i", "create", "daemonsets.apps", "-n", "default").stdout.strip() == "no"
