"""The structs of responses about episodes, timelines and statistics of alerts. Times are RFC 3339 in UTC."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from metricat_hub.api.rest.types import Cursor, Number, Time  # noqa: TC001 -- msgspec evaluates annotations

Kind = Annotated[
    str,
    Meta(
        description="One of `pending`, `firing`, `acknowledged`, `unacknowledged`, `silenced`, `unsilenced`, "
        "`inhibited`, `notified`, `resolved`."
    ),
]
Seconds = Annotated[float | None, Meta(description="Seconds; null: no episode has this duration.")]


class AlertEpisode(msgspec.Struct):
    """One period in which an alert was active."""

    fingerprint: Annotated[str, Meta(description="Hash of the alert's labels. It identifies the alert.")]
    alert: str
    severity: str
    node: str
    state: Annotated[
        str, Meta(description="`pending`, `firing`, `resolved`, or `inactive`: the alert ended before it fired.")
    ]
    labels: dict[str, str]
    annotations: dict[str, str]
    value: Annotated[Number, Meta(description="The value of the expression when the alert fired.")]
    started: Annotated[Time, Meta(description="When the expression first had a result.")]
    fired: Time | None
    resolved: Time | None
    duration_seconds: Annotated[
        float | None,
        Meta(description="From firing to the end of the alert; null: the alert has not fired or has not ended."),
    ]
    acknowledged: Time | None
    acknowledged_by: str
    silenced: Annotated[Time | None, Meta(description="When a silence first matched the alert; null: never.")]
    inhibited: Time | None
    notifications: Annotated[int, Meta(description="Number of notifications that receivers have accepted.")]
    failed_notifications: Annotated[int, Meta(description="Number of notifications that failed after all retries.")]
    source: Annotated[
        str,
        Meta(
            description="Source of the episode: `hub`, `alertmanager`, or `prometheus` (read from its series after a "
            "downtime of the hub)."
        ),
    ]


class AlertEpisodes(msgspec.Struct):
    """Episodes, the newest start first."""

    data: list[AlertEpisode]
    next: Cursor


class AlertEventView(msgspec.Struct):
    """One event in the timeline of an alert."""

    time: Time
    kind: Kind
    episode: Annotated[Time, Meta(description="When the episode of the event started.")]
    actor: Annotated[
        str, Meta(description="Name of the user, or ID of the API key, that caused the event; empty: the hub.")
    ]
    value: Number
    details: Annotated[
        dict[str, str],
        Meta(description="For example receiver, channel, outcome, attempts and error of a notification."),
    ]


class AlertTimeline(msgspec.Struct):
    """The events of an alert, the newest first."""

    fingerprint: str
    alert: str
    labels: dict[str, str]
    data: list[AlertEventView]
    next: Cursor


class AlertDurations(msgspec.Struct):
    """Durations of episodes. Percentiles use the nearest-rank method."""

    count: int
    mean_seconds: Seconds
    median_seconds: Seconds
    p95_seconds: Seconds


class AlertCount(msgspec.Struct):
    """The number of episodes of one severity, alert or node."""

    name: str
    episodes: int


class FlappingAlert(msgspec.Struct):
    """An alert that began to fire at least twice within the same hour, for example 10:00 to 11:00."""

    fingerprint: str
    alert: str
    node: str
    episodes: int
    most_per_hour: Annotated[
        int,
        Meta(
            description="Largest number of episodes that began to fire within the same hour, for example 10:00 to "
            "11:00."
        ),
    ]


class AlertStatistics(msgspec.Struct):
    """Statistics of episodes that fired. Each list has at most `top` entries, and begins with the most episodes."""

    start: Time
    end: Time
    episodes: int
    firing: int
    acknowledged: int
    notifications: int
    failed_notifications: int
    time_to_acknowledge: AlertDurations
    time_to_resolve: AlertDurations
    severities: list[AlertCount]
    alerts: list[AlertCount]
    nodes: list[AlertCount]
    flapping: Annotated[list[FlappingAlert], Meta(description="Alerts, the largest `most_per_hour` first.")]
