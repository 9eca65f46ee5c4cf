"""Delivery of notifications: a queue on disk, retries with backoff, and dead letters.

A dead letter is a notification that the hub no longer tries to deliver. Every channel has its own threads, so a slow
service delays only its own messages. A channel sends the messages of one group in order: a message waits until earlier
ones are delivered or dead letters. See docs/design/0040.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ParamSpec

from metricat_hub.model.alerts import AlertEvent, Notification
from metricat_hub.model.durations import format_duration
from metricat_hub.model.errors import HubError, StoreUnavailableError
from metricat_hub.model.self_metrics import Sample
from metricat_hub.notify.channel_states import ChannelState, ChannelStates
from metricat_hub.notify.content import no_trend, one_line, title
from metricat_hub.notify.outcome import Outcome
from metricat_hub.notify.queue import KEPT_IDENTITIES, Entry, Queue
from metricat_hub.notify.resending import Resender
from metricat_hub.notify.sending import Sender

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from metricat_hub.model.alerts import AlertLog
    from metricat_hub.notify.channel import Channel
    from metricat_hub.notify.channel_states import ChannelName
    from metricat_hub.notify.content import Trends
    from metricat_hub.notify.sending import TestResult

    Channels = Mapping[str, Mapping[str, Channel]]

P = ParamSpec("P")

_LOG = logging.getLogger(__name__)
_MOST_RETRY_AFTER = 3600.0
_PER_CHANNEL = 2
"""The most concurrent attempts of one channel."""
_STOP_SECONDS = 5.0
_CLEAN_SECONDS = 600.0
_SETTLE_SECONDS = 10.0
"""Seconds until the next attempt to store a result that could not be stored."""
_MOST_DEAD = 1_000
_DEAD_AGE = 30 * 86_400_000
_MOST_ERROR = 500


class UnknownReceiverError(HubError):
    """The settings have no receiver with this name."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When the hub retries a failed attempt."""

    first: float = 1.0
    """Seconds until the second attempt. The delay doubles with each attempt, and is randomly reduced by up to half."""
    most: float = 300.0
    """The longest delay between two attempts, in seconds."""
    most_age: int = 86_400_000
    """Milliseconds after which a message that still fails becomes a dead letter."""


@dataclass(slots=True)
class _Pending:
    """A delivery in memory."""

    entry: Entry
    due: float
    """Time of the next attempt, on the monotonic clock."""
    in_flight: bool = False


