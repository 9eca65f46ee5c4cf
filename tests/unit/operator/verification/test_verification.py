"""What the answers of Prometheus mean, and what is asked in the first place."""

import json
import shlex
from dataclasses import replace
from typing import Any

import pytest

from metricat_operator.cluster.kinds import MONITOR_FIELDS, RULE_FIELDS
from metricat_operator.facts.model import Facts, Manifest, ObjectKey, PrometheusInstance, Selector
from metricat_operator.facts.prometheus_query import (
    Endpoint,
    LoadedRule,
    PrometheusPod,
    QueryResult,
    Rejection,
    RuleGroup,
    fingerprint,
)
from metricat_operator.verification import prometheus_queries, rules_loaded, scraped

NAMES = {"metricat-nodes": "", "extra-metricat-nodes": "spec.alerts.extraGroups[0]: does not look like PromQL"}
GROUPS = (RuleGroup("uid1", "ours"), RuleGroup("uid2", "theirs"))
RULES = (LoadedRule(GROUPS[0], "NodeDown"), LoadedRule(GROUPS[0], "cpu"), LoadedRule(GROUPS[1], "Mine"))
POD = PrometheusPod("0", "prometheus-k8s-0", "10.0.0.7", 9090)


def child(kind: str, name: str, uid: str, spec: dict[str, Any]) -> Manifest:
    return {"kind": kind, "metadata": {"name": name, "namespace": "monitoring", "uid": uid}, "spec": spec}


CHILDREN = {
    ObjectKey(one["kind"], one["metadata"]["name"]): one
    for one in (
        child("ServiceMonitor", "metricat-nodes", "uid0", {"endpoints": [{"interval": "20s"}]}),
        child(
            "PrometheusRule",
            "metricat-nodes",
            "uid1",
            {
                "groups": [
                    {"name": "ours", "rules": [{"alert": "NodeDown", "expr": "a"}, {"record": "cpu", "expr": "b"}]}
                ]
            },
        ),
        child(
            "PrometheusRule",
            "extra-metricat-nodes",
            "uid2",
            {"groups": [{"name": "theirs", "rules": [{"alert": "Mine", "expr": "c"}]}]},
        ),
    )
}


def prometheus(
    name: str = "k8s", chosen: Selector = None, kind: str = "Prometheus", servers: tuple[PrometheusPod, ...] = (POD,)
) -> PrometheusInstance:
    fields = {"ServiceMonitor": MONITOR_FIELDS, "PrometheusRule": RULE_FIELDS}
    selectors: dict[str, tuple[Selector, Selector]] = dict.fromkeys(fields, ({} if chosen is None else chosen, {}))
    resource = "prometheuses.monitoring.coreos.com"
    return PrometheusInstance(
        kind, resource, "monitoring", name, selectors, fields, account="prometheus-k8s", servers=servers
    )


ANSWER = QueryResult("Prometheus monitoring/k8s", nodes={"n1": True, "n2": True}, rules=RULES)


def facts(
    *query_results: QueryResult, instances: tuple[PrometheusInstance, ...] = (prometheus(),), **more: Any
) -> Facts:
    return Facts(children=CHILDREN, instances=instances, query_results=query_results, **more)


def everywhere(_: str) -> bool:
    return True


def test_all_is_well() -> None:
    found = rules_loaded(facts(ANSWER), NAMES)
    assert found.holds
    assert found.message == (
        "Prometheus monitoring/k8s has the 2 rules of PrometheusRule metricat-nodes; "
        "Prometheus monitoring/k8s has the 1 rules of PrometheusRule extra-metricat-nodes"
    )
    scraping = scraped(facts(ANSWER), ["n2", "n1"], {})
    assert (scraping.finding.holds, scraping.up) == (True, 2)
    assert scraping.finding.message == "2/2 nodes are up in Prometheus monitoring/k8s"


