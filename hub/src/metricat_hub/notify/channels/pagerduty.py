"""PagerDuty: Events API v2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_hub.notify.channels.http import HttpSender, SecretFileError, reveal, revealed, shown_url
from metricat_hub.notify.outcome import Outcome
from metricat_hub.notify.render import pagerduty

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.receivers import PagerDutyChannel
    from metricat_hub.notify.channel import Message


class PagerDuty:
    """Sends events to a PagerDuty service."""

    kind = "pagerduty"
    resend_seconds = 0.0

    def __init__(self, settings: PagerDutyChannel) -> None:
        self.shown = shown_url(settings.target)
        self.sends_resolved = settings.send_resolved
        self._settings = settings
        self._http = HttpSender(settings.target)

    def send(self, message: Message) -> Outcome:
        """Make one attempt. A test message triggers an incident and resolves it immediately."""
        notification = message.notification
        try:
            key = reveal(self._settings.routing_key)
        except SecretFileError as error:
            return Outcome("failed", str(error))
        action: pagerduty.Action = "resolve" if notification.is_resolved else "trigger"
        outcome = self._http.send(pagerduty.event(notification, message.content, key, action), {})
        if notification.reason == "test" and outcome.result == "delivered":
            return self._http.send(pagerduty.event(notification, message.content, key, "resolve"), {})
        return outcome

    def secrets(self) -> Sequence[str]:
        """Return the texts that no error may contain."""
        return [*self._http.secrets(), *revealed(self._settings.routing_key)]

    def close(self) -> None:
        """Close idle connections."""
        self._http.close()
