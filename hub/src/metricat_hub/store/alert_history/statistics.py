"""Statistics of episodes. The database sorts and counts, so the memory of the hub stays bounded."""

# ruff: noqa: S608 -- statements consist of constants; values are parameters

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from metricat_hub.model.alert_history import Durations, Flapping, HistoryStatistics, Ranked
from metricat_hub.store.alert_history.conditions import EPISODES, conditions

if TYPE_CHECKING:
    from metricat_hub.model.alert_history import EpisodeFilter
    from metricat_hub.store.alert_history.database import Session

_HOUR = 3_600_000
_LEAST_FLAPPING = 2
"""Episodes in one hour from which an alert is flapping."""


def statistics(session: Session, wanted: EpisodeFilter, top: int) -> HistoryStatistics:
    """Return the statistics of the selected episodes that have fired."""
    condition, parameters = conditions(wanted)
    condition += " AND fired IS NOT NULL"
    [[episodes, firing, acknowledged, delivered, failed]] = session.rows(
        "SELECT COUNT(*), COUNT(*) - COUNT(resolved), COUNT(acknowledged), COALESCE(SUM(delivered), 0), "
        f"COALESCE(SUM(failed), 0) {EPISODES} WHERE {condition}",
        parameters,
    )

    def ranked(column: str) -> list[Ranked]:
        rows = session.rows(
            f"SELECT {column}, COUNT(*) {EPISODES} WHERE {condition} AND {column} <> '' GROUP BY {column} "
            f"ORDER BY COUNT(*) DESC, {column} LIMIT ?",
            [*parameters, top],
        )
        return [Ranked(name, count) for name, count in rows]

    hours = (
        f"SELECT fingerprint, name, node, COUNT(*) AS starts {EPISODES} WHERE {condition} "
        f"GROUP BY fingerprint, name, node, fired / {_HOUR}"
    )
    flapping = session.rows(
        f"SELECT fingerprint, name, node, SUM(starts), MAX(starts) FROM ({hours}) AS hours "
        "GROUP BY fingerprint, name, node HAVING MAX(starts) >= ? "
        "ORDER BY MAX(starts) DESC, SUM(starts) DESC, fingerprint LIMIT ?",
        [*parameters, _LEAST_FLAPPING, top],
    )
    return HistoryStatistics(
        episodes=int(episodes),
        firing=int(firing),
        acknowledged=int(acknowledged),
        notifications=int(delivered),
        failed_notifications=int(failed),
        to_acknowledge=_durations(session, "acknowledged", condition, parameters),
        to_resolve=_durations(session, "resolved", condition, parameters),
        by_severity=ranked("severity"),
        alerts=ranked("name"),
        nodes=ranked("node"),
        flapping=[Flapping(identity, name, node, int(sum_), most) for identity, name, node, sum_, most in flapping],
    )


def _durations(session: Session, column: str, condition: str, parameters: list[object]) -> Durations:
    """Return count, mean and percentiles of the time from firing to another event."""
    given = f"{EPISODES} WHERE {condition} AND {column} >= fired"
    [[count, mean]] = session.rows(f"SELECT COUNT(*), AVG({column} - fired) {given}", parameters)
    if not count:
        return Durations()

    def percentile(part: float) -> int:
        [[found]] = session.rows(
            f"SELECT {column} - fired {given} ORDER BY {column} - fired LIMIT 1 OFFSET ?",
            [*parameters, max(0, math.ceil(part * count) - 1)],
        )
        return int(found)

    return Durations(int(count), float(mean), percentile(0.5), percentile(0.95))
