"""The syntax tree of a query as Prometheus' JSON (`/api/v1/parse_query`). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from metricat_hub.promql.formatting import is_matching, name_of, number, sign
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
from metricat_hub.promql.signatures import FUNCTIONS
from metricat_hub.promql.source_parser import Literal, expression

if TYPE_CHECKING:
    from metricat_hub.promql.nodes import Matching
    from metricat_hub.promql.source_parser import Duration


def syntax_json(node: Node) -> dict[str, Any]:  # noqa: C901, PLR0911 # one case for each kind of node
    """Return the JSON object of a tree that `source_parser.parse` returned."""
    match node:
        case Number():
            return {"type": "numberLiteral", "val": number(node.value)}
        case Text():
            return {"type": "stringLiteral", "val": _valid(node.value)}
        case Selector():
            return {"type": "vectorSelector", **_selector(node)}
        case RangeSelector():
            return {"type": "matrixSelector", **_selector(node.selector), **_duration("range", node.range)}
        case Subquery():
            return {
                "type": "subquery",
                "expr": syntax_json(node.expression),
                **_duration("range", node.range),
                **_duration("offset", node.offset),
                **_duration("step", node.step),
                **_at(node.at),
            }
        case Call():
            return {"type": "call", "func": _function(node), "args": [syntax_json(one) for one in node.arguments]}
        case Aggregate():
            return {
                "type": "aggregation",
                "op": node.operator,
                "expr": syntax_json(node.expression),
                "param": None if node.parameter is None else syntax_json(node.parameter),
                "grouping": list(node.labels),
                "without": node.without,
            }
        case Binary():
            return {
                "type": "binaryExpr",
                "op": node.operator,
                "lhs": syntax_json(node.left),
                "rhs": syntax_json(node.right),
                "matching": _matching(node.matching) if is_matching(node) else None,
                "bool": node.return_bool,
            }
        case Negation():
            return {"type": "unaryExpr", "op": sign(node), "expr": syntax_json(node.expression)}
        case Paren():
            return {"type": "parenExpr", "expr": syntax_json(node.expression)}


def _selector(node: Selector) -> dict[str, Any]:
    return {
        "name": name_of(node.matchers),
        **_duration("offset", node.offset),
        "matchers": [
            {"name": _valid(one.name), "value": _valid(one.value), "type": one.operator} for one in node.matchers
        ],
        **_at(node.at),
        "anchored": node.modifier == "anchored",
        "smoothed": node.modifier == "smoothed",
    }


def _at(at: At) -> dict[str, Any]:
    is_name = isinstance(at, str)
    return {"timestamp": None if is_name else at, "startOrEnd": at if is_name else None}


def _duration(name: str, value: int) -> dict[str, Any]:
    form = expression(value)
    return {name: int(value) if form is None else 0, f"{name}Expr": None if form is None else _form(form)}


def _form(form: Duration | None) -> dict[str, Any] | None:
    if form is None:
        return None
    if isinstance(form, Literal):
        return {"type": "numberLiteral", "val": number(form.seconds), "duration": form.is_duration}
    return {
        "type": "durationExpr",
        "op": form.operator,
        "lhs": _form(form.left),
        "rhs": _form(form.right),
        "wrapped": form.is_wrapped,
    }


def _function(node: Call) -> dict[str, Any]:
    signature = FUNCTIONS[node.name]
    types: list[str] = list(signature.arguments)
    variadic = signature.optional
    if signature.repeated:
        variadic = -1
        if signature.repeated < 100:  # a bound, which Prometheus writes as one more argument
            types.append(types[-1])
            variadic = signature.repeated
    return {"name": node.name, "argTypes": types, "variadic": variadic, "returnType": kind(node)}


def _matching(matching: Matching) -> dict[str, Any]:
    return {
        "card": matching.cardinality,
        "labels": list(matching.labels),
        "on": matching.on,
        "include": list(matching.include),
        "fillValues": {"lhs": matching.fill_left, "rhs": matching.fill_right},
    }


def _valid(text: str) -> str:
    """Return a text in which bytes that are not valid UTF-8 are replaced, as in Go's JSON."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
