"""What the operator says beside the status: events when a condition changes, and logs that name their target."""

import json
import time

from support.harness import CHILD, Cluster, RunningOperator, eventually, target, wait_ready

BAD = {"agent": {"collectors": {"diskstats": {"excludeDevices": r"sd\z"}}}}
"""What only the operator refuses."""
SPEAKERS = {f"metricat_operator.{module}" for module in ("app", "reconcile", "cluster.apply", "cluster.prometheus")}


def told(cluster: Cluster, namespace: str, kind: str) -> list[tuple[str, str]]:
    """Type and reason of each event about a condition of the target, in their order."""
    found = cluster.api.get(f"/api/v1/namespaces/{namespace}/events")["items"]
    about = [one for one in found if one["involvedObject"]["kind"] == "MonitoringTarget"]
    ordered = sorted(about, key=lambda one: int(one["metadata"]["resourceVersion"]))
    return [(one["type"], one["reason"]) for one in ordered if one["message"].startswith(f"{kind}: ")]


def test_a_refused_spec_is_an_event_once_and_so_is_its_end(
    cluster: Cluster, namespace: str, operator: RunningOperator
) -> None:
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    assert told(cluster, namespace, "Accepted") == []
    cluster.apply(target(namespace, BAD))
    refused = [("Warning", "Invalid")]
    eventually(lambda: told(cluster, namespace, "Accepted") == refused)

    looks = operator.log.read_text().count('"event": "reconciled"')
    for verb in ("cordon", "uncordon"):  # a change of a node has every target looked at again
        cluster.do(verb, "sim-0001")
        time.sleep(
            1.5
        )  # the look comes a second after the change; nothing more may be told, which cannot be waited for
    assert operator.log.read_text().count('"event": "reconciled"') > looks
    assert told(cluster, namespace, "Accepted") == refused

    cluster.apply(target(namespace, {"agent": {}}))
    eventually(lambda: told(cluster, namespace, "Accepted") == [*refused, ("Normal", "Accepted")])
    assert told(cluster, namespace, "Ready") == []  # which only sums up others


def test_every_line_about_a_target_has_its_name(cluster: Cluster, namespace: str, operator: RunningOperator) -> None:
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

    work = {"applied", "mended", "pruned", "reconciled"}
    eventually(lambda: work <= {str(line["event"]) for line in lines()})
    assert [line for line in lines() if not {"event", "level", "logger", "timestamp"} <= line.keys()] == []
    assert [line for line in lines() if line["logger"] in SPEAKERS and "target" not in line] == []
    done = [line for line in lines() if line["event"] in {"applied", "mended", "pruned"}]
    assert {line["target"] for line in done if line["name"] == CHILD} == {f"{namespace}/nodes"}