@pytest.mark.parametrize(
    ("expr", "retention", "told"),
    [
        ("a offset 7d", "24h", "Far (7d)"),
        ("avg_over_time(a[2d]) - a offset 1h", "1d12h", "Far (2d)"),
        ("max_over_time(rate(a[5m])[3d:5m])", "2d", "Far (3d)"),
        ("a offset 1d", "24h", ""),
        ("a offset 7d", "2w", ""),
        ("a offset 7d", "", ""),
        ("a offset 7d", "0", ""),
        ("a[1h1d] + a offset 2d", "1d", "Far (2d)"),
        ('a{b="offset 7"} > 1', "24h", ""),
    ],
)
def test_rules_that_look_further_back_than_samples_are_kept(expr: str, retention: str, told: str) -> None:
    rule = child("PrometheusRule", "r", "uid9", {"groups": [{"name": "g", "rules": [{"alert": "Far", "expr": expr}]}]})
    query_result = replace(ANSWER, rules=(LoadedRule(RuleGroup("uid9", "g"), "Far"),))
    instance = replace(prometheus(), retention=retention)
    given = replace(facts(query_result, instances=(instance,)), children={ObjectKey("PrometheusRule", "r"): rule})
    found = rules_loaded(given, {"r": ""})
    assert found.holds
    assert found.message.partition("has the 1 rules of PrometheusRule r")[2] == (
        f", but keeps samples for {retention} only (its spec.retention), and these look further back: {told}"
        if told
        else ""
    )


def test_nothing_is_claimed_before_an_answer() -> None:
    assert rules_loaded(facts(), NAMES).holds is None
    scraping = scraped(facts(), ["n1"], {})
    assert (scraping.finding.holds, scraping.finding.reason, scraping.up) == (None, "Asking", None)


@pytest.mark.parametrize("loaded", [(), RULES[1:], (*RULES, LoadedRule(GROUPS[0], "old"))])
def test_rules_that_are_not_loaded_as_they_are_now(loaded: tuple[LoadedRule, ...]) -> None:
    found = rules_loaded(facts(replace(ANSWER, rules=loaded)), NAMES)
    assert (found.holds, found.reason) == (False, "RulesNotLoaded")
    assert "has 0 of 1 groups of PrometheusRule metricat-nodes; not ours as they are now" in found.message
    assert "kubectl logs -n monitoring -l app.kubernetes.io/instance=k8s -c config-reloader" in found.message


def test_alerts_that_are_loaded_with_older_texts_are_not_taken_for_ours() -> None:
    old = [LoadedRule(GROUPS[0], "NodeDown", fingerprint=fingerprint(0, {"summary": "above 90 %"})), *RULES[1:]]
    found = rules_loaded(facts(replace(ANSWER, rules=tuple(old))), NAMES)
    assert (found.holds, found.reason) == (None, "NotReloaded")
    assert "2 rules of PrometheusRule metricat-nodes, but as they were before: NodeDown: a change is" in found.message
    assert fingerprint(60, {}) != fingerprint(0, {}) == 0


@pytest.mark.parametrize(
    ("written", "loaded_seconds", "reason"),
    [("1d", 86_400, "RulesLoaded"), ("1d", 0, "NotReloaded"), ("1d", 3_600, "NotReloaded"), ("soon", 0, "NotReloaded")],
)
def test_hold_of_a_hand_edited_alert_is_compared(written: str, loaded_seconds: float, reason: str) -> None:
    rule = {"alert": "NodeDown", "expr": "a", "for": written}
    edited = child("PrometheusRule", "r", "uid9", {"groups": [{"name": "g", "rules": [rule]}]})
    loaded = LoadedRule(RuleGroup("uid9", "g"), "NodeDown", fingerprint=fingerprint(loaded_seconds, {}))
    given = replace(facts(replace(ANSWER, rules=(loaded,))), children={ObjectKey("PrometheusRule", "r"): edited})
    assert rules_loaded(given, {"r": ""}).reason == reason


@pytest.mark.parametrize(
    ("interval", "window"), [("20s", 80), ("1d", 345_600), ("1s", 60), ("soon", 60), ("", 60), (None, 60)]
)
def test_window_follows_the_interval_of_the_live_monitor(interval: str | None, window: int) -> None:
    monitor = child("ServiceMonitor", "metricat-nodes", "uid0", {"endpoints": [{"interval": interval}]})
    given = replace(facts(), children={ObjectKey("ServiceMonitor", "metricat-nodes"): monitor})
    [query] = prometheus_queries(given, everywhere)
    assert query.job
    assert query.job.window_seconds == window


