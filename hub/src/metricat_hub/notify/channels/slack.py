"""Slack: incoming webhooks, and `chat.postMessage` of the Web API."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from metricat_hub.model.json_text import decode_json
from metricat_hub.notify.channels.http import HttpSender, outcome_of, shown_url
from metricat_hub.notify.outcome import DELIVERED, Outcome
from metricat_hub.notify.render import slack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.receivers import SlackChannel
    from metricat_hub.notify.channel import Message
    from metricat_hub.remote.http_client import Response

_REJECTED = ("invalid_blocks", "invalid_blocks_format", "msg_too_long", "msg_blocks_too_long", "no_text")
"""Errors of the Web API that the message causes. All others concern credentials, the channel or the service."""
_INVALID = ("invalid_payload", "invalid_blocks", "no_text", "too_many_attachments")
"""Error texts of incoming webhooks that the message causes."""


class _Answer(msgspec.Struct):
    ok: bool = False
    error: str = ""


class Slack:
    """Sends messages to a Slack channel."""

    kind = "slack"
    resend_seconds = 0.0

    def __init__(self, settings: SlackChannel) -> None:
        self.shown = settings.channel or shown_url(settings.target)
        self.sends_resolved = settings.send_resolved
        self._settings = settings
        self._http = HttpSender(settings.target)

    def send(self, message: Message) -> Outcome:
        """Make one attempt."""
        settings = self._settings
        response = self._http.post(slack.body(message.content, settings.channel, settings.mentions), {})
        if isinstance(response, Outcome):
            return response
        return _api_outcome(response) if settings.target.token else _webhook_outcome(response)

    def secrets(self) -> Sequence[str]:
        """Return the texts that no error may contain."""
        return self._http.secrets()

    def close(self) -> None:
        """Close idle connections."""
        self._http.close()


def _webhook_outcome(response: Response) -> Outcome:
    """Return the outcome of a webhook, whose errors are texts such as `invalid_token`."""
    outcome = outcome_of(response)
    if outcome.result == "rejected" and response.text not in _INVALID:
        return replace(outcome, result="failed")  # about the webhook or its channel, not about the message
    return outcome


def _api_outcome(response: Response) -> Outcome:
    """Return the outcome of the Web API, which responds to most errors with status 200."""
    outcome = outcome_of(response)
    if outcome.result != "delivered":
        return outcome
    try:
        answer = decode_json(response.body, _Answer)
    except msgspec.MsgspecError:
        return Outcome("failed", "the response is not from Slack's Web API; check the proxy and the network")
    if answer.ok:
        return DELIVERED
    return Outcome("rejected" if answer.error in _REJECTED else "failed", f"Slack: {answer.error or 'unknown error'}")
