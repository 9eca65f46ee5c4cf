"""Durations as plain seconds and as Go writes them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricat_agent.config.durations import parse_go_duration, parse_seconds


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0), ("1s", 1), ("1m30s", 90), ("500ms", 0.5), ("1.5h", 5400), ("250us", 0.00025)]
)
def test_go_durations_are_parsed(text: str, value: float) -> None:
    assert parse_go_duration(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "1", "s", "1d", "-1s", "1s ", "1s2"])
def test_text_that_is_not_a_go_duration_is_rejected_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=f"^invalid duration '{text}'; use for example 1s"):
        parse_go_duration(text)


@given(st.text(alphabet="0123456789.nmush -", max_size=12))
def test_go_durations_are_never_negative(text: str) -> None:
    with suppress(ValueError):
        assert parse_go_duration(text) >= 0


@pytest.mark.parametrize(("text", "value"), [("1.5", 1.5), ("60", 60), (".1", 0.1)])
def test_plain_seconds_are_parsed(text: str, value: float) -> None:
    assert parse_seconds(text) == value


@pytest.mark.parametrize("text", ["", "1s", "lots"])
def test_text_that_is_not_a_number_of_seconds_is_rejected_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=f"^invalid number of seconds '{text}'; use for example 1.5"):
        parse_seconds(text)
