"""The port of channels: how a message reaches one service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.alerts import Notification
    from metricat_hub.notify.content import Content
    from metricat_hub.notify.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Message:
    """A notification with its text, for one attempt of a channel."""

    notification: Notification
    content: Content
    at: int
    """The time of the attempt, in milliseconds since 1970-01-01 UTC."""
    progress: str = ""
    """The `progress` of the last attempt's outcome."""


class Channel(Protocol):
    """A channel of a receiver. Its methods block, and any thread may call them."""

    kind: str
    """`email`, `slack`, `pagerduty`, `webhook` or `alertmanager`."""
    shown: str
    """The destination for people, without secrets."""
    sends_resolved: bool
    resend_seconds: float
    """The interval at which firing alerts are sent again to keep them firing; 0: they are not."""

    def send(self, message: Message) -> Outcome:
        """Make one attempt. It does not raise."""
        ...

    def secrets(self) -> Sequence[str]:
        """Return the texts that no error may contain."""
        ...

    def close(self) -> None:
        """Close idle connections."""
        ...
