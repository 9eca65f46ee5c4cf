"""Matchers and regular expressions in RE2's syntax."""

from __future__ import annotations

import pytest

from metricat_hub.model.errors import InvalidQueryError
from metricat_hub.model.ports import Matcher
from metricat_hub.promql import matchers


@pytest.mark.parametrize(
    ("pattern", "value", "matches"),
    [
        ("a", "ab", False),
        ("a|b", "b", True),
        ("a.*", "a\nb", True),
        ("(?i)ABC", "abc", True),
        (r"\pL+", "é", True),
        ("[[:digit:]]+", "12", True),
        ("a+?", "aaa", True),
        ("^a$", "a", True),
        (r"\d+", "٣", False),
        ("", "", True),
    ],
)
def test_pattern_matches_the_whole_value(pattern: str, value: str, matches: bool) -> None:  # noqa: FBT001 # the table's column
    assert matchers.predicate(Matcher("a", "=~", pattern))(value) is matches
    assert matchers.predicate(Matcher("a", "!~", pattern))(value) is not matches


@pytest.mark.parametrize("pattern", ["(?=a)", "(?<!a)b", "a++", r"(a)\1", "(", r"\C", "a{1001}", "[b-a]", "\udcff"])
def test_pattern_that_re2_does_not_have_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidQueryError, match=r"invalid regular expression .* RE2's syntax"):
        matchers.compiled(pattern)


def test_escaped_backslash_before_c_is_allowed() -> None:
    assert matchers.predicate(Matcher("a", "=~", r"\\C"))("\\C")


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(.*a){25}", "([a-z]+)*[0-9]"])
def test_pattern_that_backtracks_in_other_engines_ends(pattern: str) -> None:
    assert not matchers.predicate(Matcher("a", "=~", pattern))("a" * 5_000 + "!")


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("$1", "x"),
        ("${1}y", "xy"),
        ("$1y", ""),
        ("$name", "z"),
        ("$$1", "$1"),
        ("a$", "a$"),
        ("$9", ""),
        ("${1", "${1"),
        ("$-", "$-"),
        ("$0", "x-z"),
    ],
)
def test_replacement_expands_groups_as_go_does(template: str, expected: str) -> None:
    found = matchers.compiled("(x)-(?P<name>z)").fullmatch("x-z")
    assert matchers.expanded(template, found) == expected
