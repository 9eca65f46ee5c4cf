"""Every node that should have a ready agent and has none, and why."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from metricat_operator.api.v1alpha1 import Toleration
from metricat_operator.observed import AgentPod, Facts, Node, Taint
from metricat_operator.status.members import Members

_NO_POD = (
    "the DaemonSet has no pod on this node: it was just added, or Pod Security refuses hostPath volumes "
    "(kubectl label namespace NAME pod-security.kubernetes.io/enforce=privileged)"
)
_TAINTED = (
    "the node has the taint {taint}; tolerate it in spec.agent.tolerations or the pool's, "
    "or leave the node out by spec.nodeSelector"
)


@dataclass(frozen=True)
class Uncovered:
    """A node that should have a ready agent and has none, and why."""

    node: str
    reason: str
    message: str


def coverage(pools: Sequence[Members], facts: Facts) -> list[Uncovered]:
    """Every node that should have a ready agent and has none, with the reason."""
    pods: dict[str, AgentPod] = {}
    for pod in facts.pods:
        if pod.node not in pods or pod.ready:
            pods[pod.node] = pod
    found = [
        _why(node, pods.get(node.name), pool.tolerations)
        for pool in pools
        for node in pool.nodes
        if not (node.name in pods and pods[node.name].ready)
    ]
    return sorted(found, key=lambda node: node.node)


def _why(node: Node, pod: AgentPod | None, tolerations: Sequence[Toleration]) -> Uncovered:
    if not node.ready:
        return Uncovered(node.name, "NodeNotReady", "the node itself is not ready")
    if pod is None:
        if taint := next(_not_tolerated(node.taints, tolerations), None):
            return Uncovered(node.name, "TaintNotTolerated", _TAINTED.format(taint=taint))
        return Uncovered(node.name, "NoPod", _NO_POD)
    return Uncovered(node.name, pod.reason, pod.message)


_TOLERATED_BY_EVERY_DAEMON_SET = frozenset(
    f"node.kubernetes.io/{name}"
    for name in ("not-ready", "unreachable", "disk-pressure", "memory-pressure", "pid-pressure", "unschedulable")
)
"""The DaemonSet controller adds these tolerations (kubernetes.io/docs/concepts/workloads/controllers/daemonset)."""


def _not_tolerated(taints: Sequence[Taint], tolerations: Sequence[Toleration]) -> Iterator[Taint]:
    for taint in taints:
        if taint.effect == "PreferNoSchedule" or taint.key in _TOLERATED_BY_EVERY_DAEMON_SET:
            continue
        if not any(_tolerates(toleration, taint) for toleration in tolerations):
            yield taint


def _tolerates(toleration: Toleration, taint: Taint) -> bool:
    if toleration.effect not in {None, taint.effect}:
        return False
    if toleration.key not in {None, "", taint.key}:
        return False
    return toleration.operator == "Exists" or (toleration.value or "") == taint.value
