"""The syntax tree of a query. All durations and timestamps are milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from metricat_hub.model.ports import Matcher

Kind: TypeAlias = Literal["scalar", "vector", "matrix", "string"]
At: TypeAlias = int | Literal["start", "end"] | None
"""The `@` modifier: a timestamp, or the start or end of the query."""
Modifier: TypeAlias = Literal["", "anchored", "smoothed"]


@dataclass(frozen=True, slots=True)
class Number:
    """A number literal."""

    value: float
    position: int = 0


@dataclass(frozen=True, slots=True)
class Text:
    """A string literal."""

    value: str
    position: int = 0


@dataclass(frozen=True, slots=True)
class Selector:
    """An instant selector, such as ``up{job="nodes"}``."""

    matchers: tuple[Matcher, ...]
    offset: int = 0
    at: At = None
    modifier: Modifier = ""
    position: int = 0


@dataclass(frozen=True, slots=True)
class RangeSelector:
    """A range selector, such as ``up[5m]``."""

    selector: Selector
    range: int
    position: int = 0


@dataclass(frozen=True, slots=True)
class Subquery:
    """A subquery, such as ``rate(x[5m])[1h:1m]``. A step of 0 means the engine's default step."""

    expression: Node
    range: int
    step: int
    offset: int = 0
    at: At = None
    position: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """A function call."""

    name: str
    arguments: tuple[Node, ...]
    position: int = 0


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregation, such as ``sum by (job) (x)``. The parameter is the first argument of operators such as `topk`."""

    operator: str
    expression: Node
    parameter: Node | None
    labels: tuple[str, ...]
    without: bool
    position: int = 0


@dataclass(frozen=True, slots=True)
class Matching:
    """The rule by which a binary operator finds pairs of series in two vectors."""

    cardinality: Literal["one-to-one", "many-to-one", "one-to-many", "many-to-many"] = "one-to-one"
    on: bool = False
    """True: match only on `labels`. False: match on all labels except `labels` and the metric name."""
    labels: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    """Labels of the "one" side that the result gets (`group_left`, `group_right`)."""
    fill_left: float | None = None
    fill_right: float | None = None


@dataclass(frozen=True, slots=True)
class Binary:
    """A binary operation."""

    operator: str
    left: Node
    right: Node
    matching: Matching
    return_bool: bool = False
    position: int = 0


@dataclass(frozen=True, slots=True)
class Negation:
    """Unary minus."""

    expression: Node
    position: int = 0


@dataclass(frozen=True, slots=True)
class Paren:
    """An expression in parentheses."""

    expression: Node
    position: int = 0


Node: TypeAlias = Number | Text | Selector | RangeSelector | Subquery | Call | Aggregate | Binary | Negation | Paren

SCALAR_FUNCTIONS = frozenset({"time", "pi", "scalar", "start", "end", "range", "step", "max_of", "min_of"})
COMPARISONS = frozenset({"==", "!=", ">", "<", ">=", "<="})
SET_OPERATORS = frozenset({"and", "or", "unless"})


def kind(node: Node) -> Kind:  # noqa: PLR0911 # one case for each kind of node
    """Return the type of a node's value."""
    match node:
        case Number():
            return "scalar"
        case Text():
            return "string"
        case RangeSelector() | Subquery():
            return "matrix"
        case Call():
            return "scalar" if node.name in SCALAR_FUNCTIONS else "vector"
        case Negation() | Paren():
            return kind(node.expression)
        case Binary():
            return "scalar" if kind(node.left) == kind(node.right) == "scalar" else "vector"
        case _:
            return "vector"


def unwrapped(node: Node) -> Node:
    """Return the node inside any parentheses."""
    while isinstance(node, Paren):
        node = node.expression
    return node