def test_what_is_missing_in_a_paused_prometheus_is_that_pause() -> None:
    instance = replace(prometheus(), paused=True)
    resume = """k8s -n monitoring --type merge -p '{"spec": {"paused": false}}'"""
    assert resume in rules_loaded(facts(replace(ANSWER, rules=()), instances=(instance,)), NAMES).message
    lost = replace(ANSWER, nodes={}, configured=False)
    assert resume in scraped(facts(lost, instances=(instance,)), ["n1"], {}).finding.message


def test_odd_children_of_a_paused_target_are_no_riddle() -> None:
    """What their schemas let pass, though no operator of ours ever wrote it."""
    nameless = {"groups": [{"name": "ours", "rules": [{"expr": 1}]}, {"name": "empty"}]}
    odd = [
        child("ServiceMonitor", "metricat-nodes", "uid0", {"endpoints": []}),
        child("PrometheusRule", "metricat-nodes", "uid1", nameless),
        child("PrometheusRule", "extra-metricat-nodes", "uid2", {"groups": None}),
    ]
    children = {ObjectKey(one["kind"], one["metadata"]["name"]): one for one in odd}
    given = replace(facts(replace(ANSWER, rules=())), children=children)
    [query] = prometheus_queries(given, everywhere)
    assert query.job
    assert [group.name for group in query.groups] == ["ours", "empty"]
    assert rules_loaded(given, NAMES).reason == "RulesLoaded"
    assert scraped(given, ["n1"], {}).finding.holds


def test_a_configuration_that_prometheus_refuses_is_the_reason_told() -> None:
    query_result = replace(ANSWER, rules=(), nodes={}, reloaded=False)
    assert "its newest configuration is refused" in rules_loaded(facts(query_result), NAMES).message
    assert "its newest configuration is refused" in scraped(facts(query_result), ["n1"], {}).finding.message


def test_a_rule_that_fails_is_named_with_the_error() -> None:
    bad = replace(RULES[2], health="err", error="many-to-many matching not allowed")
    found = rules_loaded(facts(replace(ANSWER, rules=(*RULES[:2], bad))), NAMES)
    assert (found.holds, found.reason) == (False, "RuleFails")
    assert found.message == (
        "Prometheus monitoring/k8s: Mine in group theirs of PrometheusRule extra-metricat-nodes fails: "
        "many-to-many matching not allowed"
    )


def test_a_rule_that_the_prometheus_operator_leaves_out_comes_with_our_own_doubts() -> None:
    said = Rejection("uid2", "invalid rule", "Prometheus monitoring/k8s")
    found = rules_loaded(facts(ANSWER, rejections=(said,)), NAMES)
    assert (found.holds, found.reason) == (False, "RuleRejected")
    assert found.message == (
        "the Prometheus Operator leaves PrometheusRule extra-metricat-nodes out of Prometheus monitoring/k8s: "
        "invalid rule; spec.alerts.extraGroups[0]: does not look like PromQL"
    )
    elsewhere = replace(said, instance="Prometheus other/x")
    assert rules_loaded(facts(ANSWER, rejections=(elsewhere,)), NAMES).holds is True


def test_a_rule_that_was_refused_at_the_door_is_not_taken_for_no_rule() -> None:
    given = facts(ANSWER)
    without = replace(given, children={key: one for key, one in CHILDREN.items() if key.kind != "PrometheusRule"})
    assert rules_loaded(without, NAMES).holds is False
    assert rules_loaded(without, {}).reason == "NoRules"
    assert rules_loaded(without, {}).holds is True


def test_one_prometheus_that_works_is_enough_and_a_known_fault_weighs_more_than_silence() -> None:
    instances = (prometheus(), prometheus("dev"))
    silent = QueryResult("Prometheus monitoring/dev", ("Unreachable", "http://10.0.0.9:9090: refused"))
    assert scraped(facts(ANSWER, silent, instances=instances), ["n1"], {}).finding.holds is True
    assert rules_loaded(facts(ANSWER, silent, instances=instances), NAMES).holds is True
    down = replace(ANSWER, nodes={"n1": False}, errors={"n1": "connection refused"})
    found = scraped(facts(silent, down, instances=instances), ["n1"], {})
    assert (found.finding.holds, found.finding.reason, found.up) == (False, "TargetsDown", 0)
    assert found.finding.message == (
        "0/1 nodes are up in Prometheus monitoring/k8s; n1: connection refused; "
        "Prometheus monitoring/dev: http://10.0.0.9:9090: refused"
    )


