"""Routing of alerts to the delivery queue, and the silences, windows and acknowledgements of users."""

from __future__ import annotations

import logging
import secrets
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from metricat_hub.dispatch.plan import Plan
from metricat_hub.dispatch.silences import LONGEST_WINDOW, Acknowledgement, MaintenanceWindow, Silence
from metricat_hub.dispatch.state import Controls, Mark
from metricat_hub.dispatch.step import adapted, step
from metricat_hub.model.alerts import ActiveAlert, AlertEvent, fingerprint
from metricat_hub.model.errors import HubError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from metricat_hub.dispatch.matchers import AlertMatchers
    from metricat_hub.model.alerts import AlertLog, EventKind, Notification
    from metricat_hub.store.routing_state import RoutingState
    from metricat_hub.use_cases.rules import GroupStatus

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
KEPT_SILENCES = 5 * 86_400_000
"""Milliseconds for which an expired silence stays in the list."""
MOST_SILENCES = 10_000
"""The most silences (without expired ones) and maintenance windows together."""
_IDLE_STEP = 10_000
"""Milliseconds between two steps without a change of alerts, for silences and escalations that become due."""
_PATIENCE = 60_000
"""Milliseconds for which a notification is kept if its receiver does not exist."""
_NO_MARK = Mark()
_SILENCES, _WINDOWS = "/api/v1/silences", "/api/v1/maintenance-windows"
"""Paths of the API, for messages."""


class ControlError(HubError):
    """A silence, a maintenance window or an acknowledgement is not valid."""


class UnknownControlError(ControlError):
    """The silence, the window, the alert or its acknowledgement does not exist."""


class StaleControlError(ControlError):
    """Another client has changed the silence or the maintenance window since the client read it."""


class Deliveries(Protocol):
    """The interface of the delivery queue."""

    def enqueue(self, notifications: Sequence[Notification]) -> None:
        """Store notifications. A notification whose `identity` was queued before is ignored.

        Raises:
            StoreUnavailableError: the queue cannot be written now.
            HubError: a receiver does not exist.
        """


@dataclass(frozen=True, slots=True)
class AlertView:
    """A pending or firing alert with its receivers, silences, inhibition and acknowledgement."""

    alert: ActiveAlert
    fingerprint: str
    silenced_by: tuple[str, ...] = ()
    inhibited_by: str = ""
    acknowledgement: Acknowledgement | None = None
    receivers: tuple[str, ...] = ()
    """The receivers of its groups, including escalations."""
    notified_at: int | None = None
    """When the first notification about the alert was sent; None: not yet."""


@dataclass(slots=True)
class Counts:
    """Counters since the start of the hub."""

    notifications: int = 0
    """Notifications that routing created."""
    dropped_events: int = 0
    """Events that were dropped, because the alert history did not accept them in time."""
    failures: int = 0
    """Failed steps of routing, which the hub repeats."""


