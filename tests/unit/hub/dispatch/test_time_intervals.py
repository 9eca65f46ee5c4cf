"""Time intervals: bounds, ends of months, and time zones."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from metricat_hub.dispatch.matchers import parse
from metricat_hub.dispatch.silences import MaintenanceWindow
from metricat_hub.dispatch.time_intervals import TimeInterval, zone

HOUR = 3_600_000


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def test_times_include_their_start_and_not_their_end() -> None:
    night = TimeInterval(times=((0, 360), (1320, 1440)))
    inside = [
        night.contains(at(f"2026-01-31T{time}")) for time in ("00:00", "05:59", "06:00", "21:59", "22:00", "23:59")
    ]
    assert inside == [True, True, False, False, True, True]


def test_negative_days_count_from_the_end_of_the_month() -> None:
    last = TimeInterval(days_of_month=((-2, -1),))
    days = ("2026-02-26", "2026-02-27", "2026-02-28", "2028-02-28", "2026-03-30")
    assert [last.contains(at(f"{day}T12:00")) for day in days] == [False, True, True, True, True]
    assert not TimeInterval(days_of_month=((31, 31),)).contains(at("2026-02-28T12:00"))
    assert TimeInterval(days_of_month=((27, 31),)).contains(at("2026-02-28T12:00"))


def test_weekdays_months_and_years_must_all_match() -> None:
    interval = TimeInterval(weekdays=((0, 1),), months=((1, 2),), years=((2026, 2026),))
    assert interval.contains(at("2026-02-01T00:00"))  # a Sunday
    assert not interval.contains(at("2026-02-03T00:00"))
    assert not interval.contains(at("2026-03-01T00:00"))
    assert not interval.contains(at("2027-02-01T00:00"))


def test_times_are_those_of_the_location() -> None:
    morning = TimeInterval(times=((480, 540),), zone=zone("Europe/Berlin"))
    assert morning.contains(at("2026-01-31T07:30"))
    assert morning.contains(at("2026-07-31T06:30"))
    assert not morning.contains(at("2026-07-31T07:30"))
    with pytest.raises(ValueError, match="unknown time zone 'Mars/Base'"):
        zone("Mars/Base")


def window(minute: int, hours: float, *weekdays: int, time_zone: str = "Europe/Berlin") -> MaintenanceWindow:
    matchers = parse(["node=~.+"])
    return MaintenanceWindow("1", "w", matchers, weekdays, minute, round(hours * HOUR), time_zone, "a")


def test_window_opens_on_its_days_and_reaches_over_midnight() -> None:
    sunday_night = window(22 * 60, 10, 6)  # 22:00 to 08:00 on Monday
    assert not sunday_night.is_open(at("2026-02-01T20:59"))
    assert sunday_night.is_open(at("2026-02-01T21:00"))
    assert sunday_night.is_open(at("2026-02-02T06:59"))
    assert not sunday_night.is_open(at("2026-02-02T07:00"))
    assert sunday_night.occurrence(at("2026-02-02T07:00")) == (at("2026-02-08T21:00"), at("2026-02-09T07:00"))


def test_window_keeps_its_clock_time_and_its_duration_when_the_clocks_change() -> None:
    early = window(60, 3, 6)
    assert early.occurrence(at("2026-03-28T00:00")) == (at("2026-03-29T00:00"), at("2026-03-29T03:00"))
    assert early.occurrence(at("2026-03-30T00:00")) == (at("2026-04-04T23:00"), at("2026-04-05T02:00"))


def test_window_of_a_week_is_open_on_its_last_day() -> None:
    week = window(0, 7 * 24, 2, time_zone="UTC")  # from Wednesday
    assert week.is_open(at("2026-02-03T23:59"))
    assert week.is_open(at("2026-02-04T00:00"))
