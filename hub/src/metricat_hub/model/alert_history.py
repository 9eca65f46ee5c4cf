"""Types of the alert history: episodes of alerts, events, and filters.

An episode is the time from the first result of an alert's expression until the alert resolves. Times are milliseconds
since 1970-01-01 UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from metricat_hub.model.alerts import AlertLog

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from metricat_hub.model.alerts import AlertEvent
    from metricat_hub.model.labels import Labels
    from metricat_hub.model.self_metrics import Sample

EpisodeState: TypeAlias = Literal["pending", "firing", "resolved", "inactive"]
STATES: tuple[EpisodeState, ...] = ("pending", "firing", "resolved", "inactive")
"""State of an episode. `inactive`: the alert ended before it fired."""


@dataclass(frozen=True, slots=True)
class Episode:
    """One period in which an alert was active. None as a time means that the event has not happened."""

    number: int
    fingerprint: str
    labels: Labels
    started: int
    """When the expression first had a result."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    value: float | None = None
    """The value of the expression when the alert fired; before it fires, the first value."""
    fired: int | None = None
    resolved: int | None = None
    acknowledged: int | None = None
    acknowledged_by: str = ""
    silenced: int | None = None
    """When a silence first matched the alert; None: never."""
    inhibited: int | None = None
    delivered: int = 0
    """Number of notifications that receivers have accepted."""
    failed: int = 0
    """Number of notifications that failed after all retries."""
    source: str = ""
    """`alertmanager`: an Alertmanager reported the alert. Empty: the hub evaluates the rule of the alert."""

    @property
    def state(self) -> EpisodeState:
        """Whether the alert is pending or firing, or how it ended."""
        if self.resolved is not None:
            return "inactive" if self.fired is None else "resolved"
        return "pending" if self.fired is None else "firing"

    def label(self, name: str) -> str:
        """Return the value of a label; empty if the alert does not have it."""
        return next((value for key, value in self.labels if key == name), "")


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """A stored event of an episode, for the timeline of an alert."""

    number: int
    started: int
    """The start of the episode."""
    event: AlertEvent


@dataclass(frozen=True, slots=True)
class EpisodeFilter:
    """A filter of episodes. An empty sequence selects all."""

    start: int
    end: int
    """Selects episodes that overlap the time from start to end, both inclusive."""
    states: Sequence[str] = ()
    names: Sequence[str] = ()
    nodes: Sequence[str] = ()
    severities: Sequence[str] = ()
    receivers: Sequence[str] = ()
    """Selects episodes with a delivered or failed notification to one of these receivers."""
    fingerprints: Sequence[str] = ()
    namespaces: frozenset[str] | None = None
    """None: all namespaces."""


Position: TypeAlias = tuple[int, int]
"""A position in a list, as time and number of the last returned entry. New entries do not change it."""


@dataclass(frozen=True, slots=True)
class Durations:
    """Statistics of durations, in milliseconds. Percentiles use the nearest-rank method. None: no duration."""

    count: int = 0
    mean: float | None = None
    median: int | None = None
    p95: int | None = None


@dataclass(frozen=True, slots=True)
class Ranked:
    """A name (severity, alert or node) with the number of its firing episodes."""

    name: str
    episodes: int


@dataclass(frozen=True, slots=True)
class Flapping:
    """An alert that fired repeatedly within an hour."""

    fingerprint: str
    name: str
    node: str
    episodes: int
    most_per_hour: int
    """Largest number of episodes that began within the same hour, for example 10:00 to 11:00."""


@dataclass(frozen=True, slots=True)
class HistoryStatistics:
    """Statistics of the episodes that fired."""

    episodes: int
    firing: int
    acknowledged: int
    notifications: int
    failed_notifications: int
    to_acknowledge: Durations
    """Durations from firing to the acknowledgement."""
    to_resolve: Durations
    """Durations from firing to the end."""
    by_severity: Sequence[Ranked]
    alerts: Sequence[Ranked]
    nodes: Sequence[Ranked]
    flapping: Sequence[Flapping]


class AlertHistory(AlertLog, Protocol):
    """The stored alert history. Its methods block, and any thread may call them.

    All methods raise `StoreUnavailableError` if the history cannot be read or written now.
    """

    def episodes(self, wanted: EpisodeFilter, after: Position | None, limit: int) -> Sequence[Episode]:
        """Return at most `limit` episodes after a position, the newest start first; None: from the beginning."""
        ...

    def timeline(self, wanted: EpisodeFilter, after: Position | None, limit: int) -> Sequence[TimelineEvent]:
        """Return at most `limit` events of episodes after a position, the newest first; None: from the beginning."""
        ...

    def latest(self, fingerprint: str, namespaces: frozenset[str] | None) -> Episode | None:
        """Return the newest episode of an alert in `namespaces` (None: all); None if no such episode exists."""
        ...

    def statistics(self, wanted: EpisodeFilter, top: int) -> HistoryStatistics:
        """Return statistics of the episodes that `wanted` selects and that fired; `top` limits each list."""
        ...

    def open_episodes(self) -> Sequence[Episode]:
        """Return the episodes that have not ended."""
        ...

    def maintain(self, now: int) -> int:
        """Remove old episodes, up to a limit for each call; return the number of removed episodes."""
        ...

    def metrics(self) -> Sequence[Sample]:
        """Return the own metrics of the history, for `/metrics`."""
        ...

    def close(self) -> None:
        """Close the history."""
        ...
