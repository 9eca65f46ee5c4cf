"""Events for changed conditions, and log lines that name their target."""

import json
import time

import pytest

from metricat_operator.naming import FIELD_MANAGER
from support.harness import CHILD, Cluster, RunningOperator, api_path, eventually, target, wait_ready

BAD = {"agent": {"collectors": {"diskstats": {"excludeDevices": r"sd\z"}}}}
"""A spec that only the operator rejects, not the API server."""
LOGGERS = {
    f"metricat_operator.{module}"
    for module in ("controller.operator", "controller.reconciler", "cluster.apply", "cluster.prometheus_poller")
}


def events(cluster: Cluster, namespace: str, kind: str) -> list[tuple[str, str]]:
    """Type and reason of each event about a condition of the target, in their order."""
    found = cluster.api.get(f"/api/v1/namespaces/{namespace}/events")["items"]
    about = [one for one in found if one["involvedObject"]["kind"] == "MonitoringTarget"]
    ordered = sorted(about, key=lambda one: int(one["metadata"]["resourceVersion"]))
    return [(one["type"], one["reason"]) for one in ordered if one["message"].startswith(f"{kind}: ")]


def test_rejected_spec_and_its_correction_are_one_event_each(
    cluster: Cluster, namespace: str, operator: RunningOperator
) -> None:
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    assert events(cluster, namespace, "Accepted") == []
    cluster.apply(target(namespace, BAD))
    rejected = [("Warning", "Invalid")]
    eventually(lambda: events(cluster, namespace, "Accepted") == rejected)

    reconciles = operator.log.read_text().count('"event": "reconciled"')
    for verb in ("cordon", "uncordon"):  # a change of a node makes the operator reconcile every target
        cluster.do(verb, "sim-0001")
        time.sleep(1.5)  # the reconcile follows after a second, and must write no event
    assert operator.log.read_text().count('"event": "reconciled"') > reconciles
    assert events(cluster, namespace, "Accepted") == rejected

    cluster.apply(target(namespace, {"agent": {}}))
    eventually(lambda: events(cluster, namespace, "Accepted") == [*rejected, ("Normal", "Accepted")])
    assert events(cluster, namespace, "Ready") == []  # a summary


def test_every_log_line_about_a_target_names_it(cluster: Cluster, namespace: str, operator: RunningOperator) -> None:
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    before = len(operator.log.read_text())
    cluster.delete("service", CHILD, namespace)
    eventually(lambda: cluster.get("service", CHILD, namespace))
    patch = [{"op": "replace", "path": "/spec/ports/0/port", "value": 1}]
    cluster.patch("service", CHILD, namespace, patch)
    cluster.apply(target(namespace, {"alerts": {"enabled": False}}))
    eventually(lambda: cluster.get("prometheusrule", CHILD, namespace) is None)

    def lines() -> list[dict[str, object]]:
        whole = operator.log.read_text()[before:].rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    work = {"applied", "updated", "pruned", "reconciled"}
    eventually(lambda: work <= {str(line["event"]) for line in lines()})
    assert [line for line in lines() if not {"event", "level", "logger", "timestamp"} <= line.keys()] == []
    assert [line for line in lines() if line["logger"] in LOGGERS and "target" not in line] == []
    done = [line for line in lines() if line["event"] in {"applied", "updated", "pruned"}]
    assert {line["target"] for line in done if line["name"] == CHILD} == {f"{namespace}/nodes"}


FORMER = {"Selected": "Discovered", "NotificationsConfigured": "Notified"}


@pytest.mark.usefixtures("operator")
def test_status_under_former_names_is_replaced_without_events(cluster: Cluster, namespace: str) -> None:
    """A status that an operator wrote before its condition types were renamed loses them at the next reconcile."""
    receivers = [{"name": "chat", "webhook": {"url": "http://example.com"}}]
    cluster.apply(target(namespace, {"notifications": {"receivers": receivers}}))
    wait_ready(cluster, namespace)
    first = {"Selected": [("Warning", "NoPrometheus")], "NotificationsConfigured": [("Warning", "NoAlertmanager")]}
    eventually(lambda: {kind: events(cluster, namespace, kind) for kind in FORMER} == first)
    settled = cluster.get("mtarget", "nodes", namespace)
    assert settled is not None

    # The former operator was the same field manager and applied the whole status.
    conditions = [{**one, "type": FORMER.get(one["type"], one["type"])} for one in settled["status"]["conditions"]]
    written = {
        "apiVersion": settled["apiVersion"],
        "kind": settled["kind"],
        "metadata": {"name": "nodes", "namespace": namespace},
        "status": {**settled["status"], "conditions": conditions},
    }
    path = f"{api_path('mtarget', 'nodes', namespace)}/status?fieldManager={FIELD_MANAGER}&force=true"
    former = cluster.api.call("PATCH", path, written, "application/apply-patch+yaml")
    assert {one["type"] for one in former["status"]["conditions"]} >= set(FORMER.values())

    eventually(lambda: cluster.condition(namespace, "nodes", "NotificationsConfigured"))
    found = cluster.get("mtarget", "nodes", namespace)
    assert found is not None
    by_type = {one["type"]: one for one in found["status"]["conditions"]}
    assert by_type == {one["type"]: one for one in settled["status"]["conditions"]}, "the times stay"
    assert not any(name in str(found["metadata"]["managedFields"]) for name in FORMER.values())
    time.sleep(1.5)  # an event would be written within a second
    assert {kind: events(cluster, namespace, kind) for kind in FORMER} == first
