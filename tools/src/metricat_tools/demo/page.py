"""The hub in the demo: its web page, its user, and a port of this machine that is forwarded to the hub."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from metricat_tools.cluster import port_forward
from metricat_tools.cluster.processes import Namespaces
from metricat_tools.stack.apis import NAMESPACE
from metricat_tools.stack.metricat import RELEASE
from metricat_tools.stack.wait import pod_problems, until

if TYPE_CHECKING:
    from metricat_tools.cluster.node_cluster import NodeCluster
    from metricat_tools.demo.demo_cluster import DemoCluster

SERVICE = f"{RELEASE}-hub"
USER = "metricat-demo"
PORT = 8428
LOCAL = f"http://localhost:{PORT}"
"""The address of the page after `kubectl port-forward`."""
_HOURS = 12
_ROLE = "hub-port-forward"


def wait_ready(demo: DemoCluster) -> None:
    """Wait until the hub can query a Prometheus, and create its user."""
    until("waiting for the hub", lambda: _is_ready(demo), why=lambda: pod_problems(demo.kubectl, NAMESPACE))
    demo.kubectl.apply("\n---\n".join(json.dumps(one) for one in user()))


def user() -> list[dict[str, object]]:
    """Return a ServiceAccount that may read everything through the hub, and change thresholds and silences.

    The policy of the chart permits changes of a MonitoringTarget to its authors only.
    """
    group = "rbac.authorization.k8s.io"
    subjects = [{"kind": "ServiceAccount", "name": USER, "namespace": NAMESPACE}]
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": USER, "namespace": NAMESPACE}},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": USER},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": f"{SERVICE}-editor"},
            "subjects": subjects,
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": USER, "namespace": NAMESPACE},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": f"{RELEASE}-author"},
            "subjects": subjects,
        },
    ]


def token(demo: DemoCluster) -> str:
    """Return a new token of the user."""
    return demo.kubectl.run("create", "token", USER, "--namespace", NAMESPACE, f"--duration={_HOURS}h").strip()


def forward(cluster: NodeCluster, demo: DemoCluster) -> str:
    """Forward a port of this machine to the hub while the cluster runs, and return the URL."""
    service = demo.kubectl.get("service", SERVICE, "--namespace", NAMESPACE)
    address = service["spec"]["clusterIP"]
    processes = cluster.control_plane.processes
    if processes.find(_ROLE):  # of an earlier demo on this cluster
        processes.kill(_ROLE)
    # The Service's address exists on nodes only.
    inside = Namespaces(cluster.nodes[0].namespaces.holder)
    return f"http://127.0.0.1:{port_forward.start(processes, inside, address, PORT, role=_ROLE)}"


def _is_ready(demo: DemoCluster) -> bool:
    """Return whether all replicas of the hub have the newest template and are ready."""
    found = demo.kubectl.get("deployment", SERVICE, "--namespace", NAMESPACE)
    wanted, status = int(found["spec"]["replicas"]), found["status"]
    numbers = {int(status.get(name, 0)) for name in ("replicas", "updatedReplicas", "readyReplicas")}
    return status.get("observedGeneration") == found["metadata"]["generation"] and numbers == {wanted}