class Delivery:
    """Delivers notifications, from `start` until `close`. Thread-safe."""

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], int],
        *,
        log: AlertLog | None = None,
        trends: Trends = no_trend,
        policy: RetryPolicy | None = None,
    ) -> None:
        """Open the queue.

        Args:
            folder: the data directory.
            clock: returns milliseconds since 1970-01-01 UTC.
            log: the history of alerts, which gets the final results.
            trends: returns the values of an alert's expression in the last hour.
            policy: when to try again.

        Raises:
            StoreUnavailableError: the queue cannot be opened.
        """
        self._log = log
        self._clock = clock
        self._policy = policy or RetryPolicy()
        self._channels: Channels = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._scheduler: threading.Thread | None = None
        self._workers: set[threading.Thread] = set()
        self._problem = ""
        self._queue = Queue(folder)
        self._sender = Sender(clock, trends)
        self._states = ChannelStates(clock)
        self.resending = Resender(self._queue, self._sender, self._states, clock)
        now = clock()
        self._pending = {
            entry.id: _Pending(entry, time.monotonic() + min(max(entry.due - now, 0) / 1000, _MOST_RETRY_AFTER))
            for entry in self._queue.waiting()
        }

    @property
    def receivers(self) -> frozenset[str]:
        """The names of the receivers."""
        return frozenset(self._channels)

    @property
    def channels(self) -> Channels:
        """The channels by receiver and channel name."""
        return self._channels

    def configure(self, channels: Channels) -> None:
        """Replace the receivers. Messages for a receiver or channel that no longer exists become dead letters."""
        with self._changed:
            before, self._channels = self._channels, channels
            self._changed.notify_all()
        for receiver in before.values():
            for channel in receiver.values():
                channel.close()

    def start(self) -> None:
        """Start the thread that schedules the attempts."""
        self._scheduler = threading.Thread(target=self._run, name="notifications", daemon=True)
        self._scheduler.start()

    def enqueue(self, notifications: Sequence[Notification]) -> None:
        """Store notifications, and deliver each to all channels of its receiver.

        When this returns, the notifications are on disk and survive the end of the process. A notification whose
        `identity` was queued before is ignored, so the caller can repeat the call after an error.

        Raises:
            UnknownReceiverError: the settings do not have a notification's receiver. Earlier notifications are stored.
            StoreUnavailableError: the queue cannot be written now, for example because the disk is full.
        """
        for one in notifications:
            receiver = self._channels.get(one.receiver)
            if receiver is None:
                raise UnknownReceiverError(
                    f"the settings have no receiver {one.receiver!r}; add it to the section `receivers`"
                )
            names = [name for name, channel in receiver.items() if channel.sends_resolved or not one.is_resolved]
            entries = self._queue.add(one, title(one), names, self._clock())
            with self._changed:
                now = time.monotonic()
                self._pending |= {entry.id: _Pending(entry, now) for entry in entries}
                self._changed.notify_all()

    def test(self, notification: Notification) -> Sequence[TestResult]:
        """Send a notification once to each channel of its receiver, without the queue, and return the results.

        Raises:
            UnknownReceiverError: the settings have no receiver of this name.
        """
        receiver = self._channels.get(notification.receiver)
        if receiver is None:
            raise UnknownReceiverError(
                f"the settings have no receiver {notification.receiver!r}; list the receivers with: GET "
                "/api/v1/receivers"
            )

        return self._sender.test(receiver, notification)

    def close(self) -> None:
        """Stop, and wait briefly for running attempts. Undelivered notifications remain on disk."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            workers = list(self._workers)
        if self._scheduler:
            self._scheduler.join()
        deadline = time.monotonic() + _STOP_SECONDS
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        self.configure({})
        self._queue.close()

    def waiting(self) -> Sequence[Entry]:
        """Return the deliveries that wait for an attempt or are running."""
        with self._changed:
            return [one.entry for one in self._pending.values() if one.entry.state == "waiting"]

    def states(self) -> Mapping[tuple[str, str], ChannelState]:
        """Return the state of each channel by receiver and channel name."""
        names = [(receiver, channel) for receiver, found in self._channels.items() for channel in found]
        return {name: self._states.get(name) for name in names}

    def dead_letters(self, after: int = 0, most: int = 100) -> Sequence[Entry]:
        """Return at most `most` dead letters with an ID below `after`, the newest first; 0: begin with the newest."""
        return self._queue.dead(after, most)

    def retry(self, number: int) -> None:
        """Move a dead letter back to the queue, with age and number of attempts reset.

        Raises:
            NoDeliveryError: no dead letter has this ID.
        """
        self._revive(self._queue.dead_letter(number))

    def retry_all(self) -> int:
        """Move all dead letters back to the queue; return their number."""
        found = self._queue.dead(most=_MOST_DEAD)
        for entry in reversed(found):
            self._revive(entry)
        return len(found)

    def delete(self, number: int) -> None:
        """Delete a dead letter.

        Raises:
            NoDeliveryError: no dead letter has this ID.
        """
        self._queue.remove(self._queue.dead_letter(number))

    def problems(self) -> Sequence[str]:
        """Return the current problems of channels, each with a remedy."""
        found = [self._problem] if self._problem else []
        for (receiver, channel), state in self.states().items():
            if state.failing_since:
                found.append(
                    f"receiver {receiver}, channel {channel}: {state.error}. The hub retries; check the receiver's "
                    "settings and service."
                )
        return found

    def samples(self) -> Sequence[Sample]:
        """Return the hub's own metrics about notifications."""
        found = []
        waiting = [(one.receiver, one.channel) for one in self.waiting()]
        for name, state in self.states().items():
            labels = {"receiver": name[0], "channel": name[1]}
            found += [
                Sample(f"metricat_hub_notifications_{suffix}", text, value, is_counter=True, labels=labels)
                for suffix, text, value in (
                    ("delivered", "Notifications that the service of the channel accepted.", state.delivered),
                    ("failed_attempts", "Failed attempts that the hub repeats.", state.failed_attempts),
                    ("given_up", "Notifications that the hub no longer tries to deliver (dead letters).", state.dead),
                )
            ]
            text = "Notifications that wait for delivery."
            found.append(Sample("metricat_hub_notifications_waiting", text, waiting.count(name), labels=labels))
        damaged = "Stored notifications that were damaged and dropped."
        found.append(Sample("metricat_hub_notifications_damaged", damaged, self._queue.damaged, is_counter=True))
        try:
            dead = self._queue.count_dead()
        except StoreUnavailableError:
            return found
        return [
            *found,
            Sample(
                "metricat_hub_notifications_dead_letters",
                "Stored dead letters: notifications that the hub no longer tries to deliver.",
                dead,
            ),
        ]

    def _revive(self, entry: Entry) -> None:
        now = self._clock()
        entry = replace(entry, state="waiting", is_reported=False, queued=now, due=now, attempts=0, progress="")
        self._queue.update(entry)
        with self._changed:
            self._pending[entry.id] = _Pending(entry, time.monotonic())
            self._changed.notify_all()

    def _run(self) -> None:
        """Start the attempts that are due until `close`."""
        clean_at = time.monotonic()
        while True:
            if time.monotonic() >= clean_at:
                self._clean()
                clean_at = time.monotonic() + _CLEAN_SECONDS
            with self._changed:
                if self._stopping:
                    return
                for name, channel in self.resending.due(self._channels):
                    self._start_worker(f"repeat {name[1]}", self._resend, name, channel)
                wait = self.resending.wait(self._channels, min(self._start_due(), clean_at - time.monotonic()))
                if wait > 0:
                    self._changed.wait(wait)

    def _start_due(self) -> float:
        """Start the attempts that are due, and return the seconds until the next one is."""
        now = time.monotonic()
        wait = _CLEAN_SECONDS
        groups: set[tuple[str, str, str]] = set()
        busy: dict[tuple[str, str], int] = {}
        for one in self._pending.values():
            if one.in_flight:
                name = (one.entry.receiver, one.entry.channel)
                busy[name] = busy.get(name, 0) + 1
        for number in sorted(self._pending):
            one = self._pending[number]
            name = (one.entry.receiver, one.entry.channel)
            group = (*name, one.entry.group_key)
            is_first = group not in groups
            groups.add(group)
            if not is_first or one.in_flight or busy.get(name, 0) >= _PER_CHANNEL:
                continue
            if one.due > now:
                wait = min(wait, one.due - now)
                continue
            if not self._start_worker(f"notify {name[0]}", self._work, one):
                return 1.0
            one.in_flight = True
            busy[name] = busy.get(name, 0) + 1
        return wait

    def _start_worker(self, name: str, target: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> bool:
        """Start a thread, and return whether the system has one left."""

        def run() -> None:
            target(*args, **kwargs)
            with self._changed:
                self._workers.discard(threading.current_thread())

        worker = threading.Thread(target=run, name=name, daemon=True)
        try:
            worker.start()
        except RuntimeError:
            return False
        self._workers.add(worker)
        return True

    def _resend(self, name: ChannelName, channel: Channel) -> None:
        """Send the firing alerts of a channel again."""
        try:
            self.resending.resend(name, channel)
        except Exception as error:  # noqa: BLE001 -- the next interval repeats it
            if not self._stopping:
                _LOG.error(
                    "receiver %s, channel %s: firing alerts could not be sent again: %s. The hub retries at the next "
                    "interval.",
                    *name,
                    error,
                )

    def _work(self, one: _Pending) -> None:
        """Make an attempt, or only store the result of the last one again."""
        try:
            entry, delay = one.entry, _SETTLE_SECONDS
            if entry.state == "waiting":
                entry, delay = self._attempted(entry)
                one.entry = entry
            is_done = self._settle(one)
        except Exception as error:  # noqa: BLE001 -- an unexpected error must not lose the message
            _LOG.exception(
                "notification %s: unexpected %s; the hub retries. Report this error.",
                one.entry.id,
                type(error).__name__,
            )
            is_done, delay = False, self._policy.most
        with self._changed:
            one.in_flight = False
            one.due = time.monotonic() + delay
            if is_done:
                self._pending.pop(one.entry.id, None)
            self._changed.notify_all()

    def _attempted(self, entry: Entry) -> tuple[Entry, float]:
        """Make an attempt, and return the entry after it, and the seconds until the next one."""
        outcome = self._outcome(entry)
        now = self._clock()
        name = (entry.receiver, entry.channel)
        entry = replace(
            entry,
            attempts=entry.attempts + 1,
            updated=now,
            error=one_line(outcome.error, _MOST_ERROR),
            progress=outcome.progress or entry.progress,
        )
        if outcome.result == "failed" and now - entry.queued < self._policy.most_age:
            self._states.count_failed(name, entry.error)
            delay = _delay(entry.attempts, outcome.retry_after, self._policy)
            return replace(entry, due=now + round(delay * 1000)), delay
        if outcome.result == "delivered":
            self._states.count_delivered(name, entry.error)
            return replace(entry, state="delivered"), _SETTLE_SECONDS
        if outcome.result == "failed":
            age = format_duration(max(now - entry.queued, 0) // 1000 * 1000)
            entry = replace(entry, error=f"{entry.error} (given up after {entry.attempts} attempts within {age})")
        self._states.count_dead(name, entry.title, entry.error)
        return replace(entry, state="dead"), _SETTLE_SECONDS

    def _outcome(self, entry: Entry) -> Outcome:
        channel = self._channels.get(entry.receiver, {}).get(entry.channel)
        if channel is None:
            return Outcome(
                "rejected", f"the settings no longer have the channel {entry.channel} of the receiver {entry.receiver}"
            )
        try:
            notification = self._queue.notification(entry)
        except StoreUnavailableError as error:
            return Outcome("failed", str(error))
        if notification is None:
            return Outcome("rejected", "the stored notification is damaged")
        if not channel.resend_seconds:
            return self._sender.send(channel, notification, entry.progress)
        with self.resending.lock((entry.receiver, entry.channel)):
            outcome = self._sender.send(channel, notification, entry.progress)
            try:
                if outcome.result == "delivered":
                    self.resending.keep(entry, notification)
            except StoreUnavailableError as error:
                return Outcome("failed", str(error))
        return outcome

    def _settle(self, one: _Pending) -> bool:
        """Store the state of a delivery, and return whether it is final and in the history."""
        entry = one.entry
        try:
            self._queue.update(entry)
            if entry.state == "waiting":
                return False
            self._report(entry)
            one.entry = entry = replace(entry, is_reported=True)
            if entry.state == "delivered":
                self._queue.remove(entry)
            else:
                self._queue.update(entry)
        except StoreUnavailableError as error:
            if not self._stopping and not self._problem:
                _LOG.error("cannot store the results of notifications: %s", error)
            self._problem = f"the results of notifications cannot be stored: {error} The hub retries."
            return False
        self._problem = ""
        return True

    def _report(self, entry: Entry) -> None:
        """Put the result into the history of each alert of the notification."""
        notification = self._queue.notification(entry) if self._log and not entry.is_reported else None
        if self._log is None or notification is None:
            return
        details = {
            "receiver": entry.receiver,
            "channel": entry.channel,
            "outcome": "delivered" if entry.state == "delivered" else "failed",
            "attempts": str(entry.attempts),
            "error": entry.error,
        }
        self._log.record(
            [
                AlertEvent(
                    at=entry.updated,
                    kind="notified",
                    fingerprint=one.fingerprint,
                    labels=one.labels,
                    annotations=one.annotations,
                    value=one.value,
                    active_at=one.active_at,
                    details=details,
                )
                for one in notification.alerts
            ]
        )

    def _clean(self) -> None:
        now = self._clock()
        try:
            self._queue.clean(now - _DEAD_AGE, _MOST_DEAD)
            self._queue.forget_identities(now - KEPT_IDENTITIES)
        except StoreUnavailableError as error:
            _LOG.error("cannot remove old notifications: %s", error)


def _delay(attempts: int, retry_after: float | None, policy: RetryPolicy) -> float:
    """Return the seconds before the next attempt: random, and at least Retry-After, of which it limits the value."""
    backoff = min(policy.first * (1 << min(attempts - 1, 20)), policy.most) * (0.5 + random.random() / 2)  # noqa: S311 -- not a secret
    return backoff if retry_after is None else max(backoff, min(retry_after, _MOST_RETRY_AFTER))
