"""The cluster with nodes: it runs containers like a real cluster, and leaves nothing behind, even after a crash."""

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from metricat_tools.binaries import ensure
from metricat_tools.cluster import NodeCluster, cgroups, cleanup, mounts
from metricat_tools.cluster.api import Api, ClusterApiError
from metricat_tools.cluster.pki import CertificateAndKey
from metricat_tools.cluster.processes import ClusterProcesses, started_at
from metricat_tools.cluster.state import State, root
from metricat_tools.images.archive import Image, docker_archive

pytestmark = pytest.mark.e2e
IMAGE = "localhost/busybox:test"
SLOW = 60.0
"""Seconds for a step that takes a few seconds: a slow machine needs ten times as long."""
TUNABLES = ("kernel/panic", "kernel/panic_on_oops", "vm/overcommit_memory")


def eventually(probe: Callable[[], Any], seconds: float = SLOW) -> Any:
    deadline = time.monotonic() + seconds
    while not (result := probe()):
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.05)
    return result


def busybox(folder: Path) -> Path:
    applets = ["sh", "cat", "sleep", "httpd", "timeout", "wget", "nslookup", "mkdir"]
    program = ensure("busybox")["busybox"]
    files: dict[str, Path | bytes] = {f"/bin/{name}": program for name in applets}
    image = Image([IMAGE], ["/bin/sleep", "100000"], env={"PATH": "/bin"}, directories=["/tmp"])
    return docker_archive(folder / "busybox.tar", image, files)


def start(cluster: NodeCluster, name: str, node: str, **spec: Any) -> None:
    container = {"name": "c", "image": IMAGE, "imagePullPolicy": "IfNotPresent", **spec.pop("container", {})}
    body = {
        "metadata": {"name": name, "labels": {"app": spec.pop("app", name)}},
        "spec": {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [container], **spec},
    }
    cluster.control_plane.api.call("POST", "/api/v1/namespaces/default/pods", body)


def wait_running(cluster: NodeCluster, *names: str) -> None:
    def ready() -> bool:
        items = cluster.control_plane.api.get("/api/v1/namespaces/default/pods")["items"]
        phases = {pod["metadata"]["name"]: pod["status"].get("phase") for pod in items}
        return all(phases.get(name) == "Running" for name in names)

    eventually(ready)


def kubectl(cluster: NodeCluster, *arguments: str) -> str:
    words = [str(ensure("kubectl")["kubectl"]), f"--kubeconfig={cluster.kubeconfig}", *arguments]
    environment = {**os.environ, "KUBECACHEDIR": str(cluster.state.folder / "kubectl-cache")}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def inside(cluster: NodeCluster, pod: str, *command: str) -> str:
    return kubectl(cluster, "exec", pod, "--", *command)


@dataclass(frozen=True)
class Namespaces:
    """The namespaces of a cluster's processes and pods, except the machine's, and the time when they were read.

    The kernel reuses the number of a removed namespace, so only earlier processes count.
    """

    numbers: frozenset[str]
    seen: int

    @classmethod
    def of(cls, cluster: NodeCluster) -> "Namespaces":
        pids = {str(pid) for pid in cluster.control_plane.processes.running()}
        for tree in cgroups.hierarchies():
            for file in (tree.path / cgroups.TOP / cluster.name).rglob("cgroup.procs"):
                pids |= set(file.read_text().split())
        found = {space for pid in pids for space in spaces(Path("/proc") / pid)} - set(spaces(Path("/proc/self")))
        ticks = os.sysconf("SC_CLK_TCK")
        return cls(frozenset(found), int(time.clock_gettime(time.CLOCK_BOOTTIME) * ticks))

    def left_in(self, process: Path) -> set[str]:
        return set(self.numbers.intersection(spaces(process))) if started_at(int(process.name)) <= self.seen else set()


def spaces(process: Path) -> list[str]:
    try:
        return [str((process / "ns" / kind).readlink()) for kind in ("net", "mnt", "pid", "ipc", "uts")]
    except OSError:
        return []


