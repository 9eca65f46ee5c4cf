"""Why a node has no ready agent: a short reason, and a message that says how to mend it.

The words of those who know (the scheduler, a kubelet, an admission plugin) are kept; a remedy is put after them.
"""

import re

from metricat_operator.facts.model import AgentPod, Event, Manifest, Node, Taint

Cause = tuple[str, str]
"""A reason, and a message."""

_STARTING = frozenset({"ContainerCreating", "PodInitializing", "Pending"})

ON_THE_WAY = _STARTING | {"NoPod", "NotReady", "RolloutInProgress", "Terminating", "VirtualNode"}
"""What every node that gets an agent passes through, or what nobody waits for."""

_REMEDIES = {
    "ImagePullBackOff": "see that the image exists and the node reaches its registry; a private one needs the "
    "chart's imagePullSecrets, in this namespace too",
    "InvalidImageName": "mend the chart's image.agent",
    "ErrImageNeverPull": "load the image onto the node, or set the chart's image.agent.pullPolicy: IfNotPresent",
    "CrashLoopBackOff": "see kubectl logs -n {namespace} {pod} --previous",
    "OOMKilled": "the agent needed more memory than its limit; raise spec.agent.resources.limits.memory, or the pool's",
    "Unschedulable": "make room on the node, lower spec.agent.resources, or set spec.agent.priorityClassName",
    "Overlaps": "the agent of another target or pool still runs there; it goes by itself, unless that target is paused "
    "or not accepted: kubectl get mtarget -A",
    "CreateContainerConfigError": "see kubectl describe pod -n {namespace} {pod}",
    "Evicted": "the node ran short of something; the DaemonSet controller tries again by itself",
    "NotReady": "the agent runs, but its readiness probe fails; see kubectl logs -n {namespace} {pod}",
    "Terminating": "its pod is being deleted; if it stays so, the node cannot end it: once that is known to be down, "
    "kubectl delete pod -n {namespace} {pod} --force",
    "ContainerCreating": "the node prepares the agent's pod; if it stays so: kubectl describe pod -n {namespace} {pod}",
    "PodInitializing": "the node prepares the agent's pod; if it stays so: kubectl describe pod -n {namespace} {pod}",
    "Pending": "the pod was not taken up by the node yet; if it stays so: kubectl describe pod -n {namespace} {pod}",
    "ObjectNotFound": "create it in the namespace {namespace}, or mend its name in the spec",
    "HungMount": "a mount of the node does not answer: look there for a dead network file system (mount, df, dmesg)",
    "FailedMount": "see kubectl describe pod -n {namespace} {pod}",
    "FailedCreatePodSandBox": "the node's container runtime or network plugin fails; look at the kubelet's log there",
    "PodSecurity": "the agents read the node through hostPath volumes; allow it: kubectl label namespace {namespace} "
    "pod-security.kubernetes.io/enforce=privileged --overwrite, then at once: kubectl rollout restart -n {namespace} "
    "daemonset {daemon_set}",
    "QuotaExceeded": "raise the ResourceQuota of the namespace {namespace}, or move the target into one of its own",
    "FailedCreate": "an admission rule of the cluster refuses the agent's pods; let it pass those of the DaemonSet "
    "{daemon_set} in {namespace}",
}

_NOT_FOUND = re.compile(r'\b(?:secret|configmap) "?([^"\s]+)"? not found')
_TIMED_OUT = re.compile(r"timed out|deadline exceeded")


def node_not_ready(node: Node) -> Cause:
    """Nothing can be said of an agent there."""
    return "NodeNotReady", f"the node itself is not ready{': ' if node.why else ''}{node.why}"


def taint(found: Taint) -> Cause:
    """The DaemonSet controller makes no pod for such a node."""
    return "TaintNotTolerated", (
        f"the node has the taint {found}; tolerate it in spec.agent.tolerations or the pool's, or leave the node out "
        "by spec.nodeSelector"
    )


def not_meant(daemon_set: Manifest) -> Cause:
    """The pool has the node by the spec, and the live DaemonSet not yet: the spec is not applied."""
    name = daemon_set.get("metadata", {}).get("name", "")
    return "NotApplied", f"the DaemonSet {name} does not select this node yet: see the condition Applied"


def no_pod(daemon_set: Manifest, event: Event | None) -> Cause:
    """There is no pod on the node; the DaemonSet controller's event says why it made none."""
    metadata = daemon_set.get("metadata", {})
    if unseen(daemon_set):
        return "RolloutInProgress", "the DaemonSet controller has not taken up the newest DaemonSet yet"
    refused = event is not None and event.reason == "FailedCreate"
    if rolling(daemon_set) and not refused:
        return "RolloutInProgress", _progress(daemon_set)
    if event is None or not refused:
        again = f"kubectl describe daemonset -n {metadata.get('namespace', '')} {metadata.get('name', '')}"
        return "NoPod", f"the DaemonSet controller made no pod for this node yet; if it stays so: {again}"
    said = event.message.removeprefix("(combined from similar events): ").removeprefix("Error creating: ")
    if "violates PodSecurity" in said:
        return _mend("PodSecurity", said, daemon_set)
    if "exceeded quota" in said or "failed quota" in said:
        return _mend("QuotaExceeded", said, daemon_set)
    return _mend("FailedCreate", said, daemon_set)


def pod(found: AgentPod, daemon_set: Manifest, event: Event | None) -> Cause:
    """There is a pod on the node that is not ready."""
    if found.reason == "Terminating" and rolling(daemon_set):
        return "RolloutInProgress", _progress(daemon_set)
    if event is not None and starting(found):
        if _NOT_FOUND.search(event.message):
            return _mend("ObjectNotFound", event.message, daemon_set, found)
        hangs = event.reason == "FailedMount" and _TIMED_OUT.search(event.message)
        return _mend("HungMount" if hangs else event.reason, event.message, daemon_set, found)
    if found.reason == "Unschedulable" and "anti-affinity" in found.message:
        return _mend("Overlaps", found.message, daemon_set, found)
    return _mend(found.reason, found.message, daemon_set, found)


def starting(found: AgentPod) -> bool:
    """Whether the pod's own status says no more than that it is on its way."""
    return not found.ready and found.reason in _STARTING


def unseen(daemon_set: Manifest) -> bool:
    """Whether the DaemonSet controller has not looked at the newest DaemonSet, or there is none."""
    seen = daemon_set.get("status", {}).get("observedGeneration")
    return bool(seen is None or seen != daemon_set.get("metadata", {}).get("generation"))


def rolling(daemon_set: Manifest) -> bool:
    """Whether pods are being replaced: not every one that there is, is of the newest kind."""
    status = daemon_set.get("status", {})
    return int(status.get("updatedNumberScheduled", 0)) < int(status.get("currentNumberScheduled", 0))


def _progress(daemon_set: Manifest) -> str:
    status = daemon_set.get("status", {})
    newest, meant = status.get("updatedNumberScheduled", 0), status.get("desiredNumberScheduled", 0)
    return f"the agent is being replaced: {newest} of {meant} nodes of the pool have the newest"


def _mend(reason: str, said: str, daemon_set: Manifest, found: AgentPod | None = None) -> Cause:
    metadata = daemon_set.get("metadata", {})
    remedy = _REMEDIES.get(reason, "see kubectl describe pod -n {namespace} {pod}" if found else "").format(
        namespace=metadata.get("namespace", ""), daemon_set=metadata.get("name", ""), pod=found.name if found else ""
    )
    return reason, "; ".join(filter(None, (said.strip().rstrip("."), remedy)))