class Notifications:
    """Routes alerts to receivers. Thread-safe; only one thread may call `step`."""

    def __init__(self, saved: RoutingState, deliveries: Deliveries | None, log: AlertLog | None) -> None:
        """Load the state.

        Raises:
            StoreUnavailableError: the state cannot be read.
        """
        self.counts = Counts()
        self.changed: Callable[[], None] = lambda: None
        """Called after a client's change, in the thread of the request."""
        self._saved = saved
        self._deliveries = deliveries
        self._log = log
        self._lock = threading.RLock()
        self._stored = self._state = saved.load()
        self._plan = Plan()
        self._silences = {one.id: one for one in saved.silences()}
        self._windows = {one.id: one for one in saved.windows()}
        self._acknowledgements = {one.fingerprint: one for one in saved.acknowledgements()}
        self._is_due = True
        self._has_output = True
        self._next = 0
        self.problem = ""

    def configure(self, plan: Plan) -> None:
        """Replace the routing settings. Groups that no longer exist are dropped."""
        with self._lock:
            self._plan = plan
            self._state = adapted(self._state, plan)
            self._is_due = True

    def step(self, alerts: Callable[[], Iterable[ActiveAlert]], now: int, *, evaluated: bool) -> None:
        """Queue due notifications, and record events. `alerts` returns firing and recently resolved alerts.

        If `evaluated` is False, no rule was evaluated since the last step, so the step only handles what is due.
        """
        self._flush(now)
        with self._lock:
            if not (evaluated or self._is_due or now >= self._next):
                return
            controls = self._controls()
            done = step(now, alerts(), self._state, self._plan, controls)
            try:
                self._saved.save(self._stored, done)
            except StoreUnavailableError as error:
                self._fail(str(error))
                return
            self._stored = self._state = done.state
            for one in done.ended:
                self._acknowledgements.pop(one, None)
            self._is_due = False
            self._next = min((group.flush_at for group in done.state.groups.values()), default=now + _IDLE_STEP)
            self._next = min(self._next, now + _IDLE_STEP)
            self._has_output |= bool(done.notifications or done.events)
            self._expire(now)
        self.counts.notifications += len(done.notifications)
        self._flush(now)

    def _controls(self) -> Controls:
        return Controls(tuple(self._silences.values()), tuple(self._windows.values()), dict(self._acknowledgements))

    def _expire(self, now: int) -> None:
        """Remove silences that expired long ago."""
        old = [one.id for one in self._silences.values() if one.ends + KEPT_SILENCES < now]
        if old:
            self._saved.remove_silences(old)
            for identifier in old:
                del self._silences[identifier]

    def _flush(self, now: int) -> None:
        """Pass stored notifications to the queue of deliveries, and events to the history."""
        if not self._has_output:
            return
        self._has_output = False
        try:
            self._pass_notifications(now)
            self._pass_events()
        except StoreUnavailableError as error:
            self._has_output = True
            self._fail(str(error))
            self.counts.dropped_events += self._saved.drop_old_events()
            return
        self.problem = ""

    def _pass_notifications(self, now: int) -> None:
        for number, notification in self._saved.notifications():
            try:
                if self._deliveries is not None:
                    self._deliveries.enqueue([notification])
            except StoreUnavailableError:
                raise
            except HubError as error:  # the settings of receivers have changed after the step
                if now - notification.at < _PATIENCE:
                    self._has_output = True
                    continue
                _LOG.error("notification %s to receiver %s is not sent: %s", number, notification.receiver, error)
            self._saved.drop([number])

    def _pass_events(self) -> None:
        while found := self._saved.events():
            if self._log is not None:
                self._log.record([event for _, event in found])
            self._saved.drop(number for number, _ in found)

    def _fail(self, why: str) -> None:
        self.counts.failures += 1
        problem = f"notifications wait: {why}"
        if problem != self.problem:
            _LOG.error("%s", problem)
        self.problem = problem

    def is_muted(self, alert: ActiveAlert) -> bool:
        """Return whether an alert is silenced or inhibited."""
        mark = self._state.marks.get(fingerprint(alert.labels), _NO_MARK)
        return bool(mark.silences or mark.inhibited_by)

    def views(self, groups: Iterable[GroupStatus]) -> list[AlertView]:
        """Return the alerts that are pending or firing."""
        found = [one for one in alerts_of(groups, with_pending=True) if one.resolved_at is None]
        with self._lock:
            notified: dict[str, tuple[tuple[str, ...], int | None]] = {}
            for group in self._state.groups.values():
                for name, member in group.members.items():
                    receivers, first = notified.get(name, ((), None))
                    times = [one for one in (first, member.notified_at) if one is not None]
                    notified[name] = (*receivers, group.receiver), min(times, default=None)
            return [self._view(one, notified) for one in found]

    def _view(self, alert: ActiveAlert, notified: dict[str, tuple[tuple[str, ...], int | None]]) -> AlertView:
        identity = fingerprint(alert.labels)
        mark = self._state.marks.get(identity, _NO_MARK)
        acknowledgement = self._acknowledgements.get(identity)
        receivers, at = notified.get(identity, ((), None))
        if acknowledgement and acknowledgement.active_at != alert.active_at:
            acknowledgement = None
        return AlertView(
            *(alert, identity, mark.silences, mark.inhibited_by, acknowledgement, tuple(dict.fromkeys(receivers)), at)
        )

    def silences(self) -> list[Silence]:
        """Return all silences, the latest end first."""
        with self._lock:
            return sorted(self._silences.values(), key=lambda one: (-one.ends, one.id))

    def silence(self, identifier: str) -> Silence:
        """Return the silence with an ID; raise `UnknownControlError` if it does not exist."""
        with self._lock:
            return _found(self._silences.get(identifier), "silence", _SILENCES, identifier)

    def add_silence(self, given: Silence, now: int) -> Silence:
        """Store a new silence; raise `ControlError` if it is not valid."""
        with self._lock:
            self._check_number(now)
            _check_silence(given, now)
            return self._put_silence(replace(given, id=secrets.token_hex(8), created=now, version=1))

    def change_silence(self, given: Silence, now: int, version: int | None) -> Silence:
        """Replace a silence; raise `ControlError` if it has expired, or another client has changed it."""
        with self._lock:
            before = self.silence(given.id)
            _check_version(before.version, version, "silence")
            if before.state(now) == "expired":
                raise ControlError("the silence has expired; create a new one")
            _check_silence(given, now)
            return self._put_silence(replace(given, created=before.created, version=before.version + 1))

    def expire_silence(self, identifier: str, now: int, version: int | None) -> Silence:
        """End a silence now. It remains in the list for some days."""
        with self._lock:
            before = self.silence(identifier)
            _check_version(before.version, version, "silence")
            if before.state(now) == "expired":
                return before
            ended = replace(before, starts=min(before.starts, now), ends=now, version=before.version + 1)
            return self._put_silence(ended)

    def _put_silence(self, silence: Silence) -> Silence:
        self._saved.put_silence(silence)
        self._silences[silence.id] = silence
        self._wake()
        return silence

    def windows(self) -> list[MaintenanceWindow]:
        """Return all maintenance windows, sorted by name."""
        with self._lock:
            return sorted(self._windows.values(), key=lambda one: (one.name, one.id))

    def window(self, identifier: str) -> MaintenanceWindow:
        """Return the maintenance window with an ID; raise `UnknownControlError` if it does not exist."""
        with self._lock:
            return _found(self._windows.get(identifier), "maintenance window", _WINDOWS, identifier)

    def add_window(self, given: MaintenanceWindow, now: int) -> MaintenanceWindow:
        """Store a new maintenance window; raise `ControlError` if it is not valid."""
        with self._lock:
            self._check_number(now)
            _check_window(given)
            return self._put_window(replace(given, id=secrets.token_hex(8), created=now, version=1))

    def change_window(self, given: MaintenanceWindow, version: int | None) -> MaintenanceWindow:
        """Replace a maintenance window; raise `ControlError` if another client has changed it."""
        with self._lock:
            before = self.window(given.id)
            _check_version(before.version, version, "maintenance window")
            _check_window(given)
            return self._put_window(replace(given, created=before.created, version=before.version + 1))

    def remove_window(self, identifier: str, version: int | None) -> MaintenanceWindow:
        """Remove a maintenance window, and return it; raise `ControlError` if another client has changed it."""
        with self._lock:
            before = self.window(identifier)
            _check_version(before.version, version, "maintenance window")
            self._saved.remove_window(identifier)
            del self._windows[identifier]
            self._wake()
            return before

    def _put_window(self, window: MaintenanceWindow) -> MaintenanceWindow:
        self._saved.put_window(window)
        self._windows[window.id] = window
        self._wake()
        return window

    def acknowledge(
        self, identifier: str, author: str, now: int, comment: str = "", expires: int | None = None
    ) -> Acknowledgement:
        """Acknowledge a firing alert; raise `ControlError` if no alert with the fingerprint fires."""
        if expires is not None and expires <= now:
            raise ControlError("the acknowledgement would expire in the past; set a time in the future")
        with self._lock:
            alert = self._firing(identifier)
            found = Acknowledgement(identifier, alert.active_at, author, now, comment, expires)
            self._saved.acknowledge(found, _event("acknowledged", alert, identifier, found))
            self._acknowledgements[identifier] = found
            self._has_output = True
            self._wake()
            return found

    def unacknowledge(self, identifier: str, author: str, now: int) -> Acknowledgement:
        """Remove an acknowledgement, and return it; raise `UnknownControlError` if none exists."""
        with self._lock:
            alert = self._firing(identifier)
            found = self._acknowledgements.get(identifier)
            if found is None:
                raise UnknownControlError(
                    f"the alert {identifier} is not acknowledged; acknowledge it with: POST "
                    "/api/v1/alerts/FINGERPRINT/acknowledge"
                )
            event = _event("unacknowledged", alert, identifier, replace(found, author=author, at=now, comment=""))
            self._saved.unacknowledge(identifier, event)
            del self._acknowledgements[identifier]
            self._has_output = True
            self._wake()
            return found

    def _firing(self, identifier: str) -> ActiveAlert:
        alert = self._state.alerts.get(identifier)
        if alert is None or alert.resolved_at is not None:
            raise UnknownControlError(
                f"no alert with the fingerprint {identifier[:100]!r} fires; list the alerts with: GET "
                "/api/v1/alerts/active"
            )
        return alert

    def _check_number(self, now: int) -> None:
        current = sum(one.state(now) != "expired" for one in self._silences.values()) + len(self._windows)
        if current >= MOST_SILENCES:
            raise ControlError(
                f"{MOST_SILENCES} silences and maintenance windows exist, which is the limit; end silences or remove "
                "windows first"
            )

    def _wake(self) -> None:
        self._is_due = True
        self.changed()


