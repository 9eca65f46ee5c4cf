"""The control plane alone: it is real and fast, needs no privilege, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from metricat_tools.binaries import ensure
from metricat_tools.cluster import ControlPlane
from metricat_tools.cluster.api import Api, ClusterApiError
from metricat_tools.cluster.audit import AuditLog
from metricat_tools.cluster.processes import ClusterProcesses
from metricat_tools.cluster.state import State

pytestmark = pytest.mark.e2e
SELECTOR = {"app": "agent"}
DAEMON_SET = {
    "metadata": {"name": "agent"},
    "spec": {
        "selector": {"matchLabels": SELECTOR},
        "template": {
            "metadata": {"labels": SELECTOR},
            "spec": {"containers": [{"name": "agent", "image": "agent"}], "tolerations": [{"operator": "Exists"}]},
        },
    },
}


@pytest.fixture(scope="module")
def control_plane() -> Iterator[ControlPlane]:
    with ControlPlane.start(f"pytest-{os.getpid()}") as started:
        yield started


def eventually(ready: Callable[[], bool], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.1)


def leftovers(name: str) -> list[str]:
    state = State(name)
    return [*ClusterProcesses(state.folder).running().values(), *([str(state.folder)] if state.folder.exists() else [])]


def kubectl(kubeconfig: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = [str(ensure("kubectl")["kubectl"]), f"--kubeconfig={kubeconfig}", *arguments]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_daemon_set_pods_become_ready_on_simulated_nodes(control_plane: ControlPlane) -> None:
    api = control_plane.api
    names = control_plane.simulate_nodes(3, labels={"pool": "x"}, taints=[{"key": "k", "effect": "NoSchedule"}])
    names += control_plane.simulate_nodes(["broken-1"])
    api.create("/api/v1/namespaces", {"metadata": {"name": "simulated"}})
    api.create("/apis/apps/v1/namespaces/simulated/daemonsets", DAEMON_SET)

    def pods() -> dict[str, Any]:
        items = api.get("/api/v1/namespaces/simulated/pods")["items"]
        return {pod["spec"].get("nodeName", ""): pod["status"] for pod in items}

    eventually(lambda: set(pods()) == set(names) and all("containerStatuses" in status for status in pods().values()))
    ready = {name: status["containerStatuses"][0]["ready"] for name, status in pods().items()}
    assert ready == {name: name != "broken-1" for name in names}
    assert pods()["broken-1"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ImagePullBackOff"
    nodes = api.get("/api/v1/nodes?labelSelector=pool%3Dx")["items"]
    assert [node["metadata"]["name"] for node in nodes] == names[:3]


def test_service_account_has_only_the_rights_that_rbac_grants(control_plane: ControlPlane) -> None:
    control_plane.api.create("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "powerless"}})
    config = control_plane.service_account_kubeconfig("default", "powerless")
    who = json.loads(kubectl(config, "auth", "whoami", "-ojson").stdout)
    assert who["status"]["userInfo"]["username"] == "system:serviceaccount:default:powerless"
    refused = kubectl(config, "get", "nodes")
    assert refused.returncode != 0
    assert "Forbidden" in refused.stderr
    user = control_plane.user_kubeconfig("eve", ["people"])
    assert "Forbidden" in kubectl(user, "get", "secrets").stderr


def test_audit_log_has_the_requests_by_user(control_plane: ControlPlane) -> None:
    log = AuditLog(control_plane.audit_log)
    log.skip()
    body = {"metadata": {"name": "counted"}, "data": {"secret": "never logged"}}
    control_plane.api.create("/api/v1/namespaces/default/configmaps", body)
    control_plane.api.get("/api/v1/namespaces/default/configmaps/counted")
    mine = [request for request in log.read() if request.user == "admin" and request.name == "counted"]
    assert [(request.verb, request.writes, request.code) for request in mine] == [
        ("create", True, 201),
        ("get", False, 200),
    ]
    assert mine[0].resource == "configmaps"
    assert b"never logged" not in control_plane.audit_log.read_bytes()
    assert log.read() == [] or all(request.name != "counted" for request in log.read())


def test_second_control_plane_starts_without_any_privilege() -> None:
    """The script runs without any capability, so a call that needs root would fail."""
    name = f"unprivileged-{os.getpid()}"
    program = f"""
import time
from metricat_tools.cluster import ControlPlane
began = time.monotonic()
with ControlPlane.start({name!r}) as plane:
    print(f"up in {{time.monotonic() - began:.1f}} s")
    plane.simulate_nodes(1)
    caps = next(line for line in open("/proc/self/status") if line.startswith("CapEff"))
    print(caps.split()[1], plane.api.get("/version")["gitVersion"])
"""
    drop = ["setpriv", "--no-new-privs"]
    if os.geteuid() == 0:
        drop += ["--bounding-set=-all", "--inh-caps=-all"]
    done = subprocess.run([*drop, sys.executable, "-c", program], capture_output=True, text=True, check=False)
    sys.stdout.write(done.stdout)
    assert done.returncode == 0, done.stderr
    assert "0000000000000000 v1." in done.stdout
    assert leftovers(name) == []


def test_api_server_survives_a_restart_and_a_pause(control_plane: ControlPlane) -> None:
    before = control_plane.api.get("/api/v1/namespaces/default")["metadata"]["uid"]
    control_plane.restart("kube-apiserver")
    assert control_plane.api.get("/api/v1/namespaces/default")["metadata"]["uid"] == before
    control_plane.pause("kube-apiserver")
    hasty = Api(control_plane.url, control_plane.ca, control_plane.api.credentials, timeout=0.5)
    assert not hasty.ready()
    hasty.close()
    control_plane.resume("kube-apiserver")
    control_plane.wait_ready()


@pytest.mark.slow
def test_killed_owner_leaves_no_process_and_the_next_start_removes_its_files() -> None:
    name = f"orphan-{os.getpid()}"
    program = f"""
import time
from metricat_tools.cluster import ControlPlane
ControlPlane.start({name!r})
print("up", flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as owner:
        try:
            assert owner.stdout is not None
            assert owner.stdout.readline() == b"up\n"
        finally:
            owner.kill()
    state = State(name)
    eventually(lambda: not ClusterProcesses(state.folder).running())
    assert state.folder.exists()
    with ControlPlane.start(f"next-{os.getpid()}", audit=False):
        assert not state.folder.exists()


@pytest.mark.slow
def test_kept_cluster_is_found_and_a_crashed_one_is_removed_by_the_next_start() -> None:
    name = f"kept-{os.getpid()}"
    first = ControlPlane.start(name, keep=True)
    found = ControlPlane.find(name)
    assert found.api.get("/version") == first.api.get("/version")
    for pid in found.processes.running():
        os.kill(pid, signal.SIGKILL)
    found.detach()
    first.detach()
    with ControlPlane.start(name) as second:
        with pytest.raises(ClusterApiError, match="not found"):
            second.api.get("/api/v1/namespaces/none")
        assert second.processes.find("etcd")
    assert leftovers(name) == []
