"""The parser: what it accepts, and what its errors say."""

from __future__ import annotations

import contextlib

import promql_parser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metricat_hub.model.errors import HubError, InvalidQueryError, LimitError, UnsupportedQueryError
from metricat_hub.promql import parser
from metricat_hub.promql.nodes import Number, Selector
from metricat_hub.promql.printing import text


@pytest.mark.parametrize(
    ("query", "place", "message"),
    [
        ("", "1:1", "the query is empty"),
        ("sum(", "1:5", "expected an expression, found the end"),
        ("sum(x))", "1:7", "expected an operator or the end of the query, found `)`"),
        ("a +\n  rate(x)", "2:8", r"`rate` needs a range vector here, not an instant vector. Add a range"),
        ("rte(x[5m])", "1:1", "unknown function `rte`"),
        ('x{a="b"', "1:8", "expected `,` or `}` after a matcher"),
        ("x[5x]", "1:3", "invalid number or duration '5x'"),
        ("x[0s]", "1:3", "the duration must be greater than 0"),
        ("x[5s5m]", "1:3", "invalid duration '5s5m'. Write units from y to ms"),
        ("1 == 2", "1:3", "write `== bool`"),
        ("x and 1", "1:3", "`and` needs instant vectors on both sides"),
        ("x[5m] + 1", "1:1", "needs scalars or instant vectors, not a range vector"),
        ('{a=""}', "1:1", "matches every series"),
        ('x{__name__="y"}', "1:1", "the metric name is set twice: 'x' and 'y'"),
        ('x{a=~"("}', "1:6", "invalid regular expression '('"),
        ("x offset 1m offset 2m", "1:13", "`offset` is set twice"),
        ("(x)[5m]", "1:4", "For a subquery write a colon"),
        ('"a', "1:1", "the string is not closed"),
        ("a ! b", "1:3", "unexpected character '!'"),
        ("a + on(x) group_left(x) b", "1:3", "label 'x' must not occur"),
        ("topk(x)", "1:1", "`topk` needs 2 arguments, not 1"),
        ("x @ NaN", "1:3", "out of range"),
        ('x{a="1" or b="2"}', "1:9", "`or` between matchers is not PromQL"),
    ],
)
def test_error_names_place_and_remedy(query: str, place: str, message: str) -> None:
    with pytest.raises(InvalidQueryError) as caught:
        parser.parse(query)
    assert str(caught.value).startswith(f"invalid query at {place}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "query",
    ["(" * 50_000, "1" + "+1" * 30_000, "-" * 60_000 + "1", "abs(" * 10_000, "x[" + "(" * 10_000, "2" + "^2" * 30_000],
)
def test_deep_nesting_is_refused(query: str) -> None:
    with pytest.raises(LimitError, match="nested deeper than the limit of 150 levels"):
        parser.parse(query)


def test_long_query_is_refused() -> None:
    with pytest.raises(LimitError, match="has 70000 characters, above the limit of 65536"):
        parser.parse("x" * 70_000)


@pytest.mark.parametrize("query", ["a </ 5", "a >/ 5"])
def test_operators_of_native_histograms_are_refused_by_name(query: str) -> None:
    with pytest.raises(UnsupportedQueryError, match="native histograms"):
        parser.parse(query)


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("0x1F", 31),
        ("1_000", 1000),
        ("010", 8),
        (".5", 0.5),
        ("1e3", 1000),
        ("1h30m", 5400),
        ("-2", -2),
        ("+InF", float("inf")),
    ],
)
def test_numbers_are_parsed(query: str, value: float) -> None:
    node = parser.parse(query)
    assert isinstance(node, Number)
    assert node.value == value


@pytest.mark.parametrize(
    ("query", "same"),
    [
        ("-x^2", "-(x^2)"),
        ("-x*2", "(-x)*2"),
        ("2^3^2", "2^(3^2)"),
        ("a or b and c", "a or (b and c)"),
        ("a + b * c", "a + (b * c)"),
        ("a > b + c", "a > (b + c)"),
        ("SUM(x) BY (a)", "sum by (a) (x)"),
        ("x offset 5m @ 3", "x @ 3 offset 5m"),
        ('{"a.b"}', '{__name__="a.b"}'),
        ("x[5m * 2]", "x[10m]"),
    ],
)
def test_different_notations_have_the_same_tree(query: str, same: str) -> None:
    assert text(parser.parse(query)).replace("(", "").replace(")", "") == text(parser.parse(same)).replace(
        "(", ""
    ).replace(")", "")


def test_offset_may_be_negative_and_at_before_1970() -> None:
    node = parser.parse("x offset -5m @ -1.5")
    assert isinstance(node, Selector)
    assert (node.offset, node.at) == (-300_000, -1500)


PIECES = st.sampled_from(
    [
        *("x", "up", "sum", "rate", "topk", "by", "on", "group_left", "offset", "bool", "and", "or", "unless", "abs"),
        *(
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            ",",
            ":",
            "=",
            "!=",
            "=~",
            "+",
            "-",
            "*",
            "/",
            "^",
            ">",
            "==",
            "@",
            "5m",
            "1",
            "2.5",
        ),
        *(
            '"a"',
            '"b.*"',
            "a",
            "job",
            "x[5m]",
            "(x)",
            "sum(x)",
            "rate(x[5m])",
            'x{a="b"}',
            "by (a)",
            "on (a)",
            "start()",
        ),
    ]
)


@settings(max_examples=400)
@given(st.lists(PIECES, min_size=1, max_size=9))
def test_text_of_a_tree_parses_to_the_same_tree(pieces: list[str]) -> None:
    with contextlib.suppress(HubError):
        node = parser.parse(" ".join(pieces))
        assert text(parser.parse(text(node))) == text(node)


KNOWN = ("bool", "@", ":", "start", "or")
"""Words with a different meaning in `promql-parser`, which follows Prometheus 2.45 and has `or` between matchers."""


@settings(max_examples=400)
@given(st.lists(PIECES.filter(lambda piece: not piece.startswith(KNOWN)), min_size=1, max_size=7))
def test_accepts_what_promql_parser_accepts(pieces: list[str]) -> None:
    query = " ".join(pieces)
    try:
        promql_parser.parse(query)
    except ValueError:
        return
    try:
        parser.parse(query)
    except InvalidQueryError as error:
        # `promql-parser` accepts a sign before a range vector. Prometheus does not.
        assert "needs a scalar or an instant vector, not a range vector" in str(error)  # noqa: PT017
