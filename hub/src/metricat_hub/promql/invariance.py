"""Detects expressions with the same value at every step of a query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from metricat_hub.promql.nodes import (
    Aggregate,
    Binary,
    Call,
    Negation,
    Number,
    Paren,
    RangeSelector,
    Selector,
    Subquery,
    Text,
    unwrapped,
)

if TYPE_CHECKING:
    from metricat_hub.promql.nodes import Node

_DEPENDENT: Final = frozenset(
    {
        *("days_in_month", "day_of_month", "day_of_week", "day_of_year", "hour", "minute", "month", "year"),
        *("predict_linear", "time", "timestamp", "info"),
    }
)
"""Functions whose result may depend on the evaluation time even if their arguments do not."""


def is_invariant(node: Node) -> bool:  # noqa: PLR0911 # one case for each kind of node
    """Return whether the node has the same value at every step."""
    match node:
        case Number() | Text():
            return True
        case Selector() | Subquery():
            return node.at is not None
        case RangeSelector():
            return node.selector.at is not None
        case Negation() | Paren():
            return is_invariant(node.expression)
        case Binary():
            return is_invariant(node.left) and is_invariant(node.right)
        case Aggregate():
            return is_invariant(node.expression) and (node.parameter is None or is_invariant(node.parameter))
        case Call(name="timestamp"):
            argument = unwrapped(node.arguments[0])
            return isinstance(argument, Selector) and argument.at is not None
        case Call():
            return node.name not in _DEPENDENT and all(is_invariant(argument) for argument in node.arguments)
