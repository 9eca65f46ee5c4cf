"""Flags that limit the Prometheus Operator to namespaces take precedence over the selectors of a Prometheus."""

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
UNWATCHED = "unwatched"
DENIED = f"--deny-namespaces={UNWATCHED}"
BINDINGS = "--feature-gates=StatusForConfigurationResources=true"
ALL_NAMESPACES: Object = {"serviceMonitorNamespaceSelector": {}, "ruleNamespaceSelector": {}}


@pytest.fixture
def selected(demo: DemoCluster) -> Iterator[None]:
    """A target without nodes in another namespace, which the Prometheus selects."""
    spec = {
        "nodeSelector": {"matchLabels": {"no-such": "node"}},
        "monitor": {"labels": {"release": "demo"}},
        "alerts": {"labels": {"release": "demo"}},
    }
    metadata = {"name": "aside", "namespace": UNWATCHED}
    target = {"apiVersion": "metricat.dev/v1alpha1", "kind": "MonitoringTarget", "metadata": metadata, "spec": spec}

    def repair() -> None:
        demo.kubectl.run("delete", "namespace", UNWATCHED)
        patch(demo, "prometheus", "demo", {"spec": dict.fromkeys(ALL_NAMESPACES)})

    with broken(demo, repair):
        patch(demo, "prometheus", "demo", {"spec": ALL_NAMESPACES})
        demo.kubectl.apply(json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": UNWATCHED}}))
        demo.kubectl.apply(json.dumps(target))
        yield


def configured(demo: DemoCluster) -> bool:
    """Return whether the configuration that the Prometheus Operator wrote has the target's ServiceMonitor."""
    data = demo.kubectl.get("secret", "prometheus-demo", *PLACE)["data"]["prometheus.yaml.gz"]
    return f"serviceMonitor/{UNWATCHED}/metricat-aside/0" in gzip.decompress(base64.b64decode(data)).decode()


def selected_message(demo: DemoCluster, reason: str) -> str | None:
    """Return the message of the target's condition `Selected` if it has this reason."""
    status = demo.kubectl.get("mtarget", "aside", "--namespace", UNWATCHED).get("status", {})
    found: dict[str, str] = {
        one["reason"]: one["message"] for one in status.get("conditions", []) if one["type"] == "Selected"
    }
    return found.get(reason)


def restart(demo: DemoCluster, *more: str) -> None:
    """Restart the Prometheus Operator with these flags in addition to its own."""
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
def test_namespace_that_the_prometheus_operator_does_not_watch_is_reported(demo: DemoCluster) -> None:
    until(
        "the monitor to be configured",
        lambda: configured(demo) and selected_message(demo, "Selected"),
        seconds=CLEARED_SECONDS,
    )

    with broken(demo, lambda: restart(demo)):
        restart(demo, DENIED)
        message = until(
            "the flag to be reported", lambda: selected_message(demo, "NamespaceNotWatched"), seconds=NAMED_SECONDS
        )
        assert (
            f"the Prometheus Operator does not watch the namespace {UNWATCHED} ({NAMESPACE}/prometheus-operator-"
            in message
        )
        assert f"has {DENIED}" in message
        until("the monitor to be removed", lambda: not configured(demo), seconds=CLEARED_SECONDS)

        restart(demo, BINDINGS)
        until(
            "the monitor to be configured",
            lambda: configured(demo) and selected_message(demo, "Selected"),
            seconds=CLEARED_SECONDS,
        )

        def bound() -> list[str]:
            monitor = demo.kubectl.get("servicemonitor", "metricat-aside", "--namespace", UNWATCHED)
            return [one["name"] for one in monitor.get("status", {}).get("bindings", [])]

        assert until("its binding", bound, seconds=CLEARED_SECONDS) == ["demo"]
        assert (
            selected_message(demo, "Selected")
            == f"Prometheus {NAMESPACE}/demo selects the ServiceMonitor and the PrometheusRule"
        )
