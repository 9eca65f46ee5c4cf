"""The nodes that a target selects, and the DaemonSets that run on them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from metricat_operator import naming
from metricat_operator.api.agent import Toleration
from metricat_operator.api.overlap import owners, selected
from metricat_operator.api.parse import Parsed
from metricat_operator.api.pools import owner, requirements
from metricat_operator.api.selectors import disjoint_filter, in_affinity
from metricat_operator.facts.model import Facts, Manifest, Node


@dataclass(frozen=True)
class PoolNodes:
    """The nodes of a pool that should have an agent, and the tolerations of its agents."""

    pool: str
    nodes: tuple[Node, ...]
    tolerations: tuple[Toleration, ...] = ()


def members(parsed: Parsed, facts: Facts) -> list[PoolNodes]:
    """Return every pool with its nodes, by the spec; if the spec is invalid, by the live DaemonSets."""
    real = [node for node in facts.nodes if node.linux and not node.virtual]
    if parsed.spec is None or parsed.errors:
        return [
            PoolNodes(
                one["metadata"].get("labels", {}).get(naming.LABEL_POOL, naming.DEFAULT_POOL),
                tuple(node for node in real if runs_on(one, node)),
                (Toleration(operator="Exists"),),  # its tolerations are in the invalid spec
            )
            for one in daemon_sets(facts)
        ]
    pools = parsed.pools
    owned: dict[str, list[Node]] = {pool.name: [] for pool in pools}
    for node in real:
        if mine := owner(pools, node.labels):
            owned[mine.name].append(node)
    return [PoolNodes(pool.name, tuple(owned[pool.name]), pool.agent.tolerations) for pool in pools]


def virtual(parsed: Parsed, facts: Facts) -> dict[str, str]:
    """Return the selected virtual nodes with the pool of each; a virtual node cannot have an agent."""
    found = {node.name: owner(parsed.pools, node.labels) for node in facts.nodes if node.linux and node.virtual}
    return {node: pool.name for node, pool in found.items() if pool}


def owned_by_older(parsed: Parsed, facts: Facts) -> Counter[str]:
    """Count the selected nodes that each older target owns, by NAMESPACE/NAME of that target."""
    mine = requirements(parsed.spec.node_selector) if parsed.spec else ()
    if parsed.spec is None or not disjoint_filter(mine, selected(parsed.older)):
        return Counter()
    real = [node.labels for node in facts.nodes if node.linux and not node.virtual]
    return owners(mine, parsed.older, real)


def daemon_sets(facts: Facts) -> list[Manifest]:
    """Return the live DaemonSets that the target owns."""
    return [child for key, child in sorted(facts.children.items()) if key.kind == "DaemonSet"]


def runs_on(daemon_set: Manifest, node: Node) -> bool:
    """Return whether the live DaemonSet selects the node."""
    pod = daemon_set.get("spec", {}).get("template", {}).get("spec", {})
    return in_affinity(pod, {"kubernetes.io/os": "linux", **node.labels})


def updated(facts: Facts) -> int:
    """Return the number of nodes with an agent of the newest version; 0 until a controller has observed it."""

    def of(daemon_set: Mapping[str, Manifest]) -> int:
        status = daemon_set.get("status", {})
        if status.get("observedGeneration") != daemon_set.get("metadata", {}).get("generation"):
            return 0
        return int(status.get("updatedNumberScheduled", 0))

    return sum(map(of, daemon_sets(facts)))
