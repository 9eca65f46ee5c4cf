"""The operator as the chart installs it, on the real API server: under its own ServiceAccount, never as admin."""

import os
import secrets
from collections.abc import Iterator

import pytest

from metricat_tools.binaries.table import OLD_KUBERNETES
from metricat_tools.cluster import ControlPlane
from support.harness import OLD, Cluster, RunningOperator
from support.operator_cluster import Replica, prepare, replicas

NODES = 3


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """One control plane per worker; each test creates its own namespaces."""
    with ControlPlane.start(f"operator-{os.getpid()}", old=OLD) as started:
        assert not OLD or started.api.get("/version")["gitVersion"] == OLD_KUBERNETES.version
        yield started


@pytest.fixture(scope="session")
def cluster(control_plane: ControlPlane) -> Cluster:
    return prepare(control_plane, NODES)


@pytest.fixture(scope="session")
def replica(cluster: Cluster, control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Replica:
    return replicas(cluster, control_plane, tmp_path_factory.mktemp("operator"))


@pytest.fixture(scope="session")
def operator(replica: Replica) -> Iterator[RunningOperator]:
    running = replica("metricat-a")
    with running.alive():
        yield running


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own."""
    test = request.node.name.partition("[")[0].replace("_", "-")[:50].strip("-")
    name = f"{test}-{secrets.token_hex(3)}"  # of an earlier run of the same test the namespace may still be going
    cluster.api.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    cluster.api.call("DELETE", f"/apis/metricat.dev/v1alpha1/namespaces/{name}/monitoringtargets")
    cluster.api.call("DELETE", f"/api/v1/namespaces/{name}")
