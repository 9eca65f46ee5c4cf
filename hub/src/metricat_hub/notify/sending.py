"""Makes attempts to send notifications: builds the content, calls the channel, and removes secrets from errors."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from metricat_hub.notify.channel import Message
from metricat_hub.notify.content import describe, no_trend
from metricat_hub.notify.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from metricat_hub.model.alerts import Notification
    from metricat_hub.notify.channel import Channel
    from metricat_hub.notify.content import Trends

_LOG = logging.getLogger(__name__)
_WITHOUT_TRENDS = ("alertmanager", "webhook")


@dataclass(frozen=True, slots=True)
class TestResult:
    """The result of a test message on one channel."""

    __test__ = False
    channel: str
    outcome: Outcome
    milliseconds: int


class Sender:
    """Makes attempts to send notifications. Thread-safe."""

    def __init__(self, clock: Callable[[], int], trends: Trends) -> None:
        """Use a clock in milliseconds since 1970-01-01 UTC, and the trends of values."""
        self._clock = clock
        self._trends = trends

    def send(self, channel: Channel, notification: Notification, progress: str = "") -> Outcome:
        """Make one attempt through a channel; return the outcome. It does not raise."""
        if not channel.sends_resolved:
            firing = [one for one in notification.alerts if one.resolved_at is None]
            notification = replace(notification, alerts=firing)
        now = self._clock()
        content = describe(notification, now, no_trend if channel.kind in _WITHOUT_TRENDS else self._trends)
        try:
            outcome = channel.send(Message(notification, content, now, progress))
        except Exception as error:  # noqa: BLE001 -- a bug of a channel must not lose the message
            _LOG.error(
                "the %s channel failed with an unexpected %s; the hub retries. Report this error.",
                channel.kind,
                type(error).__name__,
            )
            outcome = Outcome("failed", f"{type(error).__name__}: {error}")
        return replace(outcome, error=_without_secrets(outcome.error, channel)) if outcome.error else outcome

    def test(self, receiver: Mapping[str, Channel], notification: Notification) -> Sequence[TestResult]:
        """Send a notification once through each channel of a receiver, concurrently; return the results."""

        def attempt(named: tuple[str, Channel]) -> TestResult:
            begin = time.monotonic()
            outcome = self.send(named[1], notification)
            return TestResult(named[0], outcome, round((time.monotonic() - begin) * 1000))

        with ThreadPoolExecutor(max(1, len(receiver)), "test of a receiver") as threads:
            return list(threads.map(attempt, receiver.items()))


def _without_secrets(text: str, channel: Channel) -> str:
    """Return a text without the secrets of a channel: a service can repeat them in its error."""
    for secret in sorted(filter(None, channel.secrets()), key=len, reverse=True):
        text = text.replace(secret, "<secret>")
    return text
