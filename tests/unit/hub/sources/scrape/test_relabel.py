"""The actions of relabelling. `test_scrapes_as_prometheus.py` compares them with Prometheus."""

from __future__ import annotations

from typing import Any

import pytest

from metricat_hub.sources.scrape.relabel import Rule, check, relabel

LABELS = {"__name__": "m", "a": "Foo", "b": "bar", "n": "1"}


@pytest.mark.parametrize(
    ("rule", "changed"),
    [
        (Rule(source_labels=("a", "b"), target_label="c"), {"c": "Foo;bar"}),
        (
            Rule(source_labels=("a",), regex="(F)(?P<rest>.*)", target_label="c", replacement="${rest}-$1-$$-$2x"),
            {"c": "oo-F-$-"},
        ),
        (Rule(source_labels=("a",), regex="nope", target_label="b", replacement="x"), {}),
        (Rule(source_labels=("a",), target_label="b", replacement=""), {"b": ""}),
        (Rule(source_labels=("b",), target_label="to_$1", replacement="x"), {"to_bar": "x"}),
        (Rule("lowercase", ("a",), target_label="a"), {"a": "foo"}),
        (Rule("uppercase", ("b",), target_label="c"), {"c": "BAR"}),
        (Rule("hashmod", ("a",), modulus=1000, target_label="h"), {"h": "229"}),
        (Rule("labelmap", regex="(a|b)", replacement="x_$1"), {"x_a": "Foo", "x_b": "bar"}),
        (Rule("labeldrop", regex="a|n"), {"a": "", "n": ""}),
        (Rule("labelkeep", regex="__name__|a"), {"b": "", "n": ""}),
    ],
)
def test_rules_change_labels(rule: Rule, changed: dict[str, str]) -> None:
    labels = dict(LABELS)
    assert relabel(labels, [rule])
    assert labels == {name: value for name, value in {**LABELS, **changed}.items() if value}


@pytest.mark.parametrize(
    ("rule", "keeps"),
    [
        (Rule("keep", ("a",), regex="Foo"), True),
        (Rule("keep", ("a",), regex="Fo"), False),
        (Rule("drop", ("a", "b"), regex="Foo;bar"), False),
        (Rule("drop", ("missing",), regex=""), False),
        (Rule("keepequal", ("a",), target_label="b"), False),
        (Rule("keepequal", ("a",), target_label="a"), True),
        (Rule("dropequal", ("a",), target_label="a"), False),
    ],
)
def test_rules_keep_or_drop_a_label_set(rule: Rule, *, keeps: bool) -> None:
    assert relabel(dict(LABELS), [rule]) is keeps


def test_rules_after_a_drop_are_not_applied() -> None:
    labels = dict(LABELS)
    assert not relabel(labels, [Rule("drop", ("a",)), Rule(target_label="x", replacement="y")])
    assert labels == LABELS


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"action": "hashmod", "target_label": "a"}, "the action hashmod requires modulus; write a number above 0"),
        ({"action": "lowercase"}, "the action lowercase requires target_label; write the name of a label"),
        (
            {"action": "uppercase", "target_label": "a", "replacement": "b"},
            "the action uppercase does not use replacement; remove replacement",
        ),
        ({"action": "labelmap", "replacement": ""}, "the action labelmap requires a replacement; write for example $1"),
        (
            {"action": "keepequal", "target_label": "a", "regex": "b"},
            "the action keepequal uses only source_labels and target_label, but regex is set; remove regex",
        ),
        ({"action": "keep"}, ""),
    ],
)
def test_rules_that_prometheus_rejects_are_named(settings: dict[str, Any], error: str) -> None:
    assert check(Rule(**settings)) == error
