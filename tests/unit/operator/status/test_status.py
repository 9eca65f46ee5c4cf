"""The status reports each node and each condition, and keeps transition times."""

from dataclasses import replace
from typing import Any

import pytest

from metricat_operator.api.parse import parse
from metricat_operator.conditions import Condition, ConditionType, Reason
from metricat_operator.conditions.condition import MAX_MESSAGE
from metricat_operator.conditions.types import FORMER_TYPES
from metricat_operator.facts.model import AgentPod, ChildError, Facts, Manifest, Node, ObjectKey, OperatorClaim, Taint
from metricat_operator.status import (
    MAX_UNCOVERED,
    all_uncovered,
    changed_conditions,
    claim_status,
    claimed_condition,
    compute_status,
    internal_error_status,
    is_unchanged,
    is_urgent,
)
from metricat_operator.status.conditions import monitored
from support.reasons import documented

TARGET: Manifest = {"metadata": {"name": "nodes", "namespace": "monitoring", "generation": 3}}
NOW = "2030-01-02T03:04:05Z"


def daemon_set(updated: int, *, seen: bool = True) -> Manifest:
    return {
        "metadata": {"name": "metricat-nodes", "generation": 2, "labels": {"metricat.dev/pool": "default"}},
        "status": {"observedGeneration": 2 if seen else 1, "updatedNumberScheduled": updated},
    }


def facts(*pods: AgentPod, nodes: tuple[Node, ...] = (Node("a"), Node("b")), updated: int = 2) -> Facts:
    key = ObjectKey("DaemonSet", "metricat-nodes")
    return Facts(children={key: daemon_set(updated)}, nodes=nodes, pods=pods)


READY = (AgentPod("p1", "a", ready=True), AgentPod("p2", "b", ready=True))


def status(
    given: Facts, spec: dict[str, Any] | None = None, *child_errors: ChildError, target: Manifest = TARGET
) -> Manifest:
    found = compute_status(target, parse(spec or {}), given, child_errors, NOW)
    assert [one for one in found["conditions"] if not documented(one["type"], one["reason"])] == []
    return found


def condition(found: Manifest, kind: str) -> Manifest:
    [one] = [c for c in found["conditions"] if c["type"] == kind]
    return {key: one[key] for key in ("status", "reason", "message")}


def test_conditions_of_ready_agents_without_a_prometheus() -> None:
    found = status(facts(*READY))
    assert found["observedGeneration"] == 3
    assert found["nodes"] == {"desired": 2, "ready": 2, "updated": 2, "uncovered": 0}
    assert {c["type"]: c["status"] for c in found["conditions"]} == {
        **dict.fromkeys((str(kind) for kind in ConditionType if not kind.about.optional), "True"),
        "Selected": "Unknown",
        "RulesLoaded": "False",
        "Scraped": "Unknown",
        "Monitored": "False",
    }


def test_uncovered_node_is_listed_with_the_reason() -> None:
    broken = AgentPod("p2", "b", ready=False, reason="ImagePullBackOff", message="no such image")
    found = status(facts(READY[0], broken))
    assert found["nodes"] == {"desired": 2, "ready": 1, "updated": 2, "uncovered": 1}
    [uncovered] = found["uncovered"]
    assert (uncovered["node"], uncovered["reason"]) == ("b", "ImagePullBackOff")
    assert uncovered["message"].startswith("no such image. Check that the image exists")
    assert condition(found, "Ready") == {
        "status": "False",
        "reason": "NodesUncovered",
        "message": "1/2 nodes; b: ImagePullBackOff",
    }


def test_node_that_is_not_ready_comes_before_other_causes() -> None:
    found = status(facts(READY[0], nodes=(Node("a"), Node("b", ready=False))))
    assert found["uncovered"][0]["reason"] == "NodeNotReady"


def test_windows_nodes_do_not_count() -> None:
    found = status(facts(READY[0], nodes=(Node("a"), Node("w", linux=False)), updated=1))
    assert found["nodes"]["desired"] == 1
    assert condition(found, "Ready")["status"] == "True"


def test_ready_pod_counts_despite_a_terminating_one() -> None:
    going = AgentPod("old", "b", ready=False, reason="Terminating")
    assert status(facts(*READY, going))["nodes"]["uncovered"] == 0
    assert status(facts(going, *READY))["nodes"]["uncovered"] == 0


