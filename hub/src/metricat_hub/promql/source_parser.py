"""Parses a query to a syntax tree that keeps the source form: parentheses, unary plus, expressions of durations. Pure.

The parser for evaluation keeps only values. This parser reads the same grammar into the same types of nodes, in which
durations, numbers and names also have their source form. `formatting` and `syntax_json` output it as Prometheus does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from metricat_hub.model.errors import LimitError
from metricat_hub.model.labels import NAME
from metricat_hub.model.ports import Matcher
from metricat_hub.promql import parser, tokens
from metricat_hub.promql.nodes import Aggregate, Negation, Node, Number, Selector
from metricat_hub.promql.token_cursor import PRECEDENCE, UNARY

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Literal:
    """A number of seconds in a duration."""

    seconds: float
    is_duration: bool
    """Whether the source has a duration, such as ``5m``."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An expression in a duration: an operator, or a function such as ``step``."""

    operator: str
    left: Duration | None = None
    right: Duration | None = None
    is_wrapped: bool = False
    """Whether the source has parentheses around the expression."""


Duration: TypeAlias = Literal | Operation


class Plus(Negation):
    """Unary plus."""

    __slots__ = ()


class MetricName(str):
    """The value of the metric name's matcher, if the source has the name before the braces."""

    __slots__ = ()


class Seconds(float):
    """A number of seconds that the source has as a duration."""

    __slots__ = ()


class Milliseconds(int):
    """A duration in milliseconds that the source has as an expression. Its value is not used."""

    form: Operation


def parse(query: str) -> Node:
    """Parse a query, keeping its source form. It raises the same errors as `parser.parse`."""
    if len(query) > parser.MAXIMUM_LENGTH:
        raise LimitError(
            f"the query has {len(query)} characters, above the limit of {parser.MAXIMUM_LENGTH}."
            " Split it into several queries."
        )
    return _Parser(query, None).whole()


def expression(duration: int) -> Operation | None:
    """Return the source expression of a duration; None if the source has a number."""
    return duration.form if isinstance(duration, Milliseconds) else None


class _Parser(parser._Parser):  # noqa: SLF001 # the same grammar
    """The parser for evaluation, which also keeps the form of what it reads."""

    _last_arguments: Sequence[Node] = ()

    def signed(self, token: tokens.Token, operand: Node) -> Node:
        if isinstance(operand, Number):
            value = operand.value if token.text == "+" else type(operand.value)(-operand.value)
            return Number(value, token.position)
        return (Plus if token.text == "+" else Negation)(operand, token.position)

    def primary(self) -> Node:
        is_duration = self.token.kind == "duration"
        node = super().primary()
        return replace(node, value=Seconds(node.value)) if is_duration and isinstance(node, Number) else node

    def arguments(self, name: str) -> list[Node]:
        found = super().arguments(name)
        self._last_arguments = found
        return found

    def aggregate(self) -> Node:
        node = super().aggregate()
        if isinstance(node, Aggregate) and node.parameter is not None:
            return replace(node, parameter=self._last_arguments[0])
        return node

    def selector(self, name: str, position: int = -1, *, may_match_all: bool = False) -> Selector:
        node = super().selector(name, position, may_match_all=may_match_all)
        if not name:
            return node
        return replace(node, matchers=(*node.matchers[:-1], Matcher(NAME, "=", MetricName(name))))

    def positive_duration(self) -> int:
        first = self.index
        return self.with_form(super().positive_duration(), first, is_offset=False)

    def signed_duration(self) -> int:
        first = self.index
        return self.with_form(super().signed_duration(), first, is_offset=True)

    def with_form(self, value: int, first: int, *, is_offset: bool) -> int:
        """Return a duration with its form, which comes from its tokens: the parser has checked them."""
        end, self.index = self.index, first
        form = self.offset_form() if is_offset else self.form(0)
        self.index = end
        if isinstance(form, Literal):
            return value
        written = Milliseconds(value)
        written.form = form
        return written

    def offset_form(self) -> Duration:
        """Return the form of an operand of `offset`. An operator behind it belongs to the expression outside."""
        if not self.at("-", "+"):
            return self.operand_form()
        sign, is_call = self.next().text, self.token.kind == "name"
        form = self.operand_form()
        return Operation(sign, None, form) if is_call else _signed(sign, form)

    def form(self, least: int) -> Duration:
        left = self.operand_form()
        while self.at(*"+-*/%^") and PRECEDENCE[self.token.text] >= least:
            operator = self.next().text
            precedence = PRECEDENCE[operator]
            left = Operation(operator, left, self.form(precedence if operator == "^" else precedence + 1))
        return left

    def operand_form(self) -> Duration:
        if self.at("-", "+"):
            return _signed(self.next().text, self.form(UNARY + 1))
        token = self.next()
        if token.kind == "number":
            return Literal(tokens.number(token.text), is_duration=False)
        if token.kind == "duration":
            return Literal((tokens.milliseconds(token.text) or 0) / 1000, is_duration=True)
        if token.kind == "symbol":
            inner = self.form(0)
            self.next()
            return replace(Operation("+", None, inner) if isinstance(inner, Literal) else inner, is_wrapped=True)
        self.next()
        parts: list[Duration | None] = []
        while not self.at(")"):
            parts.append(self.form(0))
            if self.at(","):
                self.next()
        self.next()
        left, right = parts or (None, None)
        return Operation(token.text.lower(), left, right)


def _signed(sign: str, form: Duration) -> Duration:
    if sign == "+":
        return form
    return replace(form, seconds=-form.seconds) if isinstance(form, Literal) else Operation("-", None, form)