def leftovers(name: str, *namespaces: Namespaces) -> list[str]:
    """Return the remains of a cluster: processes, namespaces, mounts, control groups, files."""
    state = State(name)
    found = [f"process {role}" for role in ClusterProcesses(state.folder).running().values()]
    marks = (f"{state.folder}/".encode(), f"/{cgroups.TOP}/{name}/".encode())
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command, group = (process / "cmdline").read_bytes(), (process / "cgroup").read_bytes()
        except OSError:
            continue
        if marks[0] in command or marks[1] in group:
            found.append(f"process {command!r}")
        found += [f"namespace {space}" for seen in namespaces for space in seen.left_in(process)]
    found += [line for line in Path("/proc/self/mounts").read_text().splitlines() if f"{state.folder}/" in line]
    found += [str(tree.path) for tree in cgroups.hierarchies() if (tree.path / cgroups.TOP / name).exists()]
    found += [str(path) for path in root().glob(f"{name}*")]
    return found


def assert_gone(name: str, *namespaces: Namespaces) -> None:
    """Assert that nothing remains, after time for the kernel to clean up ended processes."""
    deadline = time.monotonic() + SLOW
    while (left := leftovers(name, *namespaces)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left == []


def traces() -> set[str]:
    """Return the folders of a cluster's programs on the machine, except the mount points of running clusters."""
    parents = ("/", "/run", "/var/lib", "/var/log", "/var/run", "/etc", "/opt", "/usr/libexec")
    known = ("kube", "containerd", "cni", "containers", "nri", "metricat")
    found = {str(path) for parent in parents for path in Path(parent).iterdir()}
    inside = {str(path) for path in Path("/var/lib/kubelet").rglob("*")}
    return {path for path in found if Path(path).name.startswith(known)} - set(mounts.PRIVATE) | inside


def tunables() -> list[str]:
    return [(Path("/proc/sys") / name).read_text() for name in TUNABLES]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeCluster]:
    before, files = tunables(), traces()
    lines: list[str] = []
    name = f"e2e-{os.getpid()}"
    with NodeCluster.up(name, say=lines.append) as started:
        sys.stdout.write("\n".join(["", *lines, ""]))
        started.load_image(busybox(tmp_path_factory.mktemp("image")))
        empty = Namespaces.of(started)
        yield started
        full = Namespaces.of(started)
    assert_gone(name, empty, full)
    assert tunables() == before, "kubelet changed the machine's own settings"
    assert traces() - files == set()


def test_pods_reach_services_by_name_on_both_nodes(cluster: NodeCluster) -> None:
    script = "mkdir /tmp/w; echo I am $ME >/tmp/w/index.html; exec httpd -f -p 8080 -h /tmp/w"
    for node in cluster.nodes:
        env = [{"name": "ME", "value": f"web-{node.name}"}]
        container = {"command": ["/bin/sh", "-c", script], "env": env}
        start(cluster, f"web-{node.name}", node.name, app="web", container=container)
        service = {
            "metadata": {"name": f"web-{node.name}"},
            "spec": {"selector": {"pod": node.name}, "ports": [{"port": 80, "targetPort": 8080}]},
        }
        cluster.control_plane.api.create("/api/v1/namespaces/default/services", service)
        kubectl(cluster, "label", "pod", f"web-{node.name}", f"pod={node.name}")
    wait_running(cluster, *(f"web-{node.name}" for node in cluster.nodes))

    def responds(client: str, server: str) -> bool:
        words = ("timeout", "2", "wget", "-q", "-O-", f"http://web-{server}.default.svc.cluster.local/")
        try:
            return inside(cluster, f"web-{client}", *words) == f"I am web-{server}\n"
        except AssertionError:
            return False

    for client in cluster.nodes:
        for server in cluster.nodes:
            eventually(functools.partial(responds, client.name, server.name))
    assert "kubernetes.default.svc.cluster.local" in inside(
        cluster, "web-n1", "nslookup", "kubernetes.default.svc.cluster.local"
    )


