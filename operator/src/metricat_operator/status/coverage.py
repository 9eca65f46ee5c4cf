"""Every node that should have a ready agent and has none, and why."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from metricat_operator import naming
from metricat_operator.api.agent import Toleration
from metricat_operator.api.parse import Parsed
from metricat_operator.facts.model import AgentPod, Event, Facts, Manifest, Node, Taint
from metricat_operator.status import causes
from metricat_operator.status.members import Members, daemon_sets, members, runs_on

_MOST_PODS = 8
"""So many pods that do not start are asked about at a time; the others most likely have the same cause."""


@dataclass(frozen=True)
class Uncovered:
    """A node that should have a ready agent and has none, and why."""

    node: str
    pool: str
    reason: str
    message: str


def coverage(pools: Sequence[Members], facts: Facts) -> list[Uncovered]:
    """Every node that should have a ready agent and has none, with the reason."""
    pods = _pods(facts)
    found = [
        Uncovered(node.name, pool.pool, *_why(node, pods.get(node.name), pool, facts))
        for pool in pools
        for node in pool.nodes
        if not (node.name in pods and pods[node.name].ready)
    ]
    return sorted(found, key=lambda node: node.node)


def unexplained(parsed: Parsed, facts: Facts) -> Mapping[str, Hashable]:
    """What only events can tell, by the UID that they are about: DaemonSets that get no pods, pods that do not start.

    With each the state that it is in: while that changes, something is being done.
    """
    found: dict[str, Hashable] = {}
    pods = _pods(facts)
    idle: list[AgentPod] = []
    for pool in members(parsed, facts):
        daemon_set = _of(pool, facts)
        without = [node for node in pool.nodes if node.ready and not (node.name in pods and pods[node.name].ready)]
        idle += [pods[node.name] for node in without if node.name in pods and causes.starting(pods[node.name])]
        missing = sum(
            node.name not in pods and not any(_not_tolerated(node.taints, pool.tolerations)) for node in without
        )
        if missing and not causes.not_observed(daemon_set):
            found[daemon_set["metadata"].get("uid", "")] = missing
    for pod in sorted(idle, key=lambda pod: pod.node)[:_MOST_PODS]:
        found[pod.uid] = pod.reason
    return found


def _pods(facts: Facts) -> Mapping[str, AgentPod]:
    """The agent's pod of each node; a ready one where there are two."""
    pods: dict[str, AgentPod] = {}
    for pod in facts.pods:
        if pod.node not in pods or pod.ready:
            pods[pod.node] = pod
    return pods


def _of(pool: Members, facts: Facts) -> Manifest:
    """The DaemonSet of the pool; empty where there is none."""
    mine = [one for one in daemon_sets(facts) if one["metadata"].get("labels", {}).get(naming.LABEL_POOL) == pool.pool]
    return mine[0] if mine else {}


def _why(node: Node, pod: AgentPod | None, pool: Members, facts: Facts) -> tuple[str, str]:
    if not node.ready:
        return causes.node_not_ready(node)
    daemon_set = _of(pool, facts)
    if pod is not None:
        return causes.pod_not_ready(pod, daemon_set, facts.events.get(pod.uid))
    if taint := next(_not_tolerated(node.taints, pool.tolerations), None):
        return causes.taint_not_tolerated(taint)
    if daemon_set and not runs_on(daemon_set, node):
        return causes.not_selected(daemon_set)
    event: Event | None = facts.events.get(daemon_set.get("metadata", {}).get("uid", ""))
    return causes.no_pod(daemon_set, event)


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
