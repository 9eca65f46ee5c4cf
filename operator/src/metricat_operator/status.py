"""What a target's status says. Pure: from the facts, the troubles met, and the status before."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from metricat_operator import naming
from metricat_operator.api.parse import Parsed
from metricat_operator.api.pools import owner, resolve
from metricat_operator.api.selectors import in_affinity
from metricat_operator.api.v1alpha1 import Toleration
from metricat_operator.doctor import Finding, Subject, discovered
from metricat_operator.observed import AgentPod, Facts, Manifest, Node, Taint, Trouble

MAX_UNCOVERED = 50
MAX_MESSAGE = 4096

_INSTALL_OPERATOR = (
    "the cluster does not serve {kinds}; install the Prometheus Operator, for example: helm install kps "
    "oci://ghcr.io/prometheus-community/charts/kube-prometheus-stack -n monitoring"
)


_NO_POD = (
    "the DaemonSet has no pod on this node: it was just added, or Pod Security refuses hostPath volumes "
    "(kubectl label namespace NAME pod-security.kubernetes.io/enforce=privileged)"
)


_TAINTED = (
    "the node has the taint {taint}; tolerate it in spec.agent.tolerations or the pool's, "
    "or leave the node out by spec.nodeSelector"
)
_VIRTUAL = "a virtual node runs no DaemonSets; what runs on it can be measured by its provider only"


@dataclass(frozen=True)
class Uncovered:
    """A node that should have a ready agent and has none, and why."""

    node: str
    reason: str
    message: str


@dataclass(frozen=True)
class Members:
    """A pool's nodes that should have an agent, and the taints that its agents tolerate."""

    pool: str
    nodes: tuple[Node, ...]
    tolerations: tuple[Toleration, ...] = ()


def compute(target: Manifest, parsed: Parsed, facts: Facts, troubles: Sequence[Trouble], now: str) -> Manifest:
    """The whole status. `now` is RFC 3339, in UTC; a condition keeps its time while its status stays the same."""
    pools = members(parsed, facts)
    wanted = [node for pool in pools for node in pool.nodes]
    uncovered = coverage(pools, facts)
    without = {node.node for node in uncovered}
    # A virtual node cannot have an agent: it is told, and keeps nothing from being ready.
    virtual = [Uncovered(node.name, "VirtualNode", _VIRTUAL) for node in _virtual(parsed, facts)]
    conditions = [
        _accepted(parsed),
        _applied(parsed, facts, troubles),
        _agents_ready(wanted, uncovered, facts, troubles),
    ]
    conditions += [_discovered(target, facts), _ready(conditions)]
    generation = target["metadata"]["generation"]
    before = {condition["type"]: condition for condition in target.get("status", {}).get("conditions", [])}
    found: Manifest = {
        "observedGeneration": generation,
        "conditions": [_stamped(condition, before, generation, now) for condition in conditions],
        "nodes": {
            "desired": len(wanted),
            "ready": len(wanted) - len(uncovered),
            "updated": _updated(facts),
            "uncovered": len(uncovered) + len(virtual),
        },
        "uncovered": [
            {"node": node.node, "reason": node.reason, "message": node.message}
            for node in [*uncovered, *virtual][:MAX_UNCOVERED]
        ],
    }
    if len(pools) > 1:
        found["pools"] = [
            {
                "name": pool.pool,
                "desired": len(pool.nodes),
                "ready": sum(node.name not in without for node in pool.nodes),
            }
            for pool in pools
        ]
    return found


def members(parsed: Parsed, facts: Facts) -> list[Members]:
    """Every pool with its nodes, by the spec; by the DaemonSets that run, where the spec makes no sense."""
    real = [node for node in facts.nodes if node.linux and not node.virtual]
    if parsed.spec is None or parsed.errors:
        return [
            Members(
                one["metadata"].get("labels", {}).get(naming.LABEL_POOL, naming.DEFAULT_POOL),
                tuple(node for node in real if _runs_on(one, node)),
                (Toleration(operator="Exists"),),  # what it tolerates is in the spec that is not understood
            )
            for one in _daemon_sets(facts)
        ]
    pools = resolve(parsed.spec)
    owned: dict[str, list[Node]] = {pool.name: [] for pool in pools}
    for node in real:
        if mine := owner(pools, node.labels):
            owned[mine.name].append(node)
    return [Members(pool.name, tuple(owned[pool.name]), pool.agent.tolerations) for pool in pools]


