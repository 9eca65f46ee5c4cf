"""Targets that select the same node: the oldest one owns it. Pure.

The older target has the earlier creationTimestamp. If the timestamps are equal, namespace and name decide.
See docs/design/0011.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from metricat_operator.api.nodes import NodeSelector
from metricat_operator.api.pools import requirements
from metricat_operator.api.selectors import Requirements, matches


@dataclass(frozen=True)
class Claim:
    """A target's claim: the nodes that it selects, and its age. `selects` is None if its selector is invalid."""

    created: str
    namespace: str
    name: str
    selects: Requirements | None

    def __str__(self) -> str:
        """Return NAMESPACE/NAME of the target, as messages show it."""
        return f"{self.namespace}/{self.name}"


def claim(target: Mapping[str, Any]) -> Claim:
    """Return the claim of a target. Paused and rejected targets claim too, because their agents may still run."""
    metadata = target["metadata"]
    written = (target.get("spec") or {}).get("nodeSelector") or {}
    try:
        selector = NodeSelector.model_validate({key: value for key, value in written.items() if value is not None})
    except ValidationError:
        selects = None
    else:
        selects = requirements(selector)
    return Claim(metadata.get("creationTimestamp", ""), metadata["namespace"], metadata["name"], selects)


def selected(claims: Iterable[Claim]) -> tuple[Requirements, ...]:
    """Return the valid selectors of the claims."""
    return tuple(one.selects for one in claims if one.selects is not None)


def owners(wanted: Requirements, older: Iterable[Claim], nodes: Iterable[Mapping[str, str]]) -> Counter[str]:
    """Count the nodes that match `wanted` and belong to an older target, by the NAMESPACE/NAME of that target.

    `nodes` has the labels of each node.
    """
    ranked = [(str(one), one.selects) for one in by_age(older) if one.selects is not None]
    meant = [labels for labels in nodes if matches(wanted, labels)]
    owners = (next((name for name, selects in ranked if matches(selects, labels)), None) for labels in meant)
    return Counter(name for name in owners if name is not None)


def is_older(one: Claim, other: Claim) -> bool:
    """Return whether `one` is older than `other`."""
    return _age(one) < _age(other)


def by_age(claims: Iterable[Claim]) -> list[Claim]:
    """Return the claims, the oldest first."""
    return sorted(claims, key=_age)


def _age(one: Claim) -> tuple[str, str, str]:
    return one.created, one.namespace, one.name
