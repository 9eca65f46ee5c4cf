"""Each Prometheus gets the right queries, and their results give the right conditions."""

import json
import shlex
from dataclasses import replace
from typing import Any

import pytest

from metricat_operator import verification
from metricat_operator.cluster.kinds import MONITOR_FIELDS, RULE_FIELDS
from metricat_operator.conditions import Reason
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
from metricat_operator.verification import prometheus_queries
from metricat_operator.verification.results import Scraping
from metricat_operator.verification.selection import Finding
from support.reasons import documented

NAMES = {"metricat-nodes": "", "extra-metricat-nodes": "spec.alerts.extraGroups[0]: does not look like PromQL"}
GROUPS = (RuleGroup("uid1", "ours"), RuleGroup("uid2", "theirs"))
RULES = (LoadedRule(GROUPS[0], "NodeDown"), LoadedRule(GROUPS[0], "cpu"), LoadedRule(GROUPS[1], "Mine"))
POD = PrometheusPod("0", "prometheus-k8s-0", "10.0.0.7", 9090)


def rules_loaded(given: Facts, expected: dict[str, str]) -> Finding:
    found = verification.rules_loaded(given, expected)
    assert documented("RulesLoaded", found.reason)
    return found


NO_NODES = Finding(holds=False, reason=Reason.NO_NODES, message="No node matches.")


def scraped(given: Facts, wanted: list[str], without: dict[str, str]) -> Scraping:
    found = verification.scraped(given, wanted, without, NO_NODES)
    assert documented("Scraped", found.finding.reason)
    return found


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


def test_loaded_rules_and_scraped_nodes_hold() -> None:
    found = rules_loaded(facts(ANSWER), NAMES)
    assert found.holds
    assert found.message == (
        "Prometheus monitoring/k8s has loaded the 2 rules of PrometheusRule metricat-nodes; "
        "Prometheus monitoring/k8s has loaded the 1 rule of PrometheusRule extra-metricat-nodes"
    )
    scraping = scraped(facts(ANSWER), ["n2", "n1"], {})
    assert (scraping.finding.holds, scraping.up) == (True, 2)
    assert scraping.finding.message == "2/2 nodes are up in Prometheus monitoring/k8s"


