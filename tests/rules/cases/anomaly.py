"""Cases of the alerts about values that are unusual for the hour."""

from __future__ import annotations

from rules.cases.samples import INFO, NONE, memory_over_days, season, working_week
from support.promtool import DAY, Case

CASES: dict[str, tuple[Case, ...]] = {
    "NodeUnusual": (
        Case("more than on other days", 7 * DAY + 90, INFO, memory_over_days(lambda day, _: 70 if day >= 7 else 40)),
        Case("less than on other days", 7 * DAY + 90, INFO, memory_over_days(lambda day, _: 10 if day >= 7 else 40)),
        Case(
            "the hour of the day counts",
            7 * DAY + 19 * 60,
            INFO,
            memory_over_days(lambda day, hour: 70 if day >= 7 and hour >= 17 else season(day, hour)),
        ),
        Case("as every day", 7 * DAY + 6 * 60, NONE, memory_over_days(season)),
        Case(
            "a job of the night",
            7 * DAY + 180,
            NONE,
            memory_over_days(lambda _, hour: 90 if 2 <= hour < 4 else 40),
        ),
        Case(
            "one of the days before was bad",
            7 * DAY + 180,
            NONE,
            memory_over_days(lambda day, hour: 95 if day == 3 and 1 <= hour < 5 else 40),
        ),
        Case("not for long", 7 * DAY + 30, NONE, memory_over_days(lambda day, _: 70 if day >= 7 else 40)),
        Case("within the floor", 7 * DAY + 180, NONE, memory_over_days(lambda day, _: 47 if day >= 7 else 40)),
        Case("too few days", 6 * DAY + 180, NONE, memory_over_days(lambda day, _: 70 if day >= 6 else 40)),
        Case("a weekend as the one before", 12 * DAY + 180, NONE, memory_over_days(working_week)),
        Case("and the Monday after it", 14 * DAY + 180, NONE, memory_over_days(working_week)),
        Case(
            "a weekend unlike the one before, and unlike the week",
            12 * DAY + 180,
            INFO,
            memory_over_days(lambda day, hour: 90 if day == 12 else working_week(day, hour)),
        ),
        Case(
            "a week after a bad day",
            10 * DAY + 180,
            NONE,
            memory_over_days(lambda day, _: 90 if day == 3 else 40),
        ),
    ),
}
