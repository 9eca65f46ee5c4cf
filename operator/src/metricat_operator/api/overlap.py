"""Two targets that select one node: the older one owns it. Pure.

Older is the one with the earlier creationTimestamp; of two of one second, the one whose namespace and name come first.
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
    """The nodes that a target selects, and since when. `selects` is None where its selector makes no sense."""

    created: str
    namespace: str
    name: str
    selects: Requirements | None

    def __str__(self) -> str:
        """As a message names the target."""
        return f"{self.namespace}/{self.name}"


def claim(target: Mapping[str, Any]) -> Claim:
    """What a target claims, whether it is paused, or accepted, or not: what it once deployed may still run."""
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
    """The selectors of the claims that have one."""
    return tuple(one.selects for one in claims if one.selects is not None)


def owners(wanted: Requirements, older: Iterable[Claim], nodes: Iterable[Mapping[str, str]]) -> Counter[str]:
    """Of the nodes with these labels that meet `wanted`, how many each older target owns."""
    ranked = [(str(one), one.selects) for one in by_age(older) if one.selects is not None]
    meant = [labels for labels in nodes if matches(wanted, labels)]
    owners = (next((name for name, selects in ranked if matches(selects, labels)), None) for labels in meant)
    return Counter(name for name in owners if name is not None)


def is_older(one: Claim, other: Claim) -> bool:
    """Whether the one comes before the other."""
    return _age(one) < _age(other)


def by_age(claims: Iterable[Claim]) -> list[Claim]:
    """The oldest first."""
    return sorted(claims, key=_age)


def _age(one: Claim) -> tuple[str, str, str]:
    return one.created, one.namespace, one.name
