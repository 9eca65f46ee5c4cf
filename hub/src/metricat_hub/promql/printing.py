"""Prints a syntax tree as PromQL. The text is built only from the tree, never copied from the parsed text.

Durations are printed in milliseconds. Metric names are printed as matchers, so a name such as ``sum`` is unambiguous.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from metricat_hub.promql.nodes import (
    Aggregate,
    At,
    Binary,
    Call,
    Matching,
    Negation,
    Node,
    Number,
    Paren,
    RangeSelector,
    Selector,
    Subquery,
    Text,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_PLAIN = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
"""Label names that need no quotes. Only Prometheus 3 accepts quoted label names."""


def mapped(node: Node, change: Callable[[Node], Node | None]) -> Node:
    """Return the tree with each node replaced by the result of `change`; None keeps the node.

    The children of a replaced node are not changed.
    """
    if (changed := change(node)) is not None:
        return changed
    match node:
        case Call():
            return replace(node, arguments=tuple(mapped(argument, change) for argument in node.arguments))
        case Aggregate():
            parameter = None if node.parameter is None else mapped(node.parameter, change)
            return replace(node, expression=mapped(node.expression, change), parameter=parameter)
        case Binary():
            return replace(node, left=mapped(node.left, change), right=mapped(node.right, change))
        case Negation() | Paren():
            return replace(node, expression=mapped(node.expression, change))
        case _:
            return node


def quoted(value: str) -> str:
    """Return a string literal."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + "".join(f"\\x{ord(c) & 0xFF:02x}" if 0xDC80 <= ord(c) <= 0xDCFF else c for c in escaped) + '"'


def text(node: Node) -> str:  # noqa: C901, PLR0911 # one case for each kind of node
    """Print a node as PromQL that parses to the same tree."""
    match node:
        case Number():
            return _number(node.value)
        case Text():
            return quoted(node.value)
        case Selector():
            return _selector(node) + _modifiers(node)
        case RangeSelector():
            return f"{_selector(node.selector)}[{node.range}ms]{_modifiers(node.selector)}"
        case Subquery():
            step = f"{node.step}ms" if node.step else ""
            return f"{_wrapped(node.expression)}[{node.range}ms:{step}]{_placed(node.offset, node.at)}"
        case Call():
            return f"{node.name}({', '.join(text(argument) for argument in node.arguments)})"
        case Aggregate():
            parameter = "" if node.parameter is None else f"{text(node.parameter)}, "
            grouping = f" {'without' if node.without else 'by'} ({_labels(node.labels)})"
            grouping = grouping if node.without or node.labels else ""
            return f"{node.operator}{grouping} ({parameter}{text(node.expression)})"
        case Binary():
            bool_ = " bool" if node.return_bool else ""
            return f"{_wrapped(node.left)} {node.operator}{bool_}{_matching(node.matching)} {_wrapped(node.right)}"
        case Negation():
            return f"-{_wrapped(node.expression)}"
        case Paren():
            return f"({text(node.expression)})"


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return repr(value).removesuffix(".0") if math.isfinite(value) else ("+Inf" if value > 0 else "-Inf")


def _wrapped(node: Node) -> str:
    return f"({text(node)})" if isinstance(node, Binary | Negation) else text(node)


def _labels(names: tuple[str, ...]) -> str:
    return ", ".join(_label(name) for name in names)


def _label(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else quoted(name)


def _selector(node: Selector) -> str:
    return "{" + ",".join(f"{_label(m.name)}{m.operator}{quoted(m.value)}" for m in node.matchers) + "}"


def _modifiers(node: Selector) -> str:
    return (f" {node.modifier}" if node.modifier else "") + _placed(node.offset, node.at)


def _placed(offset: int, at: At) -> str:
    written = ""
    if isinstance(at, str):
        written += f" @ {at}()"
    elif at is not None:
        written += f" @ {at / 1000:.3f}"
    return written + (f" offset {'-' if offset < 0 else ''}{abs(offset)}ms" if offset else "")


def _matching(matching: Matching) -> str:
    written = ""
    if matching.on or matching.labels:
        written += f" {'on' if matching.on else 'ignoring'} ({_labels(matching.labels)})"
    group = {"many-to-one": "group_left", "one-to-many": "group_right"}.get(matching.cardinality)
    written += f" {group} ({_labels(matching.include)})" if group else ""
    for side in ("left", "right"):
        value = getattr(matching, f"fill_{side}")
        written += "" if value is None else f" fill_{side} ({_number(value)})"
    return written
