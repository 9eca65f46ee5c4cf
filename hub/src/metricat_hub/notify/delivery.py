"""Delivery of notifications: a queue on disk, retries with backoff, and the dead letters.

Every channel of every receiver has threads of its own, so a slow service delays only its own messages. Messages about
one group reach a channel in their order: a message waits until the ones before it are delivered or given up. See
docs/design/0040.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from metricat_hub.model.alerts import AlertEvent, Notification
from metricat_hub.model.durations import format_duration
from metricat_hub.model.errors import HubError, StoreUnavailableError
from metricat_hub.model.self_metrics import Sample
from metricat_hub.notify.channel import Message
from metricat_hub.notify.content import describe, no_trend, one_line, title
from metricat_hub.notify.outcome import Outcome
from metricat_hub.notify.queue import KEPT_IDENTITIES, Entry, Queue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from metricat_hub.model.alerts import ActiveAlert, AlertLog
    from metricat_hub.notify.channel import Channel
    from metricat_hub.notify.content import Trends

    Channels = Mapping[str, Mapping[str, Channel]]

_LOG = logging.getLogger(__name__)
_MOST_RETRY_AFTER = 3600.0
_PER_CHANNEL = 2
"""Attempts of one channel at the same time."""
_STOP_SECONDS = 5.0
_CLEAN_SECONDS = 600.0
_SETTLE_SECONDS = 10.0
"""Seconds until a result that could not be stored is stored again."""
_MOST_DEAD = 1_000
_DEAD_AGE = 30 * 86_400_000
_MOST_ERROR = 500
_WITHOUT_TRENDS = ("alertmanager", "webhook")


class UnknownReceiverError(HubError):
    """The settings have no receiver of this name."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When to try again."""

    first: float = 1.0
    """Seconds until the second attempt. The time doubles with each attempt, and is reduced at random by up to half."""
    most: float = 300.0
    """The longest time between two attempts, in seconds."""
    most_age: int = 86_400_000
    """Milliseconds after which a message that still fails becomes a dead letter."""


@dataclass(slots=True)
class ChannelState:
    """The results of a channel since the start of the hub. Times are in milliseconds since 1970-01-01 UTC; 0: never."""

    delivered: int = 0
    failed_attempts: int = 0
    dead: int = 0
    last_success: int = 0
    failing_since: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class TestResult:
    """The result of a test message on one channel."""

    __test__ = False
    channel: str
    outcome: Outcome
    milliseconds: int


@dataclass(slots=True)
class _Pending:
    """A delivery in memory."""

    entry: Entry
    due: float
    """On the monotonic clock."""
    in_flight: bool = False


