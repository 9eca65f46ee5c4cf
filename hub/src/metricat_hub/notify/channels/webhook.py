"""Webhooks: POST requests with JSON, and with a signature if a signing secret is set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from metricat_hub.notify.channels.http import HttpSender, SecretFileError, reveal, revealed, shown_url
from metricat_hub.notify.outcome import Outcome
from metricat_hub.notify.render import webhook

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.receivers import WebhookChannel
    from metricat_hub.notify.channel import Message

SIGNATURE: Final = "X-Metricat-Signature"
IDENTITY: Final = "Idempotency-Key"
"""The header with the identity of the notification, by which a receiver detects a repeated request."""


class Webhook:
    """Sends notifications to the URL of a webhook."""

    kind = "webhook"
    resend_seconds = 0.0

    def __init__(self, settings: WebhookChannel) -> None:
        self.shown = shown_url(settings.target)
        self.sends_resolved = settings.send_resolved
        self._settings = settings
        self._http = HttpSender(settings.target)

    def send(self, message: Message) -> Outcome:
        """Make one attempt."""
        settings = self._settings
        body = webhook.body(message.notification, message.content, settings.most_alerts)
        headers = {IDENTITY: message.notification.identity}
        try:
            if settings.signing_secret:
                secret = reveal(settings.signing_secret)
                headers[SIGNATURE] = webhook.signature(secret, message.at // 1000, body)
        except SecretFileError as error:
            return Outcome("failed", str(error))
        return self._http.send(body, headers)

    def secrets(self) -> Sequence[str]:
        """Return the texts that no error may contain."""
        return [*self._http.secrets(), *revealed(self._settings.signing_secret)]

    def close(self) -> None:
        """Close idle connections."""
        self._http.close()
