"""The resolved pools of a target: the nodes of each, and its settings merged with the target's. Pure.

See docs/design/0006.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from metricat_operator import naming
from metricat_operator.api.agent import AgentSettings
from metricat_operator.api.alerts import AlertRules
from metricat_operator.api.fields import Model
from metricat_operator.api.nodes import NodeSelector
from metricat_operator.api.selectors import Requirement, Requirements, disjoint_filter, matches
from metricat_operator.api.v1alpha1 import Spec

ModelT = TypeVar("ModelT", bound=Model)


class MergeError(ValueError):
    """Settings of a pool and the target that are valid separately and invalid when merged, each as a message."""


@dataclass(frozen=True)
class Pool:
    """The nodes that match `wanted` and no selector of `unwanted`, and the settings of their agents and alerts."""

    name: str
    agent: AgentSettings
    rules: AlertRules
    wanted: Requirements = ()
    unwanted: tuple[Requirements, ...] = ()

    def owns(self, labels: Mapping[str, str]) -> bool:
        """Return whether the pool owns a node with these labels."""
        return matches(self.wanted, labels) and not any(matches(selector, labels) for selector in self.unwanted)


def resolve(spec: Spec, older: Sequence[Requirements] = ()) -> tuple[Pool, ...]:
    """Return every pool in order, then the default pool, which owns the target's remaining nodes.

    `older` are the selectors of older targets. Their nodes are in no pool.

    Raises:
        MergeError: the merged settings of a pool are invalid.
    """
    ours = requirements(spec.node_selector)
    pools: list[Pool] = []
    before: tuple[Requirements, ...] = ()
    for place, pool in enumerate(spec.pools):
        own = requirements(pool.node_selector)
        pools.append(
            Pool(
                name=pool.name,
                agent=_merged(f"spec.pools[{place}].agent", AgentSettings, spec.agent, pool.agent),
                rules=_merged(f"spec.pools[{place}].alerts.rules", AlertRules, spec.alerts.rules, pool.alerts.rules),
                wanted=(*ours, *own),
                unwanted=(*before, *disjoint_filter((*ours, *own), older)),
            )
        )
        before = (*before, own)
    pools.append(
        Pool(naming.DEFAULT_POOL, spec.agent, spec.alerts.rules, ours, (*before, *disjoint_filter(ours, older)))
    )
    return tuple(pools)


def requirements(selector: NodeSelector) -> Requirements:
    """Return the selector's requirements, sorted."""
    labels = [Requirement(key, "In", (value,)) for key, value in selector.match_labels.items()]
    expressions = [
        Requirement(one.key, one.operator, tuple(sorted(set(one.values)))) for one in selector.match_expressions
    ]
    return tuple(sorted({*labels, *expressions}))


def _merged(where: str, model: type[ModelT], base: ModelT, override: Model) -> ModelT:
    """Return the base with the override's fields. Maps are merged field by field, lists are replaced."""
    written = override.model_dump(by_alias=True, exclude_unset=True, exclude_none=True)
    try:
        return model.model_validate(_over(base.model_dump(by_alias=True, exclude_none=True), written))
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        messages = (
            f"{'.'.join([where, *map(str, one['loc'])])}: merged with the target's settings: {one['msg']}"
            for one in found
        )
        raise MergeError(*messages) from error


def _over(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    def one(key: str) -> Any:
        if key not in override:
            return base[key]
        both = isinstance(base.get(key), Mapping) and isinstance(override[key], Mapping)
        return _over(base[key], override[key]) if both else override[key]

    return {key: one(key) for key in (*base, *(key for key in override if key not in base))}


def owner(pools: Sequence[Pool], labels: Mapping[str, str]) -> Pool | None:
    """Return the pool that owns a node with these labels; None if the target does not select the node."""
    return next((pool for pool in pools if pool.owns(labels)), None)
