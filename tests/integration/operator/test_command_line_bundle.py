"""`metricat bundle` on a real API server: the contents of the archive, its masks, and what cannot be read."""

import json
import stat
import tarfile
from pathlib import Path

import pytest
import yaml

from metricat_cli.__main__ import main
from metricat_tools.cluster import ControlPlane
from support.harness import CHILD, Cluster, target, wait_ready

pytestmark = pytest.mark.usefixtures("operator")


@pytest.fixture(autouse=True)
def kubeconfig(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))


def contents(archive: Path) -> dict[str, str]:
    """Return the files of an archive without their folder."""
    with tarfile.open(archive) as tar:
        opened = {entry.name: tar.extractfile(entry) for entry in tar}
        return {name.partition("/")[2]: file.read().decode() for name, file in opened.items() if file}


def test_bundle_contains_objects_events_and_versions_without_secrets(
    cluster: Cluster,
    control_plane: ControlPlane,
    namespace: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cluster.do("create", "secret", "generic", "web", "-n", namespace, "--from-literal=password=hunter2")
    probe = {"name": "shop", "url": "https://shop.example/health?token=hunter2"}
    cluster.apply(target(namespace, {"agent": {"collectors": {"probe": {"targets": [probe]}}}}))
    wait_ready(cluster, namespace)
    archive = tmp_path / "support.tar.gz"
    before = len(control_plane.audit_log.read_text())
    assert main(["bundle", "-n", namespace, "-f", str(archive), "-o", "json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    files = contents(archive)
    assert listed["file"] == str(archive)
    assert {one["name"]: one["bytes"] for one in listed["contents"]} == {
        name: len(text.encode()) for name, text in files.items()
    }
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    folder = f"targets/{namespace}/nodes"
    assert {"versions.yaml", "checks.yaml", "nodes.yaml", "crd.yaml", f"{folder}/target.yaml"} <= files.keys()
    assert {f"{folder}/daemonsets/{CHILD}.yaml", f"{folder}/servicemonitors/{CHILD}.yaml"} <= files.keys()
    shown = yaml.safe_load(files[f"{folder}/target.yaml"])
    assert {one["type"] for one in shown["status"]["conditions"]} >= {"Accepted", "Ready"}
    assert "managedFields" not in shown["metadata"]
    assert all(yaml.safe_load(text) is not None for name, text in files.items() if name.endswith(".yaml"))
    assert len(yaml.safe_load(files[f"{folder}/pods.yaml"])) == 3
    assert yaml.safe_load(files[f"{folder}/events.yaml"])
    assert yaml.safe_load(files["versions.yaml"])["kubernetes"].startswith("v1.")
    assert "hunter2" not in "".join(files.values())
    assert "https://shop.example/health?token=***" in files[f"{folder}/target.yaml"]
    # Simulated nodes have no kubelet that returns logs, and no Prometheus runs.
    assert f"{folder}/logs/" in files["errors.txt"]
    assert f"{folder}/prometheus-targets.yaml: the status names no Prometheus" in files["errors.txt"]
    logged = control_plane.audit_log.read_text()[before:].splitlines()
    requests = [line for line in logged if '"userAgent":"metricat-cli"' in line]
    assert requests
    assert [line for line in requests if "/secrets" in line] == []

    assert main(["bundle", "-n", namespace, "-f", str(archive)]) == 1
    assert f"{archive} exists. Choose another --file" in capsys.readouterr().err


def test_dry_run_writes_no_archive(
    cluster: Cluster,
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    assert main(["bundle", "-n", namespace, "--dry-run", "--agents", "0"]) == 0
    shown = capsys.readouterr().out
    assert f"targets/{namespace}/nodes/target.yaml" in shown
    assert "/logs/" not in shown
    assert shown.endswith("No archive is written: --dry-run.\n")
    assert list(tmp_path.iterdir()) == []


def test_bundle_of_a_user_without_rights_names_what_is_missing(
    namespace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "support.tar.gz"
    assert main(["bundle", "-n", namespace, "--as", "ada", "--dry-run"]) == 0
    listed, _, rest = capsys.readouterr().out.partition("\nParts that could not be read: ")
    number, *errors = rest.removesuffix("\n\nNo archive is written: --dry-run.\n").splitlines()
    assert "errors.txt" in listed
    assert int(number.removesuffix(".")) == len(errors)
    assert main(["bundle", "-n", namespace, "--as", "ada", "-f", str(archive)]) == 0
    assert "Parts that could not be read: " in capsys.readouterr().out
    files = contents(archive)
    assert files["errors.txt"].splitlines() == errors
    assert 'operators: deployments.apps is forbidden: User "ada"' in files["errors.txt"]
    assert "versions.yaml" in files
    assert main(["bundle", "-f", str(tmp_path / "no" / "x.tar.gz"), "--as", "ada"]) == 1
    assert "No such file or directory. Choose another --file" in capsys.readouterr().err
