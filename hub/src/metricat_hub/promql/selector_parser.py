"""The parser of selectors, and of the suffixes of operands: ranges, subqueries, `offset`, `@`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from metricat_hub.model.errors import InvalidQueryError
from metricat_hub.model.labels import NAME
from metricat_hub.model.ports import Matcher
from metricat_hub.promql import matchers, tokens
from metricat_hub.promql.duration_parser import DurationParser, rounded
from metricat_hub.promql.nodes import At, Node, Number, RangeSelector, Selector, Subquery, kind
from metricat_hub.promql.token_cursor import TYPES

if TYPE_CHECKING:
    from collections.abc import Callable

    from metricat_hub.model.ports import Operator


class SelectorParser(DurationParser):
    """Parses selectors, and adds modifiers to nodes."""

    def number(self) -> Number | None:
        """Parse a number, or a duration as seconds; return None if the next token is neither."""
        token = self.token
        if token.kind == "number":
            return Number(tokens.number(self.next().text), token.position)
        if token.kind == "duration":
            return Number(self.duration_token() / 1000, token.position)
        if self.word("inf", "nan"):
            return Number(float(self.next().text.lower()), token.position)
        return None

    def selector(self, name: str, position: int = -1, *, may_match_all: bool = False) -> Selector:
        """Parse the rest of a selector after its metric name."""
        found: list[Matcher] = []
        position = self.token.position if position < 0 else position
        if self.at("{"):
            found = self.braces()
        if name:
            if other := next((m.value for m in found if m.name == NAME), None):
                raise self.error(position, f"the metric name is set twice: {name!r} and {other!r}. Remove one.")
            found.append(Matcher(NAME, "=", name))
        if not may_match_all and all(matchers.matches_empty(matcher) for matcher in found):
            raise self.error(
                position,
                "the selector matches every series."
                " Add a metric name, or a matcher that does not match an empty value.",
            )
        return Selector(tuple(found), position=position)

    def braces(self) -> list[Matcher]:
        """Parse the matchers in braces."""
        self.next()
        found: list[Matcher] = []
        while not self.at("}"):
            token = self.token
            if token.kind not in {"name", "string"} or (token.kind == "name" and ":" in token.text):
                raise self.unexpected("a label name")
            name = self.string() if token.kind == "string" else self.next().text
            if token.kind == "string" and self.at(",", "}"):
                found.append(Matcher(NAME, "=", name))
            else:
                found.append(self.matcher(name))
            if self.word("or"):
                raise self.error(
                    self.token.position, "`or` between matchers is not PromQL. Use the operator `or` between selectors."
                )
            if not self.at("}"):
                self.expect(",", "or `}` after a matcher")
        self.next()
        return found

    def matcher(self, name: str) -> Matcher:
        """Parse the rest of a matcher after its label name."""
        if not self.at("=", "!=", "=~", "!~"):
            raise self.unexpected(f"`=`, `!=`, `=~` or `!~` after label {name!r}")
        operator: Operator = self.next().text  # type: ignore[assignment] # one of the four
        token = self.token
        if token.kind != "string":
            raise self.unexpected("a value in quotes")
        matcher = Matcher(name, operator, self.string())
        try:
            matchers.matches_empty(matcher)
        except InvalidQueryError as error:
            raise self.error(token.position, str(error)) from error
        return matcher

    def string(self) -> str:
        """Parse a string literal; return its content."""
        token = self.next()
        if (value := tokens.unquoted(token.text)) is None:
            raise self.error(
                token.position, f"invalid escape sequence in the string {token.text}. Write a backslash as \\\\."
            )
        return value

    def postfix(self, node: Node) -> Node:
        """Parse all ranges and modifiers after a node; return the node with them."""
        while True:
            if self.at("["):
                node = self.bracket(node)
            elif self.word("offset"):
                node = self.offset(node)
            elif self.at("@"):
                node = self.at_modifier(node)
            elif self.word("anchored", "smoothed"):
                node = self.extended(node)
            else:
                return node

    def bracket(self, node: Node) -> Node:
        """Parse the brackets after a node; return a range selector or a subquery."""
        token = self.next()
        length = self.positive_duration()
        if self.at(":"):
            self.next()
            step = 0 if self.at("]") else self.positive_duration()
            self.expect("]", "after the subquery")
            if kind(node) != "vector":
                raise self.error(node.position, f"a subquery needs an instant vector, not {TYPES[kind(node)]}.")
            return Subquery(node, length, step, position=node.position)
        self.expect("]", "or `:` after the range")
        if not isinstance(node, Selector):
            raise self.error(
                token.position, "a range needs a selector. For a subquery write a colon, for example `[5m:]`."
            )
        if node.offset or node.at is not None or node.modifier:
            raise self.error(token.position, "write the range directly after the selector, before its modifiers.")
        return RangeSelector(node, length, node.position)

    def extended(self, node: Node) -> Node:
        """Parse `anchored` or `smoothed` after a node; return the node with the modifier."""
        token = self.next()
        modifier: Literal["anchored", "smoothed"] = "anchored" if token.text.lower() == "anchored" else "smoothed"

        def change(selector: Selector) -> Selector:
            if selector.modifier:
                raise self.error(token.position, "a selector can have one of `anchored` and `smoothed`, once.")
            return Selector(selector.matchers, selector.offset, selector.at, modifier, selector.position)

        if isinstance(node, RangeSelector):
            return RangeSelector(change(node.selector), node.range, node.position)
        if isinstance(node, Selector) and modifier == "smoothed":
            return change(node)
        raise self.error(token.position, f"`{modifier}` needs a range selector.")

    def offset(self, node: Node) -> Node:
        """Parse `offset` after a node; return the node with the offset."""
        token = self.next()
        value = self.signed_duration()

        def change(offset: int, at: At) -> tuple[int, At]:
            if offset:
                raise self.error(token.position, "`offset` is set twice. Remove one.")
            return value, at

        return self.modified(node, token, change)

    def at_modifier(self, node: Node) -> Node:
        """Parse `@` after a node; return the node with the fixed time."""
        token = self.next()
        value: At
        if self.word("start", "end") and self.opens():
            value = "start" if self.next().text.lower() == "start" else "end"
            self.next()
            self.expect(")", "after `(`")
        else:
            sign = -1 if self.at("-") else 1
            if self.at("-", "+"):
                self.next()
            number = self.number()
            if number is None:
                raise self.unexpected("a timestamp in seconds, `start()` or `end()` after `@`")
            if not math.isfinite(number.value) or abs(number.value) > tokens.MAXIMUM_DURATION:
                raise self.error(
                    token.position,
                    f"the timestamp after `@` is out of range. Use at most {tokens.MAXIMUM_DURATION} seconds.",
                )
            value = rounded(sign * number.value * 1000)

        def change(offset: int, at: At) -> tuple[int, At]:
            if at is not None:
                raise self.error(token.position, "`@` is set twice. Remove one.")
            return offset, value

        return self.modified(node, token, change)

    def modified(self, node: Node, token: tokens.Token, change: Callable[[int, At], tuple[int, At]]) -> Node:
        """Return the node with offset and `@` time replaced by `change`."""
        match node:
            case Selector():
                return Selector(node.matchers, *change(node.offset, node.at), node.modifier, node.position)
            case RangeSelector(selector=inner):
                selector = Selector(inner.matchers, *change(inner.offset, inner.at), inner.modifier, inner.position)
                return RangeSelector(selector, node.range, node.position)
            case Subquery():
                return Subquery(node.expression, node.range, node.step, *change(node.offset, node.at), node.position)
            case _:
                raise self.error(token.position, f"`{token.text}` needs a selector or a subquery directly before it.")
