"""Statistics of episodes, from three passes over a covering index. See docs/design/0042.

For 100,000 episodes, a pass takes longer in the database than its evaluation here. So each pass returns the data for
several statistics: one row for each alert, the hours in which alerts are flapping, and the durations as an array.
"""

# ruff: noqa: S608 -- statements consist of constants; values are parameters

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model.alert_history import Durations, Flapping, HistoryStatistics, Ranked
from metricat_hub.store.alert_history.conditions import EPISODES, conditions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from metricat_hub.model.alert_history import EpisodeFilter
    from metricat_hub.store.alert_history.database import Session

_HOUR = 3_600_000
_LEAST_FLAPPING = 2
"""The least number of episodes in one hour for an alert to count as flapping."""
_FIRED = frozenset({"firing", "resolved"})
_NONE = -1
"""The number for a missing duration."""


@dataclass(frozen=True, slots=True)
class _Alert:
    """An alert, and the sums of its episodes. The labels determine name, severity and node."""

    fingerprint: str
    name: str
    severity: str
    node: str
    episodes: int
    ended: int
    acknowledged: int
    delivered: int
    failed: int


def statistics(session: Session, wanted: EpisodeFilter, top: int) -> HistoryStatistics:
    """Return the statistics of the episodes that `wanted` selects and that have fired. `top` limits each ranking."""
    if set(wanted.states) >= _FIRED:
        wanted = replace(wanted, states=())
    condition, parameters = conditions(wanted)
    selected = f"{EPISODES} WHERE {condition} AND fired IS NOT NULL"
    rows = session.rows(
        "SELECT fingerprint, MAX(name), MAX(severity), MAX(node), COUNT(*), COUNT(resolved), COUNT(acknowledged), "
        f"SUM(delivered), SUM(failed) {selected} GROUP BY fingerprint",
        parameters,
    )
    alerts = [_Alert(*row[:4], *map(int, row[4:])) for row in rows]
    hours = (
        f"SELECT fingerprint, COUNT(*) AS starts {selected} GROUP BY fingerprint, fired / {_HOUR} HAVING COUNT(*) >= ?"
    )
    flapping = session.rows(
        f"SELECT fingerprint, MAX(starts) FROM ({hours}) AS hours GROUP BY fingerprint", [*parameters, _LEAST_FLAPPING]
    )
    durations = session.integers(
        f"SELECT COALESCE(acknowledged - fired, {_NONE}), COALESCE(resolved - fired, {_NONE}) {selected}", parameters
    ).reshape(-1, 2)
    return HistoryStatistics(
        episodes=sum(one.episodes for one in alerts),
        firing=sum(one.episodes - one.ended for one in alerts),
        acknowledged=sum(one.acknowledged for one in alerts),
        notifications=sum(one.delivered for one in alerts),
        failed_notifications=sum(one.failed for one in alerts),
        to_acknowledge=_durations(durations[:, 0]),
        to_resolve=_durations(durations[:, 1]),
        by_severity=_ranked([(one.severity, one.episodes) for one in alerts], top),
        alerts=_ranked([(one.name, one.episodes) for one in alerts], top),
        nodes=_ranked([(one.node, one.episodes) for one in alerts], top),
        flapping=_flapping(alerts, {fingerprint: int(most) for fingerprint, most in flapping}, top),
    )


def _ranked(counts: Sequence[tuple[str, int]], top: int) -> list[Ranked]:
    """Return the most frequent names, and how often they fired."""
    total: Counter[str] = Counter()
    for name, episodes in counts:
        if name:
            total[name] += episodes
    return [Ranked(name, total[name]) for name in sorted(total, key=lambda name: (-total[name], name))[:top]]


def _flapping(alerts: Sequence[_Alert], most: dict[str, int], top: int) -> list[Flapping]:
    found = [
        Flapping(one.fingerprint, one.name, one.node, one.episodes, most[one.fingerprint])
        for one in alerts
        if one.fingerprint in most
    ]
    return sorted(found, key=lambda one: (-one.most_per_hour, -one.episodes, one.fingerprint))[:top]


def _durations(given: NDArray[np.int64]) -> Durations:
    """Return count, mean and percentiles of durations in milliseconds."""
    known = given[given >= 0]
    if not len(known):
        return Durations()
    places = [max(0, math.ceil(part * len(known)) - 1) for part in (0.5, 0.95)]
    median, p95 = np.partition(known, places)[places].tolist()
    return Durations(len(known), float(known.mean()), median, p95)
