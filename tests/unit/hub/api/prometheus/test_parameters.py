"""Parameters of the Prometheus HTTP API."""

from __future__ import annotations

import pytest

from metricat_hub.api.prometheus.parameters import (
    MAX_TIME,
    MIN_TIME,
    ParameterError,
    Parameters,
    parse_seconds,
    parse_time,
)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0", 0),
        ("1435781451.781", 1435781451781),
        ("1.4357814e9", 1435781400000),
        ("-1.5", -1500),
        ("123.0004", 123000),
        ("2015-07-01T20:10:51.781Z", 1435781451781),
        ("2015-07-01T22:10:51+02:00", 1435781451000),
        ("2015-07-01T20:10:51.7814567Z", 1435781451781),
        ("-292273086-05-16T16:47:06Z", MIN_TIME),
        ("292277025-08-18T07:12:54.999999999Z", MAX_TIME),
    ],
)
def test_times_are_parsed(text: str, milliseconds: int) -> None:
    assert parse_time(text) == milliseconds


@pytest.mark.parametrize("text", ["", "now", "1_0", "nan", "inf", "1e300", "2015-07-01", "2015-13-01T20:10:51Z", "٣"])
def test_other_texts_are_not_times(text: str) -> None:
    with pytest.raises(ValueError, match=r"cannot parse .* to a valid timestamp"):
        parse_time(text)


def test_durations_are_parsed() -> None:
    assert [parse_seconds(text) for text in ("15", "0.5", "1m30s", "1e2", "-1", "0")] == [15, 0.5, 90, 100, -1, 0]
    for text, message in (("", "valid duration"), ("1x", "valid duration"), ("1e300", "overflows int64")):
        with pytest.raises(ValueError, match=message):
            parse_seconds(text)


def test_errors_name_the_parameter() -> None:
    parameters = Parameters([("time", "x"), ("step", "y"), ("limit", "-1")])
    for call, message in (
        (lambda: parameters.time("time", 0), "invalid parameter \"time\": invalid time value for 'time': cannot parse"),
        (lambda: parameters.time("start"), 'invalid parameter "start": cannot parse "" to a valid timestamp'),
        (lambda: parameters.duration("step"), 'invalid parameter "step": cannot parse "y" to a valid duration'),
        (parameters.limit, 'invalid parameter "limit": limit must be non-negative'),
    ):
        with pytest.raises(ParameterError) as raised:
            call()
        assert str(raised.value).startswith(message)


def test_first_value_wins() -> None:
    parameters = Parameters([("query", "up"), ("match[]", "a"), ("query", "down"), ("match[]", "b")])
    assert parameters.get("query") == "up"
    assert parameters.all("match[]") == ["a", "b"]
    assert (parameters.get("x"), parameters.limit(), parameters.time("x", 7)) == ("", 0, 7)
