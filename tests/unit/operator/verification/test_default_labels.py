"""The labels that the operator sets so that a Prometheus selects the objects, where the spec has none."""

import json
import shlex
from typing import Any

import pytest

from metricat_operator import naming
from metricat_operator.api.parse import parse
from metricat_operator.api.v1alpha1 import Spec
from metricat_operator.cluster.kinds import MONITOR_FIELDS, RULE_FIELDS
from metricat_operator.facts.model import DefaultLabels, Facts, ObjectKey, PrometheusInstance, Selector
from metricat_operator.facts.prometheus_operator_flags import PrometheusOperator
from metricat_operator.verification import choose_default_labels, request_choice
from metricat_operator.verification.default_labels import Choice

MONITOR, RULE = "ServiceMonitor", "PrometheusRule"
FIELDS = {MONITOR: MONITOR_FIELDS, RULE: RULE_FIELDS}
EVERY: Selector = {}
NONE: dict[str, str] = {}


def release(value: str) -> Selector:
    return {"matchLabels": {"release": value}}


def instance(
    name: str,
    monitors: Selector,
    rules: Selector,
    *,
    spaces: Selector = EVERY,
    kind: str = "Prometheus",
    operators: tuple[PrometheusOperator, ...] | None = None,
) -> PrometheusInstance:
    selectors = {MONITOR: (monitors, spaces), RULE: (rules, spaces)}
    if kind != "Prometheus":
        del selectors[{"PrometheusAgent": RULE, "ThanosRuler": MONITOR}[kind]]
    return PrometheusInstance(kind, "", "monitoring", name, selectors, FIELDS, operators=operators)


def spec_of(**fields: Any) -> Spec:
    found = parse(fields)
    assert found.spec is not None
    assert not found.errors
    return found.spec


def choose(
    *instances: PrometheusInstance, live: tuple[dict[str, str], dict[str, str]] = (NONE, NONE), **spec: Any
) -> Choice:
    children = {
        ObjectKey(kind, "metricat-nodes"): {"metadata": {"labels": {**naming.labels("nodes", ""), **labels}}}
        for kind, labels in zip((MONITOR, RULE), live, strict=True)
    }
    return choose_default_labels("nodes", "team", spec_of(**spec), Facts(children=children, instances=instances))


KPS, OTHER = instance("kps", release("kps"), release("kps")), instance("other", release("other"), release("other"))
BOTH = DefaultLabels({"release": "kps"}, {"release": "kps"})
AGENT = instance("agent", release("agent"), None, kind="PrometheusAgent")
RULER = instance("ruler", None, {"matchLabels": {"role": "alerts"}}, kind="ThanosRuler")


def test_labels_of_the_only_prometheus_are_set() -> None:
    assert choose(KPS) == Choice(BOTH)
    assert str(choose(KPS)) == "release=kps"


@pytest.mark.parametrize(
    ("selector", "labels"),
    [
        (EVERY, {}),
        ({"matchExpressions": [{"key": "team", "operator": "In", "values": ["b", "a"]}]}, {"team": "b"}),
        ({"matchExpressions": [{"key": "team", "operator": "Exists"}]}, {"team": "true"}),
        (
            {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "Exists"}]},
            {"a": "b"},
        ),
        (
            {
                "matchExpressions": [
                    {"key": "team", "operator": "In", "values": ["a", "b"]},
                    {"key": "team", "operator": "NotIn", "values": ["a"]},
                ]
            },
            {"team": "b"},
        ),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {}),
        ({"matchLabels": {"app.kubernetes.io/name": "other"}}, {}),
        ({"matchLabels": {"not a key": "x"}}, {}),
        ({"matchLabels": {"key": "not a value"}}, {}),
        ({"matchExpressions": [{"key": "a", "operator": "Unknown"}]}, {}),
    ],
)
def test_labels_meet_every_requirement_of_a_selector_or_none_are_set(
    selector: Selector, labels: dict[str, str]
) -> None:
    assert choose(instance("k8s", selector, selector)) == Choice(DefaultLabels(labels, labels))


