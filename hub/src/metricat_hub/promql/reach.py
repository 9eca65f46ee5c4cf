"""Detects queries that read samples after the time of their evaluation. Pure."""

from __future__ import annotations

from metricat_hub.promql.nodes import (
    Aggregate,
    Binary,
    Call,
    Negation,
    Node,
    Paren,
    RangeSelector,
    Selector,
    Subquery,
)


def reads_ahead(node: Node, end: int) -> bool:  # noqa: PLR0911 # one case for each kind of node
    """Return whether a query may depend on samples after its end, a time in milliseconds.

    The causes are a negative offset, `@` with a later time, and `smoothed`, which interpolates.
    """
    match node:
        case Selector():
            return node.offset < 0 or node.modifier == "smoothed" or _is_later(node.at, end)
        case RangeSelector():
            return reads_ahead(node.selector, end)
        case Subquery():
            return node.offset < 0 or _is_later(node.at, end) or reads_ahead(node.expression, end)
        case Call():
            return any(reads_ahead(one, end) for one in node.arguments)
        case Aggregate():
            parameter = node.parameter is not None and reads_ahead(node.parameter, end)
            return parameter or reads_ahead(node.expression, end)
        case Binary():
            return reads_ahead(node.left, end) or reads_ahead(node.right, end)
        case Negation() | Paren():
            return reads_ahead(node.expression, end)
        case _:
            return False


def _is_later(at: object, end: int) -> bool:
    return isinstance(at, int) and at > end