@pytest.mark.parametrize(
    ("expr", "retention", "names"),
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
def test_rules_that_look_further_back_than_samples_are_kept(expr: str, retention: str, names: str) -> None:
    rule = child("PrometheusRule", "r", "uid9", {"groups": [{"name": "g", "rules": [{"alert": "Far", "expr": expr}]}]})
    query_result = replace(ANSWER, rules=(LoadedRule(RuleGroup("uid9", "g"), "Far"),))
    instance = replace(prometheus(), retention=retention)
    given = replace(facts(query_result, instances=(instance,)), children={ObjectKey("PrometheusRule", "r"): rule})
    found = rules_loaded(given, {"r": ""})
    assert found.holds
    assert found.message.partition("has loaded the 1 rule of PrometheusRule r")[2] == (
        f", but keeps samples for {retention} only (its spec.retention); these rules need older samples: {names}"
        if names
        else ""
    )


def test_status_is_unknown_before_the_first_result() -> None:
    assert rules_loaded(facts(), NAMES).holds is None
    scraping = scraped(facts(), ["n1"], {})
    assert (scraping.finding.holds, scraping.finding.reason, scraping.up) == (None, "QueryPending", None)


@pytest.mark.parametrize("loaded", [(), RULES[1:], (*RULES, LoadedRule(GROUPS[0], "old"))])
def test_missing_or_different_rules_are_not_loaded(loaded: tuple[LoadedRule, ...]) -> None:
    found = rules_loaded(facts(replace(ANSWER, rules=loaded)), NAMES)
    assert (found.holds, found.reason) == (False, "RulesNotLoaded")
    assert "has loaded 0 of 1 groups of PrometheusRule metricat-nodes. Missing or outdated: ours." in found.message
    assert "kubectl logs -n monitoring -l app.kubernetes.io/instance=k8s -c config-reloader" in found.message


def test_reload_is_pending_while_alerts_have_earlier_texts() -> None:
    old = [LoadedRule(GROUPS[0], "NodeDown", fingerprint=fingerprint(0, {"summary": "above 90 %"})), *RULES[1:]]
    found = rules_loaded(facts(replace(ANSWER, rules=tuple(old))), NAMES)
    assert (found.holds, found.reason) == (None, "ReloadPending")
    assert "rules of PrometheusRule metricat-nodes, but an earlier version of NodeDown. Changes" in found.message
    assert fingerprint(60, {}) != fingerprint(0, {}) == 0


@pytest.mark.parametrize(
    ("written", "loaded_seconds", "reason"),
    [
        ("1d", 86_400, "RulesLoaded"),
        ("1d", 0, "ReloadPending"),
        ("1d", 3_600, "ReloadPending"),
        ("soon", 0, "ReloadPending"),
    ],
)
def test_changed_for_of_a_loaded_alert_is_detected(written: str, loaded_seconds: float, reason: str) -> None:
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


def test_paused_prometheus_gets_the_command_to_resume() -> None:
    instance = replace(prometheus(), paused=True)
    resume = """k8s -n monitoring --type merge -p '{"spec": {"paused": false}}'"""
    assert resume in rules_loaded(facts(replace(ANSWER, rules=()), instances=(instance,)), NAMES).message
    lost = replace(ANSWER, nodes={}, configured=False)
    assert resume in scraped(facts(lost, instances=(instance,)), ["n1"], {}).finding.message


def test_unusual_children_of_a_paused_target_are_accepted() -> None:
    """Objects that their schemas accept, although Metricat never writes them."""
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


def test_rejected_configuration_is_reported() -> None:
    query_result = replace(ANSWER, rules=(), nodes={}, reloaded=False)
    rejected = "Prometheus rejects its newest configuration (the cause may be another object). See: kubectl logs"
    assert rejected in rules_loaded(facts(query_result), NAMES).message
    assert rejected in scraped(facts(query_result), ["n1"], {}).finding.message


@pytest.mark.parametrize("paused", [True, False])
def test_rules_may_be_outdated_if_prometheus_rejects_its_configuration(paused: bool) -> None:  # noqa: FBT001
    instance = replace(prometheus(), paused=paused)
    found = rules_loaded(facts(replace(ANSWER, reloaded=False), instances=(instance,)), NAMES)
    assert (found.holds, found.reason) == (None, "ConfigRejectedByPrometheus")
    assert "2 rules of PrometheusRule metricat-nodes, but possibly an earlier version." in found.message
    assert "kubectl logs -n monitoring -l app.kubernetes.io/instance=k8s -c prometheus" in found.message


def test_failing_rule_is_reported_with_its_error() -> None:
    bad = replace(RULES[2], health="err", error="many-to-many matching not allowed")
    found = rules_loaded(facts(replace(ANSWER, rules=(*RULES[:2], bad))), NAMES)
    assert (found.holds, found.reason) == (False, "RuleEvaluationFailed")
    assert found.message == (
        "Prometheus monitoring/k8s: Mine in group theirs of PrometheusRule extra-metricat-nodes fails: "
        "many-to-many matching not allowed"
    )


def test_rejected_rule_is_reported_with_parser_warnings() -> None:
    rejection = Rejection("uid2", "invalid rule", "Prometheus monitoring/k8s")
    found = rules_loaded(facts(ANSWER, rejections=(rejection,)), NAMES)
    assert (found.holds, found.reason) == (False, "RuleRejected")
    assert found.message == (
        "The Prometheus Operator rejects PrometheusRule extra-metricat-nodes for Prometheus monitoring/k8s: "
        "invalid rule; spec.alerts.extraGroups[0]: does not look like PromQL"
    )
    elsewhere = replace(rejection, instance="Prometheus other/x")
    assert rules_loaded(facts(ANSWER, rejections=(elsewhere,)), NAMES).holds is True


def test_missing_prometheus_rule_is_reported_only_if_expected() -> None:
    given = facts(ANSWER)
    without = replace(given, children={key: one for key, one in CHILDREN.items() if key.kind != "PrometheusRule"})
    assert rules_loaded(without, NAMES).holds is False
    assert rules_loaded(without, {}).reason == "NoRules"
    assert rules_loaded(without, {}).holds is True


def test_one_working_prometheus_is_enough_and_problems_come_before_unknown() -> None:
    instances = (prometheus(), prometheus("dev"))
    silent = QueryResult("Prometheus monitoring/dev", (Reason.UNREACHABLE, "http://10.0.0.9:9090: refused"))
    assert scraped(facts(ANSWER, silent, instances=instances), ["n1"], {}).finding.holds is True
    assert rules_loaded(facts(ANSWER, silent, instances=instances), NAMES).holds is True
    down = replace(ANSWER, nodes={"n1": False}, errors={"n1": "connection refused"})
    found = scraped(facts(silent, down, instances=instances), ["n1"], {})
    assert (found.finding.holds, found.finding.reason, found.up) == (False, "TargetsDown", 0)
    assert found.finding.message == (
        "0/1 nodes are up in Prometheus monitoring/k8s; n1: connection refused; "
        "Prometheus monitoring/dev: http://10.0.0.9:9090: refused"
    )


def test_each_node_without_samples_has_a_cause() -> None:
    query_result = replace(ANSWER, nodes={"n1": True, "n2": False}, errors={"n2": "no route to host"})
    found = scraped(facts(query_result), ["n1", "n2", "n3", "n4"], {"n3": "ImagePullBackOff"})
    assert found.up == 1
    assert found.finding.message == (
        "1/4 nodes are up in Prometheus monitoring/k8s; n2: no route to host; "
        "n3: no ready agent: ImagePullBackOff; n4: no target"
    )


def test_no_targets_has_the_permission_check() -> None:
    query_result = replace(ANSWER, nodes={})
    found = scraped(facts(query_result), ["n1"], {}).finding
    assert (found.holds, found.reason) == (False, "NoTargets")
    assert found.message.endswith(
        "kubectl auth can-i list pods -n monitoring --as system:serviceaccount:monitoring:prometheus-k8s"
    )
    found = scraped(facts(replace(query_result, configured=False)), ["n1"], {}).finding
    assert "Its configuration lacks serviceMonitor/monitoring/metricat-nodes" in found.message


def test_shard_without_result_leaves_missing_nodes_unknown() -> None:
    partly = replace(ANSWER, nodes={"n1": True}, problem=(Reason.TIMEOUT, "no answer"))
    assert scraped(facts(partly), ["n1", "n2"], {}).finding.holds is None
    assert scraped(facts(partly), ["n1"], {}).finding.holds is True


def test_queries_for_each_selecting_instance() -> None:
    other = prometheus("other", {"matchLabels": {"no": "such"}})
    agent = replace(prometheus("edge", kind="PrometheusAgent"), selectors={"ServiceMonitor": ({}, {})})
    first, second = prometheus_queries(facts(instances=(prometheus(), other, agent)), everywhere)
    assert (first.instance, second.instance) == ("Prometheus monitoring/k8s", "PrometheusAgent monitoring/edge")
    assert set(first.groups) == set(GROUPS)
    assert second.groups == ()
    assert (first.can_query, second.can_query) == (True, False)
    assert first.job is not None
    assert (first.job.pool, first.job.window_seconds) == ("serviceMonitor/monitoring/metricat-nodes/0", 80)


def test_pods_are_grouped_by_shard() -> None:
    pods = (POD, replace(POD, name="prometheus-k8s-1"), replace(POD, shard="1", name="prometheus-k8s-shard-1-0"))
    [query] = prometheus_queries(facts(instances=(prometheus(servers=pods),)), everywhere)
    assert [len(shard) for shard in query.shards] == [2, 1]


@pytest.mark.parametrize(
    ("instance", "allowed", "reason"),
    [
        (prometheus(), False, "QueryingDisabled"),
        (prometheus(servers=()), True, "NoPods"),
        (replace(prometheus(), web=Endpoint(listen_local=True)), True, "ListensLocally"),
        (prometheus(servers=tuple(replace(POD, shard=str(shard)) for shard in range(17))), True, "TooManyShards"),
    ],
)
def test_query_is_blocked_with_a_reason(instance: PrometheusInstance, allowed: bool, reason: str) -> None:  # noqa: FBT001
    [query] = prometheus_queries(facts(instances=(instance,)), lambda _: allowed)
    assert query.blocked_by is not None
    assert query.blocked_by[0] == reason


def test_network_policy_is_a_command() -> None:
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


def test_no_node_is_scraped_without_nodes() -> None:
    assert scraped(facts(ANSWER), [], {}) == Scraping(NO_NODES, 0)


@pytest.mark.parametrize(
    ("web", "url"),
    [
        (Endpoint(), "http://prometheus-k8s-0.prometheus-operated.monitoring.svc:9090"),
        (Endpoint(prefix="/"), "http://prometheus-k8s-0.prometheus-operated.monitoring.svc:9090"),
        (
            Endpoint(prefix="/prom/", tls=True, service="own"),
            "https://prometheus-k8s-0.own.monitoring.svc:9090/prom",
        ),
        (Endpoint(shards=2), ""),
        (Endpoint(listen_local=True), ""),
    ],
)
def test_status_has_the_address_of_each_prometheus_that_selects_the_monitor(web: Endpoint, url: str) -> None:
    instances = (
        replace(prometheus(), web=web),
        prometheus("other", {"matchLabels": {"release": "other"}}),
        prometheus("agent", kind="PrometheusAgent"),
        replace(prometheus("a"), web=Endpoint()),
    )
    found = verification.prometheus_addresses(facts(instances=instances))
    first = {
        "namespace": "monitoring",
        "name": "a",
        "url": "http://prometheus-a-0.prometheus-operated.monitoring.svc:9090",
    }
    assert found == [first, {"namespace": "monitoring", "name": "k8s", "url": url}]
