"""The status tells the truth about each node, in words, and keeps its times."""

from dataclasses import replace
from typing import Any

from metricat_operator.api.parse import parse
from metricat_operator.facts.model import AgentPod, ChildError, Facts, Manifest, Node, ObjectKey, Taint
from metricat_operator.status import (
    MAX_MESSAGE,
    MAX_UNCOVERED,
    changed_conditions,
    compute_status,
    internal_error_status,
    is_unchanged,
)
from metricat_operator.status.conditions import monitored

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
    return compute_status(target, parse(spec or {}), given, child_errors, NOW)


def condition(found: Manifest, kind: str) -> Manifest:
    [one] = [c for c in found["conditions"] if c["type"] == kind]
    return {key: one[key] for key in ("status", "reason", "message")}


def test_all_is_well() -> None:
    found = status(facts(*READY))
    assert found["observedGeneration"] == 3
    assert found["nodes"] == {"desired": 2, "ready": 2, "updated": 2, "uncovered": 0}
    assert {c["type"]: c["status"] for c in found["conditions"]} == {
        "Accepted": "True",
        "Applied": "True",
        "AgentsReady": "True",
        "Discovered": "Unknown",
        "RulesLoaded": "False",
        "Scraped": "Unknown",
        "Ready": "True",
        "Monitored": "False",
    }


def test_a_node_without_a_ready_agent_is_named_with_the_reason() -> None:
    internal_error_status = AgentPod("p2", "b", ready=False, reason="ImagePullBackOff", message="no such image")
    found = status(facts(READY[0], internal_error_status))
    [uncovered] = found["uncovered"]
    assert (uncovered["node"], uncovered["reason"]) == ("b", "ImagePullBackOff")
    assert uncovered["message"].startswith("no such image; see that the image exists")
    assert condition(found, "Ready") == {
        "status": "False",
        "reason": "NodesUncovered",
        "message": "1/2 nodes; b: ImagePullBackOff",
    }


def test_a_node_that_is_not_ready_itself_says_so_first() -> None:
    found = status(facts(READY[0], nodes=(Node("a"), Node("b", ready=False))))
    assert found["uncovered"][0]["reason"] == "NodeNotReady"


def test_windows_nodes_are_not_ours() -> None:
    found = status(facts(READY[0], nodes=(Node("a"), Node("w", linux=False)), updated=1))
    assert found["nodes"]["desired"] == 1
    assert condition(found, "Ready")["status"] == "True"


def test_a_ready_pod_counts_beside_one_that_goes() -> None:
    going = AgentPod("old", "b", ready=False, reason="Terminating")
    assert status(facts(*READY, going))["nodes"]["uncovered"] == 0
    assert status(facts(going, *READY))["nodes"]["uncovered"] == 0


def test_a_rollout_is_not_ready_until_every_node_has_the_newest_agent() -> None:
    assert condition(status(facts(*READY, updated=1)), "AgentsReady")["reason"] == "RolloutInProgress"
    unseen = Facts(
        children={ObjectKey("DaemonSet", "metricat-nodes"): daemon_set(2, seen=False)},
        nodes=(Node("a"), Node("b")),
        pods=READY,
    )
    assert condition(status(unseen), "AgentsReady")["reason"] == "RolloutInProgress"


def test_the_list_of_uncovered_nodes_is_bounded_and_the_count_is_not() -> None:
    nodes = tuple(Node(f"n{number:03}") for number in range(200))
    found = status(facts(nodes=nodes))
    assert len(found["uncovered"]) == MAX_UNCOVERED
    assert found["nodes"]["uncovered"] == 200
    assert condition(found, "AgentsReady")["message"].endswith("n002: NoPod and 197 more")


def test_an_invalid_spec_keeps_the_counts() -> None:
    found = status(facts(*READY), {"agent": {"port": 0}})
    assert condition(found, "Accepted")["status"] == "False"
    assert condition(found, "Applied")["status"] == "Unknown"
    assert condition(found, "Ready")["reason"] == "Invalid"
    assert found["nodes"]["ready"] == 2


def test_what_a_refused_spec_leaves_running_is_said_to_be_of_an_earlier_one() -> None:
    bad = {"agent": {"port": 0}}
    message = condition(status(facts(*READY), bad), "Accepted")["message"]
    assert message.endswith("; what runs already stays as it was")
    message = condition(status(Facts(nodes=(Node("a"),)), bad), "Accepted")["message"]
    assert message.endswith("; until then nothing runs")

    parts = [{"type": kind, "status": "True", "message": kind} for kind in ("Discovered", "RulesLoaded", "Scraped")]
    for query_result, start in (("True", "RulesLoaded"), ("False", "by an earlier spec, for the newest is refused")):
        found = monitored([{"type": "Accepted", "status": query_result}, *parts])
        assert (found["status"], found["message"].startswith(start)) == ("True", True)


