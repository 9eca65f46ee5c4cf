"""The control plane: etcd, API server, controller manager and scheduler, with optional simulated nodes.

Alone, it needs no root: everything listens on loopback, on a free port. Inside a network namespace, it is the control
plane of a cluster with nodes.
"""

import json
import signal
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml

from metricat_tools.binaries import OLD_SUFFIX, ensure
from metricat_tools.cluster import cleanup, components, kubeconfig, simulated
from metricat_tools.cluster.api import Api, ClusterApiError
from metricat_tools.cluster.pki import Authority, CertificateAndKey
from metricat_tools.cluster.processes import HERE, ClusterProcesses, Namespaces
from metricat_tools.cluster.state import State
from metricat_tools.errors import ToolError

PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
_MASTERS = "system:masters"
GRACE = 40
"""Seconds without a heartbeat after which a node is no longer Ready, also for real nodes."""


@dataclass(frozen=True)
class ControlPlaneEndpoint:
    """The address of a control plane, its namespaces, and the URL for programs of this machine."""

    address: str
    port: int
    outside: str
    """The URL for kubeconfigs used in the machine's own namespaces."""
    namespaces: Namespaces = HERE

    @property
    def inside(self) -> str:
        """The URL for processes in the cluster's own namespaces."""
        return f"https://{self.address}:{self.port}"


