"""The doctor's verdict, and the words that it has for a person; beside the real Prometheus Operator in tests/e2e."""

import json
from dataclasses import replace

import pytest

from metricat_operator.cluster.kinds import MONITOR_FIELDS, RULE_FIELDS
from metricat_operator.facts.model import PrometheusInstance, Selector
from metricat_operator.facts.prometheus_operator_flags import PrometheusOperator
from metricat_operator.facts.prometheus_query import Rejection
from metricat_operator.verification.selection import Finding, Subject, discovered

BOTH = {"ServiceMonitor": MONITOR_FIELDS, "PrometheusRule": RULE_FIELDS}


def instance(
    chosen: Selector = None, spaces: Selector = None, *, name: str = "k8s", namespace: str = "monitoring"
) -> PrometheusInstance:
    selectors = dict.fromkeys(BOTH, (chosen, spaces))
    return PrometheusInstance("Prometheus", "prometheuses.monitoring.coreos.com", namespace, name, selectors, BOTH)


def monitor(labels: dict[str, str] | None = None, spaces: dict[str, str] | None = None) -> Subject:
    manifest = {"metadata": {"namespace": "monitoring", "labels": labels or {}}}
    return Subject("ServiceMonitor", "monitor.labels", manifest, spaces or {})


def verdict(subject: Subject, *instances: PrometheusInstance) -> Finding:
    return discovered("nodes", [subject], instances)


@pytest.mark.parametrize(
    ("chosen", "spaces", "namespace", "reason"),
    [
        ({}, None, "monitoring", "Discovered"),
        ({}, None, "other", "NamespaceNotSelected"),
        ({}, {}, "other", "Discovered"),
        (None, {}, "other", "SelectsNone"),
        ({"matchLabels": {"release": "kps"}}, {}, "other", "Discovered"),
        ({"matchLabels": {"release": "other"}}, {}, "other", "LabelMissing"),
        ({"matchExpressions": [{"key": "release", "operator": "Exists"}]}, {}, "other", "Discovered"),
        ({"matchExpressions": [{"key": "release", "operator": "DoesNotExist"}]}, {}, "other", "LabelMissing"),
        ({"matchExpressions": [{"key": "no", "operator": "NotIn", "values": ["x"]}]}, {}, "other", "Discovered"),
        ({}, {"matchLabels": {"team": "sre"}}, "other", "Discovered"),
        ({}, {"matchLabels": {"team": "dev"}}, "other", "NamespaceNotSelected"),
    ],
)
def test_selectors_mean_what_the_prometheus_operator_means(
    chosen: Selector, spaces: Selector, namespace: str, reason: str
) -> None:
    found = verdict(monitor({"release": "kps"}, {"team": "sre"}), instance(chosen, spaces, namespace=namespace))
    assert (found.reason, found.holds) == (reason, reason == "Discovered")


def test_the_missing_label_comes_with_the_patch_to_type() -> None:
    found = verdict(monitor(), instance({"matchLabels": {"release": "kps"}}))
    start, _, patch = found.message.partition(" -p ")
    assert start == (
        "Prometheus monitoring/k8s does not select the ServiceMonitor: it asks for release=kps; "
        "kubectl patch mtarget nodes -n monitoring --type merge"
    )
    assert json.loads(patch.strip("'")) == {"spec": {"monitor": {"labels": {"release": "kps"}}}}


def test_a_selector_that_makes_no_sense_selects_nothing() -> None:
    found = verdict(monitor(), instance({"matchExpressions": [{"key": "a", "operator": "exists"}]}))
    assert (found.holds, found.reason) == (False, "InvalidSelector")
    assert "exists is no operator of a selector" in found.message


def test_one_patch_sets_and_takes_away() -> None:
    selector = {
        "matchLabels": {"release": "kps", "empty": ""},
        "matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["x"]}],
    }
    found = verdict(monitor({"a": "x"}), instance(selector))
    assert "it asks for empty= and release=kps and a not in (x)" in found.message
    patch = found.message.partition(" -p ")[2]
    labels = {"empty": "", "release": "kps", "a": None}
    assert json.loads(patch.strip("'")) == {"spec": {"monitor": {"labels": labels}}}


def test_no_command_is_printed_that_the_api_server_undoes() -> None:
    space = {"kubernetes.io/metadata.name": "team-a"}
    named = instance({}, {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}})
    found = verdict(monitor(spaces=space), named)
    assert found.reason == "NamespaceNotSelected"
    assert "kubectl" not in found.message
    assert (
        "let spec.serviceMonitorNamespaceSelector of Prometheus monitoring/k8s select monitoring too" in found.message
    )
    labelled = verdict(monitor(spaces=space), instance({}, {"matchLabels": {"team": "sre", "old": ""}}))
    assert labelled.message.endswith("kubectl label --overwrite namespace monitoring old= team=sre")


def test_one_that_selects_is_enough_and_none_at_all_is_told() -> None:
    assert verdict(monitor(), instance(None), instance({}, name="other")).message == (
        "Prometheus monitoring/other selects the ServiceMonitor"
    )
    assert verdict(monitor()).reason == "NoPrometheus"


def test_rules_count_as_well_as_the_monitor() -> None:
    rules = Subject("PrometheusRule", "alerts.labels", {"metadata": {"namespace": "monitoring"}}, {})
    selectors: dict[str, tuple[Selector, Selector]] = {
        "ServiceMonitor": ({}, None),
        "PrometheusRule": ({"matchLabels": {"role": "rules"}}, None),
    }
    only = PrometheusInstance("Prometheus", "prometheuses.monitoring.coreos.com", "monitoring", "k8s", selectors, BOTH)
    found = discovered("nodes", [monitor(), rules], [only])
    assert found.reason == "LabelMissing"
    assert '{"spec": {"alerts": {"labels": {"role": "rules"}}}}' in found.message


