"""Two replicas on a real API server: only the leader writes, and a replaced leader is rejected."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metricat_operator.cluster.kinds import CHILDREN, Kind
from metricat_operator.cluster.lease import DURATION
from metricat_tools.cluster import ControlPlane
from metricat_tools.cluster.audit import AuditedRequest, AuditLog
from support.harness import CHILD, Cluster, RunningOperator, eventually, install_chart, target, wait_ready

pytestmark = pytest.mark.usefixtures("operator")

A, B = "metricat-a", "metricat-b"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/monitoring/leases/metricat"
LEADER_FENCE = "/apis/metricat.dev/v1alpha1/namespaces/monitoring/leaderfences/metricat"
WRITTEN_BY_CANDIDATES = {"coordination.k8s.io/leases", "metricat.dev/leaderfences", "events"}
KNOWN = 60.0
"""Seconds that an API server may need to find a new kind of a policy's parameter."""
START = 120.0
"""Seconds that a busy machine may need to start a process."""
ACCOUNT = "system:serviceaccount:monitoring:metricat"


def holder(cluster: Cluster) -> str | None:
    lease = cluster.get("lease", "metricat", "monitoring") or {}
    found: str | None = lease.get("spec", {}).get("holderIdentity")
    return found


def until_held_by(cluster: Cluster, pod: str, within: float) -> float:
    began = time.monotonic()
    eventually(lambda: holder(cluster) == pod, within)
    return time.monotonic() - began


def writes(audit: AuditLog) -> list[AuditedRequest]:
    return [
        one for one in audit.read() if one.user == ACCOUNT and one.writes and one.resource not in WRITTEN_BY_CANDIDATES
    ]


@pytest.fixture
def standby(cluster: Cluster, operator: RunningOperator, replica: Any) -> Iterator[RunningOperator]:
    """A second, ready operator while the first one leads. Afterwards the first one leads again, alone."""
    eventually(lambda: holder(cluster) == A, START)
    other: RunningOperator = replica(B)
    other.start()
    try:
        eventually(other.ready, START)
        yield other
        assert other.errors() == []
    finally:
        assert other.process is not None
        other.process.send_signal(signal.SIGCONT)
        other.stop()
        assert operator.process is not None
        if operator.process.poll() is not None:
            operator.start()
        eventually(lambda: holder(cluster) == A, START)


@pytest.mark.slow
def test_only_the_leader_of_two_replicas_writes(
    cluster: Cluster, namespace: str, standby: RunningOperator, control_plane: ControlPlane
) -> None:
    audit = AuditLog(control_plane.audit_log)
    audit.skip()
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    cluster.delete("service", CHILD, namespace)
    eventually(lambda: cluster.get("service", CHILD, namespace))
    done = [one for one in audit.read() if one.user == ACCOUNT and one.writes]
    assert {one.pod for one in done} == {A}
    assert {"apps/daemonsets", "metricat.dev/monitoringtargets/status", "events"} <= {one.resource for one in done}
    assert standby.process is not None
    assert standby.process.poll() is None


@pytest.mark.slow
def test_a_released_lease_is_taken_within_seconds(
    cluster: Cluster, namespace: str, operator: RunningOperator, standby: RunningOperator
) -> None:
    began = time.monotonic()
    assert operator.stop() == 0
    assert time.monotonic() - began < 15
    assert until_held_by(cluster, B, within=5) < 5
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    assert "released the Lease" in operator.log.read_text()
    assert "became leader" in standby.log.read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("standby")
def test_a_killed_leader_is_replaced_and_drift_since_then_is_repaired(
    cluster: Cluster, namespace: str, operator: RunningOperator
) -> None:
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    operator.kill()
    cluster.delete("daemonset", CHILD, namespace)
    until_held_by(cluster, B, within=DURATION + 5)
    eventually(lambda: cluster.get("daemonset", CHILD, namespace), seconds=5)
    wait_ready(cluster, namespace)


@pytest.mark.slow
def test_the_lease_is_deleted_with_the_pod_of_its_holder(
    cluster: Cluster, operator: RunningOperator, standby: RunningOperator, replica: Any
) -> None:
    """Simulate an uninstall: it removes the permission to release the Lease before it removes the pod."""
    assert standby.process is not None
    operator.kill()
    cluster.do("delete", "pod", A, "-n", "monitoring", "--grace-period=0", "--force")
    try:
        assert until_held_by(cluster, B, within=DURATION) < DURATION / 2
    finally:
        operator.environment = replica(A).environment  # with the UID and the token of a new pod


