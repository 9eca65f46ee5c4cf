"""`metricat migrate --release` on a real API server: a Helm release, and the target that it becomes."""

import base64
import gzip
import json

import pytest
import yaml

from metricat_cli.__main__ import main
from support.harness import Cluster, wait_ready

pytestmark = pytest.mark.usefixtures("operator")


@pytest.fixture(autouse=True)
def kubeconfig(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))


def store_release(cluster: Cluster, namespace: str, revision: int, config: object) -> None:
    """Write a release as Helm stores it: gzip, base64, and base64 of the Secret."""
    release = {"name": "kps", "chart": {"metadata": {"name": "kube-prometheus-stack"}}, "config": config}
    packed = base64.b64encode(gzip.compress(json.dumps(release).encode()))
    labels = {"owner": "helm", "name": "kps", "version": str(revision)}
    metadata = {"name": f"sh.helm.release.v1.kps.v{revision}", "namespace": namespace, "labels": labels}
    data = {"release": base64.b64encode(packed).decode()}
    secret = {"metadata": metadata, "type": "helm.sh/release.v1", "data": data}
    cluster.api.call("POST", f"/api/v1/namespaces/{namespace}/secrets", secret)


def test_release_becomes_a_target_that_the_server_accepts(
    cluster: Cluster, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store_release(cluster, namespace, 9, {"prometheus-node-exporter": {"extraArgs": ["--no-collector.cpu"]}})
    arguments = ["--no-collector.netdev", "--collector.systemd"]
    store_release(cluster, namespace, 10, {"prometheus-node-exporter": {"extraArgs": arguments}})
    assert main(["migrate", "--release", "kps", "-n", namespace]) == 0
    printed = capsys.readouterr()
    target = yaml.safe_load(printed.out)
    assert target["spec"] == {
        "monitor": {"labels": {"release": "kps"}},
        "alerts": {"labels": {"release": "kps"}},
        "agent": {"collectors": {"netdev": {"enabled": False}}},
    }
    assert "The agent has no collector systemd" in printed.err
    cluster.apply(target)
    wait_ready(cluster, namespace)


def test_missing_and_damaged_releases_name_the_remedy(
    cluster: Cluster, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["migrate", "--release", "kps", "-n", namespace]) == 1
    assert f"no Helm release kps in the namespace {namespace}. See: helm list -A" in capsys.readouterr().err
    metadata = {"name": "broken", "namespace": namespace, "labels": {"owner": "helm", "name": "kps", "version": "1"}}
    secret = {"metadata": metadata, "data": {"release": base64.b64encode(b"?").decode()}}
    cluster.api.call("POST", f"/api/v1/namespaces/{namespace}/secrets", secret)
    assert main(["migrate", "--release", "kps", "-n", namespace]) == 1
    error = capsys.readouterr().err
    assert "cannot read the Helm release in the Secret broken: " in error
    assert "Use a file with its values: helm get values kps -n" in error
    assert main(["migrate", "--release", "kps", "-n", namespace, "--as", "ada"]) == 1
    assert 'User "ada" cannot list resource "secrets"' in capsys.readouterr().err
