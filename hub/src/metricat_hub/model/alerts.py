"""Alerts after their evaluation, for notifications and for the history. Times are milliseconds since 1970-01-01 UTC."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from metricat_hub.model.labels import Labels

Reason: TypeAlias = Literal["new", "changed", "repeated", "resolved", "escalated", "test"]
"""The reason of a notification."""
EventKind: TypeAlias = Literal[
    "pending", "firing", "acknowledged", "unacknowledged", "silenced", "unsilenced", "inhibited", "resolved", "notified"
]


@dataclass(frozen=True, slots=True)
class ActiveAlert:
    """An alert that is pending, firing, or has just resolved."""

    labels: Labels
    """The labels, including `alertname` and `severity`."""
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
        """The identity of the alert: a hash of its labels, as 16 hexadecimal digits."""
        return fingerprint(self.labels)

    @property
    def name(self) -> str:
        """The name of the alert's rule."""
        return dict(self.labels).get("alertname", "")


def fingerprint(labels: Labels) -> str:
    """Return the hash of labels, as 16 hexadecimal digits."""
    text = "\0".join(part for pair in labels for part in pair)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Notification:
    """One message to one receiver about the alerts of one group."""

    identity: str
    """Identifies the notification across retries and restarts."""
    receiver: str
    group_key: str
    """Identifies the group across notifications. A receiver uses it to deduplicate incidents."""
    group_labels: Mapping[str, str]
    alerts: Sequence[ActiveAlert]
    reason: Reason
    at: int
    url: str = ""
    """The external URL of the hub, without a trailing slash; empty: unknown."""

    @property
    def is_resolved(self) -> bool:
        """Whether no alert of the notification is firing."""
        return all(one.resolved_at is not None for one in self.alerts)


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """One event in the history of an alert."""

    at: int
    kind: EventKind
    fingerprint: str
    labels: Labels
    annotations: Mapping[str, str] = field(default_factory=dict)
    value: float | None = None
    active_at: int | None = None
    actor: str = ""
    """The name of the user, or the ID of the API key, that caused the event; empty: the hub."""
    details: Mapping[str, str] = field(default_factory=dict)
    """`notified` has receiver, channel, outcome (`delivered` or `failed`), attempts, error; `silenced` has silence."""


class AlertLog(Protocol):
    """Writer of the alert history. Its methods block, and any thread may call them."""

    def record(self, events: Sequence[AlertEvent]) -> None:
        """Store events in the alert history.

        Raises:
            StoreUnavailableError: the events cannot be stored now. The caller must keep them and try again.
        """
