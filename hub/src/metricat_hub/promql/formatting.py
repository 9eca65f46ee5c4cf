"""The text of a query as Prometheus formats it (`/api/v1/format_query`). Pure."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from metricat_hub.model.durations import format_go_duration
from metricat_hub.promql.nodes import (
    Aggregate,
    At,
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
    kind,
)
from metricat_hub.promql.source_parser import Literal, MetricName, Plus, Seconds, expression

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.ports import Matcher
    from metricat_hub.promql.nodes import Matching
    from metricat_hub.promql.source_parser import Duration

_WIDTH: Final = 100
"""An expression with more bytes is split into lines."""
_INDENT: Final = "  "
_PLAIN = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_ESCAPES = {
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
    '"': '\\"', "\\": "\\\\",
}  # fmt: skip


def formatted(node: Node, level: int = 0) -> str:  # noqa: PLR0911 # one case for each kind of node
    """Format a tree that `source_parser.parse` returned. A long text is split into lines."""
    text, indent = one_line(node), _INDENT * level
    if isinstance(node, Plus | Negation):
        return f"{indent}{sign(node)}{formatted(node.expression, level).strip()}"
    if isinstance(node, Subquery) and len(text.encode()) <= _WIDTH:
        return text
    if len(text.encode()) <= _WIDTH:
        return indent + text
    match node:
        case Aggregate():
            parameter = "" if node.parameter is None else f"{formatted(node.parameter, level + 1)},\n"
            return f"{indent}{_operator(node)}(\n{parameter}{formatted(node.expression, level + 1)}\n{indent})"
        case Binary():
            left, right = formatted(node.left, level + 1), formatted(node.right, level + 1)
            return f"{left}\n{indent}{_infix(node)}\n{right}"
        case Call():
            arguments = ",\n".join(formatted(one, level + 1) for one in node.arguments)
            return f"{indent}{node.name}(\n{arguments}\n{indent})"
        case Paren():
            return f"{indent}(\n{formatted(node.expression, level + 1)}\n{indent})"
        case Subquery():
            return formatted(node.expression, level) + _subquery(node)
        case _:
            return indent + text


def one_line(node: Node) -> str:  # noqa: C901, PLR0911 # one case for each kind of node
    """Format a tree in one line."""
    match node:
        case Number():
            return _seconds(node.value) if isinstance(node.value, Seconds) else number(node.value)
        case Text():
            return quoted(node.value)
        case Selector():
            modifier = f" {node.modifier}" if node.modifier else ""
            return f"{_series(node.matchers)}{_at(node.at)}{modifier}{_offset(node.offset)}"
        case RangeSelector():
            inner = node.selector
            modifier = f" {inner.modifier}" if inner.modifier else ""
            return f"{_series(inner.matchers)}[{_duration(node.range)}]{modifier}{_at(inner.at)}{_offset(inner.offset)}"
        case Subquery():
            return one_line(node.expression) + _subquery(node)
        case Call():
            return f"{node.name}({', '.join(map(one_line, node.arguments))})"
        case Aggregate():
            parameter = "" if node.parameter is None else f"{one_line(node.parameter)}, "
            return f"{_operator(node)}({parameter}{one_line(node.expression)})"
        case Binary():
            return f"{one_line(node.left)} {_infix(node)} {one_line(node.right)}"
        case Negation():
            return sign(node) + one_line(node.expression)
        case Paren():
            return f"({one_line(node.expression)})"


def name_of(matchers: Sequence[Matcher]) -> str:
    """Return the metric name that the source has before the braces; empty without such a name."""
    return next((str(one.value) for one in matchers if isinstance(one.value, MetricName)), "")


def sign(node: Negation) -> str:
    """Return the operator of a unary expression."""
    return "+" if isinstance(node, Plus) else "-"


def is_matching(node: Binary) -> bool:
    """Return whether both sides are vectors, so that the operator matches series."""
    return kind(node.left) == kind(node.right) == "vector"


def number(value: float) -> str:
    """Format a number without an exponent, as Go's format `f` does."""
    text = repr(float(value))
    if text in {"inf", "-inf", "nan"}:
        return {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}[text]
    return f"{Decimal(text):f}".removesuffix(".0") if "e" in text else text.removesuffix(".0")


