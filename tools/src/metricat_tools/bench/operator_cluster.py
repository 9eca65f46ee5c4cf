"""The benchmark's cluster: a control plane with simulated nodes, and the operator with the chart's rights."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from metricat_tools.binaries import module_dir
from metricat_tools.cluster import ControlPlane, simulated
from metricat_tools.cluster.control_plane import GRACE
from metricat_tools.errors import ToolError
from metricat_tools.stack.kubectl import Kubectl

ROOT = Path(__file__).parents[4]
NAMESPACE = "bench"
LABEL = "bench.metricat.dev/team"
GROUP = 5
"""Number of nodes of a small target."""

_IMAGES = 50
_NODES_PER_SECOND = 25
"""Nodes for each second of grace: larger clusters renew at most as many Leases a second as 1,000 real nodes."""
_RIGHTS = {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
Manifest = dict[str, Any]


@dataclass(frozen=True)
class BenchCluster:
    """The prepared control plane, without operator."""

    plane: ControlPlane
    kubectl: Kubectl
    targets: int

    def items(self, path: str) -> list[Manifest]:
        """Return the current objects of a list."""
        return list(self.plane.api.get(path)["items"])

    def agents(self) -> bool:
        """Return whether any namespace has an agent's pod."""
        return bool(self.items("/api/v1/pods?labelSelector=app.kubernetes.io%2Fcomponent%3Dagent&limit=1"))


@contextmanager
def bench_cluster(name: str, nodes: int, targets: int) -> Iterator[BenchCluster]:
    """Run a control plane with this number of nodes, and label five of them for each target."""
    with ControlPlane.start(name, grace=max(GRACE, nodes // _NODES_PER_SECOND)) as plane:
        kubectl = Kubectl(plane.kubeconfig)
        operators = module_dir("prometheus-operator", "github.com/prometheus-operator/prometheus-operator")
        kubectl.run("apply", "--server-side", "-f", str(ROOT / "crds"))
        kubectl.run("apply", "--server-side", "-f", str(operators / "example" / "prometheus-operator-crd"))
        for namespace in ("monitoring", NAMESPACE):
            kubectl.run("create", "namespace", namespace)
        rendered = kubectl.helm("template", "metricat", str(ROOT / "charts" / "metricat"), "-n", "monitoring")
        kubectl.apply(yaml.safe_dump_all(one for one in yaml.safe_load_all(rendered) if one and one["kind"] in _RIGHTS))
        plane.simulate_nodes(0)
        names = [f"sim-{number:05}" for number in range(nodes)]
        for team in range(targets):
            simulated.create(plane.api, names[team * GROUP : (team + 1) * GROUP], {LABEL: f"t{team}"}, (), _IMAGES)
        simulated.create(plane.api, names[targets * GROUP :], {}, (), _IMAGES)
        plane.processes.wait("kwok", lambda: simulated.ready(plane.api, names), 900)
        yield BenchCluster(plane, kubectl, targets)


@dataclass
class OperatorProcess:
    """The process of the operator under measurement."""

    process: subprocess.Popen[bytes]

    def memory(self, field: str = "VmRSS") -> float:
        """Return the operator's resident memory in MiB: the current (`VmRSS`) or the maximum (`VmHWM`)."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024

    def cpu(self) -> float:
        """Return the CPU seconds that the operator used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def operator(cluster: BenchCluster) -> Iterator[OperatorProcess]:
    """Run the operator with the chart's ServiceAccount until the context ends."""
    with socket.socket() as probe, socket.socket() as other:
        probe.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        port, metrics = probe.getsockname()[1], other.getsockname()[1]
    environment = {
        **os.environ,
        "KUBECONFIG": str(cluster.plane.service_account_kubeconfig("monitoring", "metricat")),
        "METRICAT_AGENT_IMAGE": "metricat/agent:bench",
        "METRICAT_HEALTH_PORT": str(port),
        "METRICAT_METRICS_PORT": str(metrics),
        "METRICAT_LEASE": "monitoring/metricat",
        "METRICAT_LOG_LEVEL": "WARNING",
    }
    log = cluster.plane.state.folder / "operator.log"
    with log.open("ab") as file:
        process = subprocess.Popen([sys.executable, "-m", "metricat_operator"], env=environment, stderr=file)
    with process:
        try:
            until("the operator to listen", lambda: _listens(port))
            yield OperatorProcess(process)
            if process.poll() is not None:
                raise ToolError(f"the operator ended: {log.read_text()[-2000:]}")
            process.terminate()  # it gives up its lease, so the next operator need not wait
            process.wait(60)
        finally:
            process.kill()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(what: str, reached: Callable[[], bool], seconds: float = 900, every: float = 0.2) -> float:
    """Wait until `reached` returns True, and return the waiting time in seconds.

    Raises:
        ToolError: `reached` did not return True within `seconds`.
    """
    began = time.monotonic()
    while not reached():
        if time.monotonic() - began > seconds:
            raise ToolError(f"waited {seconds:.0f} s for {what}")
        time.sleep(every)
    return time.monotonic() - began
