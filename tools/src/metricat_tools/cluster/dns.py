"""DNS inside a cluster: CoreDNS in the control plane's namespace, at the address that kubelets configure in pods."""

from pathlib import Path

from metricat_tools.cluster.api import Api
from metricat_tools.cluster.network import BRIDGE

ROLE, USER, ZONE = "coredns", "system:coredns", "cluster.local"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"


def grant(api: Api) -> None:
    """Grant CoreDNS read access to the objects it serves."""
    verbs = ["list", "watch"]
    rules = [
        {"apiGroups": [""], "resources": ["services", "namespaces"], "verbs": verbs},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": verbs},
    ]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": USER}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}
    api.create(f"{_RBAC}/clusterroles", {"metadata": {"name": USER}, "rules": rules})
    api.create(f"{_RBAC}/clusterrolebindings", {"metadata": {"name": USER}, "roleRef": role, "subjects": [subject]})


def corefile(folder: Path, kubeconfig: Path) -> Path:
    """Write the configuration of CoreDNS into the folder, and return its path."""
    path = folder / "Corefile"
    path.write_text(
        f"""\
.:53 {{
  bind {BRIDGE}
  errors
  kubernetes {ZONE} in-addr.arpa {{
    kubeconfig {kubeconfig} c
    ttl 5
  }}
}}
"""
    )
    return path
