"""Metricat and the Prometheus Operator agree on which instance selects an object, and the printed patch works."""

import base64
import gzip
import json
import shlex
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import pytest

from metricat_operator.cluster.cluster_cache import instance, trim_instance
from metricat_operator.cluster.kinds import MONITOR_FIELDS, RULE_FIELDS
from metricat_operator.facts.model import Manifest, Selector
from metricat_operator.verification.selection import Subject, selection_problem
from metricat_tools.demo.demo_cluster import SERVICE, DemoCluster
from metricat_tools.stack.apis import NAMESPACE
from metricat_tools.stack.wait import until

pytestmark = pytest.mark.e2e
ELSEWHERE = "elsewhere"
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


@dataclass(frozen=True)
class Case:
    """A kind of instance, the kind of object that it selects, and what the Prometheus Operator writes for it."""

    kind: str
    version: str
    object_kind: str
    fields: tuple[str, str]
    written: str
    spec: Mapping[str, object]


# The Prometheus Operator does not configure an instance without any selector, so each also selects pod monitors.
_OTHER_SELECTOR = {"podMonitorSelector": {"matchLabels": {"no": "such"}}}
CASES = (
    Case("Prometheus", "v1", "ServiceMonitor", MONITOR_FIELDS, "prometheus-{}", _OTHER_SELECTOR),
    Case("Prometheus", "v1", "PrometheusRule", RULE_FIELDS, "prometheus-{}-rulefiles-0", _OTHER_SELECTOR),
    Case("PrometheusAgent", "v1alpha1", "ServiceMonitor", MONITOR_FIELDS, "prom-agent-{}", _OTHER_SELECTOR),
    Case("ThanosRuler", "v1", "PrometheusRule", RULE_FIELDS, "thanos-ruler-{}-rulefiles-0", {"queryEndpoints": ["x"]}),
)
Made = list[Manifest]


@pytest.fixture(
    params=[
        pytest.param(case, id=f"{case.kind} of {case.object_kind}s", marks=[pytest.mark.slow] if number else [])
        for number, case in enumerate(CASES)
    ]
)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture
def made(demo: DemoCluster, case: Case) -> Iterator[Made]:
    """Create an instance for each combination, without pods: the Prometheus Operator writes configurations anyway."""
    combinations = [
        *product((ELSEWHERE,), SELECTORS[:4], NAMESPACES),
        *product((NAMESPACE,), SELECTORS, NAMESPACES[:1]),
        *product((ELSEWHERE,), SELECTORS[4:], NAMESPACES[1:2]),
    ]
    manifests = [
        {
            "apiVersion": f"monitoring.coreos.com/{case.version}",
            "kind": case.kind,
            "metadata": {"name": f"{case.object_kind.lower()}-{number}", "namespace": namespace},
            "spec": {
                "replicas": 0,
                **case.spec,
                **{
                    field: selector
                    for field, selector in zip(case.fields, selectors, strict=True)
                    if selector is not None
                },
            },
        }
        for number, (namespace, *selectors) in enumerate(combinations)
    ]
    text = "\n---\n".join(map(json.dumps, manifests))
    demo.kubectl.apply(json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ELSEWHERE}}))
    demo.kubectl.apply(text)
    yield manifests
    demo.kubectl.run("delete", "-f", "-", stdin=text)
    demo.kubectl.run("delete", "namespace", ELSEWHERE)


FILLED_SECONDS = 60
"""The Prometheus Operator creates a configuration empty, and fills it later."""


def configured(demo: DemoCluster, case: Case) -> dict[tuple[str, str], bool]:
    """Return, by namespace and name of each written configuration, whether it has the target's object."""
    monitors = case.object_kind == "ServiceMonitor"
    found = {}
    for one in demo.kubectl.items("secrets" if monitors else "configmaps", "--all-namespaces"):
        data, metadata = one.get("data") or {}, one["metadata"]
        key = (metadata["namespace"], metadata["name"])
        if not monitors:
            found[key] = any(file.startswith(f"{NAMESPACE}-{SERVICE}-") for file in data)
        elif "prometheus.yaml.gz" in data:
            configuration = gzip.decompress(base64.b64decode(data["prometheus.yaml.gz"])).decode()
            found[key] = f"serviceMonitor/{NAMESPACE}/{SERVICE}/" in configuration
    return found


def test_selection_agrees_with_the_prometheus_operator(demo: DemoCluster, case: Case, made: Made) -> None:
    assert len(made) >= 20
    names = [(one["metadata"]["namespace"], case.written.format(one["metadata"]["name"])) for one in made]
    until("every configuration", lambda: configured(demo, case).keys() >= set(names), seconds=120)
    ours = demo.kubectl.get(case.object_kind.lower(), SERVICE, "--namespace", NAMESPACE)
    labels = demo.kubectl.get("namespace", NAMESPACE)["metadata"]["labels"]
    subject = Subject(case.object_kind, "", ours, labels)
    expected = {str(one): selection_problem("nodes", subject, instance(trim_instance(one))) is None for one in made}
    assert set(expected.values()) == {True, False}
    deadline = time.monotonic() + FILLED_SECONDS
    while True:
        written = configured(demo, case)
        theirs = {str(one): written[name] for one, name in zip(made, names, strict=True)}
        if theirs == expected or time.monotonic() > deadline:
            break
        time.sleep(1)
    assert expected == theirs


def selected(demo: DemoCluster) -> dict[str, str]:
    conditions = demo.kubectl.get("mtarget", "nodes", "--namespace", NAMESPACE)["status"]["conditions"]
    found: dict[str, str] = next(one for one in conditions if one["type"] == "Selected")
    return found


def set_monitor_labels(demo: DemoCluster, labels: dict[str, str | None] | None) -> None:
    patch = json.dumps({"spec": {"monitor": {"labels": labels}}})
    demo.kubectl.run("patch", "mtarget", "nodes", "--namespace", NAMESPACE, "--type=merge", f"--patch={patch}")


def test_labels_that_the_prometheus_requires_are_set(demo: DemoCluster) -> None:
    set_monitor_labels(demo, None)
    message = "the operator set the labels release=demo"
    until("the labels to be reported", lambda: selected(demo)["message"].endswith(message), seconds=60)
    ours = demo.kubectl.get("servicemonitor", SERVICE, "--namespace", NAMESPACE)
    assert ours["metadata"]["labels"]["release"] == "demo"


def test_missing_label_is_reported_and_the_patch_works(demo: DemoCluster) -> None:
    until("a Prometheus to select the monitor", lambda: selected(demo)["status"] == "True", seconds=60)
    set_monitor_labels(demo, {"release": None})
    until("the missing label to be reported", lambda: selected(demo)["reason"] == "LabelMissing", seconds=60)
    start = f"Prometheus {NAMESPACE}/demo does not select the ServiceMonitor: it requires release=demo."
    assert selected(demo)["message"].startswith(start)
    _, *words = shlex.split(selected(demo)["message"].rpartition("run: ")[2])
    demo.kubectl.run(*words)
    until("a Prometheus to select the monitor", lambda: selected(demo)["status"] == "True", seconds=60)
    since = time.time()

    def up() -> list[float]:
        return [one.value for one in demo.prometheus.scraped_since(since, f'up{{service="{SERVICE}"}}')]

    until("both to be scraped", lambda: up() == [1, 1])
    set_monitor_labels(demo, None)
