"""Which instances select an object, and the messages; tests/e2e compares with the real Prometheus Operator."""

import json
from dataclasses import replace

import pytest

from metricat_operator.cluster.kinds import MONITOR_FIELDS, RULE_FIELDS
from metricat_operator.facts.model import PrometheusInstance, Selector
from metricat_operator.facts.prometheus_operator_flags import PrometheusOperator
from metricat_operator.facts.prometheus_query import Rejection
from metricat_operator.verification.selection import Finding, Subject, find_selection

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
    return find_selection("nodes", [subject], instances)


@pytest.mark.parametrize(
    ("chosen", "spaces", "namespace", "reason"),
    [
        ({}, None, "monitoring", "Selected"),
        ({}, None, "other", "NamespaceNotSelected"),
        ({}, {}, "other", "Selected"),
        (None, {}, "other", "SelectorNotSet"),
        ({"matchLabels": {"release": "kps"}}, {}, "other", "Selected"),
        ({"matchLabels": {"release": "other"}}, {}, "other", "LabelMissing"),
        ({"matchExpressions": [{"key": "release", "operator": "Exists"}]}, {}, "other", "Selected"),
        ({"matchExpressions": [{"key": "release", "operator": "DoesNotExist"}]}, {}, "other", "LabelMissing"),
        ({"matchExpressions": [{"key": "no", "operator": "NotIn", "values": ["x"]}]}, {}, "other", "Selected"),
        ({}, {"matchLabels": {"team": "sre"}}, "other", "Selected"),
        ({}, {"matchLabels": {"team": "dev"}}, "other", "NamespaceNotSelected"),
    ],
)
def test_selectors_follow_the_rules_of_the_prometheus_operator(
    chosen: Selector, spaces: Selector, namespace: str, reason: str
) -> None:
    found = verdict(monitor({"release": "kps"}, {"team": "sre"}), instance(chosen, spaces, namespace=namespace))
    assert (found.reason, found.holds) == (reason, reason == "Selected")


def test_missing_label_has_the_patch_command() -> None:
    found = verdict(monitor(), instance({"matchLabels": {"release": "kps"}}))
    start, _, patch = found.message.partition(" -p ")
    assert start == (
        "Prometheus monitoring/k8s does not select the ServiceMonitor: it requires release=kps. "
        "To set the labels, run: kubectl patch mtarget nodes -n monitoring --type merge"
    )
    assert json.loads(patch.strip("'")) == {"spec": {"monitor": {"labels": {"release": "kps"}}}}


def test_selector_with_unknown_operator_selects_nothing() -> None:
    found = verdict(monitor(), instance({"matchExpressions": [{"key": "a", "operator": "exists"}]}))
    assert (found.holds, found.reason) == (False, "InvalidSelector")
    assert "unknown selector operator exists. Use one of In, NotIn, Exists and DoesNotExist." in found.message


def test_one_patch_sets_and_removes_labels() -> None:
    selector = {
        "matchLabels": {"release": "kps", "empty": ""},
        "matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["x"]}],
    }
    found = verdict(monitor({"a": "x"}), instance(selector))
    assert "it requires empty= and release=kps and a not in (x)" in found.message
    patch = found.message.partition(" -p ")[2]
    labels = {"empty": "", "release": "kps", "a": None}
    assert json.loads(patch.strip("'")) == {"spec": {"monitor": {"labels": labels}}}


def test_no_command_changes_the_namespace_name_label() -> None:
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


def test_one_selecting_prometheus_is_enough() -> None:
    assert verdict(monitor(), instance(None), instance({}, name="other")).message == (
        "Prometheus monitoring/other selects the ServiceMonitor"
    )
    assert verdict(monitor()).reason == "NoPrometheus"


def test_rules_must_be_selected_too() -> None:
    rules = Subject("PrometheusRule", "alerts.labels", {"metadata": {"namespace": "monitoring"}}, {})
    selectors: dict[str, tuple[Selector, Selector]] = {
        "ServiceMonitor": ({}, None),
        "PrometheusRule": ({"matchLabels": {"role": "rules"}}, None),
    }
    only = PrometheusInstance("Prometheus", "prometheuses.monitoring.coreos.com", "monitoring", "k8s", selectors, BOTH)
    found = find_selection("nodes", [monitor(), rules], [only])
    assert found.reason == "LabelMissing"
    assert '{"spec": {"alerts": {"labels": {"role": "rules"}}}}' in found.message


def test_message_lists_each_kind_once() -> None:
    rules = Subject("PrometheusRule", "alerts.labels", {"metadata": {"namespace": "monitoring"}}, {})
    subjects = [monitor(), rules, rules]  # the shipped ones and the user's own
    assert find_selection("nodes", subjects, [instance({})]).message == (
        "Prometheus monitoring/k8s selects the ServiceMonitor and the PrometheusRule"
    )
    ruler: dict[str, tuple[Selector, Selector]] = {"PrometheusRule": ({}, None)}
    ruler_instance = PrometheusInstance(
        "ThanosRuler", "thanosrulers.monitoring.coreos.com", "monitoring", "long", ruler, BOTH
    )
    assert find_selection("nodes", subjects, [instance({}), ruler_instance]).message == (
        "Prometheus monitoring/k8s selects the ServiceMonitor; "
        "Prometheus monitoring/k8s, ThanosRuler monitoring/long select the PrometheusRule"
    )