def test_agents_are_ready_only_after_the_rollout() -> None:
    assert condition(status(facts(*READY, updated=1)), "AgentsReady")["reason"] == "RolloutInProgress"
    not_observed = Facts(
        children={ObjectKey("DaemonSet", "metricat-nodes"): daemon_set(2, seen=False)},
        nodes=(Node("a"), Node("b")),
        pods=READY,
    )
    assert condition(status(not_observed), "AgentsReady")["reason"] == "RolloutInProgress"


def test_list_of_uncovered_nodes_is_limited_and_the_count_is_not() -> None:
    nodes = tuple(Node(f"n{number:03}") for number in range(200))
    found = status(facts(nodes=nodes))
    assert len(found["uncovered"]) == MAX_UNCOVERED
    assert found["nodes"]["uncovered"] == 200
    assert condition(found, "AgentsReady")["message"].endswith("n002: NoPod and 197 more")
    every = all_uncovered(parse({}), facts(nodes=nodes))
    assert [one.node for one in every] == [node.name for node in nodes]


def test_invalid_spec_keeps_the_counts() -> None:
    found = status(facts(*READY), {"agent": {"port": 0}})
    assert condition(found, "Accepted")["status"] == "False"
    assert condition(found, "Applied")["status"] == "Unknown"
    assert condition(found, "Ready")["reason"] == "Invalid"
    assert found["nodes"]["ready"] == 2


def test_rejected_spec_reports_objects_of_the_earlier_spec() -> None:
    bad = {"agent": {"port": 0}}
    message = condition(status(facts(*READY), bad), "Accepted")["message"]
    assert message.endswith(" Existing objects stay unchanged.")
    message = condition(status(Facts(nodes=(Node("a"),)), bad), "Accepted")["message"]
    assert message.endswith(" The operator changes no managed objects until the spec is corrected.")

    parts = [Condition(kind, holds=True, reason=kind, message=kind) for kind in ConditionType.MONITORED.parts]
    for holds, start in ((True, "RulesLoaded"), (False, "Reported for the last accepted spec; the newest spec is")):
        accepted = Condition(ConditionType.ACCEPTED, holds=holds, reason=Reason.INVALID, message="")
        found = monitored([accepted, *parts])
        assert (found.holds, found.message.startswith(start)) == (True, True)


def test_rules_of_a_rejected_new_spec_are_unknown() -> None:
    refused = condition(status(facts(*READY), {"agent": {"port": 0}}), "RulesLoaded")
    assert (refused["status"], refused["reason"]) == ("Unknown", "NotAccepted")


def test_prometheus_rule_that_could_not_be_written_is_missing() -> None:
    error = ChildError("PrometheusRule", "part-2-metricat-nodes", "NameConflict", "it exists")
    rule = {"metadata": {"name": "metricat-nodes", "namespace": "monitoring", "uid": "r"}, "spec": {"groups": []}}
    given = facts(*READY)
    given = replace(given, children={**given.children, ObjectKey("PrometheusRule", "metricat-nodes"): rule})
    found = condition(status(given, None, error), "RulesLoaded")
    assert (found["status"], found["reason"]) == ("False", "NoRules")
    assert "part-2-metricat-nodes" in found["message"]

    refused = {"agent": {"port": 0}, "alerts": {"extraGroups": [{"name": "g", "rules": []}]}}
    assert condition(status(given, refused), "RulesLoaded")["reason"] != "NoRules"


def test_rejected_rule_comes_with_promql_warnings_only() -> None:
    rule = {"alert": "Mine", "expr": "sum("}
    spec = {
        "agent": {"collectors": {"load": {"enabled": True}}},
        "alerts": {"extraGroups": [{"name": "g", "rules": [rule]}]},
    }
    parsed = parse(spec)
    assert [warning.partition(" ")[0] for warning in parsed.warnings] == [
        "spec.agent.collectors.load",
        "spec.alerts.extraGroups[0].rules[0].expr:",
    ]
    assert parsed.promql_warnings == parsed.warnings[1:]


def test_node_of_a_paused_spec_is_not_applied() -> None:
    running = daemon_set(1) | {"spec": {"template": {"spec": {"nodeSelector": {"zone": "eu"}}}}}
    given = replace(facts(READY[0]), children={ObjectKey("DaemonSet", "metricat-nodes"): running})
    given = replace(given, nodes=(Node("a", labels={"zone": "eu"}), Node("b", labels={"zone": "us"})))
    found = status(given, {"paused": True})
    assert [(one["node"], one["reason"]) for one in found["uncovered"]] == [("b", "NotApplied")]