def quoted(text: str) -> str:
    """Return a string literal, as Go's `strconv.Quote` does."""
    return '"' + "".join(_ESCAPES.get(one) or (one if one.isprintable() else _escaped(ord(one))) for one in text) + '"'


def _escaped(point: int) -> str:
    if 0xDC80 <= point <= 0xDCFF:  # a byte that is not valid UTF-8
        return f"\\x{point & 0xFF:02x}"
    if point < 0x20 or point == 0x7F:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def _general(value: float) -> str:
    """Return a number as Go's `%v` writes it: with an exponent below 1e-4 and from 1e21."""
    if value == 0 or 1e-4 <= abs(value) < 1e21 or value - value != 0:
        return number(value)
    return repr(value).removesuffix(".0")


def _seconds(value: float) -> str:
    return ("-" if value < 0 else "") + format_go_duration(int(abs(value) * 1e9) // 1_000_000)


def _series(matchers: Sequence[Matcher]) -> str:
    others = sorted(
        f"{_label(one.name)}{one.operator}{quoted(one.value)}"
        for one in matchers
        if not isinstance(one.value, MetricName)
    )
    return name_of(matchers) + (f"{{{','.join(others)}}}" if others else "")


def _label(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else quoted(name)


def _labels(names: Sequence[str]) -> str:
    return f"({', '.join(map(_label, names))})"


def _duration(value: int) -> str:
    form = expression(value)
    return format_go_duration(value) if form is None else _form(form)


def _form(form: Duration) -> str:
    if isinstance(form, Literal):
        return _seconds(form.seconds) if form.is_duration else number(form.seconds)
    parts = [_form(one) for one in (form.left, form.right) if one is not None]
    if form.operator.isidentifier():
        text = f"{form.operator}({', '.join(parts)})"
    elif form.left is None:
        text = ("-" if form.operator == "-" else "") + parts[0]
    else:
        text = f" {form.operator} ".join(parts)
    return f"({text})" if form.is_wrapped else text


def _offset(value: int) -> str:
    if expression(value) is not None:
        return f" offset {_duration(value)}"
    return f" offset {'-' if value < 0 else ''}{format_go_duration(abs(value))}" if value else ""


def _at(at: At) -> str:
    if at is None:
        return ""
    return f" @ {at}()" if isinstance(at, str) else f" @ {at / 1000:.3f}"


def _subquery(node: Subquery) -> str:
    step = _duration(node.step) if node.step else ""
    return f"[{_duration(node.range)}:{step}]{_at(node.at)}{_offset(node.offset)}"


def _operator(node: Aggregate) -> str:
    if node.without:
        return f"{node.operator} without {_labels(node.labels)} "
    return f"{node.operator} by {_labels(node.labels)} " if node.labels else node.operator


def _infix(node: Binary) -> str:
    text = node.operator + (" bool" if node.return_bool else "")
    return text + _matching(node.matching) if is_matching(node) else text


def _matching(matching: Matching) -> str:
    side = {"many-to-one": "left", "one-to-many": "right"}.get(matching.cardinality, "")
    text = ""
    if matching.labels or matching.on or side:
        text = f" {'on' if matching.on else 'ignoring'} {_labels(matching.labels)}"
    if side:
        text += f" group_{side} {_labels(matching.include)}"
    left, right = matching.fill_left, matching.fill_right
    if left is not None and left == right:
        return f"{text} fill ({_general(left)})"
    for name, value in (("left", left), ("right", right)):
        text += "" if value is None else f" fill_{name} ({_general(value)})"
    return text
