"""The structs of the REST API's responses. Times are RFC 3339 in UTC; `hostname` always equals `node`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Time = Annotated[str, Meta(description="Time in UTC, RFC 3339.", examples=["2026-01-31T12:00:00.000Z"])]
Number = Annotated[float | None, Meta(description="Value; null if it is NaN or infinite.")]
Cursor = Annotated[
    str | None, Meta(description="Send it as `cursor` to get the next page; null: this is the last page.")
]


class CurrentValue(msgspec.Struct):
    """The newest value of one series."""

    metric: str
    unit: str
    node: str
    hostname: str
    labels: dict[str, str]
    value: Number
    timestamp: Time


class Current(msgspec.Struct):
    """The newest values, ordered by metric, node and labels."""

    timestamp: Time
    data: list[CurrentValue]
    next: Cursor


class HistoryOfSeries(msgspec.Struct):
    """The values of one series over time. Each point is a pair of time and value."""

    node: str
    hostname: str
    labels: dict[str, str]
    points: list[tuple[Time, Number]]


class History(msgspec.Struct):
    """The values of one metric over time, for each series."""

    metric: str
    unit: str
    start: Time
    end: Time
    step_seconds: float
    aggregation: str
    tier: Annotated[str, Meta(description="Coarsest resolution of the samples that the hub read: raw, 1m or 1h.")]
    data: list[HistoryOfSeries]
    next: Cursor
    warnings: list[str]


class Node(msgspec.Struct):
    """A node, as its agent describes it."""

    node: str
    hostname: str
    status: Annotated[
        str,
        Meta(
            description="Result of the last scrape, `up` or `down`. Without a scrape: `up` for 5 minutes after the "
            "newest sample."
        ),
    ]
    last_seen: Time
    pool: str
    instance: str
    operating_system: str = ""
    kernel: str = ""
    architecture: str = ""
    boot_time: Time | None = None
    has_alerts: Annotated[
        bool,
        Meta(
            description="Whether the shipped alerts read the node's series. False if the series lack the labels "
            '`namespace="local"` and `service="metricat"`. True if the hub does not evaluate the shipped alerts.'
        ),
    ] = True


class Nodes(msgspec.Struct):
    """The nodes with samples in the last hour, ordered by name."""

    data: list[Node]
    next: Cursor


class Collector(msgspec.Struct):
    """The state of a collector of an agent in the last scrape."""

    node: str
    hostname: str
    collector: str
    success: bool
    duration_seconds: Number
    timestamp: Time


class Collectors(msgspec.Struct):
    """The collectors of all agents, ordered by node and name."""

    data: list[Collector]
    next: Cursor


class TargetCounts(msgspec.Struct):
    """Number of targets that the hub scrapes, by the result of the last scrape."""

    up: int
    down: int
    unknown: int


class Delivery(msgspec.Struct):
    """The delivery of samples to a server from a queue on disk."""

    up: Annotated[bool, Meta(description="Whether the last request succeeded.")]
    down_since: Time | None
    error: str
    waiting_samples: int
    waiting_bytes: int
    sent_samples: int
    rejected_samples: int
    dropped_samples: Annotated[
        int,
        Meta(
            description="Number of waiting samples that were dropped: the queue was full, or they were too old or "
            "damaged."
        ),
    ]
    last_success: Time | None


class Output(msgspec.Struct):
    """A server to which the hub forwards all samples."""

    name: str
    url: str
    delivery: Delivery


class Status(msgspec.Struct):
    """The state of the hub."""

    status: Annotated[str, Meta(description="`ok`, or `degraded` with the reasons in `problems`.")]
    problems: list[str]
    server_id: str
    version: str
    timestamp: Time
    started: Time
    uptime_seconds: float
    targets: TargetCounts
    series: Annotated[
        int | None,
        Meta(
            description="Number of series with samples in the last hour, or in the last 5 minutes if another server "
            "stores the samples; null: unknown."
        ),
    ]
    retention: dict[str, str]
    collect_interval: str
    buffer: Annotated[
        Delivery | None,
        Meta(description="Buffer of samples that wait for a remote store; null: the store has no buffer."),
    ]
    outputs: list[Output]


class MeasureDescription(msgspec.Struct):
    """A measure (a series with a common name) with its unit, and the PromQL expression that computes it."""

    name: str
    title: str
    unit: str
    category: str
    expression: str


class Measures(msgspec.Struct):
    """All measures that the hub offers."""

    data: list[MeasureDescription]