def test_logs_are_readable_and_pods_have_no_route_out(cluster: NodeCluster) -> None:
    start(cluster, "talker", "n2", container={"command": ["/bin/sh", "-c", "echo hello from a pod; exec sleep 1000"]})
    wait_running(cluster, "talker")
    assert kubectl(cluster, "logs", "talker") == "hello from a pod\n"
    with pytest.raises(AssertionError, match=r"exit code|terminated|unreachable"):
        inside(cluster, "talker", "timeout", "4", "wget", "-q", "-O-", "http://203.0.113.1/")


def test_pod_sees_the_machines_present_and_later_mounts(cluster: NodeCluster) -> None:
    node = cluster.node("n1")
    start(
        cluster,
        "host",
        "n1",
        container={
            "volumeMounts": [
                {"name": "r", "mountPath": "/host", "readOnly": True, "mountPropagation": "HostToContainer"}
            ],
            "securityContext": {"runAsUser": 65534, "readOnlyRootFilesystem": True},
        },
        volumes=[{"name": "r", "hostPath": {"path": "/"}}],
    )
    wait_running(cluster, "host")
    machine = {line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()}
    seen = inside(cluster, "host", "cat", "/proc/self/mounts")
    assert {f"/host{point}" for point in machine if point.startswith("/dev")} <= {
        line.split()[1] for line in seen.splitlines()
    }
    later = cluster.state.folder / "later"
    later.mkdir()
    node.run("mount", "-t", "tmpfs", "-o", "size=1m", "later", str(later))
    eventually(lambda: f"/host{later}" in inside(cluster, "host", "cat", "/proc/self/mounts"))
    assert str(later) not in Path("/proc/self/mounts").read_text(), "the node's mount reached the machine"
    node.run("umount", str(later))
    eventually(lambda: f"/host{later}" not in inside(cluster, "host", "cat", "/proc/self/mounts"))


def test_node_can_read_only_the_secrets_of_its_pods(cluster: NodeCluster) -> None:
    plane = cluster.control_plane
    secret = {"metadata": {"name": "mine"}, "stringData": {"a": "b"}}
    plane.api.create("/api/v1/namespaces/default/secrets", secret)
    start(cluster, "owner", "n1", volumes=[{"name": "s", "secret": {"secretName": "mine"}}])
    wait_running(cluster, "owner")
    statuses = {}
    for node in cluster.nodes:
        pair = CertificateAndKey(
            plane.authority.folder / f"{node.name}-kubelet.crt", plane.authority.folder / f"{node.name}-kubelet.key"
        )
        api = Api(plane.url, plane.ca, pair)
        try:
            api.get("/api/v1/namespaces/default/secrets/mine")
            statuses[node.name] = 200
        except ClusterApiError as error:
            statuses[node.name] = error.status
        api.close()
    assert statuses == {"n1": 200, "n2": 403}


def test_memory_limit_is_enforced(cluster: NodeCluster) -> None:
    """The kubelet's control groups are real: a pod above its limit is killed."""
    start(
        cluster,
        "greedy",
        "n2",
        restartPolicy="Never",
        container={
            "command": ["/bin/sh", "-c", "a=xxxxxxxxxxxxxxxx; while :; do a=$a$a; done"],
            "resources": {"limits": {"memory": "24Mi"}},
        },
    )

    def reason() -> str:
        status = json.loads(kubectl(cluster, "get", "pod", "greedy", "-ojson"))["status"]
        ended = (status.get("containerStatuses") or [{}])[0].get("state", {}).get("terminated", {})
        return str(ended.get("reason", ""))

    assert eventually(reason) == "OOMKilled"


