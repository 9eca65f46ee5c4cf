"""Conditions, values with units, lengths of time, and sparklines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricat_hub.notify.condition import Condition, condition
from metricat_hub.notify.quantity import format_span, format_value, unit_of
from metricat_hub.notify.sparkline import Trend, sparkline
from metricat_rules.catalogue import CATALOGUE


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("node_load1 > 8", (">", 8, "node_load1")),
        ("8 < node_load1", (">", 8, "node_load1")),
        ("(x_bytes <= -1) and on () y > 2", ("<=", -1, "x_bytes")),
        ("100 * a >= 10 < 100", (">=", 10, "")),
        ("max by (node) (abs(a_seconds) > 0.5 and b)", (">", 0.5, "a_seconds")),
        ("rate(a_seconds[5m]) > 1", (">", 1, "")),
        ("a unless b", None),
        ("a > b", None),
        ("a > bool 1", None),
        ("vector(1)", None),
        ("a >", None),
        ("", None),
    ],
)
def test_condition_of_an_expression(expression: str, expected: tuple[str, float, str] | None) -> None:
    found = condition(expression)
    assert (found and (found.operator, found.threshold, found.metric)) == expected


def test_compared_expression_can_be_evaluated() -> None:
    found = condition("max by (node) (abs(a_seconds) > 0.5 and b)")
    assert found == Condition('abs({__name__="a_seconds"})', ">", 0.5, "a_seconds")


@pytest.mark.parametrize("one", [one for one in CATALOGUE if one.per_node], ids=lambda one: str(one.name))
def test_threshold_of_each_shipped_alert_is_found(one: object) -> None:
    alert = next(own for own in CATALOGUE if own is one)
    for level in alert.levels:
        if level.threshold is None:
            continue
        text = (level.expr or alert.expr).replace("<threshold>", "42.5").replace("<window>", "1m")
        found = condition(text.replace("<selector>", 'a="b"'))
        assert found is not None
        if "<threshold>" in (level.expr or alert.expr):
            assert found.threshold == 42.5


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (97.34, "%", "97.3 %"),
        (100.0, "%", "100 %"),
        (1234.56, "", "1235"),
        (0.01234, "s", "0.0123 s"),
        (1e-9, "", "1e-09"),
        (1.5 * 2**30, "B", "1.5 GiB"),
        (512.0, "B", "512 B"),
        (0.0, "B", "0 B"),
        (float("nan"), "%", "NaN %"),
        (float("-inf"), "B", "-Inf B"),
    ],
)
def test_value_with_its_unit(value: float, unit: str, text: str) -> None:
    assert format_value(value, unit) == text


def test_unit_is_that_of_the_alert_or_of_the_metric() -> None:
    assert unit_of("NodeFilesystemFillsUp", None) == "hours"
    assert unit_of("Mine", condition("a_bytes > 1")) == "B"
    assert unit_of("Mine", condition("a:usage:percent > 1")) == "%"
    assert unit_of("Mine", None) == ""


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        *((-5, "0s"), (0, "0s"), (999, "0s"), (61_000, "1m 1s")),
        *((3_600_000, "1h"), (7_500_000, "2h 5m"), (90_061_000, "1d 1h")),
    ],
)
def test_length_of_time(milliseconds: int, text: str) -> None:
    assert format_span(milliseconds) == text


def test_sparkline_has_a_block_for_each_value() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([5, float("nan"), 5]) == "▄ ▄"
    assert Trend.of([1.0, float("nan")], "%") is None


@given(st.lists(st.floats(), max_size=30))
def test_sparkline_accepts_any_values(values: list[float]) -> None:
    assert len(sparkline(values)) == len(values)


@given(st.floats(), st.sampled_from(["", "%", "B"]))
def test_any_value_has_a_short_text(value: float, unit: str) -> None:
    assert 0 < len(format_value(value, unit)) < 25
