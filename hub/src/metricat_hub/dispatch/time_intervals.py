"""Time intervals in Alertmanager's format: times of the day, days of the week and of the month, months and years."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

Range = tuple[int, int]
"""First and last value, both inclusive. Negative days of the month count from the end of the month."""
MINUTES_OF_A_DAY = 1440


@dataclass(frozen=True, slots=True)
class TimeInterval:
    """A set of times. None as a field means any value."""

    times: tuple[Range, ...] | None = None
    """Ranges of minutes of the day. The last minute of a range is exclusive."""
    weekdays: tuple[Range, ...] | None = None
    """Ranges of days of the week. 0: Sunday."""
    days_of_month: tuple[Range, ...] | None = None
    months: tuple[Range, ...] | None = None
    years: tuple[Range, ...] | None = None
    zone: tzinfo = UTC

    def contains(self, at: int) -> bool:
        """Return whether a time, in milliseconds since 1970, is in the interval."""
        moment = datetime.fromtimestamp(at / 1000, self.zone)
        minute = moment.hour * 60 + moment.minute
        return (
            (self.times is None or any(start <= minute < end for start, end in self.times))
            and _within(self.weekdays, moment.isoweekday() % 7)
            and _within(self.months, moment.month)
            and _within(self.years, moment.year)
            and (self.days_of_month is None or any(_has_day(one, moment) for one in self.days_of_month))
        )


def _within(ranges: tuple[Range, ...] | None, value: int) -> bool:
    return ranges is None or any(first <= value <= last for first, last in ranges)


def _has_day(days: Range, moment: datetime) -> bool:
    length = calendar.monthrange(moment.year, moment.month)[1]
    first, last = (length + day + 1 if day < 0 else day for day in days)
    return first <= length and max(first, -length) <= moment.day <= min(last, length)


def zone(name: str) -> tzinfo:
    """Return the time zone with a name; raise ValueError if the name is unknown."""
    if name in ("UTC", ""):
        return UTC
    from zoneinfo import ZoneInfo  # noqa: PLC0415 -- few settings need it

    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(f"unknown time zone {name[:100]!r}; write for example Europe/Berlin or UTC") from None