def alerts_of(groups: Iterable[GroupStatus], *, with_pending: bool = False) -> list[ActiveAlert]:
    """Return firing and recently resolved alerts of rules; with `with_pending`, also pending ones."""
    return [
        ActiveAlert(
            *(one.labels, one.annotations, one.value, int(one.state.active)),
            None if one.state.fired is None else int(one.state.fired),
            None if one.state.resolved is None else int(one.state.resolved),
            rule.rule.expression,
        )
        for group in groups
        for rule in group.rules
        for one in rule.state.alerts.values()
        if with_pending or one.state.fired is not None
    ]


def _event(kind: EventKind, alert: ActiveAlert, identifier: str, one: Acknowledgement) -> AlertEvent:
    details = {"comment": one.comment} if one.comment else {}
    if one.expires is not None and kind == "acknowledged":
        details["expires"] = str(one.expires)
    return AlertEvent(
        *(one.at, kind, identifier, alert.labels, alert.annotations, alert.value, alert.active_at, one.author, details)
    )


def _found(one: T | None, kind: str, path: str, identifier: str) -> T:
    if one is None:
        raise UnknownControlError(
            f"no {kind} has the identifier {identifier[:100]!r}; list the {kind}s with: GET {path}"
        )
    return one


def _check_version(current: int, given: int | None, kind: str) -> None:
    if given is not None and given != current:
        raise StaleControlError(
            f"another client has changed the {kind} to version {current}; read it again, and repeat the change"
        )


def _check_silence(silence: Silence, now: int) -> None:
    _check_matchers(silence.matchers)
    if silence.ends <= silence.starts:
        raise ControlError("the silence ends before it starts; set a later end")
    if silence.ends <= now:
        raise ControlError("the end of the silence is in the past; set a time in the future")


def _check_window(window: MaintenanceWindow) -> None:
    _check_matchers(window.matchers)
    if not window.weekdays:
        raise ControlError("the maintenance window has no days; set at least one day of the week")
    if not 60_000 <= window.duration <= LONGEST_WINDOW:
        raise ControlError("the duration of the maintenance window is outside of 1m to 7d; write for example 2h")


def _check_matchers(matchers: AlertMatchers) -> None:
    if matchers.matches_all:
        raise ControlError('the matchers match all alerts; write a label that they have, for example node="web-1"')