def test_missing_kinds_are_reported_with_the_install_command() -> None:
    given = Facts(**{**vars(facts(*READY)), "unserved": frozenset({"ServiceMonitor", "PrometheusRule"})})
    found = condition(status(given), "Applied")
    assert found["reason"] == "NotServed"
    assert found["message"].startswith("The cluster does not serve PrometheusRule and ServiceMonitor. Install")
    assert "helm install" in found["message"]
    assert condition(status(given), "Ready")["status"] == "True"


def test_kind_that_the_spec_does_not_need_may_be_missing() -> None:
    given = Facts(**{**vars(facts(*READY)), "unserved": frozenset({"AlertmanagerConfig"})})
    assert condition(status(given), "Applied")["status"] == "True"
    receivers = [{"name": "a", "webhook": {"url": "http://example.com"}}]
    assert condition(status(given, {"notifications": {"receivers": receivers}}), "Applied")["reason"] == "NotServed"
    given = Facts(**{**vars(facts(*READY)), "unserved": frozenset({"PrometheusRule"})})
    without_alerts = status(given, {"alerts": {"enabled": False}})
    assert condition(without_alerts, "Applied")["status"] == "True"
    assert condition(without_alerts, "RulesLoaded")["reason"] == "NoRules"
    assert condition(without_alerts, "Selected")["reason"] == "NoMonitor"
    assert condition(status(given), "Selected")["reason"] == "NotServed"


def test_rejected_daemon_set_makes_the_target_not_ready() -> None:
    error = ChildError("DaemonSet", "metricat-nodes", "Invalid", "maxUnavailable: Invalid value")
    assert condition(status(facts(*READY), None, error), "Ready")["reason"] == "Invalid"


def test_message_length_is_limited() -> None:
    error = ChildError("Service", "metricat-nodes", "Invalid", "x" * 100_000)
    assert len(condition(status(facts(*READY), None, error), "Applied")["message"]) <= MAX_MESSAGE


def test_foreign_conditions_and_order_are_not_a_change() -> None:
    found = status(facts(*READY))
    other = {"type": "Theirs", "status": "True"}
    assert is_unchanged(found, {**found, "conditions": [other, *reversed(found["conditions"])]})
    assert not is_unchanged(found, {**found, "nodes": {}})


def test_child_error_is_reported_in_applied() -> None:
    error = ChildError("Service", "metricat-nodes", "Forbidden", 'cannot patch resource "services"')
    found = condition(status(facts(*READY), None, error), "Applied")
    assert found == {
        "status": "False",
        "reason": "Forbidden",
        "message": 'Service metricat-nodes: cannot patch resource "services"',
    }


def test_rules_loaded_names_no_object_of_another_kind() -> None:
    error = ChildError("Service", "the-service", "Forbidden", "cannot patch")
    assert "the-service" not in condition(status(facts(*READY), None, error), "RulesLoaded")["message"]


def test_condition_keeps_its_time_while_its_status_is_the_same() -> None:
    first = status(facts(*READY))
    target = {**TARGET, "status": first}
    again = compute_status(target, parse({}), facts(*READY), (), "2031-01-01T00:00:00Z")
    assert again == first
    worse = compute_status(target, parse({}), facts(READY[0]), (), "2031-01-01T00:00:00Z")
    changed = {c["type"] for c in worse["conditions"] if c["lastTransitionTime"] != NOW}
    assert changed == {"AgentsReady", "Ready"}


POOLS = {"pools": [{"name": "gpu", "nodeSelector": {"matchLabels": {"gpu": "yes"}}, "agent": {"tolerations": []}}]}


def test_nodes_are_counted_by_pool() -> None:
    nodes = (Node("a"), Node("b", labels={"gpu": "yes"}))
    found = status(facts(READY[0], nodes=nodes), POOLS)
    assert found["pools"] == [{"name": "gpu", "desired": 1, "ready": 0}, {"name": "default", "desired": 1, "ready": 1}]
    assert "pools" not in status(facts(*READY))


def test_taint_that_the_pool_does_not_tolerate_is_reported() -> None:
    taints = (Taint("node.kubernetes.io/unschedulable"), Taint("nice", effect="PreferNoSchedule"), Taint("gpu", "yes"))
    nodes = (Node("a", taints=taints), Node("b", labels={"gpu": "yes"}, taints=taints))
    [uncovered] = status(facts(READY[0], nodes=nodes), POOLS)["uncovered"]
    assert (uncovered["node"], uncovered["reason"]) == ("b", "TaintNotTolerated")
    assert "taint gpu=yes:NoSchedule. Tolerate it in spec.agent.tolerations" in uncovered["message"]
    [uncovered] = status(facts(READY[0], nodes=(nodes[0], Node("b", taints=taints[:2]))))["uncovered"]
    assert uncovered["reason"] == "NoPod"


