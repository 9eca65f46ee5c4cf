"""The interface of channels. A channel sends messages to one service."""

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
    """A notification with its texts, for one attempt to send it."""

    notification: Notification
    content: Content
    at: int
    """The time of the attempt, in milliseconds since 1970-01-01 UTC."""
    progress: str = ""
    """The `progress` in the outcome of the previous attempt."""


class Channel(Protocol):
    """A channel of a receiver. Its methods block, and any thread may call them."""

    kind: str
    """`email`, `slack`, `pagerduty`, `webhook` or `alertmanager`."""
    shown: str
    """The destination as shown to users, without secrets."""
    sends_resolved: bool
    resend_seconds: float
    """Seconds after which firing alerts are sent again, so that the service keeps them firing; 0: never."""

    def send(self, message: Message) -> Outcome:
        """Make one attempt to send a message; return the outcome. It does not raise."""
        ...

    def secrets(self) -> Sequence[str]:
        """Return the secrets, which error texts must not contain."""
        ...

    def close(self) -> None:
        """Close idle connections."""
        ...
