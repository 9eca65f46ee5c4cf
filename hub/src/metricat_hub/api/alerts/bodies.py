"""The structs of requests and responses about active alerts, acknowledgements, silences and maintenance windows.

Times are RFC 3339 in UTC.
"""

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
Version = Annotated[
    int, Meta(description="Send it as If-Match with a change. The change fails if a newer version exists.")
]


class NewSilence(msgspec.Struct, forbid_unknown_fields=True):
    """The content of a silence, for a new or an existing one."""

    matchers: Matchers
    starts: Annotated[str | None, Meta(description="Start of the silence; null: now.")] = None
    ends: Annotated[str | None, Meta(description="End of the silence. Set either `ends` or `duration`.")] = None
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
    """Silences. The silence with the latest end is first."""

    data: list[SilenceView]
    next: Annotated[
        str | None, Meta(description="Send it as `cursor` to get the next page; null: this is the last page.")
    ]


class NewWindow(msgspec.Struct, forbid_unknown_fields=True):
    """The content of a maintenance window, for a new or an existing one."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    weekdays: Annotated[list[Day], Meta(max_length=7, description="Days on which the window opens.")]
    start: Annotated[
        str,
        Meta(max_length=5, examples=["22:00"], description="Time of day at which the window opens, in its time zone."),
    ]
    duration: Duration
    time_zone: Annotated[str, Meta(max_length=100, examples=["Europe/Berlin"])] = "UTC"
    matchers: Matchers = msgspec.field(default_factory=list)
    nodes: Annotated[Names, Meta(description="Names of nodes: short for a matcher of the label `node`.")] = (
        msgspec.field(default_factory=list)
    )
    pools: Annotated[Names, Meta(description="Names of pools: short for a matcher of the label `pool`.")] = (
        msgspec.field(default_factory=list)
    )
    comment: Comment = ""
    enabled: bool = True


class Occurrence(msgspec.Struct):
    """Start and end of one period in which a maintenance window is open."""

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
    occurrence: Annotated[
        Occurrence | None,
        Meta(description="The period in which the window is open, now or next; null: it never opens again."),
    ]
    created: Time
    version: Version


class Windows(msgspec.Struct):
    """Maintenance windows, sorted by name."""

    data: list[WindowView]
    next: Annotated[
        str | None, Meta(description="Send it as `cursor` to get the next page; null: this is the last page.")
    ]


class NewAcknowledgement(msgspec.Struct, forbid_unknown_fields=True):
    """An acknowledgement to create. Without an end, it lasts until the alert resolves."""

    comment: Comment = ""
    duration: Duration | None = None
    expires: Annotated[
        str | None, Meta(description="End of the acknowledgement. Set `expires`, `duration` or neither.")
    ] = None


class AcknowledgementView(msgspec.Struct):
    """An acknowledgement of an alert."""

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
    value: Annotated[float | None, Meta(description="Value of the expression; null: it is not a finite number.")]
    active_at: Annotated[Time, Meta(description="When the expression first had a result.")]
    fired_at: Time | None
    notified_at: Annotated[Time | None, Meta(description="When the first notification was sent; null: none yet.")]
    receivers: Annotated[
        list[str], Meta(description="Names of the receivers of its notifications, including escalations.")
    ]
    silenced_by: Annotated[
        list[str], Meta(description="IDs of the silences and maintenance windows that silence the alert.")
    ]
    inhibited_by: Annotated[str | None, Meta(description="Fingerprint of the alert that inhibits this alert.")]
    acknowledgement: AcknowledgementView | None
    expression: str


class AlertEntries(msgspec.Struct):
    """Alerts that are pending or firing, sorted by severity (critical first), then by start (newest first)."""

    data: list[AlertEntry]
    next: Annotated[
        str | None, Meta(description="Send it as `cursor` to get the next page; null: this is the last page.")
    ]
