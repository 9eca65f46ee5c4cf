"""`metricat` on a real API server, with a running operator: status, checks, nodes and versions, healthy and broken."""

import json
from pathlib import Path
from typing import Any

import pytest

from metricat_cli.__main__ import main
from metricat_tools.cluster import ControlPlane
from support import chart
from support.harness import CHILD, Cluster, eventually, target, wait_ready

pytestmark = pytest.mark.usefixtures("operator")

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "metricat",
        "namespace": "monitoring",
        "labels": {"app.kubernetes.io/name": "metricat-operator", "app.kubernetes.io/version": "0.1.0"},
    },
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "metricat"}},
        "template": {
            "metadata": {"labels": {"app": "metricat"}},
            "spec": {"containers": [{"name": "operator", "image": "x"}]},
        },
    },
}


@pytest.fixture(autouse=True)
def kubeconfig(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def check(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Return the exit status of `metricat check`, and the checks by name."""
    capsys.readouterr()
    status = main(["check", "-o", "json", *arguments])
    found = printed(capsys)
    assert found["passed"] == (status == 0)
    return status, {one["name"]: one for one in found["checks"]}


def test_status_shows_each_target_and_its_problems(
    cluster: Cluster, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    assert main(["status", "-n", namespace]) == 0
    header, row, *problems = capsys.readouterr().out.splitlines()
    assert header.split()[:4] == ["NAMESPACE", "NAME", "NODES", "READY"]
    assert row.split()[:4] == [namespace, "nodes", "3", "3"]
    assert any("Selected=False (NoPrometheus)" in one for one in problems)

    assert main(["status", "nodes", "-n", namespace, "-o", "json"]) == 0
    [found] = printed(capsys)
    assert (found["nodes"]["ready"], found["current"]) == (3, True)
    assert main(["status", "gone", "-n", namespace]) == 1
    assert f"the MonitoringTarget {namespace}/gone does not exist" in capsys.readouterr().err


def test_check_names_the_first_broken_link_and_its_remedy(
    cluster: Cluster, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    status, found = check(capsys, "-n", namespace)
    assert status == 1
    assert found["the API server responds"]["state"] == "ok"
    assert found["the CRD MonitoringTarget exists"]["state"] == "ok"
    assert found["an operator is deployed"]["remedy"].startswith("helm install")
    assert found["every node has a ready agent"]["state"] == "ok"
    broken = found["a Prometheus selects the monitor and the rules"]
    assert broken["state"] == "failed"
    assert "NoPrometheus" in broken["message"]
    assert broken["remedy"]

    status, found = check(capsys, "-n", "no-such-namespace")
    assert status == 1
    assert found["a MonitoringTarget exists"]["remedy"].startswith("kubectl apply")


def test_check_of_the_operator_reads_its_deployment_and_lease(
    cluster: Cluster, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    eventually(lambda: (cluster.get("lease", "metricat", "monitoring") or {}).get("spec", {}).get("holderIdentity"))
    cluster.api.call("POST", "/apis/apps/v1/namespaces/monitoring/deployments", DEPLOYMENT)
    path = "/apis/apps/v1/namespaces/monitoring/deployments/metricat"
    try:
        _, found = check(capsys, "-n", namespace, "--no-target")
        assert " of 1" in found["the pods of monitoring/metricat are ready"]["message"]  # simulated nodes start it
        assert found["a pod of monitoring/metricat leads"]["state"] == "ok"
        assert "metricat-a" in found["a pod of monitoring/metricat leads"]["message"]
        assert main(["version", "-o", "json"]) == 0
        assert printed(capsys)["operators"] == {"monitoring/metricat": "0.1.0"}
    finally:
        cluster.api.call("DELETE", path)
    eventually(lambda: not cluster.pods("monitoring", "app=metricat"))


def test_check_of_a_rejected_spec_quotes_the_field(
    cluster: Cluster, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    cluster.patch("mtarget", "nodes", namespace, [{"op": "replace", "path": "/spec", "value": {"paused": True}}])
    eventually(lambda: cluster.condition(namespace, "nodes", "Applied").get("reason") == "Paused")
    _, found = check(capsys, "nodes", "-n", namespace)
    paused = found["all managed objects match the spec"]
    assert paused["state"] == "warning"
    assert paused["remedy"].startswith(f"kubectl patch mtarget nodes -n {namespace}")


def test_nodes_are_listed_with_their_agents(
    cluster: Cluster, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    assert main(["nodes", "-o", "json"]) == 0
    found = printed(capsys)
    assert {one["agent"] for one in found} == {"ready"}
    assert {one["target"] for one in found} == {f"{namespace}/nodes"}
    cluster.delete("mtarget", "nodes", namespace)
    eventually(lambda: cluster.get("daemonset", CHILD, namespace) is None and not cluster.pods(namespace))
    assert main(["nodes"]) == 0
    assert "No MonitoringTarget selects this node." in capsys.readouterr().out


def test_user_without_permission_gets_the_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--as", "ada"]) == 1
    error = capsys.readouterr().err
    assert 'User "ada" cannot list resource "monitoringtargets"' in error
    assert "Ask the administrator" in error
    assert len(error.splitlines()) == 1


def test_diff_shows_what_a_file_changes(
    cluster: Cluster, namespace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "target.yaml"
    file.write_text(json.dumps(target(namespace, {"agent": {"port": 9200}})))
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    assert main(["diff", "-f", str(file)]) == 1
    shown = capsys.readouterr().out
    assert f"--- live DaemonSet {namespace}/{CHILD}" in shown
    assert "metricat/agent:test" not in [line[1:].strip() for line in shown.splitlines() if line.startswith(("+", "-"))]
    cluster.apply(target(namespace, {"agent": {"port": 9200}}))
    assert main(["diff", "-f", str(file)]) == 0
    assert capsys.readouterr().out == ""


def test_alerts_need_a_prometheus(cluster: Cluster, namespace: str, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    assert main(["alerts", "-n", namespace]) == 1
    assert "no MonitoringTarget names a Prometheus with a URL. Run: metricat check" in capsys.readouterr().err


def test_account_of_helm_test_may_run_all_checks(
    cluster: Cluster,
    control_plane: ControlPlane,
    namespace: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    [pod] = [one for one in chart.render() if one["kind"] == "Pod"]
    [container] = pod["spec"]["containers"]
    assert container["command"] == ["metricat"]
    arguments = [one for one in container["args"] if not one.startswith("--wait")]
    account = control_plane.service_account_kubeconfig("monitoring", pod["spec"]["serviceAccountName"])
    monkeypatch.setenv("KUBECONFIG", str(account))
    eventually(lambda: (cluster.get("lease", "metricat", "monitoring") or {}).get("spec", {}).get("holderIdentity"))
    cluster.api.call("POST", "/apis/apps/v1/namespaces/monitoring/deployments", DEPLOYMENT)
    try:
        capsys.readouterr()
        assert main([*arguments, "-o", "json"]) == 1
        found = {one["name"]: one for one in printed(capsys)["checks"]}
    finally:
        cluster.api.call("DELETE", "/apis/apps/v1/namespaces/monitoring/deployments/metricat")
    assert found["a pod of monitoring/metricat leads"]["state"] == "ok"
    assert " of 1" in found["the pods of monitoring/metricat are ready"]["message"]  # simulated nodes start it
    assert found["every node has a ready agent"]["state"] == "ok"
    assert "NoPrometheus" in found["a Prometheus selects the monitor and the rules"]["message"]
    eventually(lambda: not cluster.pods("monitoring", "app=metricat"))


def test_completion_names_targets_and_namespaces_of_the_cluster(
    cluster: Cluster, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.apply(target(namespace))
    assert main(["__complete", "status", "-n", namespace, ""]) == 0
    assert capsys.readouterr().out == "nodes\n:4\n"
    assert main(["__complete", "status", f"--namespace={namespace[:-1]}"]) == 0
    assert capsys.readouterr().out == f"--namespace={namespace}\n:4\n"
    assert main(["__complete", "status", "--as", "ada", "-n", ""]) == 0  # without the right to list
    assert capsys.readouterr().out == ":4\n"
