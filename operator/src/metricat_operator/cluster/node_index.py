"""Index of the cluster's nodes by their labels."""

from collections.abc import Iterable
from datetime import datetime

from metricat_operator.api.selectors import Requirements, matches
from metricat_operator.cluster.pods import condition
from metricat_operator.cluster.watch import kept_metadata
from metricat_operator.facts.model import Manifest, Node, Taint
from metricat_rules.node_lifecycle import PRESSURES, PROBLEMS, READY


class NodeIndex:
    """All nodes, indexed so that a target with few nodes does not scan thousands."""

    def __init__(self, trimmed: Iterable[Manifest]) -> None:
        self._all = tuple(sorted(map(_node, trimmed), key=_name))
        self._by_label: dict[tuple[str, str], list[Node]] = {}
        for node in self._all:
            for label in node.labels.items():
                self._by_label.setdefault(label, []).append(node)

    def matching(self, wanted: Requirements) -> tuple[Node, ...]:
        """Return the nodes that meet all requirements, ordered by name."""
        named = [
            [node for value in one.values for node in self._by_label.get((one.key, value), ())]
            for one in wanted
            if one.operator == "In"
        ]
        if not named:
            return tuple(node for node in self._all if matches(wanted, node.labels)) if wanted else self._all
        return tuple(sorted((node for node in min(named, key=len) if matches(wanted, node.labels)), key=_name))


def trim_node(manifest: Manifest) -> Manifest:
    """Trim a node to the fields in use, without those that change at each heartbeat."""
    ready = condition(manifest, "Ready")
    spec = manifest["spec"]
    return {
        "metadata": kept_metadata(manifest),
        "ready": ready.get("status") == "True",
        "why": "" if ready.get("status") == "True" else ready.get("message", ""),
        "created": _unix_time(manifest["metadata"].get("creationTimestamp", "")),
        "unschedulable": spec.get("unschedulable", False),
        "pressures": [one for one in PRESSURES if condition(manifest, one).get("status") == "True"],
        "problems": [
            (one, found.get("reason", ""))
            for kinds, healthy in ((PROBLEMS, {"False", "Unknown"}), (READY, {"True"}))
            for one in kinds
            if (found := condition(manifest, one)) and found.get("status") not in healthy
        ],
        "taints": [{key: taint.get(key, "") for key in ("key", "value", "effect")} for taint in spec.get("taints", [])],
    }


def _node(trimmed: Manifest) -> Node:
    metadata = trimmed["metadata"]
    labels = metadata.get("labels", {})
    return Node(
        name=metadata["name"],
        linux=labels.get("kubernetes.io/os", "linux") == "linux",
        ready=trimmed["ready"],
        why=trimmed["why"],
        labels=labels,
        taints=tuple(Taint(**taint) for taint in trimmed["taints"]),
        pressures=tuple(trimmed["pressures"]),
        problems=tuple((kind, reason) for kind, reason in trimmed["problems"]),
        created=trimmed["created"],
        unschedulable=trimmed["unschedulable"],
        deleted="deletionTimestamp" in metadata,
    )


def _unix_time(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp() if timestamp else 0.0


def _name(node: Node) -> str:
    return node.name