def test_rules_on_a_prometheus_without_samples_are_reported() -> None:
    rules = Subject("PrometheusRule", "alerts.labels", {"metadata": {"namespace": "monitoring"}}, {})
    none: Selector = {"matchLabels": {"a": "b"}}

    def one(name: str, scrapes: Selector, evaluates: Selector, kind: str = "Prometheus") -> PrometheusInstance:
        selectors = {"ServiceMonitor": (scrapes, None), "PrometheusRule": (evaluates, None)}
        if kind != "Prometheus":
            selectors.pop("PrometheusRule" if kind == "PrometheusAgent" else "ServiceMonitor")
        return PrometheusInstance(kind, f"{kind.lower()}s.monitoring.coreos.com", "monitoring", name, selectors, BOTH)

    found = find_selection("nodes", [monitor(), rules], [one("own", {}, none), one("k8s", none, {})])
    assert (found.holds, found.reason) == (None, "RulesOnOtherPrometheus")
    assert (
        "No Prometheus has both the rules and the samples. Unless remote write sends the samples to the Prometheus "
        "with the rules: Prometheus" in found.message
    )
    assert '{"spec": {"alerts": {"labels": {"a": "b"}}}}' in found.message
    for kind, scrapes in (("PrometheusAgent", {}), ("ThanosRuler", None), ("Prometheus", {})):
        third = one("third", scrapes, {}, kind)
        assert find_selection("nodes", [monitor(), rules], [one("own", {}, none), one("k8s", none, {}), third]).holds


def test_long_list_is_cut() -> None:
    found = verdict(monitor(), *[instance(None, name=f"p{number}") for number in range(9)])
    assert found.message.endswith("and 6 more")


def test_no_patch_sets_a_label_of_metricat() -> None:
    found = verdict(monitor(), instance({"matchLabels": {"app.kubernetes.io/name": "theirs"}}))
    assert found.reason == "LabelMissing"
    assert found.message.endswith(
        "Metricat sets app.kubernetes.io/name, so select by another label in Prometheus monitoring/k8s."
    )


def test_rejected_monitor_is_not_selected() -> None:
    mine = Subject("ServiceMonitor", "monitor.labels", {"metadata": {"namespace": "monitoring", "uid": "u"}}, {})
    rejection = Rejection("u", "secret not found", "Prometheus monitoring/k8s")
    found = find_selection("nodes", [mine], [instance({})], [rejection])
    assert (found.holds, found.reason) == (False, "MonitorRejected")
    assert found.message == (
        "The Prometheus Operator rejects the ServiceMonitor for Prometheus monitoring/k8s: secret not found "
        "(after the Secret is corrected, this message stays for up to an hour)"
    )
    regex = Rejection("u", "bad regex", "Prometheus monitoring/k8s")
    assert find_selection("nodes", [mine], [instance({})], [regex]).message.endswith(
        "for Prometheus monitoring/k8s: bad regex"
    )
    other = instance({}, name="other")
    assert find_selection("nodes", [mine], [instance({}), other], [rejection]).message == (
        "Prometheus monitoring/other selects the ServiceMonitor"
    )


def test_namespace_that_the_prometheus_operator_does_not_watch() -> None:
    denying = PrometheusOperator("monitoring/po", {"deny-namespaces": frozenset({"monitoring"})})
    found = verdict(monitor(), replace(instance({}), operators=(denying,)))
    assert (found.holds, found.reason) == (False, "NamespaceNotWatched")
    assert found.message == (
        "Prometheus monitoring/k8s does not get the ServiceMonitor: the Prometheus Operator does not watch the "
        "namespace monitoring (monitoring/po has --deny-namespaces=monitoring). Add the namespace to --namespaces, or "
        "remove it from --deny-namespaces. Or create the target in a watched namespace."
    )
    assert verdict(monitor(), replace(instance({}), operators=(denying, PrometheusOperator("monitoring/other")))).holds
    assert verdict(monitor(), replace(instance({}), operators=())).reason == "NoManagingOperator"


def test_instance_missing_in_bindings_does_not_get_the_object() -> None:
    bound = {"resource": "prometheuses", "namespace": "monitoring", "name": "k8s"}
    mine = monitor()
    mine.manifest["status"] = {"bindings": [bound]}
    found = verdict(mine, instance({}), instance({}, name="new"))
    assert found.message == "Prometheus monitoring/k8s selects the ServiceMonitor"
    alone = verdict(mine, instance({}, name="new"))
    assert alone.reason == "NotInBindings"
    assert "has bound it to prometheuses monitoring/k8s only" in alone.message
