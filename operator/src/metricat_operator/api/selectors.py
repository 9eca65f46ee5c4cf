"""Selection of nodes by labels: requirements, their negation, and the terms of a node affinity. Pure.

A requirement means what it means in a pod's node affinity (kubernetes.io/docs/concepts/scheduling-eviction/
assign-pod-node): `NotIn` and `DoesNotExist` also hold for a node without the label. So each requirement has an exact
negation, and "not selected by that selector" can be expressed as requirements.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

_NEGATION = {"In": "NotIn", "NotIn": "In", "Exists": "DoesNotExist", "DoesNotExist": "Exists"}


@dataclass(frozen=True, order=True)
class Requirement:
    """A requirement on one label of a node; `values` is empty for Exists and DoesNotExist."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Return whether a node with these labels meets the requirement."""
        if self.operator in {"Exists", "DoesNotExist"}:
            return (self.key in labels) == (self.operator == "Exists")
        return (labels.get(self.key) in self.values) == (self.operator == "In")

    def negated(self) -> "Requirement":
        """Return the requirement that holds for exactly the nodes that do not meet this requirement."""
        return Requirement(self.key, _NEGATION[self.operator], self.values)

    def manifest(self) -> dict[str, Any]:
        """Return the requirement as in a node selector term."""
        found: dict[str, Any] = {"key": self.key, "operator": self.operator}
        return found | ({"values": list(self.values)} if self.values else {})


Requirements = tuple[Requirement, ...]
"""Requirements that must all hold. An empty tuple holds for every node."""


def matches(requirements: Iterable[Requirement], labels: Mapping[str, str]) -> bool:
    """Return whether a node with these labels meets all requirements."""
    return all(requirement.holds(labels) for requirement in requirements)


def terms(wanted: Requirements, unwanted: Sequence[Requirements]) -> list[Requirements]:
    """Return alternative terms for the nodes that match `wanted` and no selector of `unwanted`.

    A node does not match a selector if one of its requirements fails. So the number of terms is the product of the
    numbers of requirements. An empty selector in `unwanted` leaves no term: it matches every node.
    """
    ways = product(*[[requirement.negated() for requirement in selector] for selector in unwanted])
    return list(dict.fromkeys(tuple(dict.fromkeys((*wanted, *way))) for way in ways))


def contradict(one: Requirement, other: Requirement) -> bool:
    """Return whether no node can meet both; only requirements on the same key are compared."""
    if one.key != other.key:
        return False
    if other.operator == "In" != one.operator:
        one, other = other, one
    if one.operator != "In":
        return {one.operator, other.operator} == {"Exists", "DoesNotExist"}
    if other.operator == "In":
        return not set(one.values) & set(other.values)
    return other.operator == "DoesNotExist" or (other.operator == "NotIn" and set(one.values) <= set(other.values))


def disjoint_filter(wanted: Requirements, others: Iterable[Requirements]) -> tuple[Requirements, ...]:
    """Return `others`, simplified: among the nodes that match `wanted`, the result selects the same nodes as `others`.

    The function drops selectors that share no node with `wanted`, and requirements that all nodes of `wanted` meet. If
    a selector in `others` matches all nodes of `wanted`, the result is one empty selector. Selectors that each require
    values of the same label become one. So any number of targets that divide the nodes by a label needs a single term.
    """
    values: dict[str, set[str]] = {}
    found: set[Requirements] = set()
    for selector in others:
        if any(contradict(mine, theirs) for mine in wanted for theirs in selector):
            continue
        rest = tuple(one for one in selector if not any(contradict(mine, one.negated()) for mine in wanted))
        if not rest:
            return ((),)
        if len(rest) == 1 and rest[0].operator == "In":
            values.setdefault(rest[0].key, set()).update(rest[0].values)
        else:
            found.add(rest)
    merged = [(Requirement(key, "In", tuple(sorted(union))),) for key, union in sorted(values.items())]
    return (*merged, *sorted(found))


def count(unwanted: Sequence[Requirements]) -> int:
    """Return the maximum number of terms that `terms` returns."""
    number = 1
    for selector in unwanted:
        number *= len(selector)
    return number


def in_affinity(pod: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Return whether nodeSelector and node affinity of a pod's spec allow a node with these labels."""
    if any(labels.get(key) != value for key, value in pod.get("nodeSelector", {}).items()):
        return False
    affinity = pod.get("affinity", {}).get("nodeAffinity", {})
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms")
    if required is None:
        return True
    return any(
        matches((Requirement(m["key"], m["operator"], tuple(m.get("values", ()))) for m in _known(term)), labels)
        for term in required
    )


def _known(term: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    return (one for one in term.get("matchExpressions", ()) if one["operator"] in _NEGATION)
