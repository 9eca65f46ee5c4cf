"""Causes of nodes without a ready agent: a reason, and a message that quotes the cause and adds the remedy.

The messages of the scheduler, a kubelet or an admission plugin are quoted unchanged. See docs/design/0011.
"""

import re

from metricat_operator.conditions import Group, Reason, ReasonInfo
from metricat_operator.conditions.reasons import REASONS
from metricat_operator.facts.model import AgentPod, Event, Manifest, Node, Taint

Cause = tuple[str, str]
"""A reason (a `Reason` or that of a kubelet) and a message."""

_STARTING = frozenset({Reason.CONTAINER_CREATING, Reason.POD_INITIALIZING, Reason.PENDING})

EXPECTED = _STARTING | {
    Reason.NO_POD,
    Reason.NOT_READY,
    Reason.ROLLOUT_IN_PROGRESS,
    Reason.TERMINATING,
    Reason.VIRTUAL_NODE,
}
"""Reasons that every new agent passes through, or that need no action."""

_UNKNOWN = ReasonInfo(Group.NODE, "", "See: `kubectl describe pod -n NAMESPACE POD`")
"""For a reason that is not registered."""

_NOT_FOUND = re.compile(r'\b(?:secret|configmap) "?([^"\s]+)"? not found')
_TIMED_OUT = re.compile(r"timed out|deadline exceeded")


def node_not_ready(node: Node) -> Cause:
    """Return the cause for a node that is not ready: the state of its agent is unknown."""
    why = ": ".join(filter(None, ("The node itself is not ready", node.why.strip().rstrip("."))))
    return Reason.NODE_NOT_READY, f"{why}. See: kubectl describe node {node.name}"


def taint_not_tolerated(taint: Taint) -> Cause:
    """Return the cause for a node with a taint that its agents do not tolerate: the DaemonSet has no pod there."""
    return Reason.TAINT_NOT_TOLERATED, (
        f"The node has the taint {taint}. Tolerate it in spec.agent.tolerations or in the tolerations of the pool, or "
        f"exclude the node "
        "in spec.nodeSelector."
    )


def not_selected(daemon_set: Manifest) -> Cause:
    """Return the cause for a node that the spec selects and the live DaemonSet does not: the spec is not applied."""
    name = daemon_set.get("metadata", {}).get("name", "")
    return Reason.NOT_APPLIED, f"The DaemonSet {name} does not select this node yet. See the condition Applied."


def no_pod(daemon_set: Manifest, event: Event | None) -> Cause:
    """Return the cause for a node without a pod: a rollout, an error of the DaemonSet controller, or unknown."""
    if not_observed(daemon_set):
        return Reason.ROLLOUT_IN_PROGRESS, "The DaemonSet controller has not processed the newest DaemonSet yet."
    failed = event is not None and event.reason == Reason.FAILED_CREATE
    if rolling_out(daemon_set) and not failed:
        return Reason.ROLLOUT_IN_PROGRESS, _progress(daemon_set)
    if event is None or not failed:
        return _with_remedy(Reason.NO_POD, "The DaemonSet controller has not created a pod for this node", daemon_set)
    error = event.message.removeprefix("(combined from similar events): ").removeprefix("Error creating: ")
    if "violates PodSecurity" in error:
        return _with_remedy(Reason.POD_SECURITY, error, daemon_set)
    if "exceeded quota" in error or "failed quota" in error:
        return _with_remedy(Reason.QUOTA_EXCEEDED, error, daemon_set)
    return _with_remedy(Reason.FAILED_CREATE, error, daemon_set)


def pod_not_ready(pod: AgentPod, daemon_set: Manifest, event: Event | None) -> Cause:
    """Return the cause for a node whose pod is not ready."""
    if pod.reason == Reason.TERMINATING and rolling_out(daemon_set):
        return Reason.ROLLOUT_IN_PROGRESS, _progress(daemon_set)
    if event is not None and starting(pod):
        if _NOT_FOUND.search(event.message):
            return _with_remedy(Reason.OBJECT_NOT_FOUND, event.message, daemon_set, pod)
        hangs = event.reason == Reason.FAILED_MOUNT and _TIMED_OUT.search(event.message)
        return _with_remedy(Reason.HUNG_MOUNT if hangs else event.reason, event.message, daemon_set, pod)
    if pod.reason == Reason.UNSCHEDULABLE and "anti-affinity" in pod.message:
        return _with_remedy(Reason.OVERLAPS, pod.message, daemon_set, pod)
    return _with_remedy(pod.reason, pod.message, daemon_set, pod)


def starting(pod: AgentPod) -> bool:
    """Return whether the status of the pod reports only that the pod is starting."""
    return not pod.ready and pod.reason in _STARTING


def not_observed(daemon_set: Manifest) -> bool:
    """Return whether the DaemonSet is missing, or its controller has not observed its newest version."""
    observed = daemon_set.get("status", {}).get("observedGeneration")
    return bool(observed is None or observed != daemon_set.get("metadata", {}).get("generation"))


def rolling_out(daemon_set: Manifest) -> bool:
    """Return whether pods are being replaced: some existing pods are not of the newest version."""
    status = daemon_set.get("status", {})
    return int(status.get("updatedNumberScheduled", 0)) < int(status.get("currentNumberScheduled", 0))


def _progress(daemon_set: Manifest) -> str:
    status = daemon_set.get("status", {})
    newest, desired = status.get("updatedNumberScheduled", 0), status.get("desiredNumberScheduled", 0)
    return f"The agent is being replaced: {newest} of {desired} nodes of the pool have the newest version."


def _with_remedy(reason: str, message: str, daemon_set: Manifest, pod: AgentPod | None = None) -> Cause:
    """Return the cause with the remedy of the registry, or the general one for a reason that is not registered."""
    registered = REASONS.get(reason)
    note = (registered.note(Group.NODE) if registered else None) or _UNKNOWN
    metadata = daemon_set.get("metadata", {})
    remedy = note.fill(
        namespace=metadata.get("namespace", ""), daemon_set=metadata.get("name", ""), pod=pod.name if pod else ""
    )
    text = message.strip().rstrip(".") or note.meaning.rstrip(".")
    return reason, ". ".join(filter(None, (text, remedy)))
