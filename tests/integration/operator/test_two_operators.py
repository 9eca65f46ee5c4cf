"""Two releases that watch one namespace: one operator manages each target, and the other leaves it alone."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from support.harness import CHILD, Cluster, Manifest, RunningOperator, eventually, install_chart, target, wait_ready

pytestmark = pytest.mark.slow

FIRST, SECOND = "monitoring/metricat", "monitoring/team-metricat"
PLACES = tuple(f"two-operators-{number}" for number in range(9))
OPERATOR = "metricat.dev/operator"
QUIET_SECONDS = 20
"""Two operators that correct each other write several times a second."""
TAKEN_SECONDS = 60.0
"""An access review is used for 15 s, and the claim of another operator is checked every 10 s."""
EXPIRED_SECONDS = 120.0


@pytest.fixture(scope="module")
def second(cluster: Cluster, operator: RunningOperator, replica: Any) -> Iterator[RunningOperator]:
    """The operator of a second release, for some namespaces; the first one watches all."""
    for place in PLACES:
        cluster.do("create", "namespace", place)
    install_chart(cluster, "team", f"operator.namespaces={{{','.join(PLACES)}}}")
    running: RunningOperator = replica("team-a", "team-metricat", METRICAT_NAMESPACES=",".join(PLACES))
    eventually(operator.ready, 120)
    running.start()
    try:
        eventually(lambda: "became leader" in running.log.read_text(), 120)
        yield running
    finally:
        running.kill()
        for place in PLACES:
            cluster.do("delete", "namespace", place, "--wait=false")
        cluster.do("delete", "lease,leaderfence", "team-metricat", "-n", "monitoring", "--ignore-not-found")


@pytest.fixture
def place(cluster: Cluster, second: RunningOperator, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace that both operators watch, for one test."""
    assert second.process is not None
    if second.process.poll() is not None:
        second.start()
    tests = [item.name for item in request.session.items if item.path == request.path]
    name = PLACES[tests.index(request.node.name)]
    yield name
    cluster.api.call("DELETE", f"/apis/metricat.dev/v1alpha1/namespaces/{name}/monitoringtargets")
    eventually(lambda: cluster.get("daemonset", CHILD, name) is None, 60)


def holder(cluster: Cluster, place: str) -> str:
    return str((cluster.get("mtarget", "nodes", place) or {}).get("status", {}).get("operator", ""))


def is_held(cluster: Cluster, place: str, operator: str) -> bool:
    return holder(cluster, place) == operator


def generation(cluster: Cluster, place: str) -> int:
    found = cluster.get("daemonset", CHILD, place)
    return int(found["metadata"]["generation"]) if found else 0


def claimed(cluster: Cluster, place: str) -> tuple[str, str]:
    found = cluster.condition(place, "nodes", "Claimed")
    return str(found.get("status")), str(found.get("reason"))


def named(place: str, operator: str, spec: dict[str, Any] | None = None) -> Manifest:
    found = target(place, spec)
    found["metadata"]["annotations"] = {OPERATOR: operator}
    return found


def left(operator: RunningOperator, place: str) -> list[Manifest]:
    """The entries of the operator's log about a target that it leaves to another operator."""
    entries = map(json.loads, operator.log.read_text().splitlines())
    return [one for one in entries if "left the target" in one["event"] and one.get("target") == f"{place}/nodes"]


@contextmanager
def quiet(cluster: Cluster, place: str, growth: int = 0) -> Iterator[None]:
    """The DaemonSet grows by at most some generations while the context is open and for a while after it."""
    before = generation(cluster, place)
    yield
    time.sleep(QUIET_SECONDS)
    assert generation(cluster, place) - before <= growth


def test_a_target_keeps_its_operator_when_another_release_starts(
    cluster: Cluster, second: RunningOperator, place: str
) -> None:
    cluster.apply(named(place, FIRST))
    wait_ready(cluster, place)
    with quiet(cluster, place):
        cluster.do("annotate", "mtarget", "nodes", "-n", place, f"{OPERATOR}-")
        eventually(lambda: claimed(cluster, place) == ("True", "OtherOperators"))
    assert holder(cluster, place) == FIRST
    assert SECOND in cluster.condition(place, "nodes", "Claimed")["message"]
    assert left(second, place)[-1]["operator"] == FIRST
    eventually(lambda: "ClaimedByOther" in events(cluster, place))


def test_operators_that_see_a_new_target_at_once_do_not_both_write_it(
    cluster: Cluster, operator: RunningOperator, second: RunningOperator, place: str
) -> None:
    cluster.apply(target(place))
    wait_ready(cluster, place)
    with quiet(cluster, place, growth=2):
        eventually(lambda: holder(cluster, place) in {FIRST, SECOND})
    loser = operator if holder(cluster, place) == SECOND else second
    assert left(loser, place)
    cluster.delete("service", CHILD, place)
    eventually(lambda: cluster.get("service", CHILD, place), 10)


@pytest.mark.usefixtures("second")
def test_the_annotation_moves_a_target_to_another_operator_and_back(cluster: Cluster, place: str) -> None:
    cluster.apply(named(place, FIRST))
    wait_ready(cluster, place)
    for other in (SECOND, FIRST):
        with quiet(cluster, place, growth=2):
            cluster.do("annotate", "mtarget", "nodes", "-n", place, "--overwrite", f"{OPERATOR}={other}")
            eventually(partial(is_held, cluster, place, other))
            eventually(lambda: claimed(cluster, place) == ("True", "Claimed"))


