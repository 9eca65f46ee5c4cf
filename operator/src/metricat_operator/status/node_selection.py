"""Check that the spec selects nodes; otherwise report the failing requirement and the most similar label."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher

from metricat_operator.api.overlap import selected
from metricat_operator.api.parse import Parsed
from metricat_operator.api.pools import requirements
from metricat_operator.api.selectors import Requirement, Requirements, matches
from metricat_operator.conditions import Reason
from metricat_operator.facts.model import Facts, Node
from metricat_operator.status.members import PoolNodes
from metricat_operator.verification.selection import Finding

_SEPARATE = "Exclude these nodes in spec.nodeSelector of either target, or make them a pool of the older target."
_SIMILAR = 0.6
"""Least similarity of a label that a message suggests, from 0 to 1."""
_SAME_VALUE = 0.2
"""Similarity added to a key that has the wanted value on some node."""
_SHOWN = 3

Labels = Mapping[str, str]


def nodes_selected(pools: Sequence[PoolNodes], parsed: Parsed, facts: Facts, lost: Counter[str]) -> Finding:
    """Return the finding about the nodes that the spec and each of its pools select.

    `lost` counts, by older target, the selected nodes that it owns.
    """
    number = sum(len(pool.nodes) for pool in pools)
    if parsed.spec is None or parsed.errors:
        return _of_rejected_spec(pools, number)
    if not number:
        reason, message = _no_nodes(parsed, facts, lost)
        if parsed.spec.allow_empty:
            message = f"{message} spec.allowEmpty is true."
            return Finding(holds=True, reason=Reason.EMPTY_ALLOWED, message=message)
        return Finding(holds=False, reason=reason, message=message)
    if empty := _empty_pools(pools, parsed, facts):
        return Finding(holds=False, reason=Reason.EMPTY_POOL, message=" ".join(empty))
    return Finding(holds=True, reason=Reason.NODES_SELECTED, message=f"The spec selects {_nodes(number)}.")


def for_agents(selection: Finding) -> Finding:
    """Return the finding about the agents and the samples of a target without nodes."""
    if selection.holds:
        return Finding(holds=True, reason=Reason.NO_NODES, message=selection.message)
    return selection


def shares(lost: Counter[str]) -> str:
    """Return the older targets with their number of nodes, the largest first, and the remedy."""
    most = [f"{name} ({_nodes(count)})" for name, count in lost.most_common(_SHOWN)]
    more = f" and {len(lost) - _SHOWN} more targets" if len(lost) > _SHOWN else ""
    return f"{', '.join(most)}{more}. {_SEPARATE}"


def _of_rejected_spec(pools: Sequence[PoolNodes], number: int) -> Finding:
    """Return the finding for a rejected spec: its DaemonSets are those of the last accepted spec."""
    if number:
        message = f"The DaemonSets of the last accepted spec select {_nodes(number)}."
        return Finding(holds=True, reason=Reason.NODES_SELECTED, message=message)
    if pools:
        message = "The DaemonSets of the last accepted spec select no node. Correct the spec: see Accepted."
        return Finding(holds=False, reason=Reason.NO_NODES, message=message)
    message = "The spec is rejected (see Accepted), and no DaemonSet exists."
    return Finding(holds=None, reason=Reason.NOT_ACCEPTED, message=message)


def _no_nodes(parsed: Parsed, facts: Facts, lost: Counter[str]) -> tuple[Reason, str]:
    assert parsed.spec is not None  # noqa: S101 (for the type checker; the caller checked it)
    if lost:
        return Reason.OVERLAPS, f"Every selected node belongs to an older MonitoringTarget: {shares(lost)}"
    if facts.nodes:
        message = f"spec.nodeSelector matches only nodes that cannot run an agent: {_unsupported(facts.nodes)}."
        return Reason.UNSUPPORTED_NODES, f"{message} Select Linux nodes."
    real = [node.labels for node in facts.all_nodes if node.linux and not node.virtual]
    if not real:
        return Reason.NO_NODES, "The cluster has no Linux node that can run an agent."
    why = _explain(requirements(parsed.spec.node_selector), real, "node")
    return Reason.NO_NODES, (
        f"spec.nodeSelector matches no node. {why} Correct spec.nodeSelector. If the target may have no nodes, set "
        "spec.allowEmpty: true."
    )


def _empty_pools(pools: Sequence[PoolNodes], parsed: Parsed, facts: Facts) -> list[str]:
    """Return a message for each pool without nodes that the spec does not allow to be empty."""
    assert parsed.spec is not None  # noqa: S101 (for the type checker; the caller checked it)
    counts = {pool.pool: len(pool.nodes) for pool in pools}
    found = []
    for place, pool in enumerate(parsed.spec.pools):
        allowed = parsed.spec.allow_empty if pool.allow_empty is None else pool.allow_empty
        if not counts.get(pool.name) and not allowed:
            found.append(
                f"Pool {pool.name} has no node. {_why_empty(place, parsed, facts)} If the pool may have no nodes, set "
                f"spec.pools[{place}].allowEmpty: true."
            )
    return found


def _why_empty(place: int, parsed: Parsed, facts: Facts) -> str:
    assert parsed.spec is not None  # noqa: S101 (for the type checker; the caller checked it)
    where = f"spec.pools[{place}].nodeSelector"
    own = requirements(parsed.spec.pools[place].node_selector)
    matched = [node for node in facts.nodes if matches(own, node.labels)]
    real = [node for node in matched if node.linux and not node.virtual]
    if real:
        earlier = {
            pool.name: requirements(pool.node_selector)
            for pool in parsed.spec.pools[:place]
            if any(matches(requirements(pool.node_selector), node.labels) for node in real)
        }
        older = [
            str(claim)
            for claim in parsed.older
            if any(matches(one, node.labels) for one in selected([claim]) for node in real)
        ]
        owners = [*(f"pool {name}" for name in earlier), *(f"MonitoringTarget {name}" for name in older)]
        more = f" and {len(owners) - _SHOWN} more" if len(owners) > _SHOWN else ""
        return (
            f"{where} matches {_nodes(len(real))}, but an earlier pool or an older MonitoringTarget has precedence: "
            f"{', '.join(owners[:_SHOWN])}{more}. Exclude the nodes there, or correct {where}."
        )
    if matched:
        return f"{where} matches only nodes that cannot run an agent: {_unsupported(matched)}."
    outside = sum(node.linux and not node.virtual and matches(own, node.labels) for node in facts.all_nodes)
    if outside:
        return f"{where} matches {_nodes(outside)}, but spec.nodeSelector excludes them."
    selected_nodes = [node.labels for node in facts.nodes if node.linux and not node.virtual]
    return f"{_explain(own, selected_nodes, 'node of this target')} Correct {where}."


def _unsupported(nodes: Iterable[Node]) -> str:
    """Return how many nodes cannot run an agent, by the reason."""
    found = Counter(
        "virtual" if node.virtual else f"kubernetes.io/os={node.labels.get('kubernetes.io/os', '')}" for node in nodes
    )
    return ", ".join(f"{_nodes(count)} ({why})" for why, count in sorted(found.items()))


def _explain(wanted: Requirements, nodes: Sequence[Labels], what: str) -> str:
    """Return why no node meets all requirements: those that no node meets, or that they exclude each other."""
    counts = [(one, sum(one.holds(labels) for labels in nodes)) for one in wanted]
    if failing := [one for one, count in counts if not count]:
        return " ".join(_unmet(one, nodes, what) for one in failing[:_SHOWN])
    each = ", ".join(f"{_text(one)} ({_nodes(count)})" for one, count in counts)
    return f"No {what} meets all requirements together: {each}."


def _unmet(wanted: Requirement, nodes: Sequence[Labels], what: str) -> str:
    """Return that no node meets the requirement, with the nearest key or value of the nodes."""
    if wanted.operator == "DoesNotExist":
        return f"Every {what} has the label {wanted.key}."
    values = Counter(labels[wanted.key] for labels in nodes if wanted.key in labels)
    if wanted.operator == "NotIn":
        return f"Every {what} has {_text(Requirement(wanted.key, 'In', wanted.values))}."
    if not values:
        found = f"No {what} has the label {wanted.key}"
        if near := _nearest_key(wanted, nodes):
            count = sum(near in labels for labels in nodes)
            return f"{found}; the nearest label is {near} ({_nodes(count)})."
        return f"{found}. To list the labels, run: kubectl get nodes --show-labels."
    found = f"No {what} has {_text(wanted)}"
    if near := _nearest(wanted.values, values):
        return f"{found}; the nearest value is {near} ({_nodes(values[near])})."
    listed = ", ".join(value or '""' for value, _ in values.most_common(_SHOWN))
    return f"{found}; the nodes have {listed}{', ...' if len(values) > _SHOWN else ''}."


def _nearest_key(wanted: Requirement, nodes: Sequence[Labels]) -> str:
    """Return the most similar key; a key that has the wanted value on some node gets preference."""
    same_value = {key for labels in nodes for key, value in labels.items() if value in wanted.values}
    scores = {
        key: _similarity(wanted.key, key) + (_SAME_VALUE if key in same_value else 0)
        for key in sorted({key for labels in nodes for key in labels})
    }
    best = max(scores, key=lambda key: scores[key], default="")
    return best if scores.get(best, 0) >= _SIMILAR else ""


def _nearest(wanted: Iterable[str], existing: Iterable[str]) -> str:
    """Return the existing value that is the most similar to any wanted one; empty if none is similar."""
    pairs = [(_similarity(one, other), other) for one in wanted for other in existing]
    score, best = max(pairs, default=(0.0, ""))
    return best if score >= _SIMILAR else ""


def _similarity(one: str, other: str) -> float:
    """Return the similarity of two keys or values, without regard to case and to the prefix of a key."""
    pairs = [(one.lower(), other.lower()), (one.lower().rpartition("/")[2], other.lower().rpartition("/")[2])]
    return max(_ratio(*pair) for pair in pairs)


def _ratio(one: str, other: str) -> float:
    """Return the similarity, or an upper bound of it if that is too low: the exact one costs much more."""
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    bound = min(matcher.real_quick_ratio(), matcher.quick_ratio())
    return bound if bound < _SIMILAR - _SAME_VALUE else matcher.ratio()


def _text(requirement: Requirement) -> str:
    """Return a requirement as a selector of kubectl."""
    key, values = requirement.key, requirement.values
    if requirement.operator in {"Exists", "DoesNotExist"}:
        return key if requirement.operator == "Exists" else f"!{key}"
    if len(values) == 1:
        return f"{key}{'=' if requirement.operator == 'In' else '!='}{values[0]}"
    return f"{key} {'in' if requirement.operator == 'In' else 'notin'} ({', '.join(values)})"


def _nodes(count: int) -> str:
    return f"{count} node{'' if count == 1 else 's'}"
