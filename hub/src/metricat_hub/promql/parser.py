"""Parse a PromQL query into a type-checked syntax tree."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

from metricat_hub.model.errors import LimitError, UnsupportedQueryError
from metricat_hub.promql import matchers
from metricat_hub.promql.nodes import (
    COMPARISONS,
    SET_OPERATORS,
    Aggregate,
    Binary,
    Call,
    Kind,
    Matching,
    Negation,
    Node,
    Number,
    Paren,
    Selector,
    Text,
    kind,
    unwrapped,
)
from metricat_hub.promql.selector_parser import SelectorParser
from metricat_hub.promql.signatures import AGGREGATIONS, FUNCTIONS
from metricat_hub.promql.token_cursor import PRECEDENCE, TYPES, UNARY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.promql import tokens

MAXIMUM_LENGTH: Final = 65_536
_WORDS: Final = frozenset({"and", "or", "unless", "atan2"})
_RESERVED: Final = frozenset({"on", "ignoring", "group_left", "group_right", "bool", "atan2"})


def parse(query: str, *, step: int = 0, span: int = 0) -> Node:
    """Return the syntax tree of a query.

    Args:
        query: the text of the query.
        step: milliseconds between two evaluations, for ``step()`` in a duration.
        span: milliseconds from start to end of the query, for ``range()`` in a duration.

    Raises:
        InvalidQueryError: the text is not PromQL. The message contains line and column.
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


class _Parser(SelectorParser):
    """Recursive descent with operator precedence."""

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
                f"`{token.text}` needs a scalar or an instant vector, not {TYPES[kind(operand)]}.",
            )
        return self.signed(token, operand)

    def signed(self, token: tokens.Token, operand: Node) -> Node:
        if isinstance(operand, Number):
            return Number(-operand.value if token.text == "-" else operand.value, token.position)
        return Negation(operand, token.position) if token.text == "-" else operand

    def primary(self) -> Node:
        token = self.token
        if token.kind == "name":
            return self.named()
        if token.kind == "string":
            return Text(self.string(), token.position)
        if (number := self.number()) is not None:
            return number
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
        if (number := self.number()) is not None:
            return number
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
                raise self.error(token.position, f"invalid label name {label!r}. Use valid UTF-8 that is not empty.")
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
                    f"`{name}` needs {TYPES[type_]} here, not {TYPES[kind(argument)]}."
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
                    operand.position, f"`{operator}` needs scalars or instant vectors, not {TYPES[type_]}."
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


def _arguments(count: int) -> str:
    return f"{count} argument{'' if count == 1 else 's'}"