class Delivery:
    """Delivers notifications, from `start` until `close`. Any thread may use it."""

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
            trends: returns the last hour of an alert's value.
            policy: when to try again.

        Raises:
            StoreUnavailableError: the queue cannot be opened.
        """
        self.log = log
        self.trends = trends
        self.is_active: Callable[[ActiveAlert], bool] = lambda _: True
        """Whether an alert still fires, for alerts that a channel sends again at an interval."""
        self.is_muted: Callable[[ActiveAlert], bool] = lambda _: False
        """Whether an alert is silenced or inhibited, so that no channel sends it again."""
        self._clock = clock
        self._policy = policy or RetryPolicy()
        self._channels: Channels = {}
        self._states: dict[tuple[str, str], ChannelState] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._scheduler: threading.Thread | None = None
        self._workers: set[threading.Thread] = set()
        self._problem = ""
        self._resend_at: dict[tuple[str, str], float] = {}
        self._repeating: defaultdict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)
        """Held while a channel sends, so that no repetition follows a newer message about its group."""
        self._queue = Queue(folder)
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
        """The channels of each receiver."""
        return self._channels

    def configure(self, channels: Channels) -> None:
        """Set the receivers. Messages of a receiver or channel that no longer exists become dead letters."""
        with self._changed:
            before, self._channels = self._channels, channels
            self._changed.notify_all()
        for receiver in before.values():
            for channel in receiver.values():
                channel.close()

    def start(self) -> None:
        """Start the thread that starts the attempts."""
        self._scheduler = threading.Thread(target=self._run, name="notifications", daemon=True)
        self._scheduler.start()

    def enqueue(self, notifications: Sequence[Notification]) -> None:
        """Store notifications, and deliver each to all channels of its receiver.

        After the return, neither the end of the process nor a service that is down loses a notification. A
        notification whose `identity` was queued before is ignored, so the caller repeats the call after an error.

        Raises:
            UnknownReceiverError: the settings have no receiver of this name. Those before it are stored.
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
            raise UnknownReceiverError(f"the settings have no receiver {notification.receiver!r}; GET lists them")

        def attempt(named: tuple[str, Channel]) -> TestResult:
            begin = time.monotonic()
            outcome = self._send(named[1], notification, "")
            return TestResult(named[0], outcome, round((time.monotonic() - begin) * 1000))

        with ThreadPoolExecutor(max(1, len(receiver)), "test of a receiver") as threads:
            return list(threads.map(attempt, receiver.items()))

    def close(self) -> None:
        """Wait briefly for attempts in flight. What is not delivered remains on disk."""
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
        """Return the deliveries that wait for an attempt, or are in flight, in their order."""
        with self._changed:
            return [one.entry for one in self._pending.values() if one.entry.state == "waiting"]

    def states(self) -> Mapping[tuple[str, str], ChannelState]:
        """Return the state of each channel by the names of receiver and channel."""
        with self._changed:
            names = [(receiver, channel) for receiver, found in self._channels.items() for channel in found]
            return {name: replace(self._states.get(name, ChannelState())) for name in names}

    def dead_letters(self, after: int = 0, most: int = 100) -> Sequence[Entry]:
        """Return the dead letters with a number below `after`, the newest first; 0: all."""
        return self._queue.dead(after, most)

    def retry(self, number: int) -> None:
        """Put a dead letter into the queue again, with its age and attempts reset.

        Raises:
            NoDeliveryError: no dead letter has the number.
        """
        self._revive(self._queue.dead_letter(number))

    def retry_all(self) -> int:
        """Put all dead letters into the queue again, and return how many."""
        found = self._queue.dead(most=_MOST_DEAD)
        for entry in reversed(found):
            self._revive(entry)
        return len(found)

    def delete(self, number: int) -> None:
        """Delete a dead letter.

        Raises:
            NoDeliveryError: no dead letter has the number.
        """
        self._queue.remove(self._queue.dead_letter(number))

    def problems(self) -> Sequence[str]:
        """Return what does not work now, each with its remedy."""
        found = [self._problem] if self._problem else []
        for (receiver, channel), state in self.states().items():
            if state.failing_since:
                found.append(f"receiver {receiver}, {channel}: {state.error}. The hub retries; check the receiver.")
        return found

    def samples(self) -> Sequence[Sample]:
        """Return the metrics about notifications."""
        found = []
        waiting = [(one.receiver, one.channel) for one in self.waiting()]
        for name, state in self.states().items():
            labels = {"receiver": name[0], "channel": name[1]}
            found += [
                Sample(f"metricat_hub_notifications_{suffix}", text, value, is_counter=True, labels=labels)
                for suffix, text, value in (
                    ("delivered", "Notifications that a service accepted.", state.delivered),
                    ("failed_attempts", "Attempts that failed and are repeated.", state.failed_attempts),
                    ("given_up", "Notifications that became dead letters.", state.dead),
                )
            ]
            text = "Notifications that are not delivered yet."
            found.append(Sample("metricat_hub_notifications_waiting", text, waiting.count(name), labels=labels))
        damaged = "Stored notifications that could not be read."
        found.append(Sample("metricat_hub_notifications_damaged", damaged, self._queue.damaged, is_counter=True))
        try:
            dead = self._queue.count_dead()
        except StoreUnavailableError:
            return found
        return [*found, Sample("metricat_hub_notifications_dead_letters", "Dead letters.", dead)]

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
                wait = min(self._start_due(), self._start_resending(), clean_at - time.monotonic())
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
            worker = threading.Thread(target=self._work, args=(one,), name=f"notify {name[0]}", daemon=True)
            try:
                worker.start()
            except RuntimeError:  # the system has no thread left
                return 1.0
            one.in_flight = True
            busy[name] = busy.get(name, 0) + 1
            self._workers.add(worker)
        return wait

    def _start_resending(self) -> float:
        """Start to send alerts again where it is due, and return the seconds until the next time."""
        now = time.monotonic()
        wait = _CLEAN_SECONDS
        for receiver, channels in self._channels.items():
            for name, channel in channels.items():
                if not channel.resend_seconds:
                    continue
                due = self._resend_at.setdefault((receiver, name), now)
                if due <= now:
                    due = self._resend_at[receiver, name] = now + channel.resend_seconds
                    arguments = (receiver, name, channel)
                    worker = threading.Thread(target=self._resend, args=arguments, name=f"repeat {name}", daemon=True)
                    with suppress(RuntimeError):  # the system has no thread left
                        worker.start()
                        self._workers.add(worker)
                wait = min(wait, due - now)
        return wait

    def _resend(self, receiver: str, name: str, channel: Channel) -> None:
        """Send the firing alerts of a channel again, and the end of those that no longer fire."""
        try:
            with self._repeating[receiver, name]:
                for notification in self._queue.repeated(receiver, name):
                    self._resend_group(receiver, name, channel, notification)
        except Exception as error:  # noqa: BLE001 -- the next interval repeats it
            if not self._stopping:
                _LOG.error("receiver %s, %s: cannot send alerts again: %s", receiver, name, error)
        with self._changed:
            self._workers.discard(threading.current_thread())

    def _resend_group(self, receiver: str, name: str, channel: Channel, notification: Notification) -> None:
        now = self._clock()
        alerts = [one if self.is_active(one) else replace(one, resolved_at=now) for one in notification.alerts]
        sent = [one for one in alerts if one.resolved_at is not None or not self.is_muted(one)]
        if not sent:
            return
        current = replace(notification, alerts=sent)
        outcome = self._send(channel, current, "")
        entry = Entry(0, 0, receiver, name, notification.group_key, title(current), now, now, error=outcome.error)
        if outcome.result != "delivered":
            self._count((receiver, name), entry, now)
            return
        self._recover((receiver, name), now)
        firing = [one for one in alerts if one.resolved_at is None]
        if not firing:
            self._queue.end_repeating(receiver, name, notification.group_key)
        elif len(firing) < len(notification.alerts):
            self._queue.repeat(receiver, name, replace(notification, alerts=firing))

    def _work(self, one: _Pending) -> None:
        """Make an attempt, or only store the result of the last one again."""
        try:
            entry, delay = one.entry, _SETTLE_SECONDS
            if entry.state == "waiting":
                entry, delay = self._attempted(entry)
                one.entry = entry
            is_done = self._settle(one)
        except Exception as error:  # noqa: BLE001 -- an unexpected error must not lose the message
            _LOG.exception("notification %s: %s", one.entry.id, type(error).__name__)
            is_done, delay = False, self._policy.most
        with self._changed:
            one.in_flight = False
            one.due = time.monotonic() + delay
            if is_done:
                self._pending.pop(one.entry.id, None)
            self._workers.discard(threading.current_thread())
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
            self._count(name, entry, now)
            delay = _delay(entry.attempts, outcome.retry_after, self._policy)
            return replace(entry, due=now + round(delay * 1000)), delay
        if outcome.result == "delivered":
            self._count(name, replace(entry, state="delivered"), now)
            return replace(entry, state="delivered"), _SETTLE_SECONDS
        if outcome.result == "failed":
            age = format_duration(max(now - entry.queued, 0) // 1000 * 1000)
            entry = replace(entry, error=f"{entry.error} (given up after {entry.attempts} attempts within {age})")
        self._count(name, replace(entry, state="dead"), now)
        return replace(entry, state="dead"), _SETTLE_SECONDS

    def _outcome(self, entry: Entry) -> Outcome:
        channel = self._channels.get(entry.receiver, {}).get(entry.channel)
        if channel is None:
            return Outcome("rejected", f"the settings no longer have {entry.channel} of receiver {entry.receiver}")
        try:
            notification = self._queue.notification(entry)
        except StoreUnavailableError as error:
            return Outcome("failed", str(error))
        if notification is None:
            return Outcome("rejected", "the stored notification is damaged")
        if not channel.resend_seconds:
            return self._send(channel, notification, entry.progress)
        with self._repeating[entry.receiver, entry.channel]:
            outcome = self._send(channel, notification, entry.progress)
            try:
                if outcome.result == "delivered":
                    self._keep_repeating(entry, notification)
            except StoreUnavailableError as error:
                return Outcome("failed", str(error))
        return outcome

    def _keep_repeating(self, entry: Entry, notification: Notification) -> None:
        """Store the firing alerts of a delivered notification, which the channel sends again."""
        firing = [one for one in notification.alerts if one.resolved_at is None]
        if firing:
            self._queue.repeat(entry.receiver, entry.channel, replace(notification, alerts=firing))
        else:
            self._queue.end_repeating(entry.receiver, entry.channel, entry.group_key)

    def _send(self, channel: Channel, notification: Notification, progress: str) -> Outcome:
        if not channel.sends_resolved:
            firing = [one for one in notification.alerts if one.resolved_at is None]
            notification = replace(notification, alerts=firing)
        now = self._clock()
        content = describe(notification, now, no_trend if channel.kind in _WITHOUT_TRENDS else self.trends)
        try:
            outcome = channel.send(Message(notification, content, now, progress))
        except Exception as error:  # noqa: BLE001 -- a bug of a channel must not lose the message
            _LOG.error("%s channel: %s", channel.kind, type(error).__name__)
            outcome = Outcome("failed", f"{type(error).__name__}: {error}")
        return replace(outcome, error=_without(outcome.error, channel)) if outcome.error else outcome

    def _count(self, name: tuple[str, str], entry: Entry, now: int) -> None:
        """Count the result of an attempt, and log the first failure, the recovery and each dead letter."""
        label = ", ".join(name)
        if entry.state == "delivered":
            self._recover(name, now)
        with self._changed:
            state = self._states.setdefault(name, ChannelState())
            if entry.state == "delivered":
                state.delivered += 1
                if entry.error:
                    _LOG.warning("receiver %s: delivered, but %s", label, entry.error)
                return
            state.error = entry.error
            if entry.state == "dead":
                state.dead += 1
                _LOG.error("receiver %s: not delivered: %s: %s", label, entry.title, entry.error)
                return
            state.failed_attempts += 1
            if not state.failing_since:
                state.failing_since = now
                _LOG.warning("receiver %s: %s. The hub retries", label, entry.error)

    def _recover(self, name: tuple[str, str], now: int) -> None:
        """Note a success."""
        with self._changed:
            state = self._states.setdefault(name, ChannelState())
            failed_since, state.failing_since, state.error = state.failing_since, 0, ""
            state.last_success = now
        if failed_since:
            _LOG.info("receiver %s: works again", ", ".join(name))

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
                _LOG.error("notifications: %s", error)
            self._problem = f"the results of notifications cannot be stored: {error}"
            return False
        self._problem = ""
        return True

    def _report(self, entry: Entry) -> None:
        """Put the result into the history of each alert of the notification."""
        notification = self._queue.notification(entry) if self.log and not entry.is_reported else None
        if self.log is None or notification is None:
            return
        details = {
            "receiver": entry.receiver,
            "channel": entry.channel,
            "outcome": "delivered" if entry.state == "delivered" else "failed",
            "attempts": str(entry.attempts),
            "error": entry.error,
        }
        self.log.record(
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
            _LOG.error("notifications: %s", error)


def _delay(attempts: int, retry_after: float | None, policy: RetryPolicy) -> float:
    """Return the seconds before the next attempt: random, and at least Retry-After, of which it limits the value."""
    backoff = min(policy.first * (1 << min(attempts - 1, 20)), policy.most) * (0.5 + random.random() / 2)  # noqa: S311 -- not a secret
    return backoff if retry_after is None else max(backoff, min(retry_after, _MOST_RETRY_AFTER))


def _without(text: str, channel: Channel) -> str:
    """Return a text without the secrets of a channel: a service can repeat them in its error."""
    for secret in sorted(filter(None, channel.secrets()), key=len, reverse=True):
        text = text.replace(secret, "<secret>")
    return text
