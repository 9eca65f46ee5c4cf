"""A cluster with nodes that run containers, and optional simulated nodes. It needs root."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from metricat_tools.binaries import ensure, ensure_debian
from metricat_tools.cluster import cleanup, control_plane, dns, network, node, node_files, port_forward, thread_pool
from metricat_tools.cluster.capabilities import Capability, have
from metricat_tools.cluster.control_plane import ControlPlane, ControlPlaneEndpoint
from metricat_tools.cluster.node import ClusterNode
from metricat_tools.cluster.pki import Authority
from metricat_tools.cluster.processes import ClusterProcesses, Namespaces
from metricat_tools.cluster.state import State
from metricat_tools.errors import ToolError
from metricat_tools.images.archive import Image, docker_archive

PROGRAMS = (*control_plane.PROGRAMS, *node.PROGRAMS, *node_files.CNI_PLUGINS, "coredns", "kubectl")
DEBIAN = ("iproute2", "nftables", "iptables", "conntrack", "util-linux")
_PORT = 6443
Say = Callable[[str], None]


@dataclass
class NodeCluster:
    """A running cluster with nodes. Leaving its context removes it."""

    state: State
    control_plane: ControlPlane
    nodes: list[ClusterNode] = field(default_factory=list)

    @classmethod
    def up(cls, name: str, nodes: int = 2, *, audit: bool = False, say: Say = lambda _: None) -> Self:
        """Start a cluster. An earlier one with this name, running or crashed, is removed first."""
        check_rights()
        if not 0 < nodes <= network.MAX_NODES:
            raise ToolError(f"{nodes} nodes are not possible. Choose from 1 to {network.MAX_NODES}")
        ensure_debian(*DEBIAN)
        programs = ensure(*PROGRAMS)
        state = State(name)
        with state.locked():
            if cleanup.remove(state):
                say(f"removed an earlier {name}")
            processes = ClusterProcesses(state.folder)
            try:
                state.create()
                return cls._start(state, processes, programs, nodes, audit=audit, say=say)
            except BaseException:
                processes.close()
                cleanup.remove(state)
                raise

    @classmethod
    def _start(  # noqa: PLR0913 - the parts of `up`
        cls,
        state: State,
        processes: ClusterProcesses,
        programs: Mapping[str, Path],
        count: int,
        *,
        audit: bool,
        say: Say,
    ) -> Self:
        began = time.monotonic()
        control = network.hold_namespaces(processes, network.CONTROL, programs["pause"], mounts=False)
        network.create_bridge(processes, control)
        port = port_forward.start(processes, control, network.BRIDGE, _PORT)
        url = f"https://127.0.0.1:{port}"
        state.save(kind="nodes", url=url, audit=audit, nodes=count, owner=None)
        endpoint = ControlPlaneEndpoint(network.BRIDGE, _PORT, url, control)
        plane = ControlPlane(state, processes, endpoint, Authority(state.folder / "pki"), audit)
        cluster = cls(state, plane)
        for number in range(1, count + 1):
            spaces = network.hold_namespaces(processes, f"n{number}", programs["pause"], mounts=True)
            network.join(processes, control, spaces, number)
            cluster.nodes.append(ClusterNode(number, plane, programs, spaces))
        sandbox = docker_archive(
            state.folder / "pause.tar", Image([node_files.SANDBOX], ["/pause"]), {"/pause": programs["pause"]}
        )
        with thread_pool.stoppable(count, stop=processes.close) as pool:
            prepared = [pool.submit(one.prepare, sandbox) for one in cluster.nodes]
            plane.launch(programs)
            say(f"the control plane is ready after {time.monotonic() - began:.1f} s")
            cluster._serve_names(programs)
            for one, future in zip(cluster.nodes, prepared, strict=True):
                future.result()
                one.register()
        for one in cluster.nodes:
            one.wait_ready()
        say(f"{count} node{'s are' if count > 1 else ' is'} Ready after {time.monotonic() - began:.1f} s")
        return cluster

    @classmethod
    def find(cls, name: str) -> Self:
        """Return the running cluster with this name, started by another process."""
        state = State(name)
        facts = state.load()
        if facts["kind"] != "nodes":
            raise ToolError(f"{name} is a control plane without nodes. Use a cluster with nodes")
        processes = ClusterProcesses(state.folder)
        endpoint = ControlPlaneEndpoint(
            network.BRIDGE, _PORT, facts["url"], _spaces(processes, network.CONTROL, mounts=False)
        )
        plane = ControlPlane(state, processes, endpoint, Authority(state.folder / "pki"), facts["audit"])
        programs = ensure(*PROGRAMS)
        numbers = range(1, facts["nodes"] + 1)
        found = [
            ClusterNode(number, plane, programs, _spaces(processes, f"n{number}", mounts=True)) for number in numbers
        ]
        return cls(state, plane, found)

    @property
    def name(self) -> str:
        """The cluster's name."""
        return self.state.name

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, for this machine's programs."""
        return self.control_plane.kubeconfig

    def node(self, name: str) -> ClusterNode:
        """Return the node with this name."""
        for one in self.nodes:
            if one.name == name:
                return one
        raise ToolError(f"{self.name} has no node {name}. Choose from {', '.join(one.name for one in self.nodes)}")

    def load_image(self, *archives: Path) -> None:
        """Import docker or OCI archives into every node's image store."""
        with thread_pool.stoppable(len(self.nodes), stop=self.control_plane.processes.stop_commands) as pool:
            list(pool.map(lambda one: [one.load(archive) for archive in archives], self.nodes))

    def simulate_nodes(
        self,
        names: int | Sequence[str],
        labels: Mapping[str, str] | None = None,
        taints: Sequence[Mapping[str, str]] = (),
    ) -> list[str]:
        """Add simulated nodes to the real ones; see `ControlPlane.simulate_nodes`."""
        return self.control_plane.simulate_nodes(names, labels, taints)

    def down(self) -> None:
        """Remove the cluster: its processes, namespaces, mounts, control groups and files."""
        with self.state.locked():
            self.control_plane.processes.close()
            cleanup.remove(self.state)
            self.control_plane.detach()

    def __enter__(self) -> Self:
        """Return the cluster for use in a `with` block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the cluster, also after an error."""
        self.down()

    def _serve_names(self, programs: Mapping[str, Path]) -> None:
        plane = self.control_plane
        dns.grant(plane.api)
        config = dns.corefile(self.state.folder, plane.component_kubeconfig(dns.ROLE, dns.USER))
        plane.start_component(dns.ROLE, [programs["coredns"], "-conf", config])


def check_rights() -> None:
    """Raise an error if this process is not root or lacks a needed capability."""
    if os.geteuid() != 0:
        raise ToolError("nodes that run containers need root. Use sudo or --control-plane-only")
    for needed in (Capability.CAP_SYS_ADMIN, Capability.CAP_NET_ADMIN):
        if not have(needed):
            raise ToolError(f"root lacks {needed.name} here. Use a privileged container or --control-plane-only")


def _spaces(processes: ClusterProcesses, owner: str, *, mounts: bool) -> Namespaces:
    pid = processes.find(network.netns_holder(owner))
    if pid is None:
        raise ToolError(f"{processes.folder.name} has crashed. Run `cluster up {processes.folder.name}` again")
    return Namespaces(pid, mounts=mounts)
