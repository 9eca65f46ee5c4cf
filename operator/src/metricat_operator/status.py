"""What a target's status says. Pure: from the facts, the troubles met, and the status before."""

from collections.abc import Sequence
from dataclasses import dataclass

from metricat_operator import naming
from metricat_operator.api.parse import Parsed
from metricat_operator.observed import AgentPod, Facts, Manifest, Node, ObjectKey, Trouble

MAX_UNCOVERED = 50
MAX_MESSAGE = 4096

_INSTALL_OPERATOR = (
    "the cluster does not serve {kinds}; install the Prometheus Operator, for example: helm install kps "
    "oci://ghcr.io/prometheus-community/charts/kube-prometheus-stack -n monitoring"
)


_NO_POD = (
    "the DaemonSet has no pod on this node: it was just added, has a taint that is not tolerated, or Pod Security "
    "refuses hostPath volumes (kubectl label namespace NAME pod-security.kubernetes.io/enforce=privileged)"
)


@dataclass(frozen=True)
class Uncovered:
    """A node that should have a ready agent and has none, and why."""

    node: str
    reason: str
    message: str


def compute(target: Manifest, parsed: Parsed, facts: Facts, troubles: Sequence[Trouble], now: str) -> Manifest:
    """The whole status. `now` is RFC 3339, in UTC; a condition keeps its time while its status stays the same."""
    uncovered = coverage(facts)
    wanted = [node for node in facts.nodes if node.linux]
    daemon_set = facts.children.get(ObjectKey("DaemonSet", naming.child(target["metadata"]["name"])), {})
    conditions = [
        _accepted(parsed),
        _applied(parsed, facts, troubles),
        _agents_ready(wanted, uncovered, daemon_set, troubles),
    ]
    conditions.append(_ready(conditions))
    generation = target["metadata"]["generation"]
    before = {condition["type"]: condition for condition in target.get("status", {}).get("conditions", [])}
    return {
        "observedGeneration": generation,
        "conditions": [_stamped(condition, before, generation, now) for condition in conditions],
        "nodes": {
            "desired": len(wanted),
            "ready": len(wanted) - len(uncovered),
            "updated": _updated(daemon_set),
            "uncovered": len(uncovered),
        },
        "uncovered": [
            {"node": node.node, "reason": node.reason, "message": node.message} for node in uncovered[:MAX_UNCOVERED]
        ],
    }


def says_the_same(status: Manifest, before: Manifest) -> bool:
    """Whether the status is already written; conditions of others, and the order of all, do not count."""

    def told(of: Manifest) -> Manifest:
        ours = {one["type"]: one for one in of.get("conditions", []) if one["type"] in types}
        return {**of, "conditions": ours}

    types = {condition["type"] for condition in status["conditions"]}
    return told(status) == told(before)


def coverage(facts: Facts) -> list[Uncovered]:
    """Every node that should have a ready agent and has none, with the reason."""
    pods: dict[str, AgentPod] = {}
    for pod in facts.pods:
        if pod.node not in pods or pod.ready:
            pods[pod.node] = pod
    return [
        _why(node, pods.get(node.name))
        for node in facts.nodes
        if node.linux and not (node.name in pods and pods[node.name].ready)
    ]


def _why(node: Node, pod: AgentPod | None) -> Uncovered:
    if not node.ready:
        return Uncovered(node.name, "NodeNotReady", "the node itself is not ready")
    if pod is None:
        return Uncovered(node.name, "NoPod", _NO_POD)
    return Uncovered(node.name, pod.reason, pod.message)


def _updated(daemon_set: Manifest) -> int:
    """Nodes that run the newest agent; none while the DaemonSet's controller has not seen the newest spec."""
    status = daemon_set.get("status", {})
    if status.get("observedGeneration") != daemon_set.get("metadata", {}).get("generation"):
        return 0
    return int(status.get("updatedNumberScheduled", 0))