def test_container_survives_a_crash_of_containerd_and_kubelet(cluster: NodeCluster) -> None:
    start(cluster, "steady", "n1")
    wait_running(cluster, "steady")
    before = json.loads(kubectl(cluster, "get", "pod", "steady", "-ojson"))["status"]["containerStatuses"][0]
    for program in ("containerd", "kubelet", "kube-proxy"):
        cluster.node("n1").restart(program)
    start(cluster, "after", "n1")
    wait_running(cluster, "after")
    after = json.loads(kubectl(cluster, "get", "pod", "steady", "-ojson"))["status"]["containerStatuses"][0]
    assert (after["containerID"], after["restartCount"]) == (before["containerID"], 0)


def test_simulated_nodes_join_a_cluster_with_real_ones(cluster: NodeCluster) -> None:
    names = cluster.simulate_nodes(2, labels={"pool": "simulated"})
    listed = kubectl(cluster, "get", "nodes", "-l", "pool=simulated", "-oname").split()
    assert listed == [f"node/{name}" for name in names]


def test_second_cluster_restarts_after_a_crash_without_effect_on_the_first(
    cluster: NodeCluster, tmp_path: Path
) -> None:
    """Both clusters use the same addresses inside."""
    name = f"other-{os.getpid()}"
    uid = cluster.control_plane.api.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
    other = NodeCluster.up(name, nodes=1)
    other.load_image(busybox(tmp_path))
    start(other, "victim", "n1")
    wait_running(other, "victim")
    assert other.control_plane.api.get("/api/v1/namespaces/kube-system")["metadata"]["uid"] != uid
    first = Namespaces.of(other)
    for pid in other.control_plane.processes.running():
        os.kill(pid, signal.SIGKILL)
    other.control_plane.detach()
    assert leftovers(name), "the crash left nothing to remove, so this test proves nothing"

    began = time.monotonic()
    with NodeCluster.up(name, nodes=1) as again:
        sys.stdout.write(f"up again after a crash in {time.monotonic() - began:.1f} s\n")
        assert again.control_plane.api.get("/api/v1/namespaces/default/pods")["items"] == []
        second = Namespaces.of(again)
    assert_gone(name, first, second)
    assert cluster.control_plane.api.get("/api/v1/namespaces/kube-system")["metadata"]["uid"] == uid
    assert all(node.ready() for node in cluster.nodes)


@contextmanager
def starting(name: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a cluster from the command line. A process that runs at the end of the block is killed with its cluster."""
    command = [sys.executable, "-m", "metricat_tools", "cluster", "up", name]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            eventually(State(name).folder.exists)
            yield process
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
                cleanup.remove(State(name))


@pytest.mark.parametrize("seconds", [0.3, 1.5, 3.5])
def test_interrupt_during_up_leaves_nothing(seconds: float) -> None:
    name = f"stopped-{seconds}-{os.getpid()}".replace(".", "-")
    with starting(name) as process:
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        assert process.wait(SLOW) == 130
    assert_gone(name)


def test_interrupt_ends_up_while_a_client_hangs() -> None:
    """A client of containerd may never end after the kill of containerd."""
    name = f"hung-{os.getpid()}"

    def client() -> int:
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                words = file.read_bytes().split(b"\0")
                if words[0].endswith(b"/ctr") and f"/{name}/".encode() in words[2]:
                    return int(file.parent.name)
        return 0

    with starting(name) as process:
        os.kill(eventually(client, SLOW), signal.SIGSTOP)
        process.send_signal(signal.SIGINT)
        assert process.wait(SLOW) == 130
    assert_gone(name)


def test_command_line_finds_a_cluster_of_another_process(cluster: NodeCluster) -> None:
    def run(*words: str) -> str:
        command = [sys.executable, "-m", "metricat_tools", "cluster", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert f"{cluster.name} " in run("list")
    assert run("kubeconfig", cluster.name) == f"{cluster.kubeconfig}\n"
    assert "node/n1" in run("kubectl", cluster.name, "--", "get", "nodes", "-oname")
    assert cluster.node("n2").address in run("enter", cluster.name, "n2", "--", "ip", "-br", "addr")
