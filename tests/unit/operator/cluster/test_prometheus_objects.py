"""Data that the operator reads from the Prometheus Operator's pods, events and `status.bindings`."""

from typing import Any

import pytest

from metricat_operator.cluster import prometheus_objects
from metricat_operator.facts.model import Manifest
from metricat_operator.facts.prometheus_query import Endpoint, Rejection

CHILD: Manifest = {"metadata": {"uid": "u", "resourceVersion": "7", "generation": 3}}


def event(version: str) -> Manifest:
    """Return an event as the Prometheus Operator 0.93 writes it, in the format of core/v1."""
    return prometheus_objects.trim_rejection(
        {
            "metadata": {"name": "e", "namespace": "monitoring", "uid": "x", "resourceVersion": "9"},
            "involvedObject": {"kind": "PrometheusRule", "uid": "u", "resourceVersion": version},
            "related": {"kind": "Prometheus", "namespace": "monitoring", "name": "k8s"},
            "message": "PrometheusRule a was rejected due to invalid configuration: invalid rule",
        }
    )


def test_event_rejects_only_the_resource_version_it_names() -> None:
    said = "PrometheusRule a was rejected due to invalid configuration: invalid rule"
    assert prometheus_objects.rejections([CHILD], [event("7"), event("7")]) == (
        Rejection("u", said, "Prometheus monitoring/k8s"),
    )
    assert prometheus_objects.rejections([CHILD], [event("6")]) == ()
    assert prometheus_objects.rejections([], [event("7")]) == ()


@pytest.mark.parametrize(
    ("status", "generation", "rejected"), [("False", 3, True), ("False", 2, False), ("True", 3, False)]
)
def test_binding_rejects_only_the_newest_generation(status: str, generation: int, rejected: bool) -> None:  # noqa: FBT001
    accepted: dict[str, Any] = {"type": "Accepted", "status": status, "reason": "InvalidConfiguration"}
    binding = {
        "group": "monitoring.coreos.com",
        "resource": "prometheusagents",
        "namespace": "monitoring",
        "name": "edge",
        "conditions": [{**accepted, "observedGeneration": generation, "message": "bad"}],
    }
    found = prometheus_objects.rejections([{**CHILD, "status": {"bindings": [binding]}}], [])
    assert found == ((Rejection("u", "bad", "PrometheusAgent monitoring/edge"),) if rejected else ())


def pod(name: str, shard: str = "0", kind: str = "prometheus", **more: Any) -> Manifest:
    labels = {
        "app.kubernetes.io/name": kind,
        "app.kubernetes.io/instance": "k8s",
        "operator.prometheus.io/shard": shard,
    }
    metadata = {"name": name, "namespace": "monitoring", "uid": name, "resourceVersion": "1", "labels": labels}
    ports = [{"name": "web", "containerPort": 9090}]
    return {
        "metadata": {**metadata, **more},
        "spec": {"containers": [{"ports": ports}, {}]},
        "status": {"podIP": "10.0.0.7"},
    }


def test_servers_are_ready_pods_and_give_the_reason_otherwise() -> None:
    trimmed = [
        prometheus_objects.trim_server(pod("prometheus-k8s-0"), None),
        prometheus_objects.trim_server(pod("prometheus-k8s-shard-1-0", "1"), ("ImagePullBackOff", "no such image")),
        prometheus_objects.trim_server(pod("going", deletionTimestamp="2030-01-01T00:00:00Z"), None),
        prometheus_objects.trim_server(pod("other", kind="prometheus-agent"), None),
    ]
    first, second = prometheus_objects.servers(trimmed, "Prometheus", "monitoring", "k8s", "web")
    assert (first.address, first.port, first.reason) == ("10.0.0.7", 9090, "")
    assert (second.shard, second.address) == ("1", "")
    assert second.reason == "is not ready: ImagePullBackOff no such image"
    [other] = prometheus_objects.servers(trimmed[:1], "Prometheus", "monitoring", "k8s", "http")
    assert (other.address, other.reason) == ("", "has no port http")
    assert list(prometheus_objects.servers(trimmed, "Prometheus", "elsewhere", "k8s", "web")) == []
    assert list(prometheus_objects.servers(trimmed, "Alertmanager", "monitoring", "k8s", "web")) == []


def test_endpoint_follows_the_spec_of_a_prometheus() -> None:
    assert prometheus_objects.web({}) == Endpoint("web", "/", tls=False, listen_local=False)
    spec = {"portName": "http", "routePrefix": "/p", "listenLocal": True, "web": {"tlsConfig": {"cert": {}}}}
    assert prometheus_objects.web(spec) == Endpoint("http", "/p", tls=True, listen_local=True)
    assert prometheus_objects.web({"serviceName": "own", "shards": 2}) == Endpoint(prefix="/", service="own", shards=2)
    assert {*spec, "serviceName", "shards"} <= set(prometheus_objects.WEB_FIELDS), "the cache keeps these fields"
