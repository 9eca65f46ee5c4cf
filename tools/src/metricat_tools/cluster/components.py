"""The command lines of the control plane's components. Pure: reads no file and starts no process."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from metricat_tools.cluster.pki import CertificateAndKey

SERVICE_RANGE, SERVICE_ADDRESS = "10.96.0.0/16", "10.96.0.1"
ISSUER = "https://kubernetes.default.svc.cluster.local"
SERVER_NAMES = (
    "localhost",
    "127.0.0.1",
    SERVICE_ADDRESS,
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
# Tests must not wait for a client's rate limit: the controllers' default is 20 requests a second.
_FAST = ("--kube-api-qps=1000", "--kube-api-burst=2000")

AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


@dataclass(frozen=True)
class Layout:
    """The address of a control plane, and its files."""

    folder: Path
    programs: Mapping[str, Path]
    address: str
    port: int
    authority: CertificateAndKey
    service_account_key: Path
    server: CertificateAndKey
    kubelet_client: CertificateAndKey
    audit: bool
    grace: int
    """Seconds without a heartbeat after which a node is no longer Ready."""
    loopback: bool
    """Only processes of this machine reach the API server, so it advertises no address to pods."""
    old: bool = False
    """The programs are those of the oldest supported Kubernetes version."""

    @property
    def etcd_socket(self) -> str:
        """The URL of etcd's unix socket, which needs no free port and to which no other program has access."""
        return f"unix://{self.folder}/etcd.sock"


def etcd(layout: Layout) -> list[str | Path]:
    """Return etcd's command, without syncing to the disk: a test cluster need not survive a power cut."""
    return [
        layout.programs["etcd"],
        f"--data-dir={layout.folder}/etcd",
        f"--listen-client-urls={layout.etcd_socket}",
        f"--advertise-client-urls={layout.etcd_socket}",
        f"--listen-peer-urls=unix://{layout.folder}/peer.sock",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def kube_apiserver(layout: Layout) -> list[str | Path]:
    """Return the API server's command, with RBAC, Node authorizer, service account tokens and an optional audit log."""
    where = (
        # Only loopback reaches it: no endpoints for the service `kubernetes`, and a port that stays reserved.
        ["--endpoint-reconciler-type=none", "--permit-port-sharing=true", "--external-hostname=127.0.0.1"]
        if layout.loopback
        # Without kube-proxy here, webhooks and aggregated APIs are reached at their pods' addresses.
        else ["--enable-aggregator-routing=true", f"--advertise-address={layout.address}"]
    )
    audit = [
        f"--audit-policy-file={layout.folder}/audit-policy.yaml",
        f"--audit-log-path={layout.folder}/audit.log",
        "--audit-log-maxsize=100000",
        "--audit-log-mode=blocking",
    ]
    return [
        layout.programs["kube-apiserver"],
        f"--etcd-servers={layout.etcd_socket}",
        f"--bind-address={layout.address}",
        f"--secure-port={layout.port}",
        *where,
        f"--cert-dir={layout.folder}/pki",
        f"--tls-cert-file={layout.server.certificate}",
        f"--tls-private-key-file={layout.server.key}",
        f"--client-ca-file={layout.authority.certificate}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-key-file={layout.service_account_key}",
        f"--service-account-signing-key-file={layout.service_account_key}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-certificate-authority={layout.authority.certificate}",
        f"--kubelet-client-certificate={layout.kubelet_client.certificate}",
        f"--kubelet-client-key={layout.kubelet_client.key}",
        *(audit if layout.audit else []),
    ]


def kube_controller_manager(layout: Layout, kubeconfig: Path) -> list[str | Path]:
    """Return the command of all controllers, each with its own service account, without limits that delay tests."""
    return [
        layout.programs["kube-controller-manager"],
        f"--kubeconfig={kubeconfig}",
        "--secure-port=0",
        "--leader-elect=false",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={layout.service_account_key}",
        f"--root-ca-file={layout.authority.certificate}",
        f"--cluster-signing-cert-file={layout.authority.certificate}",
        f"--cluster-signing-key-file={layout.authority.key}",
        f"--node-monitor-grace-period={layout.grace}s",
        # Its retries have growing delays: on a busy machine, 1,000 ready pods are never counted. 1.30 has no such gate.
        *([] if layout.old else ["--feature-gates=StaleControllerConsistencyDaemonSet=false"]),
        *_FAST,
    ]


def kube_scheduler(layout: Layout, kubeconfig: Path) -> list[str | Path]:
    """Return the scheduler's command."""
    return [
        layout.programs["kube-scheduler"],
        f"--kubeconfig={kubeconfig}",
        "--secure-port=0",
        "--leader-elect=false",
        *_FAST,
    ]