@dataclass
class ControlPlane:
    """A running control plane. Leaving its context stops it and removes its files."""

    state: State
    processes: ClusterProcesses
    endpoint: ControlPlaneEndpoint
    authority: Authority
    audit: bool
    grace: int = GRACE
    old: bool = False
    _reservation: socket.socket | None = field(default=None, repr=False)

    @classmethod
    def start(cls, name: str, *, audit: bool = True, keep: bool = False, grace: int = GRACE, old: bool = False) -> Self:
        """Start a control plane on loopback. An earlier control plane with this name is removed first.

        Unless `keep` is set, the kernel kills its processes when the thread that started it ends for any reason.
        With `old`, its programs are those of the oldest supported Kubernetes version.
        """
        programs = old_programs() if old else ensure(*PROGRAMS)
        state = State(name)
        with state.locked():
            cleanup.remove_orphans()
            cleanup.remove(state)
            state.create()
            reservation, port = reserve_port()
            url = f"https://127.0.0.1:{port}"
            state.save(kind="control-plane", url=url, audit=audit, owner=None if keep else cleanup.owner())
            processes = ClusterProcesses(state.folder, die_with_us=not keep)
            endpoint = ControlPlaneEndpoint("127.0.0.1", port, url)
            plane = cls(state, processes, endpoint, Authority(state.folder / "pki"), audit, grace, old, reservation)
            try:
                plane.launch(programs)
            except BaseException:
                plane._remove()
                raise
        return plane

    @classmethod
    def find(cls, name: str) -> Self:
        """Return the control plane with this name, started by another process."""
        state = State(name)
        facts = state.load()
        if facts["kind"] != "control-plane":
            raise ToolError(f"{name} is a cluster with nodes. Use a control plane without nodes")
        port = int(facts["url"].rpartition(":")[2])
        endpoint = ControlPlaneEndpoint("127.0.0.1", port, facts["url"])
        return cls(state, ClusterProcesses(state.folder), endpoint, Authority(state.folder / "pki"), facts["audit"])

    def launch(self, programs: Mapping[str, Path]) -> None:
        """Start the components and wait until the API server and the controllers work."""
        self.authority.create()
        hosts = [*components.SERVER_NAMES, self.endpoint.address]
        layout = components.Layout(
            folder=self.state.folder,
            programs=programs,
            address=self.endpoint.address,
            port=self.endpoint.port,
            authority=self.authority.pair,
            service_account_key=self.authority.service_account_key,
            server=self.authority.issue("kube-apiserver", "kube-apiserver", hosts=hosts),
            kubelet_client=self.authority.issue("kubelet-client", "kube-apiserver-kubelet-client", [_MASTERS]),
            audit=self.audit,
            grace=self.grace,
            old=self.old,
            loopback=self.endpoint.namespaces is HERE,
        )
        self.authority.issue("admin", "admin", [_MASTERS])
        kubeconfig.write(self.kubeconfig, self.url, self.ca, self._admin)
        (self.state.folder / "audit-policy.yaml").write_text(yaml.safe_dump(components.AUDIT_POLICY))
        manager = self.component_kubeconfig("kube-controller-manager", "system:kube-controller-manager")
        scheduler = self.component_kubeconfig("kube-scheduler", "system:kube-scheduler")
        self.start_component("etcd", components.etcd(layout))
        self.start_component("kube-apiserver", components.kube_apiserver(layout))
        self.wait_ready()
        self.start_component("kube-controller-manager", components.kube_controller_manager(layout, manager))
        self.start_component("kube-scheduler", components.kube_scheduler(layout, scheduler))
        self.processes.wait("kube-controller-manager", self._controllers_work)

    @property
    def name(self) -> str:
        """The cluster's name."""
        return self.state.name

    @property
    def url(self) -> str:
        """The API server's URL for this machine's programs."""
        return self.endpoint.outside

    @property
    def ca(self) -> Path:
        """The path of the certificate of the cluster's authority."""
        return self.authority.pair.certificate

    @property
    def kubeconfig(self) -> Path:
        """The path of the kubeconfig of the cluster's administrator."""
        return self.state.folder / "admin.kubeconfig"

    @property
    def audit_log(self) -> Path:
        """The audit log: one JSON object a line, metadata of every finished request."""
        return self.state.folder / "audit.log"

    @cached_property
    def api(self) -> Api:
        """A client with the administrator's rights."""
        return Api(self.url, self.ca, self._admin)

    def component_kubeconfig(self, role: str, user: str, groups: Sequence[str] = ()) -> Path:
        """Return a kubeconfig for use inside the cluster's namespaces, with a client certificate."""
        pair = self.authority.issue(role, user, groups)
        return kubeconfig.write(self.state.folder / f"{role}.kubeconfig", self.endpoint.inside, self.ca, pair)

    def user_kubeconfig(self, user: str, groups: Sequence[str] = ()) -> Path:
        """Return a kubeconfig, for this machine's programs, of a user who has only the rights that RBAC grants."""
        pair = self.authority.issue(f"user-{user}", user, groups)
        return kubeconfig.write(self.state.folder / f"user-{user}.kubeconfig", self.url, self.ca, pair)

    def service_account_kubeconfig(self, namespace: str, account: str, *, pod: str = "", seconds: int = 86400) -> Path:
        """Return a kubeconfig for this machine's programs, with a service account's token, bound to `pod` if given."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        spec: dict[str, object] = {"expirationSeconds": seconds}
        if pod:
            uid = self.api.get(f"/api/v1/namespaces/{namespace}/pods/{pod}")["metadata"]["uid"]
            spec["boundObjectRef"] = {"apiVersion": "v1", "kind": "Pod", "name": pod, "uid": uid}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        token: str = self.api.call("POST", path, body)["status"]["token"]
        name = ".".join(filter(None, (namespace, account, pod, "kubeconfig")))
        return kubeconfig.write(self.state.folder / name, self.url, self.ca, token)

    def simulate_nodes(
        self,
        names: int | Sequence[str],
        labels: Mapping[str, str] | None = None,
        taints: Sequence[Mapping[str, str]] = (),
        seconds: float = 120.0,
    ) -> list[str]:
        """Add nodes that kwok simulates, by number or by name. Wait until all are Ready and return their names."""
        if self.processes.find("kwok") is None:
            config = self.component_kubeconfig("kwok", "kwok", [_MASTERS])  # it acts as every component of a node
            command = simulated.kwok(self.state.folder, config, 2 * self.grace)
            self.start_component("kwok", command)
        created = simulated.create(self.api, names, labels or {}, taints)
        self.processes.wait("kwok", lambda: simulated.ready(self.api, created), seconds)
        return created

    def start_component(self, role: str, command: Sequence[str | Path], namespaces: Namespaces | None = None) -> None:
        """Start a component, in the control plane's namespaces or in others, and save its command for a restart."""
        spaces = namespaces or self.endpoint.namespaces
        words = spaces.enter(command)
        (self.state.folder / f"{role}.command.json").write_text(json.dumps(words))
        self.processes.start(role, words)

    def wait_ready(self, seconds: float = 60.0) -> None:
        """Wait until the API server is ready."""
        self.processes.wait("kube-apiserver", self.api.ready, seconds)

    def pause(self, role: str) -> None:
        """Freeze a component: its connections stay open, but it does not respond."""
        self.processes.send(role, signal.SIGSTOP)

    def resume(self, role: str) -> None:
        """Resume a frozen component."""
        self.processes.send(role, signal.SIGCONT)

    def kill(self, role: str) -> None:
        """Kill a component, as in a crash."""
        self.processes.kill(role)

    def restart(self, role: str) -> None:
        """Kill a component if it runs, start it again with the same command, and wait until the API server is ready."""
        self.kill(role)
        command: list[str] = json.loads((self.state.folder / f"{role}.command.json").read_text())
        self.processes.start(role, command)
        self.wait_ready()

    def stop(self) -> None:
        """Kill all processes and remove all files."""
        with self.state.locked():
            self._remove()

    def detach(self) -> None:
        """Close this process's connections to a control plane that keeps running."""
        self.api.close()
        if self._reservation is not None:
            self._reservation.close()

    def __enter__(self) -> Self:
        """Return the control plane for use in a `with` block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the control plane, also after an error."""
        self.stop()

    @property
    def _admin(self) -> CertificateAndKey:
        return CertificateAndKey(self.authority.folder / "admin.crt", self.authority.folder / "admin.key")

    def _controllers_work(self) -> bool:
        """Return whether the controllers have created the namespace's service account, which pods need."""
        try:
            self.api.get("/api/v1/namespaces/default/serviceaccounts/default")
        except ClusterApiError:
            return False
        return True

    def _remove(self) -> None:
        cleanup.remove(self.state)
        self.processes.kill_all()  # reaps the children of this process
        self.detach()


def old_programs() -> dict[str, Path]:
    """Return the programs of the oldest supported Kubernetes version, by the names of the newest."""
    old = {name: f"{name}{OLD_SUFFIX}" if name != "etcd" else name for name in PROGRAMS}
    found = ensure(*old.values())
    return {name: found[its] for name, its in old.items()}


def reserve_port() -> tuple[socket.socket, int]:
    """Return a free loopback port, reserved while the socket is open: only a listener that shares ports may bind it."""
    reservation = socket.socket()
    reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reservation.bind(("127.0.0.1", 0))
    return reservation, int(reservation.getsockname()[1])