def test_prometheus_that_does_not_select_the_namespace_is_not_considered() -> None:
    assert choose(instance("k8s", release("k8s"), release("k8s"), spaces=None)) == Choice()
    assert choose(instance("k8s", release("k8s"), release("k8s"), spaces=None), KPS) == Choice(BOTH)


def test_prometheus_whose_operator_does_not_watch_the_namespace_is_not_considered() -> None:
    limited = PrometheusOperator("monitoring/po", {"namespaces": frozenset({"monitoring"})})
    assert choose(instance("kps", release("kps"), release("kps"), operators=(limited,))) == Choice()


def test_unlabelled_selection_is_preferred() -> None:
    assert choose(KPS, instance("all", EVERY, EVERY)) == Choice()
    assert choose(OTHER, instance("all", EVERY, release("x"))) == Choice(DefaultLabels({}, {"release": "x"}))


def test_two_prometheuses_with_the_same_labels_need_no_choice() -> None:
    assert choose(KPS, instance("replica", release("kps"), release("kps"))) == Choice(BOTH)


def test_several_prometheuses_with_different_labels_need_a_choice() -> None:
    found = choose(KPS, OTHER)
    assert found.labels == DefaultLabels()
    message = request_choice("nodes", "team", spec_of(), found.options)
    assert (
        "Prometheus monitoring/kps requires release=kps; Prometheus monitoring/other requires release=other" in message
    )
    *_, patch = shlex.split(message.rpartition("run: ")[2])
    chosen = json.loads(patch)["spec"]
    assert choose(KPS, OTHER, **chosen) == Choice()
    assert chosen == {"monitor": {"labels": {"release": "kps"}}, "alerts": {"labels": {"release": "kps"}}}


def test_labels_in_the_spec_are_fixed() -> None:
    assert choose(KPS, monitor={"labels": {}}, alerts={"labels": {}}) == Choice()
    assert choose(KPS, OTHER, monitor={"labels": {"release": "other"}}) == Choice(
        DefaultLabels({}, {"release": "other"})
    )
    assert choose(KPS, monitor={"labels": {}}) == Choice()
    assert choose(KPS, OTHER, alerts={"labels": {"release": "kps"}}) == Choice(DefaultLabels({"release": "kps"}, {}))


def test_live_labels_stay_when_another_prometheus_appears() -> None:
    live = ({"release": "kps"}, {"release": "kps"})
    assert choose(KPS, OTHER, live=live) == Choice(BOTH)
    assert choose(KPS, instance("all", EVERY, EVERY), live=live) == Choice(BOTH)
    # while its Prometheus Operator restarts, nothing manages the Prometheus
    assert choose(instance("kps", release("kps"), release("kps"), operators=()), OTHER, live=live) == Choice(BOTH)


def test_labels_follow_a_changed_selector() -> None:
    live = ({"release": "old"}, {"release": "old"})
    assert choose(KPS, live=live) == Choice(BOTH)
    assert choose(instance("all", EVERY, EVERY), live=live) == Choice()


def test_without_rules_only_the_monitor_decides() -> None:
    only_monitors = instance("k8s", release("kps"), None)
    assert choose(only_monitors, alerts={"enabled": False}) == Choice(DefaultLabels({"release": "kps"}, {}))


def test_samples_are_scraped_even_if_no_prometheus_can_load_the_rules() -> None:
    assert choose(instance("k8s", release("kps"), None)) == Choice(DefaultLabels({"release": "kps"}, {}))


def test_agent_and_ruler_share_the_objects() -> None:
    found = choose(AGENT, RULER)
    assert found == Choice(DefaultLabels({"release": "agent"}, {"role": "alerts"}))
    assert str(found) == "release=agent and role=alerts for the PrometheusRule"


def test_choice_names_both_instances_of_a_pair() -> None:
    found = choose(AGENT, RULER, KPS, alerts={"labels": {"role": "alerts"}})
    message = request_choice("nodes", "team", spec_of(alerts={"labels": {"role": "alerts"}}), found.options)
    assert "PrometheusAgent monitoring/agent with ThanosRuler monitoring/ruler requires release=agent" in message
    assert '"alerts"' not in message


def test_no_prometheus_needs_no_labels() -> None:
    assert choose() == Choice()
