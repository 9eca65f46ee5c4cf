"""The operator as the chart installs it, on the real API server: under its own ServiceAccount, never as admin."""

import os
import secrets
from collections.abc import Callable, Iterator

import pytest

from metricat_operator.child_kinds import CHILD_KINDS
from metricat_tools.binaries import ensure
from metricat_tools.binaries.table import OLD_KUBERNETES
from metricat_tools.cluster import ControlPlane
from support.harness import OLD, Cluster, RunningOperator, crd_file, free_port, install_chart
from support.paths import ROOT

NODES = 3


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """One control plane per worker; each test creates its own namespaces."""
    with ControlPlane.start(f"operator-{os.getpid()}", old=OLD) as started:
        assert not OLD or started.api.get("/version")["gitVersion"] == OLD_KUBERNETES.version
        yield started


@pytest.fixture(scope="session")
def cluster(control_plane: ControlPlane) -> Cluster:
    """The control plane with simulated nodes, all CRDs, and all objects of the chart except the Deployment."""
    cluster = Cluster(control_plane.kubeconfig, ensure("kubectl")["kubectl"], control_plane.api)
    cluster.do("apply", "--server-side", "-f", str(ROOT / "crds"))
    for kind in (kind for kind in CHILD_KINDS if kind.optional):
        cluster.do("apply", "--server-side", "-f", str(crd_file(kind.plural)))
    cluster.do("create", "namespace", "monitoring")
    install_chart(cluster, "metricat")
    control_plane.simulate_nodes(NODES)
    control_plane.restart("kube-controller-manager")  # its garbage collector looks for new kinds twice a minute only
    return cluster


Replica = Callable[..., RunningOperator]
"""An operator that is not started yet, as it would run in the pod of this name, under the ServiceAccount `name`."""


@pytest.fixture(scope="session")
def replica(cluster: Cluster, control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Replica:
    folder = tmp_path_factory.mktemp("operator")

    def made(pod: str, name: str = "metricat", **settings: str) -> RunningOperator:
        spec = {"serviceAccountName": name, "containers": [{"name": "operator", "image": "metricat/operator:x"}]}
        metadata = {"name": pod, "namespace": "monitoring"}
        cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        made = cluster.get("pod", pod, "monitoring")
        assert made is not None
        environment = {
            **os.environ,
            "KUBECONFIG": str(control_plane.service_account_kubeconfig("monitoring", name, pod=pod)),
            "METRICAT_AGENT_IMAGE": "metricat/agent:test",
            "METRICAT_HEALTH_PORT": str(free_port()),
            "METRICAT_METRICS_PORT": str(free_port()),
            "METRICAT_LEASE": f"monitoring/{name}",
            "METRICAT_POD_NAME": pod,
            "METRICAT_POD_UID": made["metadata"]["uid"],
            "METRICAT_LOG_LEVEL": "DEBUG",
            **settings,
        }
        return RunningOperator(environment, folder / f"{pod}.log")

    return made


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