def test_nodes_outside_the_selector_do_not_count() -> None:
    nodes = (Node("a", labels={"zone": "eu"}), Node("b", labels={"zone": "us"}))
    found = status(facts(READY[0], nodes=nodes, updated=1), {"nodeSelector": {"matchLabels": {"zone": "eu"}}})
    assert found["nodes"] == {"desired": 1, "ready": 1, "updated": 1, "uncovered": 0}


def test_virtual_node_is_listed_and_does_not_affect_ready() -> None:
    nodes = (Node("a"), Node("b"), Node("v", labels={"type": "virtual-kubelet"}))
    found = status(facts(*READY, nodes=nodes))
    assert found["nodes"] == {"desired": 2, "ready": 2, "updated": 2, "uncovered": 1}
    assert [(one["node"], one["reason"]) for one in found["uncovered"]] == [("v", "VirtualNode")]
    assert condition(found, "Ready")["status"] == "True"


def test_invalid_spec_counts_the_nodes_of_running_agents() -> None:
    running = daemon_set(1) | {"spec": {"template": {"spec": {"nodeSelector": {"zone": "eu"}}}}}
    given = Facts(
        children={ObjectKey("DaemonSet", "metricat-nodes"): running},
        nodes=(Node("a", labels={"zone": "eu"}), Node("b", labels={"zone": "us"})),
        pods=(READY[0],),
    )
    assert status(given, {"agent": {"port": 0}})["nodes"]["desired"] == 1


def test_events_report_changes_but_not_the_start_of_a_new_target() -> None:
    starting, running = status(facts()), status(facts(*READY))
    assert [one.type for one in changed_conditions(running, starting)] == ["AgentsReady"]
    assert changed_conditions(running, running) == []
    assert [
        one for one in changed_conditions(starting, {}) if one.type in {"Accepted", "Applied", "AgentsReady", "Ready"}
    ] == []
    assert [one.type for one in changed_conditions(status(facts(), {"agent": {"port": 0}}), {})] == ["Accepted"]


def test_only_more_than_the_progress_of_a_rollout_is_urgent() -> None:
    starting = [
        AgentPod(name, node, ready=False, reason="ContainerCreating") for name, node in (("p1", "a"), ("p2", "b"))
    ]
    before = status(facts(*starting))
    assert not is_urgent(before, before)
    assert not is_urgent(status(facts(READY[0], starting[1])), before), "one more node is ready"
    rollout = status(facts(*READY, updated=1))
    assert not is_urgent(rollout, before), "another reason of AgentsReady"
    assert is_urgent(status(facts(*READY)), rollout), "AgentsReady becomes true"
    broken = AgentPod("p2", "b", ready=False, reason="ImagePullBackOff")
    assert is_urgent(status(facts(READY[0], broken)), before), "a cause that is not part of a rollout"
    assert is_urgent(status(facts(*starting), {"paused": True}), before), "another condition"
    newer = {**TARGET, "metadata": {**TARGET["metadata"], "generation": 4}}
    assert is_urgent(status(facts(*starting), target=newer), before), "a newer generation"
    assert is_urgent(before, {}), "a new target"


def test_internal_error_changes_only_applied_and_monitored() -> None:
    before = status(facts(*READY))
    found = internal_error_status({**TARGET, "status": before}, "a fault", NOW)
    assert condition(found, "Applied") == {"status": "Unknown", "reason": "InternalError", "message": "a fault"}
    assert condition(found, "Monitored")["status"] == "Unknown"
    assert condition(found, "AgentsReady") == condition(before, "AgentsReady")
    assert found["nodes"] == before["nodes"]
    assert is_unchanged(found, internal_error_status({**TARGET, "status": found}, "a fault", "2031-01-01T00:00:00Z"))
    assert internal_error_status(TARGET, "a fault", NOW)["observedGeneration"] == 3


RECEIVERS = {"notifications": {"receivers": [{"name": "a", "webhook": {"url": "http://example.com"}}]}}


def test_status_has_every_registered_type_in_the_order_of_the_registry() -> None:
    """A new type must be computed, and an optional one only if the spec needs it."""
    always = [one for one in ConditionType if not one.about.optional]
    assert [one["type"] for one in status(facts(*READY))["conditions"]] == always
    assert [one["type"] for one in status(facts(*READY), RECEIVERS)["conditions"]] == list(ConditionType)


