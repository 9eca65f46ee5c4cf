"""The parser: from the text of a query to its syntax tree, with types checked."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

from metricat_hub.model.errors import InvalidQueryError, LimitError, UnsupportedQueryError
from metricat_hub.model.labels import NAME
from metricat_hub.model.ports import Matcher
from metricat_hub.promql import matchers, tokens
from metricat_hub.promql.nodes import (
    COMPARISONS,
    SET_OPERATORS,
    Aggregate,
    At,
    Binary,
    Call,
    Kind,
    Matching,
    Negation,
    Node,
    Number,
    Paren,
    RangeSelector,
    Selector,
    Subquery,
    Text,
    kind,
    unwrapped,
)
from metricat_hub.promql.signatures import AGGREGATIONS, FUNCTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from metricat_hub.model.ports import Operator

MAXIMUM_LENGTH: Final = 65_536
MAXIMUM_DEPTH: Final = 150
PRECEDENCE: Final = {
    "or": 1,
    "and": 2,
    "unless": 2,
    **dict.fromkeys(COMPARISONS, 3),
    "+": 4,
    "-": 4,
    "*": 5,
    "/": 5,
    "%": 5,
    "atan2": 5,
    "^": 6,
}
UNARY: Final = 5
_WORDS: Final = frozenset({"and", "or", "unless", "atan2"})
_RESERVED: Final = frozenset({"on", "ignoring", "group_left", "group_right", "bool", "atan2"})
_TYPES: Final = {"scalar": "a scalar", "vector": "an instant vector", "matrix": "a range vector", "string": "a string"}


def parse(query: str, *, step: int = 0, span: int = 0) -> Node:
    """Return the syntax tree of a query.

    Args:
        query: the text.
        step: milliseconds between two evaluations: the value of ``step()`` in a duration.
        span: milliseconds from start to end of the query: the value of ``range()`` in a duration.

    Raises:
        InvalidQueryError: the text is not PromQL. The message has line and column.
        UnsupportedQueryError: the text uses native histograms.
        LimitError: the text is too long or nested too deep.
    """
    if len(query) > MAXIMUM_LENGTH:
        raise LimitError(
            f"the query has {len(query)} characters, above the limit of {MAXIMUM_LENGTH}."
            " Split it into several queries."
        )
    node, in_context = _parsed(query, None)
    return _parsed(query, (step, span))[0] if in_context else node


@lru_cache(maxsize=256)
def _parsed(query: str, context: tuple[int, int] | None) -> tuple[Node, bool]:
    parser = _Parser(query, context)
    return parser.whole(), parser.in_context


class _Parser:
    """Recursive descent with operator precedence. Recursion is bounded by `MAXIMUM_DEPTH`."""

    def __init__(self, query: str, context: tuple[int, int] | None) -> None:
        self.query = query
        self.tokens = tokens.tokenize(query)
        self.index = 0
        self.depth = 0
        self.context = context
        self.in_context = False

    # Tokens

    @property
    def token(self) -> tokens.Token:
        return self.tokens[self.index]

    def next(self) -> tokens.Token:
        token = self.token
        self.index = min(self.index + 1, len(self.tokens) - 1)
        return token

    def at(self, *symbols: str) -> bool:
        return self.token.kind == "symbol" and self.token.text in symbols

    def word(self, *words: str) -> bool:
        return self.token.kind == "name" and self.token.text.lower() in words

    def opens(self) -> bool:
        """Return whether an opening parenthesis follows the current token."""
        following = self.tokens[min(self.index + 1, len(self.tokens) - 1)]
        return following.kind == "symbol" and following.text == "("

    def expect(self, symbol: str, where: str) -> tokens.Token:
        if not self.at(symbol):
            raise self.unexpected(f"`{symbol}` {where}")
        return self.next()

    def unexpected(self, wanted: str) -> InvalidQueryError:
        found = f"`{self.token.text}`" if self.token.text else "the end of the query"
        return self.error(self.token.position, f"expected {wanted}, found {found}.")

    def error(self, position: int, message: str) -> InvalidQueryError:
        return tokens.invalid(self.query, position, message)

    def deeper(self, levels: int = 1) -> None:
        self.depth += levels
        if self.depth > MAXIMUM_DEPTH:
            raise LimitError(
                f"the query is nested deeper than the limit of {MAXIMUM_DEPTH} levels. Split it into several queries."
            )

    # Expressions

    def whole(self) -> Node:
        if self.token.kind == "end":
            raise self.error(0, "the query is empty. Write an expression, for example `up`.")
        node = self.expression(0)
        if self.index < len(self.tokens) - 1:
            raise self.unexpected("an operator or the end of the query")
        return node

    def expression(self, least: int) -> Node:
        self.deeper()
        depth = self.depth
        left = self.unary()
        while (operator := self.operator()) and PRECEDENCE[operator] >= least:
            self.deeper()  # each operator of a chain is one level of the tree
            self.next()
            modifiers = self.modifiers(operator)
            precedence = PRECEDENCE[operator]
            right = self.expression(precedence if operator == "^" else precedence + 1)
            left = self.binary(operator, left, right, modifiers)
        self.depth = depth - 1
        return left

    def operator(self) -> str:
        token = self.token
        if token.kind == "symbol" and token.text in {"</", ">/"}:
            raise UnsupportedQueryError(
                f"operator `{token.text}` works on native histograms, which the hub does not support."
                " Use classic histograms (`_bucket` series)."
            )
        if token.kind == "symbol" and token.text in PRECEDENCE:
            return token.text
        return token.text.lower() if token.kind == "name" and token.text.lower() in _WORDS else ""

    def unary(self) -> Node:
        if not self.at("-", "+"):
            return self.postfix(self.primary())
        token = self.next()
        operand = self.expression(UNARY + 1)
        if not isinstance(operand, Number) and kind(operand) not in {"scalar", "vector"}:
            raise self.error(
                token.position,
                f"`{token.text}` needs a scalar or an instant vector, not {_TYPES[kind(operand)]}.",
            )
        return self.signed(token, operand)

    def signed(self, token: tokens.Token, operand: Node) -> Node:
        if isinstance(operand, Number):
            return Number(-operand.value if token.text == "-" else operand.value, token.position)
        return Negation(operand, token.position) if token.text == "-" else operand

    def primary(self) -> Node:
        token = self.token
        match token.kind:
            case "number":
                return Number(tokens.number(self.next().text), token.position)
            case "duration":
                return Number(self.duration_token() / 1000, token.position)
            case "string":
                return Text(self.string(), token.position)
            case "name":
                return self.named()
            case _:
                pass
        if self.at("("):
            self.next()
            inner = self.expression(0)
            self.expect(")", "after the expression")
            return Paren(inner, token.position)
        if self.at("{"):
            return self.selector("")
        raise self.unexpected("an expression")

    def named(self) -> Node:
        token = self.token
        lower = token.text.lower()
        if lower in {"inf", "nan"}:
            self.next()
            return Number(float(lower), token.position)
        if lower in AGGREGATIONS and self.aggregates():
            return self.aggregate()
        if self.opens():
            return self.call()
        if lower in _RESERVED:
            raise self.unexpected("an expression")
        self.next()
        return self.selector(token.text, token.position)

    def aggregates(self) -> bool:
        following = self.tokens[min(self.index + 1, len(self.tokens) - 1)]
        return self.opens() or (following.kind == "name" and following.text.lower() in {"by", "without"})

    def aggregate(self) -> Node:
        token = self.next()
        operator = token.text.lower()
        without, labels = self.grouping()
        arguments = self.arguments(operator)
        if without is None:
            without, labels = self.grouping()
        wanted: list[Kind] = ["vector"]
        if (parameter := AGGREGATIONS[operator]) is not None:
            wanted.insert(0, parameter)
        if len(arguments) != len(wanted):
            raise self.error(token.position, f"`{operator}` needs {_arguments(len(wanted))}, not {len(arguments)}.")
        self.check(operator, arguments, wanted)
        first = unwrapped(arguments[0]) if len(wanted) > 1 else None
        return Aggregate(operator, arguments[-1], first, labels, bool(without), token.position)

    def grouping(self) -> tuple[bool | None, tuple[str, ...]]:
        if not self.word("by", "without"):
            return None, ()
        return self.next().text.lower() == "without", self.label_list()

    def label_list(self) -> tuple[str, ...]:
        self.expect("(", "before the labels")
        labels: list[str] = []
        while not self.at(")"):
            token = self.token
            if token.kind == "string":
                label = self.string()
            elif token.kind == "name" and ":" not in token.text:
                label = self.next().text
            else:
                raise self.unexpected("a label name")
            if not matchers.is_label_name(label):
                raise self.error(token.position, f"invalid label name {label!r}.")
            labels.append(label)
            if not self.at(")"):
                self.expect(",", "between the labels")
        self.next()
        return tuple(labels)

    def call(self) -> Node:
        token = self.next()
        if (signature := FUNCTIONS.get(token.text)) is None:
            raise self.error(token.position, f"unknown function `{token.text}`. Check its spelling.")
        arguments = self.arguments(token.text)
        if not signature.least <= len(arguments) <= signature.most:
            more = len(arguments) > signature.most
            bound = signature.most if more else signature.least
            exact = "" if signature.least == signature.most else ("at most " if more else "at least ")
            raise self.error(token.position, f"`{token.text}` needs {exact}{_arguments(bound)}, not {len(arguments)}.")
        wanted = [signature.arguments[min(i, len(signature.arguments) - 1)] for i in range(len(arguments))]
        self.check(token.text, arguments, wanted)
        if token.text == "info" and len(arguments) > 1:
            selector = arguments[1]
            if not isinstance(selector, Selector) or self.tokens_at(selector.position).kind == "name":
                raise self.error(token.position, "the second argument of `info` must be label matchers in braces.")
        return Call(token.text, tuple(arguments), token.position)

    def tokens_at(self, position: int) -> tokens.Token:
        return next(token for token in self.tokens if token.position == position)

    def arguments(self, name: str) -> list[Node]:
        self.expect("(", f"after `{name}`")
        arguments: list[Node] = []
        while not self.at(")"):
            if name == "info" and arguments and self.at("{"):
                arguments.append(self.postfix(self.selector("", may_match_all=True)))
            else:
                arguments.append(self.expression(0))
            if not self.at(")"):
                self.expect(",", f"or `)` after an argument of `{name}`")
                if self.at(")"):
                    raise self.unexpected("an argument")
        self.next()
        return arguments

    def check(self, name: str, arguments: Sequence[Node], wanted: Sequence[Kind]) -> None:
        for argument, type_ in zip(arguments, wanted, strict=True):
            if kind(argument) != type_:
                raise self.error(
                    argument.position,
                    f"`{name}` needs {_TYPES[type_]} here, not {_TYPES[kind(argument)]}."
                    + (" Add a range, for example `[5m]`." if type_ == "matrix" else ""),
                )

    # Binary operators

    def modifiers(self, operator: str) -> tuple[Matching, bool, int]:
        position = self.tokens[self.index - 1].position
        return_bool = self.word("bool")
        if return_bool:
            self.next()
            if operator not in COMPARISONS:
                raise self.error(position, f"`bool` works with comparisons only, not with `{operator}`.")
        on = False
        labels: tuple[str, ...] = ()
        cardinality: Literal["one-to-one", "many-to-one", "one-to-many", "many-to-many"] = "one-to-one"
        include: tuple[str, ...] = ()
        if self.word("on", "ignoring"):
            on = self.next().text.lower() == "on"
            labels = self.label_list()
            if self.word("group_left", "group_right"):
                cardinality = "many-to-one" if self.next().text.lower() == "group_left" else "one-to-many"
                if self.at("("):
                    include = self.label_list()
        fills = self.fills()
        if operator in SET_OPERATORS:
            if cardinality != "one-to-one":
                raise self.error(position, f"`{operator}` allows no `group_left` or `group_right`.")
            if fills != (None, None):
                raise self.error(position, f"`{operator}` allows no `fill`.")
            cardinality = "many-to-many"
        if on and (both := sorted(set(labels).intersection(include))):
            raise self.error(position, f"label {both[0]!r} must not occur in `on` and in the group modifier at once.")
        return Matching(cardinality, on, labels, include, *fills), return_bool, position

    def fills(self) -> tuple[float | None, float | None]:
        left = right = None
        allowed = {"fill", "fill_left", "fill_right"}
        while self.word(*allowed) and self.opens():
            which = self.next().text.lower()
            allowed = {"fill_left": {"fill_right"}, "fill_right": {"fill_left"}}.get(which, set()) & allowed
            self.next()
            sign = -1 if self.at("-") else 1
            if self.at("-", "+"):
                self.next()
            node = self.primary()
            if not isinstance(node, Number):
                raise self.error(node.position, f"`{which}` needs a number.")
            self.expect(")", f"after the value of `{which}`")
            if which != "fill_right":
                left = sign * node.value
            if which != "fill_left":
                right = sign * node.value
        return left, right

    def binary(self, operator: str, left: Node, right: Node, modifiers: tuple[Matching, bool, int]) -> Node:
        matching, return_bool, position = modifiers
        kinds = kind(left), kind(right)
        for operand, type_ in ((left, kinds[0]), (right, kinds[1])):
            if type_ not in {"scalar", "vector"}:
                raise self.error(
                    operand.position, f"`{operator}` needs scalars or instant vectors, not {_TYPES[type_]}."
                )
        if kinds == ("scalar", "scalar") and operator in COMPARISONS and not return_bool:
            raise self.error(position, f"a comparison of two scalars needs `bool`: write `{operator} bool`.")
        if kinds != ("vector", "vector"):
            if operator in SET_OPERATORS:
                raise self.error(position, f"`{operator}` needs instant vectors on both sides.")
            if matching.labels:
                raise self.error(position, "`on` and `ignoring` need instant vectors on both sides.")
            if matching.fill_left is not None or matching.fill_right is not None:
                raise self.error(position, "`fill` needs instant vectors on both sides.")
        return Binary(operator, left, right, matching, return_bool, left.position)

    # Selectors and their modifiers

    def selector(self, name: str, position: int = -1, *, may_match_all: bool = False) -> Selector:
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
                " Add a metric name, or a matcher that an empty value does not match.",
            )
        return Selector(tuple(found), position=position)

    def braces(self) -> list[Matcher]:
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
                raise self.error(self.token.position, "`or` between matchers is not PromQL. Use the operator `or`.")
            if not self.at("}"):
                self.expect(",", "or `}` after a matcher")
        self.next()
        return found

    def matcher(self, name: str) -> Matcher:
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
        token = self.next()
        if (value := tokens.unquoted(token.text)) is None:
            raise self.error(token.position, f"invalid escape sequence in the string {token.text}.")
        return value

    def postfix(self, node: Node) -> Node:
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
        token = self.next()
        length = self.positive_duration()
        if self.at(":"):
            self.next()
            step = 0 if self.at("]") else self.positive_duration()
            self.expect("]", "after the subquery")
            if kind(node) != "vector":
                raise self.error(node.position, f"a subquery needs an instant vector, not {_TYPES[kind(node)]}.")
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
        token = self.next()
        value = self.signed_duration()

        def change(offset: int, at: At) -> tuple[int, At]:
            if offset:
                raise self.error(token.position, "`offset` is set twice. Remove one.")
            return value, at

        return self.modified(node, token, change)

    def at_modifier(self, node: Node) -> Node:
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
            number = self.primary() if self.token.kind in {"number", "duration"} or self.word("inf", "nan") else None
            if not isinstance(number, Number):
                raise self.unexpected("a timestamp in seconds, `start()` or `end()` after `@`")
            if not math.isfinite(number.value) or abs(number.value) > tokens.MAXIMUM_DURATION:
                raise self.error(token.position, "the timestamp after `@` is out of range.")
            value = _rounded(sign * number.value * 1000)

        def change(offset: int, at: At) -> tuple[int, At]:
            if at is not None:
                raise self.error(token.position, "`@` is set twice. Remove one.")
            return offset, value

        return self.modified(node, token, change)

    def modified(self, node: Node, token: tokens.Token, change: Callable[[int, At], tuple[int, At]]) -> Node:
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

    # Durations, which may be expressions

    def duration_token(self) -> int:
        token = self.next()
        value = tokens.milliseconds(token.text)
        if value is None:
            raise self.error(
                token.position, f"invalid duration {token.text!r}. Write units from y to ms, each once, such as 1h30m."
            )
        if value > tokens.MAXIMUM_DURATION:
            raise self.error(token.position, f"the duration {token.text} is out of range.")
        return value

    def positive_duration(self) -> int:
        position = self.token.position
        value = self.in_range(self.duration(0), position)
        if value <= 0:
            if self.in_context and self.context is None:
                return 1
            raise self.error(position, "the duration must be greater than 0.")
        return value

    def signed_duration(self) -> int:
        """Return the operand of `offset`. An operator behind it belongs to the expression outside."""
        position = self.token.position
        sign = -1 if self.at("-") else 1
        if self.at("-", "+"):
            self.next()
        return self.in_range(sign * self.duration_operand(), position)

    def in_range(self, seconds: float, position: int) -> int:
        if not math.isfinite(seconds) or abs(seconds) * 1000 > tokens.MAXIMUM_DURATION:
            raise self.error(position, "the duration is out of range.")
        return _rounded(seconds * 1000)

    def duration(self, least: int) -> float:
        self.deeper()
        value = self.duration_operand()
        while self.token.kind == "symbol" and self.token.text in "+-*/%^" and PRECEDENCE[self.token.text] >= least:
            token = self.next()
            precedence = PRECEDENCE[token.text]
            right = self.duration(precedence if token.text == "^" else precedence + 1)
            value = self.combined(token, value, right)
        self.depth -= 1
        return value

    def combined(self, token: tokens.Token, left: float, right: float) -> float:  # noqa: PLR0911 # one for each operator
        match token.text:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case "^":
                try:
                    value = left**right
                except (OverflowError, ZeroDivisionError):
                    return math.inf
                return value if isinstance(value, float) else math.nan
            case _:
                if right == 0:
                    if self.in_context and self.context is None:
                        return 1
                    raise self.error(token.position, "division by zero in a duration.")
                return left / right if token.text == "/" else math.fmod(left, right)

    def duration_operand(self) -> float:
        if self.at("-", "+"):
            sign = -1 if self.next().text == "-" else 1
            return sign * self.duration(UNARY + 1)
        if self.token.kind == "number":
            return tokens.number(self.next().text)
        if self.token.kind == "duration":
            return self.duration_token() / 1000
        if self.at("("):
            self.next()
            value = self.duration(0)
            self.expect(")", "after the duration")
            return value
        return self.duration_call()

    def duration_call(self) -> float:
        """Return the value of `step()`, `range()`, `min_of()` or `max_of()` in a duration."""
        if self.word("step", "range") and self.opens():
            name = self.next().text.lower()
            self.next()
            self.expect(")", f"after `{name}(`")
            self.in_context = True
            step, span = self.context or (1000, 1000)
            return (step if name == "step" else span) / 1000
        if self.word("min_of", "max_of") and self.opens():
            name = self.next().text.lower()
            self.next()
            first = self.duration(0)
            self.expect(",", f"between the arguments of `{name}`")
            second = self.duration(0)
            self.expect(")", f"after the arguments of `{name}`")
            return (min if name == "min_of" else max)(first, second)
        raise self.unexpected("a duration, for example `5m`")


def _rounded(value: float) -> int:
    return math.floor(value + 0.5) if value >= 0 else -math.floor(-value + 0.5)


def _arguments(count: int) -> str:
    return f"{count} argument{'' if count == 1 else 's'}"
