"""Durations are parsed in the CRD's grammar and in that of Prometheus."""

import re

import pytest

from metricat_rules.durations import SPEC_PATTERN, DurationError, prometheus_seconds, spec_seconds


@pytest.mark.parametrize(
    ("text", "value"), [("10s", 10), ("1m30s", 90), ("1h", 3600), ("1500ms", 1.5), ("1h1m1s1ms", 3661.001), ("0s", 0)]
)
def test_both_grammars_accept_hours_to_milliseconds(text: str, value: float) -> None:
    assert spec_seconds(text) == prometheus_seconds(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("1d", 86_400), ("1d2h", 93_600), ("2w", 1_209_600), ("1y", 31_536_000), ("1234567s", 1_234_567)],
)
def test_prometheus_grammar_also_accepts_days_weeks_and_years(text: str, value: float) -> None:
    assert prometheus_seconds(text) == value
    with pytest.raises(DurationError, match=re.escape(f"invalid duration {text!r}; use for example 30s, 5m or 1h30m")):
        spec_seconds(text)


@pytest.mark.parametrize("text", ["", "0", "1", "soon", "1.5h", "-1s", "1m1h", "1s1s", " 1s", "1s\n", "1S", "s"])
def test_both_grammars_refuse_other_texts(text: str) -> None:
    for seconds in (spec_seconds, prometheus_seconds):
        with pytest.raises(DurationError, match="invalid duration"):
            seconds(text)


@pytest.mark.parametrize("text", ["1h30m", "5m", "999999s", "0ms", "1d", "1m1h", "1234567s", "5"])
def test_spec_grammar_is_that_of_the_crd(text: str) -> None:
    matches = re.fullmatch(SPEC_PATTERN, text) is not None
    try:
        spec_seconds(text)
    except DurationError:
        assert not matches
    else:
        assert matches