def test_who_takes_what_is_said_once() -> None:
    rules = Subject("PrometheusRule", "alerts.labels", {"metadata": {"namespace": "monitoring"}}, {})
    subjects = [monitor(), rules, rules]  # the shipped ones and the user's own
    assert discovered("nodes", subjects, [instance({})]).message == (
        "Prometheus monitoring/k8s selects the ServiceMonitor and the PrometheusRule"
    )
    ruler: dict[str, tuple[Selector, Selector]] = {"PrometheusRule": ({}, None)}
    disjoint_filter = PrometheusInstance(
        "ThanosRuler", "thanosrulers.monitoring.coreos.com", "monitoring", "long", ruler, BOTH
    )
    assert discovered("nodes", subjects, [instance({}), disjoint_filter]).message == (
        "Prometheus monitoring/k8s selects the ServiceMonitor; "
        "Prometheus monitoring/k8s, ThanosRuler monitoring/long select the PrometheusRule"
    )


def test_rules_where_no_samples_are_hold_for_nobody() -> None:
    rules = Subject("PrometheusRule", "alerts.labels", {"metadata": {"namespace": "monitoring"}}, {})
    none: Selector = {"matchLabels": {"a": "b"}}

    def one(name: str, scrapes: Selector, evaluates: Selector, kind: str = "Prometheus") -> PrometheusInstance:
        selectors = {"ServiceMonitor": (scrapes, None), "PrometheusRule": (evaluates, None)}
        if kind != "Prometheus":
            selectors.pop("PrometheusRule" if kind == "PrometheusAgent" else "ServiceMonitor")
        return PrometheusInstance(kind, f"{kind.lower()}s.monitoring.coreos.com", "monitoring", name, selectors, BOTH)

    found = discovered("nodes", [monitor(), rules], [one("own", {}, none), one("k8s", none, {})])
    assert (found.holds, found.reason) == (None, "RulesElsewhere")
    assert "alerts are evaluated where there are none: Prometheus monitoring/own does not select" in found.message
    assert '{"spec": {"alerts": {"labels": {"a": "b"}}}}' in found.message
    for kind, scrapes in (("PrometheusAgent", {}), ("ThanosRuler", None), ("Prometheus", {})):
        third = one("third", scrapes, {}, kind)
        assert discovered("nodes", [monitor(), rules], [one("own", {}, none), one("k8s", none, {}), third]).holds


def test_a_long_list_is_cut() -> None:
    found = verdict(monitor(), *[instance(None, name=f"p{number}") for number in range(9)])
    assert found.message.endswith("and 6 more")


def test_a_label_that_is_ours_cannot_be_set_and_no_patch_pretends_so() -> None:
    found = verdict(monitor(), instance({"matchLabels": {"app.kubernetes.io/name": "theirs"}}))
    assert found.reason == "LabelMissing"
    assert found.message.endswith(
        "app.kubernetes.io/name is Metricat's to set and stays; have Prometheus monitoring/k8s select by another label"
    )


def test_a_monitor_that_the_prometheus_operator_leaves_out_is_not_taken_for_one_that_is_taken() -> None:
    mine = Subject("ServiceMonitor", "monitor.labels", {"metadata": {"namespace": "monitoring", "uid": "u"}}, {})
    said = Rejection("u", "secret not found", "Prometheus monitoring/k8s")
    found = discovered("nodes", [mine], [instance({})], [said])
    assert (found.holds, found.reason) == (False, "MonitorRejected")
    assert found.message == (
        "the Prometheus Operator leaves the ServiceMonitor out of Prometheus monitoring/k8s: secret not found "
        "(where a Secret was mended, this is said for up to an hour more)"
    )
    regex = Rejection("u", "bad regex", "Prometheus monitoring/k8s")
    assert discovered("nodes", [mine], [instance({})], [regex]).message.endswith(
        "out of Prometheus monitoring/k8s: bad regex"
    )
    other = instance({}, name="other")
    assert discovered("nodes", [mine], [instance({}), other], [said]).message == (
        "Prometheus monitoring/other selects the ServiceMonitor"
    )


def test_a_namespace_that_the_prometheus_operator_does_not_look_into() -> None:
    denying = PrometheusOperator("monitoring/po", {"deny-namespaces": frozenset({"monitoring"})})
    found = verdict(monitor(), replace(instance({}), operators=(denying,)))
    assert (found.holds, found.reason) == (False, "NamespaceNotWatched")
    assert found.message == (
        "Prometheus monitoring/k8s is not given the ServiceMonitor: the Prometheus Operator does not look into "
        "namespace monitoring: monitoring/po has --deny-namespaces=monitoring; let it, or create the target in a "
        "namespace that it looks into"
    )
    assert verdict(monitor(), replace(instance({}), operators=(denying, PrometheusOperator("monitoring/other")))).holds
    assert verdict(monitor(), replace(instance({}), operators=())).reason == "NotReconciled"


def test_bindings_say_who_of_those_that_select_is_given_it() -> None:
    bound = {"resource": "prometheuses", "namespace": "monitoring", "name": "k8s"}
    mine = monitor()
    mine.manifest["status"] = {"bindings": [bound]}
    found = verdict(mine, instance({}), instance({}, name="new"))
    assert found.message == "Prometheus monitoring/k8s selects the ServiceMonitor"
    alone = verdict(mine, instance({}, name="new"))
    assert alone.reason == "NotBound"
    assert "gives it to prometheuses monitoring/k8s only" in alone.message