@pytest.mark.slow
def test_writes_of_a_suspended_leader_are_rejected_and_it_stands_by(
    cluster: Cluster, namespace: str, operator: RunningOperator, standby: RunningOperator, control_plane: ControlPlane
) -> None:
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    eventually(lambda: refuses(cluster, standby), KNOWN)
    assert operator.process is not None
    operator.process.send_signal(signal.SIGSTOP)
    try:
        until_held_by(cluster, B, within=DURATION + 5)
        # The write that the suspended leader would send if it had checked its deadline just before.
        refused = as_pod(cluster, operator).run(*annotate(namespace))
        assert refused.returncode != 0
        assert f"pod {A} does not hold the Lease monitoring/metricat: {B} does" in refused.stderr
        as_pod(cluster, standby).do(*annotate(namespace))
    finally:
        audit = AuditLog(control_plane.audit_log)
        audit.skip()
        operator.process.send_signal(signal.SIGCONT)
    eventually(lambda: "lost leadership" in operator.log.read_text())
    cluster.delete("service", CHILD, namespace)
    eventually(lambda: cluster.get("service", CHILD, namespace))
    assert {one.pod for one in writes(audit)} == {B}
    assert operator.process.poll() is None


@pytest.mark.slow
def test_a_replaced_leader_stops_writing_after_the_first_rejection(
    cluster: Cluster, namespace: str, operator: RunningOperator, control_plane: ControlPlane
) -> None:
    cluster.apply(target(namespace))
    eventually(lambda: holder(cluster) == A)
    wait_ready(cluster, namespace)
    before = len(operator.log.read_text())
    audit = AuditLog(control_plane.audit_log)
    audit.skip()
    for path in (LEADER_FENCE, LEASE):
        found = control_plane.api.get(path)
        found["spec"]["holderIdentity"] = "somebody-else"
        control_plane.api.call("PUT", path, found)
        eventually(lambda: refuses(cluster, operator), KNOWN)
    control_plane.api.call("DELETE", f"/api/v1/namespaces/{namespace}/services/{CHILD}")  # before the next renewal
    eventually(lambda: "stopped writing" in operator.log.read_text()[before:])
    assert {one.code for one in writes(audit)} == {403}
    # The other holder never renews, so the Lease expires, and the operator makes the missing repair.
    until_held_by(cluster, A, within=DURATION + 5)
    eventually(lambda: cluster.get("service", CHILD, namespace))


@pytest.mark.slow
def test_the_fencing_policy_works_after_its_bindings_are_deleted_and_restored(
    cluster: Cluster, namespace: str, operator: RunningOperator, standby: RunningOperator
) -> None:
    eventually(lambda: refuses(cluster, standby), KNOWN)
    bindings = [f"metricat-leader-fencing-{what}" for what in ("status", "children")]
    cluster.do("delete", "validatingadmissionpolicybindings", *bindings)
    eventually(lambda: not refuses(cluster, standby))
    install_chart(cluster, "metricat")
    eventually(lambda: refuses(cluster, standby), KNOWN)
    assert operator.stop() == 0
    until_held_by(cluster, B, within=5)
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    assert not refuses(cluster, standby)


@pytest.mark.parametrize("kind", CHILDREN, ids=lambda kind: kind.name)
def test_the_fencing_policy_covers_every_child_kind(cluster: Cluster, kind: Kind) -> None:
    policy = json.loads(cluster.do("get", "validatingadmissionpolicy", "metricat-leader-fencing", "-o", "json"))
    group = kind.api_version.rpartition("/")[0]
    verbs = {
        verb
        for rule in policy["spec"]["matchConstraints"]["resourceRules"]
        if group in rule["apiGroups"] and {kind.plural, "*"} & set(rule["resources"])
        for verb in rule["operations"]
    }
    assert verbs == {"CREATE", "UPDATE", "DELETE"}


@pytest.mark.slow
def test_the_fencing_policy_does_not_affect_other_users(cluster: Cluster, namespace: str) -> None:
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    cluster.do(*annotate(namespace))
    cluster.do("delete", "mtarget", "nodes", "-n", namespace)
    eventually(lambda: cluster.get("daemonset", CHILD, namespace) is None)  # by the garbage collector


def as_pod(cluster: Cluster, operator: RunningOperator) -> Cluster:
    """Kubectl with the operator's token."""
    return Cluster(Path(operator.environment["KUBECONFIG"]), cluster.kubectl, cluster.api)


def refuses(cluster: Cluster, operator: RunningOperator) -> bool:
    """Return whether the API server would reject a child object from this replica."""
    labels = {"app.kubernetes.io/managed-by": "metricat-operator"}
    child = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "tried", "labels": labels}}
    done = as_pod(cluster, operator).run(
        *("create", "--dry-run=server", "--namespace=default", "-f", "-"), stdin=json.dumps(child)
    )
    assert done.returncode == 0 or "does not hold the Lease" in done.stderr, done.stderr
    return done.returncode != 0


def annotate(namespace: str) -> list[str]:
    return ["annotate", "daemonset", CHILD, "-n", namespace, "example.com/late=yes", "--overwrite"]
