"""The status reports whether a Prometheus selects the ServiceMonitor and the PrometheusRules, and what is missing."""

import shlex
from collections.abc import Iterator
from functools import partial

import pytest

from support.harness import Cluster, Manifest, eventually, served, target, wait_ready

EVERY: dict[str, object] = {}
pytestmark = pytest.mark.usefixtures("operator")


@pytest.fixture(scope="module")
def prometheus_kind(cluster: Cluster) -> Iterator[None]:
    with served(cluster, "prometheuses"):
        yield


def prometheus(namespace: str, **spec: object) -> Manifest:
    metadata = {"name": "k8s", "namespace": namespace}
    return {"apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus", "metadata": metadata, "spec": spec}


@pytest.mark.slow
@pytest.mark.usefixtures("prometheus_kind")
def test_patch_in_the_message_makes_a_prometheus_select_the_objects(cluster: Cluster, namespace: str) -> None:
    def selected() -> Manifest:
        return cluster.condition(namespace, "nodes", "Selected")

    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    eventually(lambda: selected().get("reason") == "NoPrometheus")

    label = {"matchLabels": {"release": "kps"}}
    cluster.apply(prometheus(namespace, serviceMonitorSelector=label, ruleSelector=label))

    def lacks(section: str) -> bool:
        return selected().get("reason") == "LabelMissing" and f'"{section}"' in selected()["message"]

    for section in ("monitor", "alerts"):
        eventually(partial(lacks, section))
        kubectl, *words = shlex.split(selected()["message"].rpartition("run: ")[2])
        assert kubectl == "kubectl"
        cluster.do(*words)
    eventually(lambda: selected().get("status") == "True")
    assert selected()["message"] == f"Prometheus {namespace}/k8s selects the ServiceMonitor and the PrometheusRule"

    cluster.do("delete", "prometheus", "k8s", "-n", namespace)
    eventually(lambda: selected().get("reason") == "NoPrometheus")


@pytest.mark.usefixtures("prometheus_kind")
def test_label_command_in_the_message_makes_a_prometheus_select_the_namespace(cluster: Cluster, namespace: str) -> None:
    cluster.do("label", "namespace", namespace, "scraped=no")
    spaces = {"matchLabels": {"scraped": "yes"}}
    spec = {
        **dict.fromkeys(("serviceMonitorSelector", "ruleSelector"), EVERY),
        **dict.fromkeys(("serviceMonitorNamespaceSelector", "ruleNamespaceSelector"), spaces),
    }
    cluster.apply(prometheus("monitoring", **spec), target(namespace))
    eventually(lambda: cluster.condition(namespace, "nodes", "Selected").get("reason") == "NamespaceNotSelected")
    _, *words = shlex.split(cluster.condition(namespace, "nodes", "Selected")["message"].rpartition("run: ")[2])
    cluster.do(*words)
    eventually(lambda: cluster.condition(namespace, "nodes", "Selected").get("status") == "True")