def test_internal_error_status_has_every_condition_type() -> None:
    before = status(facts(*READY), RECEIVERS)
    found = internal_error_status({**TARGET, "status": before}, "a fault", NOW)
    assert {one["type"] for one in found["conditions"]} == set(ConditionType)
    kept = [one for one in before["conditions"] if one["type"] not in {"Applied", "Monitored"}]
    assert [one for one in found["conditions"] if one in kept] == kept


def test_summaries_have_their_parts() -> None:
    parts = {one: one.parts for one in ConditionType if one.parts}
    assert parts == {
        "Ready": ("Accepted", "AgentsReady"),
        "Monitored": ("Selected", "RulesLoaded", "Scraped"),
    }


def former(found: Manifest) -> Manifest:
    """Return a status as the operator wrote it before its types and reasons were renamed."""
    types = {str(new): old for old, new in FORMER_TYPES.items()}
    reasons = {"NotificationsConfigured": "Selected", "Selected": "Discovered", "NameConflict": "NameTaken"}
    conditions = [
        {**one, "type": types.get(one["type"], one["type"]), "reason": reasons.get(one["reason"], one["reason"])}
        for one in found["conditions"]
    ]
    return {**found, "conditions": conditions}


def test_former_names_are_replaced_without_events_and_keep_their_times() -> None:
    error = ChildError("Service", "metricat-nodes", "NameConflict", "it exists")
    before = former(status(facts(*READY), RECEIVERS, error))
    assert {"Discovered", "Notified"} < {one["type"] for one in before["conditions"]}
    target = {**TARGET, "status": before}
    found = compute_status(target, parse(RECEIVERS), facts(*READY), [error], "2031-01-01T00:00:00Z")
    assert changed_conditions(found, before) == []
    assert {one["lastTransitionTime"] for one in found["conditions"]} == {NOW}
    assert not is_unchanged(found, before)
    after_error = internal_error_status(target, "a fault", NOW)
    assert {one["type"] for one in after_error["conditions"]} == set(ConditionType)


def test_current_name_wins_over_a_former_one() -> None:
    before = status(facts(*READY))
    [current] = [one for one in before["conditions"] if one["type"] == "Selected"]
    lingering = {**current, "type": "Discovered", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}
    target = {**TARGET, "status": {**before, "conditions": [*before["conditions"], lingering]}}
    found = internal_error_status(target, "a fault", NOW)
    assert [one for one in found["conditions"] if one["type"] == "Selected"] == [current]


def test_pending_query_needs_no_event() -> None:
    before = status(facts(*READY))
    pending = [
        {**one, "reason": "QueryPending", "status": "Unknown"} if one["type"] in {"RulesLoaded", "Scraped"} else one
        for one in before["conditions"]
    ]
    found = {**before, "conditions": pending}
    assert changed_conditions(found, before) == []
    assert {one.type for one in changed_conditions(before, found)} == {"RulesLoaded", "Scraped"}


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        (OperatorClaim("a/metricat"), ("True", "Claimed", "a/metricat")),
        (OperatorClaim("a/metricat", others=("b/team",)), ("True", "OtherOperators", "b/team")),
        (OperatorClaim("a/metricat", not_found="c/gone"), ("False", "OperatorNotFound", "c/gone")),
        (OperatorClaim("a/metricat", stored=False), ("False", "ClaimNotStored", "Update the CRDs")),
    ],
)
def test_status_names_the_operator_that_manages_the_target(
    claim: OperatorClaim, expected: tuple[str, str, str]
) -> None:
    found = status(replace(facts(*READY), claim=claim))
    said = condition(found, "Claimed")
    assert (said["status"], said["reason"]) == expected[:2]
    assert "a/metricat" in said["message"]
    assert expected[2] in said["message"]
    assert found.get("operator") == ("a/metricat" if claim.stored else None)
    assert condition(found, "Ready")["status"] == "True"


def test_claim_keeps_the_rest_of_the_status() -> None:
    before = status(facts(*READY))
    assert claim_status({**TARGET, "status": before}, OperatorClaim("a/metricat")) == {
        **before,
        "operator": "a/metricat",
    }
    assert claim_status(TARGET, OperatorClaim("a/metricat")) == {"operator": "a/metricat"}


def test_newer_operator_reports_the_older_one_once() -> None:
    claim = OperatorClaim("old/metricat", mine=False, reason=Reason.OLDER_OPERATOR)
    found = claimed_condition(TARGET, claim, NOW)
    assert found is not None
    assert (found["status"], found["reason"], found["lastTransitionTime"]) == ("False", "OlderOperator", NOW)
    assert claimed_condition({**TARGET, "status": {"conditions": [found]}}, claim, "2031-01-01T00:00:00Z") is None
