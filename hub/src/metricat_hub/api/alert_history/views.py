"""Conversion of episodes, events and statistics to the structs of responses, and to CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import msgspec

from metricat_hub.api.alert_history.bodies import (
    AlertCount,
    AlertDurations,
    AlertEpisode,
    AlertEventView,
    AlertStatistics,
    FlappingAlert,
)
from metricat_hub.api.rest.responses import number
from metricat_hub.model.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.alert_history import (
        Durations,
        Episode,
        EpisodeFilter,
        HistoryStatistics,
        Ranked,
        TimelineEvent,
    )

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters that make a spreadsheet evaluate a cell."""


def episode_view(one: Episode) -> AlertEpisode:
    """Convert an episode to the struct of the response."""
    ended = one.resolved is not None and one.fired is not None
    return AlertEpisode(
        fingerprint=one.fingerprint,
        alert=one.label("alertname"),
        severity=one.label("severity"),
        node=one.label("node"),
        state=one.state,
        labels=dict(one.labels),
        annotations=dict(one.annotations),
        value=None if one.value is None else number(one.value),
        started=rfc3339(one.started),
        fired=_time(one.fired),
        resolved=_time(one.resolved),
        duration_seconds=((one.resolved or 0) - (one.fired or 0)) / 1000 if ended else None,
        acknowledged=_time(one.acknowledged),
        acknowledged_by=one.acknowledged_by,
        silenced=_time(one.silenced),
        inhibited=_time(one.inhibited),
        notifications=one.delivered,
        failed_notifications=one.failed,
        source=one.source or "hub",
    )


def event_view(one: TimelineEvent) -> AlertEventView:
    """Convert an event to the struct of the response."""
    event = one.event
    return AlertEventView(
        time=rfc3339(event.at),
        kind=event.kind,
        episode=rfc3339(one.started),
        actor=event.actor,
        value=None if event.value is None else number(event.value),
        details=dict(event.details),
    )


def statistics_view(found: HistoryStatistics, wanted: EpisodeFilter) -> AlertStatistics:
    """Convert statistics to the struct of the response."""
    return AlertStatistics(
        start=rfc3339(wanted.start),
        end=rfc3339(wanted.end),
        episodes=found.episodes,
        firing=found.firing,
        acknowledged=found.acknowledged,
        notifications=found.notifications,
        failed_notifications=found.failed_notifications,
        time_to_acknowledge=_durations(found.to_acknowledge),
        time_to_resolve=_durations(found.to_resolve),
        severities=_counts(found.by_severity),
        alerts=_counts(found.alerts),
        nodes=_counts(found.nodes),
        flapping=[
            FlappingAlert(one.fingerprint, one.name, one.node, one.episodes, one.most_per_hour)
            for one in found.flapping
        ],
    )


def as_csv(kind: type[msgspec.Struct], rows: Sequence[msgspec.Struct]) -> bytes:
    """Return structs as CSV (RFC 4180) with a header. Mappings such as labels are written as JSON."""
    text = io.StringIO()
    writer = csv.writer(text)
    names = kind.__struct_fields__
    writer.writerow(names)
    writer.writerows([_cell(getattr(row, name)) for name in names] for row in rows)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    """Return the text of a cell. A text that a spreadsheet would evaluate gets an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return str(value)


def _time(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else rfc3339(milliseconds)


def _durations(found: Durations) -> AlertDurations:
    seconds = [None if one is None else one / 1000 for one in (found.mean, found.median, found.p95)]
    return AlertDurations(found.count, *seconds)


def _counts(found: Sequence[Ranked]) -> list[AlertCount]:
    return [AlertCount(one.name, one.episodes) for one in found]
