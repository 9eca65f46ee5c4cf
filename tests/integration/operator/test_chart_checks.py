"""Values that the chart rejects because of what the cluster has. `helm install --dry-run=server` writes nothing."""

import subprocess

import pytest

from metricat_tools.binaries import ensure
from support.harness import Cluster
from support.paths import CHART


def install(cluster: Cluster, *values: str) -> subprocess.CompletedProcess[str]:
    helm = str(ensure("helm")["helm"])
    flags = ["--namespace=default", "--dry-run=server", f"--kubeconfig={cluster.kubeconfig}"]
    command = [helm, "install", "release", str(CHART), *flags, *(f"--set={value}" for value in values)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_install_with_the_unpublished_default_image_is_rejected(cluster: Cluster) -> None:
    done = install(cluster)
    assert done.returncode != 0
    assert "image.operator.repository is the default metricat/operator, which no registry has" in done.stderr
    assert "set image.operator.repository and image.agent.repository" in done.stderr


@pytest.mark.parametrize(
    "value",
    [
        "image.operator.repository=registry.example.com/metricat/operator",
        "image.operator.tag=0.1.0",
        "global.imageRegistry=registry.example.com",
    ],
)
def test_install_with_an_image_of_the_user_is_accepted(cluster: Cluster, value: str) -> None:
    done = install(cluster, value)
    assert done.returncode == 0, done.stderr


def test_install_for_a_namespace_that_does_not_exist_is_rejected(cluster: Cluster) -> None:
    done = install(cluster, "image.operator.tag=0.1.0", "operator.namespaces={default,kube-system,absent}")
    assert done.returncode != 0
    assert "the namespace absent does not exist. Create it first: kubectl create namespace absent" in done.stderr


def test_install_without_crds_is_accepted_if_the_cluster_has_them(cluster: Cluster) -> None:
    done = install(cluster, "image.operator.tag=0.1.0", "crds.install=false")
    assert done.returncode == 0, done.stderr
