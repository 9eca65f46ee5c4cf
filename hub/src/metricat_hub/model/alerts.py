"""Alerts after their evaluation, for notifications and for the history. Times are milliseconds since 1970-01-01 UTC."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from metricat_hub.model.labels import Labels

Reason: TypeAlias = Literal["new", "changed", "repeated", "resolved", "escalated", "test"]
"""Why a notification is sent."""
EventKind: TypeAlias = Literal[
    "pending", "firing", "acknowledged", "unacknowledged", "silenced", "unsilenced", "inhibited", "resolved", "notified"
]


@dataclass(frozen=True, slots=True)
class ActiveAlert:
    """An alert that is pending, firing, or has just resolved."""

    labels: Labels
    """The labels, `alertname` and `severity` among them."""
    annotations: Mapping[str, str]
    value: float
    """The value of the rule's expression at its last result."""
    active_at: int
    """When the expression first had a result."""
    fired_at: int | None = None
    resolved_at: int | None = None
    expression: str = ""

    @property
    def fingerprint(self) -> str:
        """The identity of the alert: 16 hexadecimal digits, made of its labels."""
        return fingerprint(self.labels)

    @property
    def name(self) -> str:
        """The name of the alert's rule."""
        return dict(self.labels).get("alertname", "")


def fingerprint(labels: Labels) -> str:
    """Return 16 hexadecimal digits that identify labels."""
    text = "\0".join(part for pair in labels for part in pair)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Notification:
    """One message to one receiver about the alerts of one group."""

    identity: str
    """Identifies the notification across retries and restarts."""
    receiver: str
    group_key: str
    """Identifies the group across notifications: incidents of a receiver are deduplicated by it."""
    group_labels: Mapping[str, str]
    alerts: Sequence[ActiveAlert]
    reason: Reason
    at: int
    url: str = ""
    """The address of the hub for people, without a slash at its end; empty: unknown."""

    @property
    def is_resolved(self) -> bool:
        """Whether no alert of the notification is firing."""
        return all(one.resolved_at is not None for one in self.alerts)


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """One entry in the history of an alert."""

    at: int
    kind: EventKind
    fingerprint: str
    labels: Labels
    annotations: Mapping[str, str] = field(default_factory=dict)
    value: float | None = None
    active_at: int | None = None
    actor: str = ""
    """The user or key that acted; empty: the hub."""
    details: Mapping[str, str] = field(default_factory=dict)
    """`notified`: receiver, channel, outcome (`delivered` or `failed`), attempts, error. `silenced`: the silence."""


class AlertLog(Protocol):
    """The history of alerts. Its methods block, and any thread may call them."""

    def record(self, events: Sequence[AlertEvent]) -> None:
        """Store events.

        Raises:
            StoreUnavailableError: the events cannot be stored now. The caller keeps them and tries again.
        """
