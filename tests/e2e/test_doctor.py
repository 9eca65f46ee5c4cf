"""The doctor's verdict is the Prometheus Operator's own, and a broken link is named and mended as it says."""

import base64
import gzip
import json
import shlex
from collections.abc import Iterator
from itertools import product

import pytest

from metricat_operator.cluster.facts import taker, trim_taker
from metricat_operator.doctor import Subject, obstacle
from metricat_operator.observed import Selector
from metricat_tools.demo.scene import SERVICE, Scene
from metricat_tools.stack.ask import NAMESPACE
from metricat_tools.stack.wait import until

pytestmark = pytest.mark.e2e
ELSEWHERE = "doctor"
SELECTORS: tuple[Selector, ...] = (
    None,
    {},
    {"matchLabels": {"release": "demo"}},
    {"matchLabels": {"release": "other"}},
    {"matchExpressions": [{"key": "release", "operator": "In", "values": ["demo", "other"]}]},
    {"matchExpressions": [{"key": "release", "operator": "NotIn", "values": ["demo"]}]},
    {"matchExpressions": [{"key": "absent", "operator": "NotIn", "values": ["x"]}]},
    {"matchExpressions": [{"key": "release", "operator": "Exists"}]},
    {"matchLabels": {"release": "demo"}, "matchExpressions": [{"key": "release", "operator": "DoesNotExist"}]},
)
NAMESPACES: tuple[Selector, ...] = (
    None,
    {},
    {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}},
    {"matchLabels": {"kubernetes.io/metadata.name": ELSEWHERE}},
)


@pytest.fixture
def prometheuses(scene: Scene) -> Iterator[list[tuple[str, str]]]:
    """One for each combination, without a pod: the Prometheus Operator writes their configuration all the same."""
    combinations = [
        *product((ELSEWHERE,), SELECTORS[:4], NAMESPACES),
        *product((NAMESPACE,), SELECTORS, NAMESPACES[:1]),
        *product((ELSEWHERE,), SELECTORS[4:], NAMESPACES[1:2]),
    ]
    scene.kubectl.apply(json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ELSEWHERE}}))
    made = []
    for number, (namespace, selector, spaces) in enumerate(combinations):
        chosen = {"serviceMonitorSelector": selector, "serviceMonitorNamespaceSelector": spaces}
        spec = {key: value for key, value in chosen.items() if value is not None}
        name = f"doctor-{number}"
        # A pod monitor selector beside: one without any selector is not configured by the Prometheus Operator at all.
        manifest = {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "Prometheus",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"replicas": 0, "podMonitorSelector": {"matchLabels": {"no": "such"}}, **spec},
        }
        scene.kubectl.apply(json.dumps(manifest))
        made.append((namespace, name))
    yield made
    for namespace, name in made:
        scene.kubectl.run("delete", "prometheus", name, "--namespace", namespace)
    scene.kubectl.run("delete", "namespace", ELSEWHERE, "--wait=false")


def takes(scene: Scene, namespace: str, name: str) -> bool | None:
    """Whether the configuration that the Prometheus Operator wrote scrapes us; None while there is none."""
    secret = f"prometheus-{name}"
    found = scene.kubectl.run("get", "secret", secret, "--namespace", namespace, "--ignore-not-found", "--output=json")
    data = json.loads(found).get("data", {}) if found else {}
    if "prometheus.yaml.gz" not in data:
        return None
    configuration = gzip.decompress(base64.b64decode(data["prometheus.yaml.gz"])).decode()
    return f"serviceMonitor/{NAMESPACE}/{SERVICE}/" in configuration


def test_the_verdict_is_the_prometheus_operators(scene: Scene, prometheuses: list[tuple[str, str]]) -> None:
    assert len(prometheuses) >= 20
    until("their configurations", lambda: all(takes(scene, *one) is not None for one in prometheuses), seconds=120)
    monitor = scene.kubectl.get("servicemonitor", SERVICE, "--namespace", NAMESPACE)
    labels = scene.kubectl.get("namespace", NAMESPACE)["metadata"]["labels"]
    subject = Subject("ServiceMonitor", "monitor.labels", monitor, labels)
    ours, theirs = {}, {}
    for namespace, name in prometheuses:
        manifest = scene.kubectl.get("prometheus", name, "--namespace", namespace)
        words = str(manifest["spec"])
        ours[name, words] = obstacle("nodes", subject, taker(trim_taker(manifest))) is None
        theirs[name, words] = takes(scene, namespace, name)
    assert ours == theirs
    assert set(ours.values()) == {True, False}


def test_a_label_that_is_missing_is_named_and_the_patch_mends_it(scene: Scene) -> None:
    def told() -> dict[str, str]:
        conditions = scene.kubectl.get("mtarget", "nodes", "--namespace", NAMESPACE)["status"]["conditions"]
        found: dict[str, str] = next(one for one in conditions if one["type"] == "Discovered")
        return found

    until("a Prometheus to select us", lambda: told()["status"] == "True", seconds=60)
    patch = '{"spec": {"monitor": {"labels": null}}}'
    scene.kubectl.run("patch", "mtarget", "nodes", "--namespace", NAMESPACE, "--type=merge", f"--patch={patch}")
    until("the missing label to be named", lambda: told()["reason"] == "LabelMissing", seconds=60)
    start = f"Prometheus {NAMESPACE}/demo does not select the ServiceMonitor: it asks for release=demo; kubectl patch"
    assert told()["message"].startswith(start)
    _, *words = shlex.split(told()["message"].rpartition("; ")[2])
    scene.kubectl.run(*words)
    until("a Prometheus to select us", lambda: told()["status"] == "True", seconds=60)
    until("both to be scraped", lambda: len(scene.prometheus.query(f'up{{service="{SERVICE}"}} == 1')) == 2)
