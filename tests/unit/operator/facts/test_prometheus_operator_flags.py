"""The namespaces that a Prometheus Operator watches, by its flags; tests/e2e compares with the real one."""

from typing import Any

import pytest

from metricat_operator.cluster import prometheus_objects
from metricat_operator.facts.model import Manifest
from metricat_operator.facts.prometheus_operator_flags import PrometheusOperator, parse


def prometheus_operator(*words: str) -> PrometheusOperator:
    return PrometheusOperator("monitoring/prometheus-operator", parse(words))


@pytest.mark.parametrize(
    ("words", "kind", "namespaces"),
    [
        ((), "ServiceMonitor", "a b c"),
        (("--namespaces=a,b",), "ServiceMonitor", "a b"),
        (("-namespaces", "a,b", "--log-level=debug"), "PrometheusRule", "a b"),
        (("--namespaces=a", "--namespaces=c"), "ServiceMonitor", "a c"),
        (("--namespaces=",), "ServiceMonitor", "a b c"),
        (("--deny-namespaces=b",), "ServiceMonitor", "a c"),
        (("--deny-namespaces=b",), "AlertmanagerConfig", "a c"),
        (("--namespaces=a", "--alertmanager-config-namespaces=b"), "AlertmanagerConfig", "b"),
        (("--namespaces=a", "--alertmanager-config-namespaces=b"), "ServiceMonitor", "a"),
        (("--namespaces=a", "--prometheus-instance-namespaces=c"), "ServiceMonitor", "a"),
    ],
)
def test_watched_namespaces_follow_the_flags(words: tuple[str, ...], kind: str, namespaces: str) -> None:
    assert [name for name in "abc" if prometheus_operator(*words).watches(kind, name)] == namespaces.split()


@pytest.mark.parametrize(
    ("words", "kind", "namespaces"),
    [
        (("--namespaces=a",), "Prometheus", "a"),
        (("--namespaces=a", "--prometheus-instance-namespaces=b"), "PrometheusAgent", "b"),
        (("--deny-namespaces=a", "--prometheus-instance-namespaces=a"), "Prometheus", "a"),
        (("--deny-namespaces=a", "--prometheus-instance-namespaces=a"), "ThanosRuler", "b c"),
        (("--thanos-ruler-instance-namespaces=c",), "ThanosRuler", "c"),
        (("--alertmanager-instance-namespaces=c",), "Alertmanager", "c"),
        (("--controller-id=x",), "Prometheus", ""),
    ],
)
def test_managed_instances_follow_the_flags(words: tuple[str, ...], kind: str, namespaces: str) -> None:
    assert [name for name in "abc" if prometheus_operator(*words).manages(kind, name)] == namespaces.split()


def test_controller_id_must_match_the_annotation() -> None:
    assert prometheus_operator("--controller-id", "x").manages("Prometheus", "a", "x")
    assert not prometheus_operator().manages("Prometheus", "a", "x")


def pod(name: str, *arguments: str, **more: Any) -> Manifest:
    metadata = {"name": name, "namespace": "monitoring", "uid": name, "resourceVersion": "1", **more}
    containers = [{"name": "operator", "args": list(arguments)}, {"name": "kube-rbac-proxy"}]
    return prometheus_objects.trim_operator({"metadata": metadata, "spec": {"containers": containers}})


def test_operators_are_unknown_if_none_is_found() -> None:
    assert prometheus_objects.operators([], "Prometheus", "a", "") is None
    assert (
        prometheus_objects.operators([pod("old", "--namespaces=b", deletionTimestamp="now")], "Prometheus", "a", "")
        is None
    )
    assert prometheus_objects.operators([pod("one", "--namespaces=b")], "Prometheus", "a", "") == ()
    [found] = prometheus_objects.operators([pod("one", "--namespaces=b"), pod("two")], "Prometheus", "a", "") or ()
    assert found.name == "monitoring/two"


def test_variables_are_resolved_from_the_pod() -> None:
    def looks(variable: Manifest) -> bool | None:
        container = {"name": "operator", "args": ["--namespaces=$(WHERE)"], "env": [variable]}
        metadata = {"name": "one", "namespace": "monitoring", "uid": "one", "resourceVersion": "1"}
        trimmed = prometheus_objects.trim_operator({"metadata": metadata, "spec": {"containers": [container]}})
        found = prometheus_objects.operators([trimmed], "Prometheus", "a", "")
        return None if found is None else bool(found)

    assert looks({"name": "WHERE", "value": "a,b"}) is True
    assert looks({"name": "WHERE", "value": "b"}) is False
    assert looks({"name": "WHERE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}) is None
