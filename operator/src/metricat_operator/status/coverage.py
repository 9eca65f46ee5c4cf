"""Nodes without a ready agent, and the cause of each."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from metricat_operator import naming
from metricat_operator.api.agent import Toleration
from metricat_operator.api.parse import Parsed
from metricat_operator.facts.model import AgentPod, Event, Facts, Manifest, Node, Taint
from metricat_operator.status import causes
from metricat_operator.status.members import PoolNodes, daemon_sets, members, runs_on

_MOST_PODS = 8
"""The most pods that do not start whose events are requested; the others most likely have the same cause."""


@dataclass(frozen=True)
class Uncovered:
    """A node that should have a ready agent and has none, with the cause."""

    node: str
    pool: str
    reason: str
    message: str


def coverage(pools: Sequence[PoolNodes], facts: Facts) -> list[Uncovered]:
    """Return the nodes without a ready agent, with the cause of each."""
    pods = _pods(facts)
    found = [
        Uncovered(node.name, pool.pool, *_cause(node, pods.get(node.name), pool, facts))
        for pool in pools
        for node in pool.nodes
        if not (node.name in pods and pods[node.name].ready)
    ]
    return sorted(found, key=lambda node: node.node)


def unexplained(parsed: Parsed, facts: Facts) -> Mapping[str, Hashable]:
    """Return the UIDs of objects whose problem only events explain, with the state of each.

    These objects are DaemonSets that get no pods and pods that do not start. While a state changes, a controller makes
    progress.
    """
    found: dict[str, Hashable] = {}
    pods = _pods(facts)
    not_starting: list[AgentPod] = []
    for pool in members(parsed, facts):
        daemon_set = _daemon_set(pool, facts)
        without = [node for node in pool.nodes if node.ready and not (node.name in pods and pods[node.name].ready)]
        not_starting += [pods[node.name] for node in without if node.name in pods and causes.starting(pods[node.name])]
        missing = sum(
            node.name not in pods and not any(_not_tolerated(node.taints, pool.tolerations)) for node in without
        )
        if missing and not causes.not_observed(daemon_set):
            found[daemon_set["metadata"].get("uid", "")] = missing
    for pod in sorted(not_starting, key=lambda pod: pod.node)[:_MOST_PODS]:
        found[pod.uid] = pod.reason
    return found


def _pods(facts: Facts) -> Mapping[str, AgentPod]:
    """Return the agent's pod of each node; of two pods, the ready one."""
    pods: dict[str, AgentPod] = {}
    for pod in facts.pods:
        if pod.node not in pods or pod.ready:
            pods[pod.node] = pod
    return pods


def _daemon_set(pool: PoolNodes, facts: Facts) -> Manifest:
    """Return the DaemonSet of the pool; an empty one if it does not exist."""
    mine = [one for one in daemon_sets(facts) if one["metadata"].get("labels", {}).get(naming.LABEL_POOL) == pool.pool]
    return mine[0] if mine else {}


def _cause(node: Node, pod: AgentPod | None, pool: PoolNodes, facts: Facts) -> tuple[str, str]:
    if not node.ready:
        return causes.node_not_ready(node)
    daemon_set = _daemon_set(pool, facts)
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
