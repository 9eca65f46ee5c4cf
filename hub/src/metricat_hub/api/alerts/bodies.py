"""The structs of requests and responses. Times are RFC 3339 in UTC."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from metricat_hub.api.accounts.bodies import Time  # noqa: TC001 -- msgspec evaluates annotations

Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
DAYS: tuple[Day, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
Comment = Annotated[str, Meta(max_length=1_000)]
Duration = Annotated[str, Meta(max_length=50, examples=["2h", "30m"])]
MatcherText = Annotated[str, Meta(max_length=1_000, examples=['node="web-1"', "severity=~warning|info"])]
Matchers = Annotated[
    list[MatcherText], Meta(max_length=50, description="Matchers in Alertmanager's syntax. An alert must match all.")
]
Names = Annotated[list[Annotated[str, Meta(max_length=253)]], Meta(max_length=1_000)]
Version = Annotated[int, Meta(description="Send it as If-Match with a change, to detect another change.")]


class NewSilence(msgspec.Struct, forbid_unknown_fields=True):
    """A silence to create, or the new content of one."""

    matchers: Matchers
    starts: Annotated[str | None, Meta(description="Null: now.")] = None
    ends: Annotated[str | None, Meta(description="Give either this or duration.")] = None
    duration: Duration | None = None
    comment: Comment = ""


class SilenceView(msgspec.Struct):
    """A silence."""

    id: str
    matchers: list[str]
    starts: Time
    ends: Time
    state: Literal["pending", "active", "expired"]
    author: str
    comment: str
    created: Time
    version: Version


class Silences(msgspec.Struct):
    """The silences, those that end last first."""

    data: list[SilenceView]
    next: Annotated[str | None, Meta(description="Cursor of the next page; null: this is the last one.")]


class NewWindow(msgspec.Struct, forbid_unknown_fields=True):
    """A maintenance window to create, or the new content of one."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    weekdays: Annotated[list[Day], Meta(max_length=7, description="Days on which the window opens.")]
    start: Annotated[str, Meta(max_length=5, examples=["22:00"], description="Time of the day in the time zone.")]
    duration: Duration
    time_zone: Annotated[str, Meta(max_length=100, examples=["Europe/Berlin"])] = "UTC"
    matchers: Matchers = msgspec.field(default_factory=list)
    nodes: Annotated[Names, Meta(description="Names of nodes; a short form of a matcher.")] = msgspec.field(
        default_factory=list
    )
    pools: Annotated[Names, Meta(description="Names of pools; a short form of a matcher.")] = msgspec.field(
        default_factory=list
    )
    comment: Comment = ""
    enabled: bool = True


class Occurrence(msgspec.Struct):
    """When a maintenance window is open."""

    starts: Time
    ends: Time


class WindowView(msgspec.Struct):
    """A maintenance window."""

    id: str
    name: str
    weekdays: list[Day]
    start: str
    duration: str
    time_zone: str
    matchers: list[str]
    author: str
    comment: str
    enabled: bool
    is_open: bool
    occurrence: Annotated[Occurrence | None, Meta(description="The present or next time; null: never.")]
    created: Time
    version: Version


class Windows(msgspec.Struct):
    """The maintenance windows, by name."""

    data: list[WindowView]
    next: Annotated[str | None, Meta(description="Cursor of the next page; null: this is the last one.")]


class NewAcknowledgement(msgspec.Struct, forbid_unknown_fields=True):
    """An acknowledgement. Without an end, it lasts until the alert has resolved."""

    comment: Comment = ""
    duration: Duration | None = None
    expires: Annotated[str | None, Meta(description="Give either this or duration, or none of them.")] = None


class AcknowledgementView(msgspec.Struct):
    """An acknowledgement."""

    author: str
    at: Time
    comment: str
    expires: Time | None


class AlertEntry(msgspec.Struct):
    """An alert that is pending or firing."""

    fingerprint: str
    name: str
    state: Literal["pending", "firing"]
    severity: str | None
    node: str | None
    labels: dict[str, str]
    annotations: dict[str, str]
    value: Annotated[float | None, Meta(description="Null: not a finite number.")]
    active_at: Annotated[Time, Meta(description="When the expression first had a result.")]
    fired_at: Time | None
    notified_at: Annotated[Time | None, Meta(description="The first notification.")]
    receivers: Annotated[list[str], Meta(description="Receivers of its notifications, also of escalations.")]
    silenced_by: Annotated[list[str], Meta(description="IDs of silences and maintenance windows.")]
    inhibited_by: Annotated[str | None, Meta(description="The fingerprint of the alert that inhibits it.")]
    acknowledgement: AcknowledgementView | None
    expression: str


class AlertEntries(msgspec.Struct):
    """The alerts that are pending or firing: critical ones first, then the newest first."""

    data: list[AlertEntry]
    next: Annotated[str | None, Meta(description="Cursor of the next page; null: this is the last one.")]
