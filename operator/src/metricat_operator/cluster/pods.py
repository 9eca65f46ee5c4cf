"""Agent pods, trimmed to their node, their readiness and the reason why they are not ready."""

import re
from typing import Any

from metricat_operator.cluster.watch import kept_metadata
from metricat_operator.conditions import Reason
from metricat_operator.facts.model import AgentPod, Manifest


def trim_pod(manifest: Manifest) -> Manifest:
    """Trim an agent pod to the fields in use."""
    ready = condition(manifest, "Ready").get("status") == "True"
    reason, message = ("", "") if ready else why_not_ready(manifest)
    spec = manifest["spec"]
    return {
        "metadata": kept_metadata(manifest),
        "node": spec.get("nodeName") or _wanted_node(spec),
        "ready": ready,
        "reason": reason,
        "message": message,
    }


def agent_pod(trimmed: Manifest) -> AgentPod:
    """Return a trimmed pod as a fact."""
    metadata = trimmed["metadata"]
    gone = "deletionTimestamp" in metadata
    return AgentPod(
        name=metadata["name"],
        node=trimmed["node"],
        ready=trimmed["ready"] and not gone,
        reason=Reason.TERMINATING if gone else trimmed["reason"],
        message="" if gone else trimmed["message"],
        uid=metadata.get("uid", ""),
    )


_STARTING = frozenset({Reason.CONTAINER_CREATING, Reason.POD_INITIALIZING, Reason.CRASH_LOOP_BACK_OFF})
"""Waiting reasons of a container that are less specific than its previous termination."""

_BACK_OFF = re.compile(r'^Back-off pulling image "[^"]*": ErrImagePull: ')
_SAID = 400
"""Longest part of an agent's termination message that is reported, in characters."""


def why_not_ready(pod: Manifest) -> tuple[str, str]:
    """Return the most specific reason and message: of the container, the scheduler, or the pod itself.

    A cycle (pull and wait, end and restart) has one reason: otherwise the status would be written at each step.
    """
    status = pod.get("status", {})
    for container in status.get("containerStatuses", []):
        if not _was_ready(container, pod) and (cause := _of_container(container)):
            return cause
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return scheduled.get("reason", Reason.UNSCHEDULABLE), scheduled.get("message", "")
    if status.get("reason"):
        return status["reason"], status.get("message", "")
    return Reason.NOT_READY if status.get("phase") == "Running" else status.get("phase") or Reason.PENDING, ""


def _was_ready(status: Manifest, pod: Manifest) -> bool:
    """Return whether the container runs and was ready since it started: then its previous termination is irrelevant.

    Times are RFC 3339 in UTC with a precision of seconds, so sorting their strings sorts them by time.
    """
    started = status.get("state", {}).get("running", {}).get("startedAt")
    return bool(started) and condition(pod, "Ready").get("lastTransitionTime", "") > started


def _of_container(status: Manifest) -> tuple[str, str] | None:
    state = status.get("state", {})
    waiting = state.get("waiting", {})
    ended = state.get("terminated") or status.get("lastState", {}).get("terminated")
    if waiting.get("reason") in {Reason.ERR_IMAGE_PULL, Reason.IMAGE_PULL_BACK_OFF}:
        return Reason.IMAGE_PULL_BACK_OFF, _BACK_OFF.sub("", waiting.get("message", ""))
    if ended and (not waiting or waiting.get("reason") in _STARTING):
        return _ended(ended)
    return (waiting.get("reason", Reason.WAITING), waiting.get("message", "")) if waiting else None


def _ended(terminated: Manifest) -> tuple[str, str]:
    if terminated.get("reason") == Reason.OOM_KILLED:
        return Reason.OOM_KILLED, ""
    message = f"the container ended with exit code {terminated.get('exitCode')}"
    said = " ".join(terminated.get("message", "").split())[-_SAID:]
    return Reason.CRASH_LOOP_BACK_OFF, f"{message}: {said}" if said else message


def _wanted_node(spec: Manifest) -> str:
    """Return the node of a pod that is not bound yet, from the affinity set by the DaemonSet controller."""
    affinity: dict[str, Any] = spec.get("affinity", {}).get("nodeAffinity", {})
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {})
    for term in required.get("nodeSelectorTerms", []):
        for field in term.get("matchFields", []):
            if field.get("key") == "metadata.name" and field.get("values"):
                return str(field["values"][0])
    return ""


def condition(manifest: Manifest, name: str) -> Manifest:
    """Return the condition of the type `name` from an object's status; an empty object if the status lacks it."""
    conditions = manifest.get("status", {}).get("conditions", [])
    return next((condition for condition in conditions if condition["type"] == name), {})
