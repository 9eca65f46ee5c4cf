"""`metricat top` on a real API server: its proxy reaches an agent of this machine, and agents that do not respond."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from metricat_cli.__main__ import main
from support.harness import Cluster, eventually, free_port, target, wait_ready

pytestmark = pytest.mark.usefixtures("operator")


def own_address() -> str:
    """Return this machine's address in its network: the API server's proxy refuses loopback addresses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing
        return str(probe.getsockname()[0])


@pytest.fixture(autouse=True)
def kubeconfig(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))


@pytest.fixture
def agent_port() -> Iterator[int]:
    """The port of a running agent."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "metricat_agent", f"--web.listen-address=0.0.0.0:{port}"])
    try:
        eventually(lambda: _listens(port))
        yield port
    finally:
        process.terminate()
        process.wait(60)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def give_address(cluster: Cluster, namespace: str, pod: str, address: str) -> None:
    """Set the address of a simulated pod."""
    status = {"status": {"podIP": address, "podIPs": [{"ip": address}]}}
    patch = ("--subresource=status", "--type=merge", "-p", json.dumps(status))
    cluster.do("patch", "pod", pod, "-n", namespace, *patch)


def running_agents(cluster: Cluster, namespace: str, port: int) -> list[Any]:
    """Apply a target whose agents have this port, and return their pods, sorted by node."""
    cluster.apply(target(namespace, {"agent": {"port": port}}))
    wait_ready(cluster, namespace)
    return sorted(cluster.pods(namespace), key=lambda pod: str(pod["spec"]["nodeName"]))


def test_top_shows_nodes_and_the_agents_that_do_not_respond(
    cluster: Cluster, namespace: str, agent_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    pods = running_agents(cluster, namespace, agent_port)
    names = [pod["spec"]["nodeName"] for pod in pods]
    for pod in pods[:2]:
        give_address(cluster, namespace, pod["metadata"]["name"], own_address())
    give_address(cluster, namespace, pods[2]["metadata"]["name"], "127.0.0.1")  # the proxy refuses it
    assert main(["top", "-n", namespace, "--interval", "1s", "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sorted(one["node"] for one in found["nodes"]) == names[:2]
    for one in found["nodes"]:
        assert 0 <= one["cpu_percent"] <= 100
        assert one["memory_used_bytes"] > 0
        assert one["filesystem"]
        assert one["network_receive_bytes_per_second"] >= 0
    [silent] = found["noResponse"]
    assert silent["node"] == names[2]
    assert silent["reason"]

    assert main(["top", "nodes", "-n", namespace, "--interval", "1s", "--sort", "name", "--limit", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["NODE", "CPU"]
    assert lines[1].split()[0] == names[0]
    assert f"{names[2]}: " in lines[3]
    assert lines[-1] == "2 of 3 agents returned samples."

    assert main(["top", "processes", "-n", namespace, "--node", names[1], "-o", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)["processes"]
    assert {one["node"] for one in rows} == {names[1]}
    assert any(one["memory_bytes"] > 0 for one in rows)  # threads of the kernel have none
    assert [one["cpu"] for one in rows] == sorted((one["cpu"] for one in rows), reverse=True)
    assert len(rows) <= 20


def test_top_without_a_responding_agent_fails(
    cluster: Cluster, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for pod in running_agents(cluster, namespace, free_port()):
        give_address(cluster, namespace, pod["metadata"]["name"], own_address())
    assert main(["top", "-n", namespace, "--interval", "1s"]) == 1
    error = capsys.readouterr().err
    assert "no agent returned samples" in error
    assert error.endswith("Run: metricat check\n")
    assert main(["top", "-n", namespace, "--node", "no-such-node"]) == 1
    assert "no agent runs on the node no-such-node. Run: metricat nodes" in capsys.readouterr().err
    assert main(["top", "disks"]) == 2
    assert "use nodes or processes" in capsys.readouterr().err
    assert main(["top", "processes", "--sort", "load"]) == 2
    assert "use cpu, memory or threads" in capsys.readouterr().err


def test_top_without_the_right_to_the_proxy_names_it(
    cluster: Cluster, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    running_agents(cluster, namespace, 9100)
    read = ["pods.", "monitoringtargets.metricat.dev"]
    for number, resource in enumerate(read):
        cluster.do("create", "role", f"read-{number}", "-n", namespace, "--verb=get,list", f"--resource={resource}")
        cluster.do("create", "rolebinding", f"read-{number}", "-n", namespace, f"--role=read-{number}", "--user=ada")
    assert main(["top", "-n", namespace, "--as", "ada", "--interval", "1s"]) == 1
    assert 'User "ada" cannot get resource "pods/proxy"' in capsys.readouterr().err
