"""Durations and sizes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricat_hub.model.durations import format_duration, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("15s", 15_000),
        ("1m30s", 90_000),
        ("1d12h", 129_600_000),
        ("1y", 31_536_000_000),
        ("1w", 604_800_000),
        ("1h5ms", 3_600_005),
    ],
)
def test_durations_are_parsed(text: str, milliseconds: int) -> None:
    assert parse_duration(text) == milliseconds


@pytest.mark.parametrize("text", ["", "1", "s", "1.5s", "-1s", "1s1m", "1 m", "٣s", "999999999y"])
def test_other_text_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="use for example"):
        parse_duration(text)


@given(st.integers(0, 2**63 // 1_000_000))
def test_formatted_duration_is_read_back(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds)) == milliseconds


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0, "0s"), (86_400_000, "1d"), (129_600_000, "1d12h"), (7 * 86_400_000, "7d"), (1, "1ms")],
)
def test_durations_are_formatted(milliseconds: int, text: str) -> None:
    assert format_duration(milliseconds) == text


def test_sizes_are_parsed() -> None:
    assert (parse_size("10B"), parse_size("512MB"), parse_size("2TB")) == (10, 512 * 2**20, 2 * 2**40)
    for text in ("", "10", "1.5GB", "10MiB", "-1GB"):
        with pytest.raises(ValueError, match="use for example 512MB or 20GB"):
            parse_size(text)
