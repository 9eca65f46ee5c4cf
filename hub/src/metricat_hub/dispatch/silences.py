"""Silences, maintenance windows and acknowledgements. Times are milliseconds since 1970-01-01 UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from metricat_hub.dispatch.time_intervals import zone

if TYPE_CHECKING:
    from metricat_hub.dispatch.matchers import AlertMatchers

_DAY = 86_400_000
LONGEST_WINDOW = 7 * _DAY


@dataclass(frozen=True, slots=True)
class Silence:
    """A silence: from start to end, the hub sends no notifications about matching alerts."""

    id: str
    matchers: AlertMatchers
    starts: int
    ends: int
    author: str
    comment: str = ""
    created: int = 0
    version: int = 1
    """A number that each change increments."""

    def state(self, now: int) -> Literal["pending", "active", "expired"]:
        """Return the state of the silence at the time `now`."""
        if now >= self.ends:
            return "expired"
        return "active" if now >= self.starts else "pending"


@dataclass(frozen=True, slots=True)
class MaintenanceWindow:
    """A silence that repeats on some days of the week."""

    id: str
    name: str
    matchers: AlertMatchers
    weekdays: tuple[int, ...]
    """Days of the week on which the window starts. 0: Monday."""
    start_minute: int
    """Start of the window in minutes after midnight, by the clock of the time zone."""
    duration: int
    """Duration in milliseconds of elapsed time. A change to daylight saving time does not affect it."""
    time_zone: str
    author: str
    comment: str = ""
    enabled: bool = True
    created: int = 0
    version: int = 1

    def occurrence(self, now: int) -> tuple[int, int] | None:
        """Return start and end of the period in which the window is open, or opens next; None: it never opens again."""
        if not self.enabled or not self.weekdays:
            return None
        local = zone(self.time_zone)
        today = datetime.fromtimestamp(now / 1000, local).date()
        before = self.duration // _DAY + 2
        for days in range(-before, 9):
            day = today + timedelta(days=days)
            if day.weekday() not in self.weekdays:
                continue
            opens = datetime(
                day.year, day.month, day.day, self.start_minute // 60, self.start_minute % 60, tzinfo=local
            )
            start = round(opens.astimezone(UTC).timestamp() * 1000)
            if now < start + self.duration:
                return start, start + self.duration
        return None

    def is_open(self, now: int) -> bool:
        """Return whether the window is open at the time `now`."""
        found = self.occurrence(now)
        return found is not None and found[0] <= now


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The acknowledgement of an alert. Until it ends, notifications are neither repeated nor escalated."""

    fingerprint: str
    active_at: int
    """When the alert became active. If it becomes active again later, the acknowledgement does not apply."""
    author: str
    at: int
    comment: str = ""
    expires: int | None = None
    """When the acknowledgement expires; None: when the alert resolves."""
