"""Series selectors of requests, such as ``up{job="nodes"}``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_hub.model.errors import InvalidQueryError
from metricat_hub.promql.matchers import predicate
from metricat_hub.promql.nodes import Selector
from metricat_hub.promql.parser import parse as parse_query

if TYPE_CHECKING:
    from metricat_hub.model.ports import Matcher


def parse(text: str) -> list[Matcher]:
    """Return the matchers of a selector.

    Raises:
        InvalidQueryError: the text is not a selector, or has a modifier.
    """
    node = parse_query(text)
    if not isinstance(node, Selector) or node.offset or node.at is not None:
        raise InvalidQueryError(f'expected a series selector, found "{text}"; write for example up{{job="nodes"}}')
    return list(node.matchers)


def matches_empty(matcher: Matcher) -> bool:
    """Return whether a matcher selects series without its label."""
    return predicate(matcher)("")
