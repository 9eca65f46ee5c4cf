"""The pools of a target, resolved: which nodes each owns, and its settings with the target's merged in. Pure."""

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
    """What a pool sets is right, and what the target sets, but not both together; the arguments are the errors."""


@dataclass(frozen=True)
class Pool:
    """Nodes that meet `wanted` and none of the selectors `unwanted`, and how their agents run."""

    name: str
    agent: AgentSettings
    rules: AlertRules
    wanted: Requirements = ()
    unwanted: tuple[Requirements, ...] = ()

    def owns(self, labels: Mapping[str, str]) -> bool:
        """Whether a node with these labels is the pool's."""
        return matches(self.wanted, labels) and not any(matches(selector, labels) for selector in self.unwanted)


def resolve(spec: Spec, older: Sequence[Requirements] = ()) -> tuple[Pool, ...]:
    """Every pool in order, and the default one, which owns the target's nodes that no other does, last.

    `older` are the selectors of older targets, whose nodes are theirs.

    Raises:
        MergeError: what a pool and the target set is too much together.
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
    """The selector's requirements, in an order that does not depend on how it is written."""
    labels = [Requirement(key, "In", (value,)) for key, value in selector.match_labels.items()]
    expressions = [
        Requirement(one.key, one.operator, tuple(sorted(set(one.values)))) for one in selector.match_expressions
    ]
    return tuple(sorted({*labels, *expressions}))


def _merged(where: str, model: type[ModelT], base: ModelT, override: Model) -> ModelT:
    """The base with the fields that the override sets; maps are merged field by field, lists replaced whole."""
    said = override.model_dump(by_alias=True, exclude_unset=True, exclude_none=True)
    try:
        return model.model_validate(_over(base.model_dump(by_alias=True, exclude_none=True), said))
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        told = (
            f"{'.'.join([where, *map(str, one['loc'])])}: together with the target's own: {one['msg']}" for one in found
        )
        raise MergeError(*told) from error


def _over(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    def one(key: str) -> Any:
        if key not in override:
            return base[key]
        both = isinstance(base.get(key), Mapping) and isinstance(override[key], Mapping)
        return _over(base[key], override[key]) if both else override[key]

    return {key: one(key) for key in (*base, *(key for key in override if key not in base))}


def owner(pools: Sequence[Pool], labels: Mapping[str, str]) -> Pool | None:
    """The pool that owns a node with these labels; None where the target's own selector leaves it out."""
    return next((pool for pool in pools if pool.owns(labels)), None)
