"""A node that runs containers: containerd, kubelet and kube-proxy in the node's own namespaces."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from metricat_tools.binaries.debian import path as search_path
from metricat_tools.cluster import cgroups, mounts, network, node_files
from metricat_tools.cluster.capabilities import Capability, have
from metricat_tools.cluster.control_plane import ControlPlane
from metricat_tools.cluster.processes import ClusterProcesses, Namespaces
from metricat_tools.errors import ToolError

PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr", "runc", "kubelet", "kube-proxy", "pause")


@dataclass(frozen=True)
class ClusterNode:
    """One node of a cluster, by its number from 1."""

    number: int
    plane: ControlPlane
    programs: Mapping[str, Path]
    namespaces: Namespaces

    @property
    def name(self) -> str:
        """The node's name in the API."""
        return f"n{self.number}"

    @property
    def folder(self) -> Path:
        """The folder of the node's files."""
        return nodes_folder(self.plane) / self.name

    @property
    def socket(self) -> Path:
        """The path of containerd's socket."""
        return self.folder / "containerd.sock"

    @property
    def address(self) -> str:
        """The node's IP address."""
        return network.node_address(self.number)

    @property
    def group(self) -> str:
        """The control group of the node's pods."""
        return f"{cgroups.TOP}/{self.plane.name}/{self.name}"

    def prepare(self, sandbox: Path) -> None:
        """Start containerd and import the sandbox image: every step that needs no API server."""
        self.folder.mkdir(parents=True)
        mounts.prepare(self._processes, self.namespaces, self.folder)
        cgroups.create(self.group)
        self._write("cni/10-pods.conflist", json.dumps(node_files.cni(self.folder, self.number)))
        restrict = not have(Capability.CAP_SYS_RESOURCE)
        text = node_files.containerd(self.folder, self.programs, restrict_oom_score=restrict)
        toml = self._write("containerd.toml", text)
        # A shim searches for runc in its PATH to report its features.
        path = f"PATH={self.programs['runc'].parent}:{search_path()}"
        self._start("containerd", ["env", path, self.programs["containerd"], "--config", toml])
        self._processes.wait(self._role("containerd"), self._containerd_responds)
        self.load(sandbox)

    def register(self) -> None:
        """Start kubelet, which registers the node at the API server, and kube-proxy."""
        plane = self.plane
        user, groups = f"system:node:{self.name}", ["system:nodes"]
        server = plane.authority.issue(f"{self.name}-server", user, groups, hosts=[self.address, self.name])
        kubelet = plane.component_kubeconfig(f"{self.name}-kubelet", user, groups)
        proxy = plane.component_kubeconfig(f"{self.name}-proxy", "system:kube-proxy")
        self._write("resolv.conf", f"nameserver {network.BRIDGE}\n")
        settings = node_files.kubelet(self.folder, self.group, plane.ca, server.certificate, server.key)
        config = self._write("kubelet.yaml", yaml.safe_dump(settings))
        self._start(
            "kubelet",
            [
                self.programs["kubelet"],
                f"--config={config}",
                f"--kubeconfig={kubelet}",
                f"--hostname-override={self.name}",
                f"--node-ip={self.address}",
                f"--root-dir={self.folder}/kubelet",
            ],
        )
        proxy_config = self._write("proxy.yaml", yaml.safe_dump(node_files.kube_proxy(self.name, proxy)))
        self._start("kube-proxy", [self.programs["kube-proxy"], f"--config={proxy_config}"])

    def ready(self) -> bool:
        """Return whether the node is Ready in the API."""
        items = self.plane.api.get(f"/api/v1/nodes?fieldSelector=metadata.name%3D{self.name}")["items"]
        conditions = [condition for item in items for condition in item["status"].get("conditions", ())]
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    def wait_ready(self, seconds: float = 60.0) -> None:
        """Wait until the node is Ready. After `seconds`, raise an error with the end of kubelet's log."""
        self._processes.wait(self._role("kubelet"), self.ready, seconds)

    def restart(self, program: str) -> None:
        """Kill `containerd`, `kubelet` or `kube-proxy`, start it again as systemd would, and wait until it works."""
        self.plane.restart(self._role(program))
        if program == "containerd":
            self._processes.wait(self._role(program), self._containerd_responds)
        self.wait_ready()

    def load(self, archive: Path) -> None:
        """Import a docker or OCI archive into the node's image store."""
        with archive.open("rb") as file:
            self.ctr("images", "import", "--local", "-", stdin=file)

    def ctr(self, *arguments: str, stdin: Any = None) -> str:
        """Run containerd's client on the node, in the namespace of Kubernetes' images and containers."""
        command: list[str | Path] = [
            self.programs["ctr"],
            "--address",
            self.socket,
            "--namespace",
            "k8s.io",
            *arguments,
        ]
        return self._processes.run(command, self.namespaces, stdin=stdin)

    def run(self, *command: str) -> str:
        """Run a command on the node, with its network, its mounts and the machine's programs."""
        return self._processes.run(command, self.namespaces)

    @property
    def _processes(self) -> ClusterProcesses:
        return self.plane.processes

    def _role(self, program: str) -> str:
        return f"{self.name}-{program}"

    def _start(self, program: str, command: list[str | Path]) -> None:
        self.plane.start_component(self._role(program), command, self.namespaces)

    def _write(self, name: str, content: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def _containerd_responds(self) -> bool:
        try:
            self.ctr("version")
        except ToolError:
            return False
        return True


def nodes_folder(plane: ControlPlane) -> Path:
    """Return the folder of all nodes' files."""
    return plane.state.folder / "nodes"
