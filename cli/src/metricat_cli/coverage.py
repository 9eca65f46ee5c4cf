"""Coverage of a cluster: for each node its target and its agent, or the reason why it has no agent."""

from collections.abc import Iterable
from dataclasses import dataclass

from metricat_cli.cluster.api_server import Object
from metricat_cli.operators import pod_problem
from metricat_cli.targets import ClusterTarget
from metricat_operator import naming
from metricat_operator.conditions import Reason

_EXPECTED = frozenset(
    {
        Reason.CONTAINER_CREATING,
        Reason.POD_INITIALIZING,
        Reason.PENDING,
        Reason.NO_POD,
        Reason.NOT_READY,
        Reason.ROLLOUT_IN_PROGRESS,
        Reason.TERMINATING,
        Reason.VIRTUAL_NODE,
    }
)
"""Reasons that every new agent passes through, or that need no action."""


@dataclass(frozen=True)
class NodeCoverage:
    """One node with its agent, or the reason why it has no ready agent."""

    node: str
    target: str = ""
    pool: str = ""
    agent: str = "none"
    """ready, not ready or none."""
    reason: str = ""
    message: str = ""

    @property
    def rank(self) -> tuple[int, str]:
        """The order of the list: problems first, then agents that start, nodes without a target, ready agents."""
        if self.reason and self.reason not in _EXPECTED:
            return 0, self.node
        if self.reason:
            return 1, self.node
        return (2 if self.agent != "ready" else 3), self.node


def coverage(nodes: Iterable[Object], pods: Iterable[Object], targets: Iterable[ClusterTarget]) -> list[NodeCoverage]:
    """Return each node with its agent, the worst first."""
    agents = {pod["spec"].get("nodeName", ""): pod for pod in pods}
    known = list(targets)
    uncovered = {one["node"]: (target, one) for target in known for one in target.status.get("uncovered") or []}
    names = {(target.namespace, naming.fit(target.name)): str(target) for target in known}
    found = []
    for node in sorted({one["metadata"]["name"] for one in nodes} | uncovered.keys()):
        pod = agents.get(node)
        labels = (pod or {}).get("metadata", {}).get("labels") or {}
        owner = names.get((pod["metadata"]["namespace"], labels.get(naming.LABEL_TARGET, "")), "") if pod else ""
        pool = labels.get(naming.LABEL_POOL, "")
        if node in uncovered:
            target, why = uncovered[node]
            agent = "not ready" if pod else "none"
            pool = why.get("pool") or pool
            found.append(NodeCoverage(node, str(target), pool, agent, why["reason"], why.get("message", "")))
        elif pod:
            problem = pod_problem(pod)
            reason, _, message = problem.partition(": ")
            found.append(NodeCoverage(node, owner, pool, "not ready" if problem else "ready", reason, message))
        else:
            found.append(NodeCoverage(node, message="No MonitoringTarget selects this node."))
    return sorted(found, key=lambda one: one.rank)