def test_each_node_without_samples_is_told_why() -> None:
    query_result = replace(ANSWER, nodes={"n1": True, "n2": False}, errors={"n2": "no route to host"})
    found = scraped(facts(query_result), ["n1", "n2", "n3", "n4"], {"n3": "ImagePullBackOff"})
    assert found.up == 1
    assert found.finding.message == (
        "1/4 nodes are up in Prometheus monitoring/k8s; n2: no route to host; "
        "n3: no ready agent: ImagePullBackOff; n4: no target"
    )


def test_no_target_at_all_asks_for_the_right_to_find_them() -> None:
    query_result = replace(ANSWER, nodes={})
    told = scraped(facts(query_result), ["n1"], {}).finding
    assert told.reason == "NoTargets"
    assert told.message.endswith(
        "kubectl auth can-i list pods -n monitoring --as system:serviceaccount:monitoring:prometheus-k8s"
    )
    told = scraped(facts(replace(query_result, configured=False)), ["n1"], {}).finding
    assert "its configuration lacks serviceMonitor/monitoring/metricat-nodes" in told.message


def test_a_shard_that_is_silent_leaves_open_what_is_missing() -> None:
    partly = replace(ANSWER, nodes={"n1": True}, trouble=("Timeout", "no answer"))
    assert scraped(facts(partly), ["n1", "n2"], {}).finding.holds is None
    assert scraped(facts(partly), ["n1"], {}).finding.holds is True


def test_what_is_asked_of_whom() -> None:
    other = prometheus("other", {"matchLabels": {"no": "such"}})
    agent = replace(prometheus("edge", kind="PrometheusAgent"), selectors={"ServiceMonitor": ({}, {})})
    first, second = prometheus_queries(facts(instances=(prometheus(), other, agent)), everywhere)
    assert (first.instance, second.instance) == ("Prometheus monitoring/k8s", "PrometheusAgent monitoring/edge")
    assert set(first.groups) == set(GROUPS)
    assert second.groups == ()
    assert (first.can_query, second.can_query) == (True, False)
    assert first.job is not None
    assert (first.job.pool, first.job.window_seconds) == ("serviceMonitor/monitoring/metricat-nodes/0", 80)


def test_of_each_shard_one_pod_is_asked() -> None:
    pods = (POD, replace(POD, name="prometheus-k8s-1"), replace(POD, shard="1", name="prometheus-k8s-shard-1-0"))
    [query] = prometheus_queries(facts(instances=(prometheus(servers=pods),)), everywhere)
    assert [len(shard) for shard in query.shards] == [2, 1]


@pytest.mark.parametrize(
    ("instance", "allowed", "reason"),
    [
        (prometheus(), False, "NotAsked"),
        (prometheus(servers=()), True, "NoPods"),
        (replace(prometheus(), web=Endpoint(listen_local=True)), True, "ListensLocally"),
        (prometheus(servers=tuple(replace(POD, shard=str(shard)) for shard in range(17))), True, "TooManyShards"),
    ],
)
def test_who_cannot_be_asked_is_told(instance: PrometheusInstance, allowed: bool, reason: str) -> None:  # noqa: FBT001
    [query] = prometheus_queries(facts(instances=(instance,)), lambda _: allowed)
    assert query.blocked_by is not None
    assert query.blocked_by[0] == reason


def test_the_policy_that_lets_the_operator_in_is_a_command() -> None:
    [query] = prometheus_queries(facts(), everywhere, "metricat-system")
    words = shlex.split(query.after_timeout.partition(": ")[2])
    assert (words[0], words[2:]) == ("echo", ["|", "kubectl", "apply", "-f", "-"])
    policy = json.loads(words[1])
    assert policy["metadata"]["namespace"] == "monitoring"
    assert policy["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/instance"] == "k8s"
    [ingress] = policy["spec"]["ingress"]
    assert ingress["ports"] == [{"port": 9090}]
    assert ingress["from"][0]["namespaceSelector"] == {
        "matchLabels": {"kubernetes.io/metadata.name": "metricat-system"}
    }
