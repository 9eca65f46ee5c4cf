"""The state of routing between two steps. The hub stores it, so it survives a restart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from metricat_hub.dispatch.silences import Acknowledgement, MaintenanceWindow, Silence
    from metricat_hub.model.alerts import ActiveAlert, AlertEvent, Notification


@dataclass(frozen=True, slots=True)
class Member:
    """An alert in a group."""

    notified_at: int | None = None
    """Start of the escalation: the first notification, or a later end of an acknowledgement; None: not notified."""
    steps: int = 0
    """Number of escalation steps that were done."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The last notification of a group: its time, and the fingerprints of its alerts."""

    at: int
    firing: frozenset[str]
    resolved: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Group:
    """A notification group: alerts that share the notifications to one receiver."""

    key: str
    receiver: str
    route: str
    """The key of the route that determines the timing of the group."""
    labels: Mapping[str, str]
    members: Mapping[str, Member]
    """The alerts of the group, by fingerprint."""
    flush_at: int
    """When the next check of the group is due, in milliseconds since 1970."""
    sent: Sent | None = None
    escalation: tuple[str, int] | None = None
    """Name and step number of the escalation that created the group; None: a route created it."""
    is_storm: bool = False
    """Whether the group merges alerts of several groups, because too many new groups appeared at the same time."""

    @property
    def identity(self) -> tuple[str, str]:
        """Identifies the group."""
        return self.receiver, self.key


@dataclass(frozen=True, slots=True)
class Mark:
    """Why the hub sends no notification about a firing alert."""

    silences: tuple[str, ...] = ()
    """IDs of the silences and maintenance windows that match the alert."""
    inhibited_by: str = ""
    """The fingerprint of the alert that inhibits this one; empty: not inhibited."""


@dataclass(frozen=True, slots=True)
class State:
    """The state of routing: the groups, and the alerts with their marks and cooldowns."""

    groups: Mapping[tuple[str, str], Group] = field(default_factory=dict)
    alerts: Mapping[str, ActiveAlert] = field(default_factory=dict)
    """The alerts of the last step, and alerts without a rule whose groups have not yet sent the resolution."""
    marks: Mapping[str, Mark] = field(default_factory=dict)
    acknowledged: frozenset[str] = frozenset()
    created: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Times of recently created groups, by receiver, in milliseconds since 1970."""
    cooldowns: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    """Until when the hub sends no notification if an alert fires again, by group and fingerprint."""


@dataclass(frozen=True, slots=True)
class Controls:
    """The silences, maintenance windows and acknowledgements of users."""

    silences: Sequence[Silence] = ()
    windows: Sequence[MaintenanceWindow] = ()
    acknowledgements: Mapping[str, Acknowledgement] = field(default_factory=dict)
    """The acknowledgements by fingerprint of the alert."""


@dataclass(frozen=True, slots=True)
class Step:
    """The result of one step of routing."""

    state: State
    notifications: Sequence[Notification] = ()
    events: Sequence[AlertEvent] = ()
    ended: frozenset[str] = frozenset()
    """Fingerprints of acknowledgements that no longer apply."""