def test_nothing_is_claimed_of_rules_that_were_never_written() -> None:
    refused = condition(status(facts(*READY), {"agent": {"port": 0}}), "RulesLoaded")
    assert (refused["status"], refused["reason"]) == ("Unknown", "NotAccepted")


def test_a_part_of_the_rules_that_could_not_be_written_is_missed() -> None:
    trouble = ChildError("PrometheusRule", "part-2-metricat-nodes", "NameTaken", "it exists")
    rule = {"metadata": {"name": "metricat-nodes", "namespace": "monitoring", "uid": "r"}, "spec": {"groups": []}}
    given = facts(*READY)
    given = replace(given, children={**given.children, ObjectKey("PrometheusRule", "metricat-nodes"): rule})
    found = condition(status(given, None, trouble), "RulesLoaded")
    assert (found["status"], found["reason"]) == ("False", "NoRules")
    assert "part-2-metricat-nodes" in found["message"]

    refused = {"agent": {"port": 0}, "alerts": {"extraGroups": [{"name": "g", "rules": []}]}}
    assert condition(status(given, refused), "RulesLoaded")["reason"] != "NoRules"


def test_nodes_that_only_a_spec_means_that_is_not_applied_say_so() -> None:
    running = daemon_set(1) | {"spec": {"template": {"spec": {"nodeSelector": {"zone": "eu"}}}}}
    given = replace(facts(READY[0]), children={ObjectKey("DaemonSet", "metricat-nodes"): running})
    given = replace(given, nodes=(Node("a", labels={"zone": "eu"}), Node("b", labels={"zone": "us"})))
    found = status(given, {"paused": True})
    assert [(one["node"], one["reason"]) for one in found["uncovered"]] == [("b", "NotApplied")]


def test_absent_kinds_are_told_with_the_command() -> None:
    given = Facts(**{**vars(facts(*READY)), "unserved": frozenset({"ServiceMonitor", "PrometheusRule"})})
    found = condition(status(given), "Applied")
    assert found["reason"] == "NotServed"
    assert found["message"].startswith("the cluster does not serve PrometheusRule and ServiceMonitor; install")
    assert "helm install" in found["message"]
    assert condition(status(given), "Ready")["status"] == "True"


def test_a_kind_that_is_not_asked_for_is_not_missed() -> None:
    given = Facts(**{**vars(facts(*READY)), "unserved": frozenset({"AlertmanagerConfig"})})
    assert condition(status(given), "Applied")["status"] == "True"
    receivers = [{"name": "a", "webhook": {"url": "http://example.com"}}]
    assert condition(status(given, {"notifications": {"receivers": receivers}}), "Applied")["reason"] == "NotServed"
    given = Facts(**{**vars(facts(*READY)), "unserved": frozenset({"PrometheusRule"})})
    silent = status(given, {"alerts": {"enabled": False}})
    assert condition(silent, "Applied")["status"] == "True"
    assert condition(silent, "RulesLoaded")["reason"] == "NoRules"
    assert condition(silent, "Discovered")["reason"] == "NoMonitor"
    assert condition(status(given), "Discovered")["reason"] == "NotServed"


def test_a_refused_daemon_set_keeps_the_target_from_being_ready() -> None:
    trouble = ChildError("DaemonSet", "metricat-nodes", "Invalid", "maxUnavailable: Invalid value")
    assert condition(status(facts(*READY), None, trouble), "Ready")["reason"] == "Invalid"


def test_no_message_is_longer_than_the_api_server_takes() -> None:
    trouble = ChildError("Service", "metricat-nodes", "Invalid", "x" * 100_000)
    assert len(condition(status(facts(*READY), None, trouble), "Applied")["message"]) <= MAX_MESSAGE


def test_conditions_of_others_and_the_order_do_not_make_a_write() -> None:
    found = status(facts(*READY))
    other = {"type": "Theirs", "status": "True"}
    assert is_unchanged(found, {**found, "conditions": [other, *reversed(found["conditions"])]})
    assert not is_unchanged(found, {**found, "nodes": {}})


def test_a_refused_child_is_told() -> None:
    trouble = ChildError("Service", "metricat-nodes", "Forbidden", 'cannot patch resource "services"')
    found = condition(status(facts(*READY), None, trouble), "Applied")
    assert found == {
        "status": "False",
        "reason": "Forbidden",
        "message": 'Service metricat-nodes: cannot patch resource "services"',
    }


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    first = status(facts(*READY))
    target = {**TARGET, "status": first}
    again = compute_status(target, parse({}), facts(*READY), (), "2031-01-01T00:00:00Z")
    assert again == first
    worse = compute_status(target, parse({}), facts(READY[0]), (), "2031-01-01T00:00:00Z")
    times = {c["type"]: c["lastTransitionTime"] for c in worse["conditions"]}
    assert times == {
        "Accepted": NOW,
        "Applied": NOW,
        "Discovered": NOW,
        "RulesLoaded": NOW,
        "Scraped": NOW,
        "Monitored": NOW,
        "AgentsReady": "2031-01-01T00:00:00Z",
        "Ready": "2031-01-01T00:00:00Z",
    }


