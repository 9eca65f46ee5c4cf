"""Where a Prometheus Operator looks, by its flags; beside the real one in tests/e2e."""

from typing import Any

import pytest

from metricat_operator.cluster import prometheus_objects
from metricat_operator.facts.model import Manifest
from metricat_operator.facts.prometheus_operator_flags import PrometheusOperator, parse


def overseer(*words: str) -> PrometheusOperator:
    return PrometheusOperator("monitoring/prometheus-operator", parse(words))


@pytest.mark.parametrize(
    ("words", "what", "namespaces"),
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
def test_it_looks_where_its_flags_let_it(words: tuple[str, ...], what: str, namespaces: str) -> None:
    assert [name for name in "abc" if overseer(*words).watches(what, name)] == namespaces.split()


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
def test_it_configures_what_its_flags_let_it(words: tuple[str, ...], kind: str, namespaces: str) -> None:
    assert [name for name in "abc" if overseer(*words).manages(kind, name)] == namespaces.split()


def test_of_several_the_annotation_chooses() -> None:
    assert overseer("--controller-id", "x").manages("Prometheus", "a", "x")
    assert not overseer().manages("Prometheus", "a", "x")


def pod(name: str, *arguments: str, **more: Any) -> Manifest:
    metadata = {"name": name, "namespace": "monitoring", "uid": name, "resourceVersion": "1", **more}
    containers = [{"name": "operator", "args": list(arguments)}, {"name": "kube-rbac-proxy"}]
    return prometheus_objects.trim_operator({"metadata": metadata, "spec": {"containers": containers}})


def test_nothing_is_said_where_none_is_known() -> None:
    assert prometheus_objects.operators([], "Prometheus", "a", "") is None
    assert (
        prometheus_objects.operators([pod("old", "--namespaces=b", deletionTimestamp="now")], "Prometheus", "a", "")
        is None
    )
    assert prometheus_objects.operators([pod("one", "--namespaces=b")], "Prometheus", "a", "") == ()
    [found] = prometheus_objects.operators([pod("one", "--namespaces=b"), pod("two")], "Prometheus", "a", "") or ()
    assert found.name == "monitoring/two"


def test_variables_are_read_where_the_pod_tells_them() -> None:
    def looks(variable: Manifest) -> bool | None:
        container = {"name": "operator", "args": ["--namespaces=$(WHERE)"], "env": [variable]}
        metadata = {"name": "one", "namespace": "monitoring", "uid": "one", "resourceVersion": "1"}
        trimmed = prometheus_objects.trim_operator({"metadata": metadata, "spec": {"containers": [container]}})
        found = prometheus_objects.operators([trimmed], "Prometheus", "a", "")
        return None if found is None else bool(found)

    assert looks({"name": "WHERE", "value": "a,b"}) is True
    assert looks({"name": "WHERE", "value": "b"}) is False
    assert looks({"name": "WHERE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}) is None