def _virtual(parsed: Parsed, facts: Facts) -> list[Node]:
    pools = resolve(parsed.spec) if parsed.spec else ()
    return [node for node in facts.nodes if node.linux and node.virtual and owner(pools, node.labels)]


def _daemon_sets(facts: Facts) -> list[Manifest]:
    return [child for key, child in sorted(facts.children.items()) if key.kind == "DaemonSet"]


def _runs_on(daemon_set: Manifest, node: Node) -> bool:
    pod = daemon_set.get("spec", {}).get("template", {}).get("spec", {})
    return in_affinity(pod, {"kubernetes.io/os": "linux", **node.labels})


def says_the_same(status: Manifest, before: Manifest) -> bool:
    """Whether the status is already written; conditions of others, and the order of all, do not count."""

    def told(of: Manifest) -> Manifest:
        ours = {one["type"]: one for one in of.get("conditions", []) if one["type"] in types}
        return {**of, "conditions": ours}

    types = {condition["type"] for condition in status["conditions"]}
    return told(status) == told(before)


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


def _updated(facts: Facts) -> int:
    """Nodes that run the newest agent; none of a DaemonSet whose controller has not seen its newest spec."""

    def of(daemon_set: Mapping[str, Manifest]) -> int:
        status = daemon_set.get("status", {})
        if status.get("observedGeneration") != daemon_set.get("metadata", {}).get("generation"):
            return 0
        return int(status.get("updatedNumberScheduled", 0))

    return sum(map(of, _daemon_sets(facts)))


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
    wanted: Sequence[Node], uncovered: Sequence[Uncovered], facts: Facts, troubles: Sequence[Trouble]
) -> Manifest:
    counts = f"{len(wanted) - len(uncovered)}/{len(wanted)} nodes"
    if refused := [trouble for trouble in troubles if trouble.kind == "DaemonSet"]:
        return _condition("AgentsReady", status=False, reason=refused[0].reason, message=refused[0].message)
    if not _daemon_sets(facts):
        return _condition("AgentsReady", status=False, reason="NoDaemonSet", message="the agents are not deployed")
    if not wanted:
        message = "no Linux node is meant: the cluster has none yet, or spec.nodeSelector selects none"
        return _condition("AgentsReady", status=True, reason="NoNodes", message=message)
    if uncovered:
        told = ", ".join(f"{node.node}: {node.reason}" for node in uncovered[:3])
        more = f" and {len(uncovered) - 3} more" if len(uncovered) > 3 else ""
        return _condition("AgentsReady", status=False, reason="NodesUncovered", message=f"{counts}; {told}{more}")
    if _updated(facts) < len(wanted):
        message = f"{counts}; the newest agent is on {_updated(facts)} of them"
        return _condition("AgentsReady", status=False, reason="RolloutInProgress", message=message)
    return _condition("AgentsReady", status=True, reason="AgentsReady", message=counts)


def _discovered(target: Manifest, facts: Facts) -> Manifest:
    """Whether a Prometheus selects our monitor, and one our rules."""
    fields = {"ServiceMonitor": "monitor.labels", "PrometheusRule": "alerts.labels"}
    subjects = [
        Subject(key.kind, fields[key.kind], child, facts.namespace_labels)
        for key, child in sorted(facts.children.items(), reverse=True)
        if key.kind in fields
    ]
    if unserved := sorted(facts.unserved & fields.keys()):
        finding = Finding(None, "NotServed", f"the cluster does not serve {' and '.join(unserved)}")
    elif not any(subject.what == "ServiceMonitor" for subject in subjects):
        finding = Finding(None, "NoMonitor", "there is no ServiceMonitor yet")
    else:
        finding = discovered(target["metadata"]["name"], subjects, facts.takers)
    return _condition("Discovered", status=finding.holds, reason=finding.reason, message=finding.message)


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
