"""Finds the comparison with a threshold in the expression of a rule. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from metricat_hub.model.errors import HubError
from metricat_hub.model.labels import NAME
from metricat_hub.promql.nodes import Aggregate, Binary, Call, Negation, Node, Number, Paren, RangeSelector, Selector
from metricat_hub.promql.parser import parse
from metricat_hub.promql.printing import text

_MIRRORED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "==", "!=": "!="}
_FIRST_SIDE = ("and", "unless", "or")
"""Operators whose result has the values of the left side."""
_KEEPING = ("max", "min")
"""Aggregations whose result is one of the values of their argument."""
_OF_ONE_UNIT = (*_KEEPING, "avg", "sum", "topk", "bottomk")
_SCALED = ("rate", "irate", "increase", "delta", "deriv", "changes", "resets", "count_over_time", "log2", "ln", "log10")
"""Functions whose result has a different unit than their argument."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison with a number, for example ``node_load1 > 8``."""

    compared: str
    """The compared expression, in PromQL."""
    operator: str
    threshold: float
    metric: str = ""
    """The metric name from which the unit of the values is derived; empty: unknown."""


@lru_cache(maxsize=256)
def condition(expression: str) -> Condition | None:
    """Return the comparison that determines the value of an alert; None if the expression has no such comparison."""
    try:
        return _comparison(parse(expression)) if expression else None
    except (HubError, RecursionError):
        return None


def _comparison(node: Node) -> Condition | None:
    if isinstance(node, Paren) or (isinstance(node, Aggregate) and node.operator in _KEEPING):
        return _comparison(node.expression)
    if not isinstance(node, Binary):
        return None
    if node.operator in _FIRST_SIDE:
        return _comparison(node.left)
    return _compared(node) if node.operator in _MIRRORED and not node.return_bool else None


def _compared(node: Binary) -> Condition | None:
    left, right = _number(node.left), _number(node.right)
    if right is not None and left is None:
        # `a >= 10 < 100` has two comparisons: the first one is the threshold
        return _comparison(node.left) or Condition(text(node.left), node.operator, right, _metric(node.left))
    if left is not None and right is None:
        return Condition(text(node.right), _MIRRORED[node.operator], left, _metric(node.right))
    return None


def _number(node: Node) -> float | None:
    if isinstance(node, Paren):
        return _number(node.expression)
    if isinstance(node, Negation):
        inner = _number(node.expression)
        return None if inner is None else -inner
    return node.value if isinstance(node, Number) else None


def _metric(node: Node) -> str:
    """Return the name of the metric whose values an expression has; empty if it calculates others."""
    inner: Node | None = None
    match node:
        case Selector():
            return next((one.value for one in node.matchers if one.name == NAME and one.operator == "="), "")
        case RangeSelector():
            inner = node.selector
        case Paren():
            inner = node.expression
        case Aggregate() if node.operator in _OF_ONE_UNIT:
            inner = node.expression
        case Call() if node.name not in _SCALED and len(node.arguments) == 1:
            inner = node.arguments[0]
        case Binary() if node.operator in _FIRST_SIDE:
            inner = node.left
    return _metric(inner) if inner else ""
