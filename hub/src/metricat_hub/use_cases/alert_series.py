"""Reads alerts of the time while the hub did not run from Prometheus' series `ALERTS` and `ALERTS_FOR_STATE`.

The samples have the exact times of the evaluations. The value of `ALERTS_FOR_STATE` is the start of the alert. So a gap
with an equal value afterwards is an outage of Prometheus, and a different value means another episode of the alert.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from metricat_hub.model.alert_history import EpisodeFilter
from metricat_hub.model.alerts import AlertEvent, fingerprint
from metricat_hub.model.labels import NAME
from metricat_hub.model.ports import Hints, Matcher
from metricat_hub.use_cases.alertmanager import SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from metricat_hub.model.alert_history import AlertHistory
    from metricat_hub.model.labels import Labels
    from metricat_hub.model.ports import Reader

FILLED = "prometheus"
"""The source of episodes that the hub read from Prometheus' series."""
SOURCES = (SOURCE, FILLED)
"""The sources of episodes whose rules a Prometheus evaluates."""
START_NOT_OBSERVED = {"reason": "the start was not observed"}
_SPAN = 6 * 3_600_000
"""The time range of one selection in milliseconds, which limits the memory."""
_INTERVAL = 60_000
"""The assumed time between two evaluations of an alert with one sample, in milliseconds."""
_LATE = 10_000
"""Milliseconds by which an evaluation may be late."""
_MOST_KNOWN = 1_000


@dataclass(slots=True)
class Period:
    """A period in which an alert fired."""

    labels: Labels
    active: float | None
    """The value of `ALERTS_FOR_STATE`; None: the server does not record it."""
    fired: int
    last: int
    """The last evaluation with the alert."""
    ended: int | None = None
    """The first evaluation without the alert; None: it fires."""


def periods(reader: Reader, start: int, end: int) -> list[Period]:
    """Return the periods in which alerts fired between two times, sorted by start.

    Raises:
        HubError: the server cannot be queried.
    """
    found: dict[Labels, list[Period]] = {}
    intervals: dict[Labels, int] = {}
    for begin in range(start, end + 1, _SPAN):
        last = min(begin + _SPAN - 1, end)
        active: dict[Labels, dict[int, float]] = {}
        for series in reader.select([Matcher(NAME, "=", "ALERTS_FOR_STATE")], begin, last, Hints()).series:
            active[_bare(series.labels)] = dict(zip(series.times.tolist(), series.values.tolist(), strict=True))
        firing = [Matcher(NAME, "=", "ALERTS"), Matcher("alertstate", "=", "firing")]
        for series in reader.select(firing, begin, last, Hints()).series:
            labels = _bare(series.labels)
            times = series.times.tolist()
            starts = active.get(labels, {})
            steps = [after - before for before, after in _pairs(sorted(starts) or times)]
            intervals[labels] = min([*steps, intervals.get(labels, _INTERVAL)])
            _add(found.setdefault(labels, []), labels, times, starts)
    for labels, own in found.items():
        _end(own, intervals[labels], end)
    return sorted((one for own in found.values() for one in own), key=lambda one: one.fired)


def _bare(labels: Labels) -> Labels:
    """Return the labels of the alert of a series."""
    return tuple((name, value) for name, value in labels if name not in {NAME, "alertstate"})


def _pairs(times: Sequence[int]) -> Iterable[tuple[int, int]]:
    return pairwise(times)


def _add(own: list[Period], labels: Labels, times: Sequence[int], starts: dict[int, float]) -> None:
    """Add the evaluations with an alert to its periods."""
    for at in times:
        active = starts.get(at)
        last = own[-1] if own else None
        if last is not None and active == last.active and (active is not None or at - last.last <= 2 * _INTERVAL):
            last.last = at
        else:
            own.append(Period(labels, active, at, at))


def _end(own: Sequence[Period], interval: int, now: int) -> None:
    """Set the end of the periods of an alert, except for the last one if it lasts until now."""
    for one, following in _pairs_of(own):
        ended = one.last + interval
        if following is not None:
            one.ended = min(ended, following.fired)
        elif ended + interval + _LATE < now:
            one.ended = ended


def _pairs_of(own: Sequence[Period]) -> Iterable[tuple[Period, Period | None]]:
    return zip(own, [*own[1:], None], strict=True)


def fill(  # noqa: PLR0913 -- the parts that it connects
    history: AlertHistory,
    reader: Reader,
    sent: Callable[[Labels], Labels | None],
    start: int,
    now: int,
    *,
    with_firing: bool,
) -> None:
    """Record alerts of a Prometheus, and ends of alerts, that the alert history does not have.

    Args:
        history: the alert history. Existing events remain unchanged.
        reader: the reader of Prometheus.
        sent: returns the labels with which Prometheus sends an alert to Alertmanager; None: it does not send the alert.
        start: the time until which the history is complete.
        now: the time until which to read.
        with_firing: whether to record alerts that still fire. An Alertmanager reports them with their annotations.

    Raises:
        HubError: Prometheus or the history is not available now.
    """
    for one in periods(reader, start, now):
        labels = sent(one.labels)
        if labels is None or (one.ended is None and not with_firing):
            continue
        history.record(_missing(history, one, labels, start, now))


def _missing(history: AlertHistory, one: Period, labels: Labels, start: int, now: int) -> list[AlertEvent]:
    """Return the events of a period that the history lacks."""
    identity = fingerprint(labels)
    wanted = EpisodeFilter(one.fired, one.ended or now, fingerprints=[identity])
    known = [episode for episode in history.episodes(wanted, None, _MOST_KNOWN) if episode.fired is not None]
    details = {"source": FILLED}
    if known:
        begun = [episode.started for episode in known if episode.resolved is None and episode.source in SOURCES]
    else:
        begun = [one.fired]
    found = []
    if not known:
        reason = START_NOT_OBSERVED if one.fired - start <= _INTERVAL else {}
        found.append(
            AlertEvent(one.fired, "firing", identity, labels, active_at=one.fired, details={**details, **reason})
        )
    if one.ended is not None:
        found += [
            AlertEvent(one.ended, "resolved", identity, labels, active_at=active, details=details) for active in begun
        ]
    return found
