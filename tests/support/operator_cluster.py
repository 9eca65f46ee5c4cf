"""A control plane with everything of the chart except the Deployment, and processes of the operator in its pods."""

import os
from collections.abc import Callable
from pathlib import Path

from metricat_operator.child_kinds import CHILD_KINDS
from metricat_tools.binaries import ensure
from metricat_tools.cluster import ControlPlane
from support.harness import Cluster, RunningOperator, crd_file, free_port, install_chart
from support.paths import ROOT

AGENT_IMAGE = "metricat/agent:test"

Replica = Callable[..., RunningOperator]
"""An operator that is not started yet, as it would run in the pod of this name, under the ServiceAccount `name`."""


def prepare(control_plane: ControlPlane, nodes: int) -> Cluster:
    """Add simulated nodes, all CRDs, and all objects of the chart except the Deployment."""
    cluster = Cluster(control_plane.kubeconfig, ensure("kubectl")["kubectl"], control_plane.api)
    cluster.do("apply", "--server-side", "-f", str(ROOT / "crds"))
    for kind in (kind for kind in CHILD_KINDS if kind.optional):
        cluster.do("apply", "--server-side", "-f", str(crd_file(kind.plural)))
    cluster.do("create", "namespace", "monitoring")
    install_chart(cluster, "metricat")
    if nodes:
        control_plane.simulate_nodes(nodes)
    control_plane.restart("kube-controller-manager")  # its garbage collector looks for new kinds twice a minute only
    return cluster


def replicas(cluster: Cluster, control_plane: ControlPlane, folder: Path) -> Replica:
    """Return a function that creates a pod, and the operator that would run in it, with its own token."""

    def made(pod: str, name: str = "metricat", **settings: str) -> RunningOperator:
        spec = {"serviceAccountName": name, "containers": [{"name": "operator", "image": "metricat/operator:x"}]}
        metadata = {"name": pod, "namespace": "monitoring"}
        cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        made = cluster.get("pod", pod, "monitoring")
        assert made is not None
        environment = {
            **os.environ,
            "KUBECONFIG": str(control_plane.service_account_kubeconfig("monitoring", name, pod=pod)),
            "METRICAT_AGENT_IMAGE": AGENT_IMAGE,
            "METRICAT_HEALTH_PORT": str(free_port()),
            "METRICAT_METRICS_PORT": str(free_port()),
            "METRICAT_LEASE": f"monitoring/{name}",
            "METRICAT_POD_NAME": pod,
            "METRICAT_POD_UID": made["metadata"]["uid"],
            "METRICAT_LOG_LEVEL": "DEBUG",
            **settings,
        }
        log = folder / f"{pod}.log"
        log.unlink(missing_ok=True)  # an operator of an earlier test had the same pod
        return RunningOperator(environment, log)

    return made
