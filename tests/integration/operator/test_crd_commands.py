"""`metricat-operator apply-crds` and `delete-crds`, with the roles of the chart's hooks."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from metricat_tools.binaries import ensure
from metricat_tools.cluster import ControlPlane
from support.harness import Cluster, eventually, install_chart, target
from support.paths import ROOT

CRDS = ("leaderfences.metricat.dev", "monitoringtargets.metricat.dev")


@pytest.fixture(scope="module")
def own_control_plane() -> Iterator[ControlPlane]:
    """A control plane without operators of other tests."""
    with ControlPlane.start(f"crds-{os.getpid()}") as started:
        yield started


@pytest.fixture(scope="module")
def empty(own_control_plane: ControlPlane) -> Cluster:
    """A cluster with the roles of the chart and without CRDs."""
    made = Cluster(own_control_plane.kubeconfig, ensure("kubectl")["kubectl"], own_control_plane.api)
    made.do("create", "namespace", "monitoring")
    made.do("create", "namespace", "other")
    install_chart(made, "metricat", "crds.keep=false")
    return made


def command(control_plane: ControlPlane, account: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "KUBECONFIG": str(control_plane.service_account_kubeconfig("monitoring", account))}
    words = [sys.executable, "-m", "metricat_operator", *arguments]
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=120)


def delete(control_plane: ControlPlane) -> subprocess.CompletedProcess[str]:
    return command(control_plane, "metricat-delete-crds", "delete-crds", "--operator=monitoring/metricat")


def apply(control_plane: ControlPlane) -> None:
    done = command(control_plane, "metricat-crds", "apply-crds", str(ROOT / "crds"))
    assert done.returncode == 0, done.stderr
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == list(CRDS)


def served(cluster: Cluster) -> bool:
    return cluster.run("get", "mtarget,leaderfence", "-A").returncode == 0


def left(cluster: Cluster) -> str:
    return cluster.do("get", "crd", "-o", "name")


def operator_at(cluster: Cluster, namespace: str, name: str, renewed: datetime) -> None:
    """Create the LeaderFence and the Lease of an operator that renewed its Lease at this time."""
    cluster.do(
        "apply",
        "-f",
        "-",
        stdin=f"""
apiVersion: metricat.dev/v1alpha1
kind: LeaderFence
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{holderIdentity: pod}}
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{holderIdentity: pod, renewTime: "{renewed:%Y-%m-%dT%H:%M:%S.%fZ}"}}
""",
    )


def test_delete_crds_deletes_all_targets_after_the_last_operator(
    empty: Cluster, own_control_plane: ControlPlane
) -> None:
    apply(own_control_plane)
    eventually(lambda: served(empty))
    empty.apply(target("other"))
    now = datetime.now(UTC)
    operator_at(empty, "monitoring", "metricat", now)  # the release itself: its Lease may be recent
    operator_at(empty, "other", "second", now)

    done = delete(own_control_plane)
    assert (done.returncode, done.stderr) == (0, "")
    assert "the operator other/second runs: keeping the CRDs" in done.stdout
    assert all(name in left(empty) for name in CRDS)
    assert empty.get("mtarget", "nodes", "other")

    operator_at(empty, "other", "second", now - timedelta(seconds=90))
    done = delete(own_control_plane)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{name}: deleted" for name in reversed(CRDS)]
    eventually(lambda: not any(name in left(empty) for name in CRDS))

    done = delete(own_control_plane)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    apply(own_control_plane)
    eventually(lambda: served(empty))
    assert empty.get("mtarget", "nodes", "other") is None


def test_missing_permission_is_reported(empty: Cluster, own_control_plane: ControlPlane, tmp_path: Path) -> None:
    empty.do("create", "serviceaccount", "nobody", "-n", "monitoring")
    (tmp_path / "crd.yaml").write_text((ROOT / "crds" / "metricat.dev_leaderfences.yaml").read_text())
    for arguments in (("delete-crds", "--operator=monitoring/metricat"), ("apply-crds", str(tmp_path))):
        done = command(own_control_plane, "nobody", *arguments)
        assert done.returncode == 1
        assert "forbidden" in done.stderr
