"""The state of routing between two steps. All of it survives a restart."""

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
    """The first notification about the alert, or the later end of its acknowledgement; None: not notified."""
    steps: int = 0
    """How many steps of the escalation are done."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The last notification of a group: its time, and the fingerprints of its alerts."""

    at: int
    firing: frozenset[str]
    resolved: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Group:
    """Alerts that go to one receiver in common notifications."""

    key: str
    receiver: str
    route: str
    """The key of the route whose timing the group has."""
    labels: Mapping[str, str]
    members: Mapping[str, Member]
    """By fingerprint."""
    flush_at: int
    """When the group is checked next."""
    sent: Sent | None = None
    escalation: tuple[str, int] | None = None
    """Name and step of the escalation whose receiver the group has; None: a group of a route."""
    is_storm: bool = False
    """Whether the group has alerts of several groups, because too many groups were new at once."""

    @property
    def identity(self) -> tuple[str, str]:
        """Identifies the group."""
        return self.receiver, self.key


@dataclass(frozen=True, slots=True)
class Mark:
    """Why no notification is sent about a firing alert."""

    silences: tuple[str, ...] = ()
    """IDs of silences and maintenance windows."""
    inhibited_by: str = ""
    """The fingerprint of the alert that inhibits it."""


@dataclass(frozen=True, slots=True)
class State:
    """The groups, and what is known about alerts."""

    groups: Mapping[tuple[str, str], Group] = field(default_factory=dict)
    alerts: Mapping[str, ActiveAlert] = field(default_factory=dict)
    """The alerts of the last step, and those that no rule has any longer, until their groups have sent it."""
    marks: Mapping[str, Mark] = field(default_factory=dict)
    acknowledged: frozenset[str] = frozenset()
    created: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """For each receiver, when groups were created recently."""
    cooldowns: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    """Until when an alert that fires again is not notified, by group and fingerprint."""


@dataclass(frozen=True, slots=True)
class Controls:
    """The silences, maintenance windows and acknowledgements of users."""

    silences: Sequence[Silence] = ()
    windows: Sequence[MaintenanceWindow] = ()
    acknowledgements: Mapping[str, Acknowledgement] = field(default_factory=dict)
    """By fingerprint."""


@dataclass(frozen=True, slots=True)
class Step:
    """The result of a step."""

    state: State
    notifications: Sequence[Notification] = ()
    events: Sequence[AlertEvent] = ()
    ended: frozenset[str] = frozenset()
    """Fingerprints of acknowledgements that no longer apply."""
