"""Matchers in Alertmanager's syntax. tests/integration/hub/test_routes_as_alertmanager.py compares with amtool."""

from __future__ import annotations

import pytest

from metricat_hub.dispatch.matchers import parse


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ('"a b"="c"', {"a b": "c"}),
        ("ü=ö", {"ü": "ö"}),
        ('{"ü"=~"ö|o", "x\\ty"!="1"}', {"ü": "o"}),
        (r'"a"="\x41\u00fc\t"', {"a": "Aü\t"}),
    ],
)
def test_label_names_of_any_characters_are_accepted(text: str, labels: dict[str, str]) -> None:
    matchers = parse([text])
    assert matchers.match(labels)
    assert not matchers.match({})
    assert parse(matchers.texts()) == matchers


def test_dot_does_not_match_a_line_feed() -> None:
    assert parse(["a=~b.c"]).match({"a": "bxc"})
    assert not parse(["a=~b.c"]).match({"a": "b\nc"})


@pytest.mark.parametrize(
    "text", ['"a b"', '"a b"="c', '{"a b"="c"', '"a b"=c=d', '"a b"="c" d=e', r'"a b"="\q"', "ü=~("]
)
def test_invalid_matcher_is_rejected_with_its_text(text: str) -> None:
    with pytest.raises(ValueError, match=r"invalid (matcher|regular expression)"):
        parse([text])


def test_matchers_of_an_alert_without_labels_match_all() -> None:
    assert parse([]).matches_all
    assert parse(['a=""', "b=~.*", "c!=d"]).matches_all
    assert not parse(["a=~.+"]).matches_all
