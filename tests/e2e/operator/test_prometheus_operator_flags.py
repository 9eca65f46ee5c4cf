"""The Prometheus Operator's own limits: what it may not look into, nobody is given, whatever a Prometheus selects."""

import base64
import gzip
import json
from collections.abc import Iterator

import pytest

from metricat_tools.demo.demo_cluster import DemoCluster
from metricat_tools.stack.apis import NAMESPACE
from metricat_tools.stack.kubectl import Object
from metricat_tools.stack.wait import until
from support.pipeline import CLEARED_SECONDS, NAMED_SECONDS, PLACE, broken, patch

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
UNSEEN = "unseen"
DENIED = f"--deny-namespaces={UNSEEN}"
BINDINGS = "--feature-gates=StatusForConfigurationResources=true"
ALL_NAMESPACES: Object = {"serviceMonitorNamespaceSelector": {}, "ruleNamespaceSelector": {}}


@pytest.fixture
def selected(demo: DemoCluster) -> Iterator[None]:
    """A target in a namespace of its own, which the Prometheus selects; of no node, for it is about the wiring only."""
    spec = {
        "nodeSelector": {"matchLabels": {"no-such": "node"}},
        "monitor": {"labels": {"release": "demo"}},
        "alerts": {"labels": {"release": "demo"}},
    }
    metadata = {"name": "aside", "namespace": UNSEEN}
    target = {"apiVersion": "metricat.dev/v1alpha1", "kind": "MonitoringTarget", "metadata": metadata, "spec": spec}

    def mend() -> None:
        demo.kubectl.run("delete", "namespace", UNSEEN)
        patch(demo, "prometheus", "demo", {"spec": dict.fromkeys(ALL_NAMESPACES)})

    with broken(demo, mend):
        patch(demo, "prometheus", "demo", {"spec": ALL_NAMESPACES})
        demo.kubectl.apply(json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": UNSEEN}}))
        demo.kubectl.apply(json.dumps(target))
        yield


def given(demo: DemoCluster) -> bool:
    """Whether the Prometheus Operator has put the target's monitor into what it gives the Prometheus."""
    data = demo.kubectl.get("secret", "prometheus-demo", *PLACE)["data"]["prometheus.yaml.gz"]
    return f"serviceMonitor/{UNSEEN}/metricat-aside/0" in gzip.decompress(base64.b64decode(data)).decode()


def says(demo: DemoCluster, reason: str) -> str | None:
    """What the target's `Selected` says, if that is its reason."""
    status = demo.kubectl.get("mtarget", "aside", "--namespace", UNSEEN).get("status", {})
    found: dict[str, str] = {
        one["reason"]: one["message"] for one in status.get("conditions", []) if one["type"] == "Selected"
    }
    return found.get(reason)


def restart(demo: DemoCluster, *more: str) -> None:
    """The Prometheus Operator with these flags besides its own."""
    deployment = demo.kubectl.get("deployment", "prometheus-operator", *PLACE)
    own = [
        word
        for word in deployment["spec"]["template"]["spec"]["containers"][0]["args"]
        if word not in {DENIED, BINDINGS}
    ]
    operation = {"op": "replace", "path": "/spec/template/spec/containers/0/args", "value": [*own, *more]}
    demo.kubectl.run("patch", "deployment", "prometheus-operator", *PLACE, "--type=json", "-p", json.dumps([operation]))
    demo.kubectl.run("rollout", "status", "deployment", "prometheus-operator", *PLACE, "--timeout=120s")


@pytest.mark.usefixtures("selected")
def test_a_namespace_that_the_prometheus_operator_does_not_look_into(demo: DemoCluster) -> None:
    until("the monitor to be given", lambda: given(demo) and says(demo, "Selected"), seconds=CLEARED_SECONDS)

    with broken(demo, lambda: restart(demo)):
        restart(demo, DENIED)
        told = until("its limits to be named", lambda: says(demo, "NamespaceNotWatched"), seconds=NAMED_SECONDS)
        assert (
            f"the Prometheus Operator does not watch the namespace {UNSEEN} ({NAMESPACE}/prometheus-operator-" in told
        )
        assert f"has {DENIED}" in told
        until("the monitor to be left out", lambda: not given(demo), seconds=CLEARED_SECONDS)

        restart(demo, BINDINGS)
        until("the monitor to be given", lambda: given(demo) and says(demo, "Selected"), seconds=CLEARED_SECONDS)

        def bound() -> list[str]:
            monitor = demo.kubectl.get("servicemonitor", "metricat-aside", "--namespace", UNSEEN)
            return [one["name"] for one in monitor.get("status", {}).get("bindings", [])]

        assert until("its binding", bound, seconds=CLEARED_SECONDS) == ["demo"]
        assert (
            says(demo, "Selected") == f"Prometheus {NAMESPACE}/demo selects the ServiceMonitor and the PrometheusRule"
        )
