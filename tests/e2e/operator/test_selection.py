"""The doctor's verdict is the Prometheus Operator's own, and a broken link is named and mended as it says."""

import base64
import gzip
import json
import shlex
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


@dataclass(frozen=True)
class Case:
    """What takes which of our objects, and where the Prometheus Operator writes down what it is given."""

    kind: str
    version: str
    what: str
    fields: tuple[str, str]
    written: str
    spec: Mapping[str, object]


# A pod monitor selector beside: one without any selector is not configured by the Prometheus Operator at all.
_BESIDE = {"podMonitorSelector": {"matchLabels": {"no": "such"}}}
CASES = (
    Case("Prometheus", "v1", "ServiceMonitor", MONITOR_FIELDS, "prometheus-{}", _BESIDE),
    Case("Prometheus", "v1", "PrometheusRule", RULE_FIELDS, "prometheus-{}-rulefiles-0", _BESIDE),
    Case("PrometheusAgent", "v1alpha1", "ServiceMonitor", MONITOR_FIELDS, "prom-agent-{}", _BESIDE),
    Case("ThanosRuler", "v1", "PrometheusRule", RULE_FIELDS, "thanos-ruler-{}-rulefiles-0", {"queryEndpoints": ["x"]}),
)
Made = list[Manifest]


@pytest.fixture(
    params=[
        pytest.param(case, id=f"{case.kind} of {case.what}s", marks=[pytest.mark.slow] if number else [])
        for number, case in enumerate(CASES)
    ]
)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture
def made(demo: DemoCluster, case: Case) -> Iterator[Made]:
    """One for each combination, without a pod: the Prometheus Operator writes what it would be given all the same."""
    combinations = [
        *product((ELSEWHERE,), SELECTORS[:4], NAMESPACES),
        *product((NAMESPACE,), SELECTORS, NAMESPACES[:1]),
        *product((ELSEWHERE,), SELECTORS[4:], NAMESPACES[1:2]),
    ]
    manifests = [
        {
            "apiVersion": f"monitoring.coreos.com/{case.version}",
            "kind": case.kind,
            "metadata": {"name": f"{case.what.lower()}-{number}", "namespace": namespace},
            "spec": {
                "replicas": 0,
                **case.spec,
                **{field: said for field, said in zip(case.fields, selectors, strict=True) if said is not None},
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


def given(demo: DemoCluster, case: Case) -> dict[tuple[str, str], bool]:
    """Whether ours is in what the Prometheus Operator wrote, by namespace and name of what it wrote."""
    monitors = case.what == "ServiceMonitor"
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


def test_the_verdict_is_the_prometheus_operators(demo: DemoCluster, case: Case, made: Made) -> None:
    assert len(made) >= 20
    names = [(one["metadata"]["namespace"], case.written.format(one["metadata"]["name"])) for one in made]
    until("what each is given", lambda: given(demo, case).keys() >= set(names), seconds=120)
    ours = demo.kubectl.get(case.what.lower(), SERVICE, "--namespace", NAMESPACE)
    labels = demo.kubectl.get("namespace", NAMESPACE)["metadata"]["labels"]
    subject = Subject(case.what, "", ours, labels)
    written = given(demo, case)
    theirs = {str(one): written[name] for one, name in zip(made, names, strict=True)}
    assert {
        str(one): selection_problem("nodes", subject, instance(trim_instance(one))) is None for one in made
    } == theirs
    assert set(theirs.values()) == {True, False}


def test_a_label_that_is_missing_is_named_and_the_patch_mends_it(demo: DemoCluster) -> None:
    def told() -> dict[str, str]:
        conditions = demo.kubectl.get("mtarget", "nodes", "--namespace", NAMESPACE)["status"]["conditions"]
        found: dict[str, str] = next(one for one in conditions if one["type"] == "Selected")
        return found

    until("a Prometheus to select us", lambda: told()["status"] == "True", seconds=60)
    patch = '{"spec": {"monitor": {"labels": null}}}'
    demo.kubectl.run("patch", "mtarget", "nodes", "--namespace", NAMESPACE, "--type=merge", f"--patch={patch}")
    until("the missing label to be named", lambda: told()["reason"] == "LabelMissing", seconds=60)
    start = f"Prometheus {NAMESPACE}/demo does not select the ServiceMonitor: it requires release=demo."
    assert told()["message"].startswith(start)
    _, *words = shlex.split(told()["message"].rpartition("run: ")[2])
    demo.kubectl.run(*words)
    until("a Prometheus to select us", lambda: told()["status"] == "True", seconds=60)
    until("both to be scraped", lambda: len(demo.prometheus.query(f'up{{service="{SERVICE}"}} == 1')) == 2)
