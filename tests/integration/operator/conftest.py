"""The operator as the chart installs it, on the real API server: under its own ServiceAccount, never as admin."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from metricat_tools.cluster import ControlPlane
from metricat_tools.programs import ensure
from support.operating import Cluster, RunningOperator, crd_file, free_port

ROOT = Path(__file__).parents[3]
NODES = 3


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """One of the operator's own: it counts nodes, and others break theirs."""
    with ControlPlane.start(f"operator-{os.getpid()}") as started:
        yield started


@pytest.fixture(scope="session")
def cluster(control_plane: ControlPlane) -> Cluster:
    """The control plane with simulated nodes, all CRDs, and what the chart brings besides the Deployment."""
    programs = ensure("kubectl", "helm")
    cluster = Cluster(control_plane.api, control_plane.kubeconfig, programs["kubectl"])
    cluster.do("apply", "--server-side", "-f", str(ROOT / "crds"))
    for plural in ("servicemonitors", "prometheusrules", "alertmanagerconfigs"):
        cluster.do("apply", "--server-side", "-f", str(crd_file(plural)))
    cluster.do("create", "namespace", "monitoring")
    rendered = subprocess.run(
        [programs["helm"], "template", "metricat", ROOT / "charts" / "metricat", "-n", "monitoring"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    wanted = {"ServiceAccount", "ClusterRole", "ClusterRoleBinding"}
    manifests = [manifest for manifest in yaml.safe_load_all(rendered) if manifest and manifest["kind"] in wanted]
    assert len(manifests) == 6  # the operator's, and those of the upgrade hook
    cluster.apply(*manifests)
    control_plane.simulate_nodes(NODES)
    return cluster


@pytest.fixture(scope="session")
def operator(
    cluster: Cluster,  # noqa: ARG001 (it holds the ServiceAccount)
    control_plane: ControlPlane,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningOperator]:
    kubeconfig = control_plane.service_account_kubeconfig("monitoring", "metricat")
    environment = {
        **os.environ,
        "KUBECONFIG": str(kubeconfig),
        "METRICAT_AGENT_IMAGE": "metricat/agent:test",
        "METRICAT_HEALTH_PORT": str(free_port()),
        "METRICAT_LOG_LEVEL": "DEBUG",
    }
    running = RunningOperator(environment, tmp_path_factory.mktemp("operator") / "operator.log")
    running.start()
    try:
        yield running
        assert running.stop() == 0
        assert running.errors() == []
    finally:
        running.kill()
        sys.stderr.write(running.log.read_text()[-20_000:])  # pytest shows it where a test failed


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own."""
    test = request.node.name.partition("[")[0].replace("_", "-")[:50].strip("-")
    name = f"{test}-{secrets.token_hex(3)}"  # of an earlier run of the same test the namespace may still be going
    cluster.do("create", "namespace", name)
    yield name
    cluster.do("delete", "mtarget", "--all", "-n", name, "--wait=false")
    cluster.do("delete", "namespace", name, "--wait=false")
