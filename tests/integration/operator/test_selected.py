"""The status reports whether a Prometheus selects the ServiceMonitor and the PrometheusRules, and what is missing."""

import json
import shlex
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from metricat_cli.__main__ import main
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

    cluster.apply(target(namespace, {"monitor": {"labels": {}}, "alerts": {"labels": {}}}))
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


def labelled(namespace: str, name: str, release: str) -> Manifest:
    """Return a Prometheus with the selectors that kube-prometheus-stack gives it by default."""
    selector = {"matchLabels": {"release": release}}
    selectors = {"serviceMonitorSelector": selector, "ruleSelector": selector}
    every = dict.fromkeys(("serviceMonitorNamespaceSelector", "ruleNamespaceSelector"), EVERY)
    return {
        **prometheus(namespace, **selectors, **every),
        "metadata": {"name": name, "namespace": namespace},
    }


@pytest.mark.usefixtures("prometheus_kind")
def test_labels_follow_the_only_prometheus(cluster: Cluster, namespace: str) -> None:
    def releases() -> list[object]:
        found = [cluster.get(kind, "metricat-nodes", namespace) for kind in ("servicemonitor", "prometheusrule")]
        return [one["metadata"]["labels"].get("release") for one in found if one]

    cluster.apply(labelled(namespace, "first", "kps"), target(namespace))
    selects = f"Prometheus {namespace}/first selects the ServiceMonitor and the PrometheusRule"
    message = f"{selects}; the operator set the labels release=kps"
    eventually(lambda: cluster.condition(namespace, "nodes", "Selected").get("message") == message)
    assert releases() == ["kps", "kps"]

    cluster.apply(labelled(namespace, "first", "renamed"))
    eventually(lambda: releases() == ["renamed", "renamed"])
    cluster.do("delete", "prometheus", "first", "-n", namespace)


@pytest.mark.usefixtures("prometheus_kind")
def test_choice_between_several_prometheuses_is_requested(cluster: Cluster, namespace: str) -> None:
    def selected() -> Manifest:
        return cluster.condition(namespace, "nodes", "Selected")

    cluster.apply(labelled(namespace, "first", "a"), labelled(namespace, "second", "b"), target(namespace))
    eventually(lambda: selected().get("reason") == "SeveralPrometheuses")
    _, *words = shlex.split(selected()["message"].rpartition("run: ")[2])
    cluster.do(*words)
    eventually(lambda: selected().get("status") == "True")
    assert selected()["message"] == f"Prometheus {namespace}/first selects the ServiceMonitor and the PrometheusRule"
    cluster.do("delete", "prometheus", "first", "second", "-n", namespace)


@pytest.mark.usefixtures("prometheus_kind")
def test_diff_compares_with_the_labels_that_the_operator_set(
    cluster: Cluster,
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    file = tmp_path / "target.yaml"

    def difference(spec: Manifest) -> list[str]:
        capsys.readouterr()
        file.write_text(json.dumps(target(namespace, spec)))
        main(["diff", "-f", str(file)])
        lines = capsys.readouterr().out.splitlines()
        return [line.replace(" ", "") for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]

    cluster.apply(labelled(namespace, "k8s", "diffed"), target(namespace))
    eventually(
        lambda: (
            (cluster.get("servicemonitor", "metricat-nodes", namespace) or {"metadata": {}})["metadata"]
            .get("labels", {})
            .get("release")
            == "diffed"
        )
    )
    wait_ready(cluster, namespace)
    own = {"labels": {"release": "diffed"}}
    assert difference({}) == []
    assert difference({"monitor": own, "alerts": own}) == []
    changed = difference({"monitor": {"labels": {"release": "mine"}}})
    assert changed == ["-release:diffed", "+release:mine"]
    cluster.do("delete", "prometheus", "k8s", "-n", namespace)


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
