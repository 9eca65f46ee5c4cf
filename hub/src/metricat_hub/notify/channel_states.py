"""Counts of results of each channel since the start of the hub, for metrics, the API and the log."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ChannelName = tuple[str, str]
"""The names of receiver and channel."""

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class ChannelState:
    """The results of a channel since the start of the hub. Times are in milliseconds since 1970; 0: never."""

    delivered: int = 0
    failed_attempts: int = 0
    dead: int = 0
    last_success: int = 0
    failing_since: int = 0
    error: str = ""


class ChannelStates:
    """Counts results, and logs the first failure, the recovery and each dead letter. Any thread may use it."""

    def __init__(self, clock: Callable[[], int]) -> None:
        """Use a clock in milliseconds since 1970-01-01 UTC."""
        self._clock = clock
        self._lock = threading.Lock()
        self._states: dict[ChannelName, ChannelState] = {}

    def get(self, name: ChannelName) -> ChannelState:
        """Return a copy of the state of a channel."""
        with self._lock:
            return replace(self._states.get(name, ChannelState()))

    def succeed(self, name: ChannelName) -> None:
        """Record that the service accepted a message."""
        with self._lock:
            state = self._states.setdefault(name, ChannelState())
            failed_since, state.failing_since, state.error = state.failing_since, 0, ""
            state.last_success = self._clock()
        if failed_since:
            _LOG.info("receiver %s, channel %s: works again", *name)

    def count_delivered(self, name: ChannelName, warning: str = "") -> None:
        """Count a delivered notification. `warning` is an error of a part of it, such as a rejected recipient."""
        self.succeed(name)
        with self._lock:
            self._states[name].delivered += 1
        if warning:
            _LOG.warning("receiver %s, channel %s: the notification was delivered, but: %s", *name, warning)

    def count_failed(self, name: ChannelName, error: str) -> None:
        """Count a failed attempt that the hub will repeat."""
        with self._lock:
            state = self._states.setdefault(name, ChannelState())
            state.error = error
            state.failed_attempts += 1
            is_first = not state.failing_since
            state.failing_since = state.failing_since or self._clock()
        if is_first:
            _LOG.warning(
                "receiver %s, channel %s: %s. The hub retries. Check the receiver's settings if the error persists.",
                *name,
                error,
            )

    def count_dead(self, name: ChannelName, title: str, error: str) -> None:
        """Count a notification that became a dead letter: the hub no longer tries to deliver it."""
        with self._lock:
            state = self._states.setdefault(name, ChannelState())
            state.error = error
            state.dead += 1
        _LOG.error(
            "receiver %s, channel %s: notification %s is now a dead letter: %s. Correct the cause, and retry all dead "
            "letters with: POST /api/v1/notifications/dead-letters/retry",
            *name,
            title,
            error,
        )