POOLS = {"pools": [{"name": "gpu", "nodeSelector": {"matchLabels": {"gpu": "yes"}}, "agent": {"tolerations": []}}]}


def test_nodes_are_counted_by_pool() -> None:
    nodes = (Node("a"), Node("b", labels={"gpu": "yes"}))
    found = status(facts(READY[0], nodes=nodes), POOLS)
    assert found["pools"] == [{"name": "gpu", "desired": 1, "ready": 0}, {"name": "default", "desired": 1, "ready": 1}]
    assert "pools" not in status(facts(*READY))


def test_a_taint_that_the_pool_does_not_tolerate_is_named() -> None:
    taints = (Taint("node.kubernetes.io/unschedulable"), Taint("nice", effect="PreferNoSchedule"), Taint("gpu", "yes"))
    nodes = (Node("a", taints=taints), Node("b", labels={"gpu": "yes"}, taints=taints))
    [uncovered] = status(facts(READY[0], nodes=nodes), POOLS)["uncovered"]
    assert (uncovered["node"], uncovered["reason"]) == ("b", "TaintNotTolerated")
    assert "taint gpu=yes:NoSchedule; tolerate it in spec.agent.tolerations" in uncovered["message"]
    [uncovered] = status(facts(READY[0], nodes=(nodes[0], Node("b", taints=taints[:2]))))["uncovered"]
    assert uncovered["reason"] == "NoPod"


def test_nodes_that_the_target_does_not_select_are_not_ours() -> None:
    nodes = (Node("a", labels={"zone": "eu"}), Node("b", labels={"zone": "us"}))
    found = status(facts(READY[0], nodes=nodes, updated=1), {"nodeSelector": {"matchLabels": {"zone": "eu"}}})
    assert found["nodes"] == {"desired": 1, "ready": 1, "updated": 1, "uncovered": 0}


def test_a_virtual_node_is_told_and_keeps_nothing_from_being_ready() -> None:
    nodes = (Node("a"), Node("b"), Node("v", labels={"type": "virtual-kubelet"}))
    found = status(facts(*READY, nodes=nodes))
    assert found["nodes"] == {"desired": 2, "ready": 2, "updated": 2, "uncovered": 1}
    assert [(one["node"], one["reason"]) for one in found["uncovered"]] == [("v", "VirtualNode")]
    assert condition(found, "Ready")["status"] == "True"


def test_an_invalid_spec_counts_the_nodes_that_the_running_agents_are_for() -> None:
    running = daemon_set(1) | {"spec": {"template": {"spec": {"nodeSelector": {"zone": "eu"}}}}}
    given = Facts(
        children={ObjectKey("DaemonSet", "metricat-nodes"): running},
        nodes=(Node("a", labels={"zone": "eu"}), Node("b", labels={"zone": "us"})),
        pods=(READY[0],),
    )
    assert status(given, {"agent": {"port": 0}})["nodes"]["desired"] == 1


def test_events_tell_changes_and_not_what_every_new_target_goes_through() -> None:
    starting, running = status(facts()), status(facts(*READY))
    assert [one["type"] for one in changed_conditions(running, starting)] == ["AgentsReady"]
    assert changed_conditions(running, running) == []
    assert [
        one
        for one in changed_conditions(starting, {})
        if one["type"] in {"Accepted", "Applied", "AgentsReady", "Ready"}
    ] == []
    assert [one["type"] for one in changed_conditions(status(facts(), {"agent": {"port": 0}}), {})] == ["Accepted"]


def test_a_fault_of_our_own_is_told_and_the_rest_stays_as_it_was() -> None:
    before = status(facts(*READY))
    found = internal_error_status({**TARGET, "status": before}, "a fault", NOW)
    assert condition(found, "Applied") == {"status": "Unknown", "reason": "InternalError", "message": "a fault"}
    assert condition(found, "Monitored")["status"] == "Unknown"
    assert condition(found, "AgentsReady") == condition(before, "AgentsReady")
    assert found["nodes"] == before["nodes"]
    assert is_unchanged(found, internal_error_status({**TARGET, "status": found}, "a fault", "2031-01-01T00:00:00Z"))
    assert internal_error_status(TARGET, "a fault", NOW)["observedGeneration"] == 3
