"""Restricts queries to some series by adding label matchers to every selector. Pure.

The restricted query is printed from the syntax tree. So a text that another server's parser reads differently, for
example because of a comment or an escape sequence, cannot hide a selector. See docs/design/0037.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from metricat_hub.model.errors import UnsupportedQueryError
from metricat_hub.promql import parser
from metricat_hub.promql.nodes import (
    Aggregate,
    Binary,
    Call,
    Negation,
    Node,
    Number,
    Paren,
    RangeSelector,
    Selector,
    Subquery,
    Text,
)
from metricat_hub.promql.printing import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.ports import Matcher


def with_matchers(query: str, matchers: Sequence[Matcher], *, step: int = 0, span: int = 0) -> str:
    """Return a query that reads only series that match all of `matchers`.

    Args:
        query: the query in PromQL.
        matchers: the matchers to add to each selector.
        step: milliseconds between two evaluations, for ``step()`` in a duration.
        span: milliseconds from start to end of the query, for ``range()`` in a duration.

    Raises:
        InvalidQueryError: the query is not valid.
        UnsupportedQueryError: the query uses native histograms, or `info`, which reads series without a selector.
        LimitError: the query is too long or nested too deep.
    """
    return text(_restricted(parser.parse(query, step=step, span=span), tuple(matchers)))


def _restricted(node: Node, matchers: tuple[Matcher, ...]) -> Node:  # noqa: PLR0911 # one case for each kind of node
    match node:
        case Number() | Text():
            return node
        case Selector():
            return replace(node, matchers=(*node.matchers, *matchers))
        case RangeSelector():
            selector = replace(node.selector, matchers=(*node.selector.matchers, *matchers))
            return replace(node, selector=selector)
        case Subquery() | Negation() | Paren():
            return replace(node, expression=_restricted(node.expression, matchers))
        case Call():
            if node.name == "info":
                raise UnsupportedQueryError(
                    "`info` reads series beyond its argument, so it is not available to clients that may see only "
                    "some series."
                    " Join the labels with `* on (...) group_left (...)`."
                )
            return replace(node, arguments=tuple(_restricted(one, matchers) for one in node.arguments))
        case Aggregate():
            parameter = None if node.parameter is None else _restricted(node.parameter, matchers)
            return replace(node, expression=_restricted(node.expression, matchers), parameter=parameter)
        case Binary():
            return replace(node, left=_restricted(node.left, matchers), right=_restricted(node.right, matchers))
        case _:
            assert_never(node)