def _condition(kind: str, *, status: bool | None, reason: str, message: str) -> Manifest:
    text = {True: "True", False: "False", None: "Unknown"}[status]
    return {"type": kind, "status": text, "reason": reason, "message": _cut(message)}


def _cut(message: str) -> str:
    """No more than a person reads; the API server takes 32,768 characters."""
    return message if len(message) <= MAX_MESSAGE else f"{message[: MAX_MESSAGE - 4]} ..."


def _accepted(parsed: Parsed) -> Manifest:
    if parsed.errors:
        message = "; ".join(parsed.errors) + "; what runs already stays as it was"
        return _condition("Accepted", status=False, reason="Invalid", message=message)
    if parsed.warnings:
        return _condition("Accepted", status=True, reason="AcceptedWithWarnings", message="; ".join(parsed.warnings))
    return _condition("Accepted", status=True, reason="Accepted", message="the spec makes sense")


def _applied(parsed: Parsed, facts: Facts, troubles: Sequence[Trouble]) -> Manifest:
    if parsed.errors:
        return _condition("Applied", status=None, reason="NotAccepted", message="nothing is written until Accepted")
    if parsed.spec and parsed.spec.paused:
        return _condition("Applied", status=None, reason="Paused", message="spec.paused is true: nothing is written")
    other = [trouble for trouble in troubles if trouble.reason != "NotServed"]
    if other:
        told = "; ".join(f"{trouble.kind} {trouble.name}: {trouble.message}" for trouble in other)
        return _condition("Applied", status=False, reason=other[0].reason, message=told)
    unserved = sorted({trouble.kind for trouble in troubles} | facts.unserved)
    if unserved:
        message = _INSTALL_OPERATOR.format(kinds=" and ".join(unserved))
        return _condition("Applied", status=False, reason="NotServed", message=message)
    return _condition("Applied", status=True, reason="Applied", message="every child is as it should be")


def _agents_ready(
    wanted: Sequence[Node], uncovered: Sequence[Uncovered], daemon_set: Manifest, troubles: Sequence[Trouble]
) -> Manifest:
    counts = f"{len(wanted) - len(uncovered)}/{len(wanted)} nodes"
    if refused := [trouble for trouble in troubles if trouble.kind == "DaemonSet"]:
        return _condition("AgentsReady", status=False, reason=refused[0].reason, message=refused[0].message)
    if not daemon_set:
        return _condition("AgentsReady", status=False, reason="NoDaemonSet", message="the agents are not deployed")
    if not wanted:
        return _condition("AgentsReady", status=True, reason="NoNodes", message="the cluster has no Linux nodes yet")
    if uncovered:
        told = ", ".join(f"{node.node}: {node.reason}" for node in uncovered[:3])
        more = f" and {len(uncovered) - 3} more" if len(uncovered) > 3 else ""
        return _condition("AgentsReady", status=False, reason="NodesUncovered", message=f"{counts}; {told}{more}")
    if _updated(daemon_set) < len(wanted):
        message = f"{counts}; the newest agent is on {_updated(daemon_set)} of them"
        return _condition("AgentsReady", status=False, reason="RolloutInProgress", message=message)
    return _condition("AgentsReady", status=True, reason="AgentsReady", message=counts)


def _ready(conditions: Sequence[Manifest]) -> Manifest:
    """Accepted and AgentsReady: what `helm --wait` and GitOps tools look at."""
    wanting = [c for c in conditions if c["type"] in {"Accepted", "AgentsReady"} and c["status"] != "True"]
    if wanting:
        return {**wanting[0], "type": "Ready"}
    agents = next(condition for condition in conditions if condition["type"] == "AgentsReady")
    return _condition("Ready", status=True, reason="Ready", message=agents["message"])


def _stamped(condition: Manifest, before: dict[str, Manifest], generation: int, now: str) -> Manifest:
    old = before.get(condition["type"], {})
    since = old["lastTransitionTime"] if old.get("status") == condition["status"] else now
    return {**condition, "observedGeneration": generation, "lastTransitionTime": since}