def test_an_operator_that_does_not_run_cannot_be_named(cluster: Cluster, place: str) -> None:
    cluster.apply(named(place, "nowhere/missing"))
    eventually(lambda: claimed(cluster, place) == ("False", "OperatorNotFound"))
    assert "nowhere/missing" in cluster.condition(place, "nodes", "Claimed")["message"]
    wait_ready(cluster, place)


def test_a_forged_or_stale_claim_is_taken_over(cluster: Cluster, place: str) -> None:
    """As of a renamed release, or of a status that was restored from a backup."""
    cluster.apply(named(place, FIRST))
    wait_ready(cluster, place)
    for forged in ("monitoring/renamed-metricat", "no identity"):
        path = f"/apis/metricat.dev/v1alpha1/namespaces/{place}/monitoringtargets/nodes"
        operations = [{"op": "add", "path": "/status/operator", "value": forged}]
        with quiet(cluster, place):
            cluster.api.call("PATCH", f"{path}/status", operations, "application/json-patch+json")
            eventually(lambda: holder(cluster, place) == FIRST)


def test_nodes_of_an_older_target_of_another_operator_are_left_to_it(
    cluster: Cluster, namespace: str, place: str
) -> None:
    """The second operator does not watch the namespace of the older target."""
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    cluster.apply(named(place, SECOND))
    eventually(lambda: cluster.condition(place, "nodes", "NodesSelected").get("reason") == "Overlaps")
    assert holder(cluster, place) == SECOND
    assert f"{namespace}/nodes" in cluster.condition(place, "nodes", "NodesSelected")["message"]
    ready = cluster.condition(place, "nodes", "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "Overlaps")
    assert cluster.pods(place) == []


@contextmanager
def older_operator(cluster: Cluster) -> Iterator[None]:
    """The Lease and the LeaderFence of a running operator of a version without claims, with the rights of a release."""
    install_chart(cluster, "old")
    name = {"namespace": "monitoring", "name": "old-metricat"}
    fence = {
        "apiVersion": "metricat.dev/v1alpha1",
        "kind": "LeaderFence",
        "metadata": {**name, "annotations": {"metricat.dev/claims": "pod-of-an-earlier-version"}},
        "spec": {"holderIdentity": "old-a"},
    }
    done = threading.Event()

    def renew() -> None:
        while not done.wait(1):
            spec = {"holderIdentity": "old-a", "leaseDurationSeconds": 15}
            spec["renewTime"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": name, "spec": spec}
            cluster.apply(lease)

    renewing = threading.Thread(target=renew)
    renewing.start()
    cluster.do("apply", "-f", "-", stdin=json.dumps(fence))
    try:
        yield
    finally:
        done.set()
        renewing.join()
        for kind in ("clusterrolebinding", "clusterrole"):
            cluster.do("delete", kind, "-l", "app.kubernetes.io/instance=old")
        cluster.do("delete", "lease,leaderfence", "old-metricat", "-n", "monitoring")
        cluster.do("delete", "validatingadmissionpolicy", "-l", "app.kubernetes.io/instance=old")
        cluster.do("delete", "validatingadmissionpolicybinding", "-l", "app.kubernetes.io/instance=old")


def test_targets_are_left_to_a_running_operator_of_an_older_version_until_it_is_uninstalled(
    cluster: Cluster, place: str
) -> None:
    cluster.apply(named(place, FIRST))
    wait_ready(cluster, place)
    with older_operator(cluster):
        eventually(lambda: claimed(cluster, place) == ("False", "OlderOperator"))
        assert "monitoring/old-metricat" in cluster.condition(place, "nodes", "Claimed")["message"]
        cluster.delete("service", CHILD, place)
        time.sleep(QUIET_SECONDS)
        assert cluster.get("service", CHILD, place) is None, "the older operator would create it"
    eventually(lambda: cluster.get("service", CHILD, place), TAKEN_SECONDS)
    eventually(lambda: claimed(cluster, place)[0] == "True")
    wait_ready(cluster, place)


def test_targets_of_a_namespace_that_an_operator_no_longer_watches_are_taken_over(
    cluster: Cluster, second: RunningOperator, place: str
) -> None:
    cluster.apply(named(place, SECOND))
    eventually(lambda: holder(cluster, place) == SECOND)
    wait_ready(cluster, place)
    with quiet(cluster, place, growth=2):
        cluster.do("delete", "rolebinding,role", "team-metricat-targets", "-n", place)
        eventually(lambda: holder(cluster, place) == FIRST, TAKEN_SECONDS)
    assert second.process is not None
    assert second.process.poll() is None


def test_targets_of_a_stopped_operator_are_taken_over_after_its_lease_expired(
    cluster: Cluster, second: RunningOperator, place: str
) -> None:
    cluster.apply(named(place, SECOND))
    eventually(lambda: holder(cluster, place) == SECOND)
    wait_ready(cluster, place)
    second.kill()
    with quiet(cluster, place, growth=2):
        time.sleep(QUIET_SECONDS)
        assert holder(cluster, place) == SECOND, "a restart of the operator is shorter"
        eventually(lambda: holder(cluster, place) == FIRST, EXPIRED_SECONDS)
    assert claimed(cluster, place) == ("False", "OperatorNotFound")


def events(cluster: Cluster, place: str) -> set[str]:
    found = json.loads(cluster.do("get", "events", "-n", place, "-o", "json"))["items"]
    return {one["reason"] for one in found if one["involvedObject"]["name"] == "nodes"}
