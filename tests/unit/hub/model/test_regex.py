"""Regular expressions are those of RE2, also where Python's syntax differs."""

import pytest

from metricat_hub.model.regex import RegexError, compile_anchored


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("a.c", "a\nc", "ac"),
        ("a$", "a", "a\n"),
        (r"^a|b\z", "b", "ab"),
        ("(?i)abc", "ABC", "ABD"),
        ("(?i:a)b", "Ab", "AB"),
        ("(?P<x>a)(?<y>b)", "ab", "a"),
        (r"\d+", "12", "\u0661"),
        (r"\w+", "a_1", "é"),
        (r"\s", "\f", "\v"),
        (r"[\d_-]+", "1_-", "a"),
        (r"[^\s]+", "ab", "a b"),
        ("[[:alpha:]]+", "abc", "ab1"),
        ("[]a]+", "]a", "b"),
        ("[a[]+", "[a", "]"),
        ("[^]]", "a", "]"),
        (r"\Qa.b\E+", "a.bb", "axb"),
        (r"\x{e9}", "é", "e"),
        ("a{,2}", "a{,2}", "aa"),
        ("a{1,2}", "aa", "aaa"),
        ("{", "{", ""),
        (r"\bfoo\b", "foo", "foo "),
        (r"(?m)a$(?s:.)b", "a\nb", "ab"),
        ("(?s-i:a)", "a", "A"),
        ("", "", "a"),
        ("(?i)ab|cd", "CD", "abcd"),
        ("x(?i)a|b", "B", "Xa"),
        ("x(?i)a|b", "xA", "xb"),
        (r"foo\.bar", "foo.bar", "fooxbar"),
        (r"foo\-bar", "foo-bar", "foobar"),
        ("(a|b(?i)c)", "bC", "BC"),
    ],
)
def test_expressions_match_as_in_re2(pattern: str, matching: str, other: str) -> None:
    compiled = compile_anchored(pattern)
    assert compiled.fullmatch(matching)
    assert not compiled.fullmatch(other)


@pytest.mark.parametrize(
    "pattern",
    [
        *("(?=a)", "(?!a)", "(?<=a)", "(?<!a)", r"(a)\1", "(?P=x)", "(?#x)", "(?>a)", "a*+", "a++", "a**", "a{2}{3}"),
        *("(", ")", "[a", "a{1001}", r"\pL", r"\Z", r"\C", "(?U)a", "*a", "[[:nope:]]", "[b-a]", "\\", "(?)"),
    ],
)
def test_expressions_that_re2_rejects_or_that_cannot_be_translated_are_named(pattern: str) -> None:
    with pytest.raises(RegexError, match="invalid regular expression"):
        compile_anchored(pattern)
