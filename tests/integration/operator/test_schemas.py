"""The real API server, with the Prometheus Operator's schemas, accepts every target and all objects made from it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from metricat_tools.cluster.api import ClusterApiError
from metricat_tools.generate import chart, golden
from support.boundary_specs import ACCEPTED, REJECTED
from support.harness import CHILD, Cluster, Manifest, eventually, target
from support.paths import CHART, GOLDEN, ROOT
from support.specs import specs

CASES = golden.cases(GOLDEN)
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
CHART_CASES = chart.cases(CHART)
NOT_SERVED = {"GrafanaDashboard", "SecurityContextConstraints"}
"""Kinds whose CRDs the test's API server does not have."""


def dry_run(cluster: Cluster, *manifests: Manifest) -> subprocess.CompletedProcess[str]:
    """Apply as a dry run with strict validation: an unknown field is an error, and nothing is written."""
    command = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-")
    return cluster.run(*command, stdin="---\n".join(json.dumps(one, ensure_ascii=False) + "\n" for one in manifests))


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_golden_targets_and_manifests_are_accepted(cluster: Cluster, case: Path) -> None:
    wanted = yaml.safe_load((case / "target.yaml").read_text())
    manifests = [*yaml.safe_load_all((case / "manifests.yaml").read_text())]
    cluster.api.create("/api/v1/namespaces", {"metadata": {"name": wanted["metadata"]["namespace"]}})
    for manifest in (wanted, *manifests):
        cluster.apply(manifest, dry_run=True)


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.stem for example in EXAMPLES])
def test_examples_and_their_manifests_are_accepted(cluster: Cluster, example: Path) -> None:
    wanted = yaml.safe_load(example.read_text())
    cluster.run("create", "namespace", wanted["metadata"]["namespace"])
    done = dry_run(cluster, wanted, *golden.manifests(wanted))
    assert done.returncode == 0, done.stderr
    assert f"[{example.name}]({example.name})" in (ROOT / "examples" / "README.md").read_text()


@pytest.mark.parametrize("values", CHART_CASES, ids=[case.stem for case in CHART_CASES])
def test_objects_of_the_chart_are_accepted(cluster: Cluster, values: Path) -> None:
    objects = [one for one in yaml.safe_load_all(rendered(values)) if one and one["kind"] not in NOT_SERVED]
    for name in {one["metadata"]["namespace"] for one in objects if "namespace" in one["metadata"]}:
        cluster.run("create", "namespace", name)
    for one in objects:
        if one["kind"] == "ServiceAccount":  # the API server rejects a pod, also in a dry run, whose account is missing
            cluster.apply(one)
    done = dry_run(cluster, *objects)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr


def test_kubectl_installs_without_helm(cluster: Cluster) -> None:
    """`kubectl apply -k config` has the objects of the chart, with the images of its settings."""
    text = cluster.do("kustomize", str(ROOT / "config"))
    objects = list(yaml.safe_load_all(text))
    cluster.run("create", "namespace", "monitoring")
    done = dry_run(cluster, *objects)
    assert done.returncode == 0, done.stderr
    [pods] = [one["spec"]["template"]["spec"] for one in objects if one["kind"] == "Deployment"]
    [container] = pods["containers"]
    values = {one["name"]: one.get("value") for one in container["env"]}
    assert container["image"] == "registry.example.com/you/metricat/operator:0.1.0"
    assert values["METRICAT_AGENT_IMAGE"] == "registry.example.com/you/metricat/agent:0.1.0"
    assert len(values) == len(container["env"])


def rendered(values: Path) -> str:
    done = chart.helm("template", chart.RELEASE, CHART, f"--namespace={chart.NAMESPACE}", f"--values={values}")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", ["MonitoringTarget", "DaemonSet", "Service", "ServiceMonitor", "PrometheusRule"])
def test_unknown_field_is_refused(cluster: Cluster, kind: str) -> None:
    case = next(case for case in CASES if case.name == "minimal")
    wanted = yaml.safe_load((case / "target.yaml").read_text())
    manifests = [wanted, *yaml.safe_load_all((case / "manifests.yaml").read_text())]
    manifest = next(one for one in manifests if one["kind"] == kind)
    manifest["spec"]["colour"] = "blue"
    with pytest.raises(ClusterApiError, match="colour"):
        cluster.apply(manifest, dry_run=True)


@pytest.mark.parametrize("what", REJECTED)
def test_value_beyond_a_boundary_is_rejected(cluster: Cluster, what: str) -> None:
    with pytest.raises(ClusterApiError, match="spec"):
        cluster.create(target("monitoring", REJECTED[what]))


@pytest.mark.parametrize("what", ACCEPTED)
def test_value_at_a_boundary_and_its_manifests_are_accepted(cluster: Cluster, what: str) -> None:
    wanted = target("monitoring", ACCEPTED[what])
    for manifest in (wanted, *golden.manifests(wanted)):
        cluster.apply(manifest, dry_run=True)


@pytest.mark.slow
@settings(max_examples=25, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(spec=specs())
def test_any_valid_spec_and_its_manifests_are_accepted(cluster: Cluster, spec: dict[str, Any]) -> None:
    wanted = target("monitoring", spec)
    done = dry_run(cluster, wanted, *golden.manifests(wanted))
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("operator")
def test_text_beyond_the_basic_plane_reaches_the_object(cluster: Cluster, namespace: str) -> None:
    """JSON encodes this character as two surrogates, which YAML does not have."""
    cluster.do("apply", "-f", "-", stdin=yaml.safe_dump(target(namespace, {"agent": {"extraLabels": {"team": "🦊"}}})))
    eventually(lambda: "🦊" in str(cluster.get("servicemonitor", CHILD, namespace)), seconds=90)  # it may start first
