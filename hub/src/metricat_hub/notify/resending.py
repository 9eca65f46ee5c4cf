"""Sends firing alerts again at an interval, for services that resolve an alert without repetitions.

Alertmanager is such a service. See docs/design/0040.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from metricat_hub.model.alerts import ActiveAlert, Notification
    from metricat_hub.notify.channel import Channel
    from metricat_hub.notify.channel_states import ChannelName, ChannelStates
    from metricat_hub.notify.queue import Entry, Queue
    from metricat_hub.notify.sending import Sender


class Resender:
    """Sends firing alerts again at an interval, and the resolution of alerts that no longer fire."""

    def __init__(self, queue: Queue, sender: Sender, states: ChannelStates, clock: Callable[[], int]) -> None:
        """Use the queue for the alerts that channels repeat."""
        self.is_active: Callable[[ActiveAlert], bool] = lambda _: True
        """Returns whether an alert still fires."""
        self.is_muted: Callable[[ActiveAlert], bool] = lambda _: False
        """Returns whether an alert is silenced or inhibited. Channels do not send such alerts again."""
        self._queue = queue
        self._sender = sender
        self._states = states
        self._clock = clock
        self._due_at: dict[ChannelName, float] = {}
        self._locks: defaultdict[ChannelName, threading.Lock] = defaultdict(threading.Lock)

    def lock(self, name: ChannelName) -> threading.Lock:
        """Return the lock that a sender must hold, so that a repetition cannot arrive after a newer message."""
        return self._locks[name]

    def due(self, channels: Mapping[str, Mapping[str, Channel]]) -> Iterator[tuple[ChannelName, Channel]]:
        """Yield the channels that are due, and schedule their next repetition."""
        now = time.monotonic()
        for receiver, found in channels.items():
            for channel_name, channel in found.items():
                name = (receiver, channel_name)
                if channel.resend_seconds and self._due_at.get(name, 0.0) <= now:
                    self._due_at[name] = now + channel.resend_seconds
                    yield name, channel

    def wait(self, channels: Mapping[str, Mapping[str, Channel]], most: float) -> float:
        """Return the seconds until the next channel is due, at most `most`."""
        now = time.monotonic()
        names = [(receiver, name) for receiver, found in channels.items() for name in found]
        return min([most, *(self._due_at[name] - now for name in names if name in self._due_at)])

    def keep(self, entry: Entry, notification: Notification) -> None:
        """Store the firing alerts of a delivered notification, so that the channel sends them again.

        Raises:
            StoreUnavailableError: the queue cannot be written now.
        """
        firing = [one for one in notification.alerts if one.resolved_at is None]
        if firing:
            self._queue.repeat(entry.receiver, entry.channel, replace(notification, alerts=firing))
        else:
            self._queue.end_repeating(entry.receiver, entry.channel, entry.group_key)

    def resend(self, name: ChannelName, channel: Channel) -> None:
        """Send the firing alerts of a channel again, and the resolution of alerts that no longer fire.

        Raises:
            StoreUnavailableError: the queue cannot be read or written now.
        """
        with self._locks[name]:
            for notification in self._queue.repeated(*name):
                self._resend_group(name, channel, notification)

    def _resend_group(self, name: ChannelName, channel: Channel, notification: Notification) -> None:
        now = self._clock()
        alerts = [one if self.is_active(one) else replace(one, resolved_at=now) for one in notification.alerts]
        sent = [one for one in alerts if one.resolved_at is not None or not self.is_muted(one)]
        if not sent:
            return
        outcome = self._sender.send(channel, replace(notification, alerts=sent))
        if outcome.result != "delivered":
            self._states.count_failed(name, outcome.error)
            return
        self._states.succeed(name)
        firing = [one for one in alerts if one.resolved_at is None]
        if not firing:
            self._queue.end_repeating(*name, notification.group_key)
        elif len(firing) < len(notification.alerts):
            self._queue.repeat(*name, replace(notification, alerts=firing))
