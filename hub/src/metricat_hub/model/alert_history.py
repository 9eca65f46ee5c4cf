"""Types of the alert history: episodes of alerts, their events, and what a request selects.

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
"""`inactive`: the alert ended before it fired."""


@dataclass(frozen=True, slots=True)
class Episode:
    """One period in which an alert was active. A time is None if the event has not happened."""

    number: int
    fingerprint: str
    labels: Labels
    started: int
    """When the expression first had a result."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    value: float | None = None
    """The value when the alert fired; before that, its first value."""
    fired: int | None = None
    resolved: int | None = None
    acknowledged: int | None = None
    acknowledged_by: str = ""
    silenced: int | None = None
    """When the first silence began to match."""
    inhibited: int | None = None
    delivered: int = 0
    """Notifications that receivers have accepted."""
    failed: int = 0
    """Notifications that no retry delivered."""
    source: str = ""
    """`alertmanager`: an Alertmanager reported the alert. Empty: the hub evaluates its rule."""

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
    """A stored event of an episode."""

    number: int
    started: int
    """The start of the episode."""
    event: AlertEvent


@dataclass(frozen=True, slots=True)
class EpisodeFilter:
    """Which episodes to select. An empty sequence selects all."""

    start: int
    end: int
    """The episode overlaps the time from start to end, both included."""
    states: Sequence[str] = ()
    names: Sequence[str] = ()
    nodes: Sequence[str] = ()
    severities: Sequence[str] = ()
    receivers: Sequence[str] = ()
    """A notification to one of them was delivered or has failed."""
    fingerprints: Sequence[str] = ()
    namespaces: frozenset[str] | None = None
    """None: all namespaces."""


Position: TypeAlias = tuple[int, int]
"""A place in a list: time and number of its last entry. Entries that are added later do not move it."""


@dataclass(frozen=True, slots=True)
class Durations:
    """Durations in milliseconds. Percentiles are the nearest rank. They are None without durations."""

    count: int = 0
    mean: float | None = None
    median: int | None = None
    p95: int | None = None


@dataclass(frozen=True, slots=True)
class Ranked:
    """How often something was firing."""

    name: str
    episodes: int


@dataclass(frozen=True, slots=True)
class Flapping:
    """An alert that fired repeatedly."""

    fingerprint: str
    name: str
    node: str
    episodes: int
    most_per_hour: int
    """The most episodes that began within one hour of the clock."""


@dataclass(frozen=True, slots=True)
class HistoryStatistics:
    """Statistics of the episodes that have fired."""

    episodes: int
    firing: int
    acknowledged: int
    notifications: int
    failed_notifications: int
    to_acknowledge: Durations
    """From firing to the acknowledgement."""
    to_resolve: Durations
    """From firing to the end."""
    by_severity: Sequence[Ranked]
    alerts: Sequence[Ranked]
    nodes: Sequence[Ranked]
    flapping: Sequence[Flapping]


class AlertHistory(AlertLog, Protocol):
    """The stored history. Its methods block, and any thread may call them.

    All methods raise `StoreUnavailableError` if the history cannot be read or written now.
    """

    def episodes(self, wanted: EpisodeFilter, after: Position | None, limit: int) -> Sequence[Episode]:
        """Return episodes, the newest start first, that follow a position."""
        ...

    def timeline(self, wanted: EpisodeFilter, after: Position | None, limit: int) -> Sequence[TimelineEvent]:
        """Return the events of episodes, the newest first, that follow a position."""
        ...

    def latest(self, fingerprint: str, namespaces: frozenset[str] | None) -> Episode | None:
        """Return the newest episode of an alert."""
        ...

    def statistics(self, wanted: EpisodeFilter, top: int) -> HistoryStatistics:
        """Return statistics with at most `top` entries in each list."""
        ...

    def open_episodes(self) -> Sequence[Episode]:
        """Return the episodes that have not ended."""
        ...

    def maintain(self, now: int) -> int:
        """Remove a bounded number of old episodes; return how many."""
        ...

    def metrics(self) -> Sequence[Sample]:
        """Return metrics of the history itself."""
        ...

    def close(self) -> None:
        """Release the history."""
        ...
