"""Routing with its file: restarts, a queue that is not available, events of the history, and changes by clients."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from metricat_hub.dispatch.matchers import parse
from metricat_hub.dispatch.silences import Silence
from metricat_hub.model.alerts import ActiveAlert, AlertEvent, Notification
from metricat_hub.model.errors import HubError, StoreUnavailableError
from metricat_hub.store.routing_state import RoutingState
from metricat_hub.use_cases.notifications import (
    KEPT_SILENCES,
    ControlError,
    Notifications,
    StaleControlError,
    UnknownControlError,
)
from support.router import labels_of, plan_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ROUTE = "route: {receiver: default, group_by: [alertname], group_wait: 1s, group_interval: 1m}\n"
NOW = 1_000_000_000


@dataclass
class Queue:
    """A queue of deliveries in memory, with an error to raise."""

    sent: list[Notification] = field(default_factory=list)
    error: HubError | None = None

    def enqueue(self, notifications: Sequence[Notification]) -> None:
        if self.error:
            raise self.error
        known = {one.identity for one in self.sent}
        self.sent += [one for one in notifications if one.identity not in known]


@dataclass
class Log:
    """A history in memory, with an error to raise."""

    events: list[AlertEvent] = field(default_factory=list)
    error: HubError | None = None

    def record(self, events: Sequence[AlertEvent]) -> None:
        if self.error:
            raise self.error
        self.events += events


@dataclass
class Hub:
    """Routing of a data directory."""

    folder: Path
    queue: Queue = field(default_factory=Queue)
    log: Log = field(default_factory=Log)
    now: int = NOW
    alerts: list[ActiveAlert] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        """Open the file, as after the start."""
        self.saved = RoutingState(self.folder)
        self.routing = Notifications(self.saved, self.queue, self.log)
        self.routing.configure(plan_of(ROUTE))

    def fire(self, name: str, **labels: str) -> str:
        alert = ActiveAlert(labels_of(name, **labels), {}, 1.0, self.now, self.now)
        self.alerts.append(alert)
        return alert.fingerprint

    def step(self, seconds: float = 1) -> None:
        self.now += round(seconds * 1000)
        self.routing.step(lambda: list(self.alerts), self.now, evaluated=True)


@pytest.fixture(name="hub")
def make_hub(tmp_path: Path) -> Hub:
    return Hub(tmp_path)


def test_restart_after_each_step_sends_each_notification_once(hub: Hub) -> None:
    hub.fire("High")
    for _ in range(70):
        hub.step()
        hub.saved.close()
        hub.open()
    assert [one.reason for one in hub.queue.sent] == ["new"]
    hub.alerts = [replace(hub.alerts[0], resolved_at=hub.now)]
    for _ in range(70):
        hub.step()
        hub.saved.close()
        hub.open()
    assert [one.reason for one in hub.queue.sent] == ["new", "resolved"]


def test_notification_waits_for_a_queue_that_is_not_available(hub: Hub) -> None:
    hub.queue.error = StoreUnavailableError("the disk is full")
    hub.fire("High")
    hub.step()
    hub.step()
    hub.step()
    assert "the disk is full" in hub.routing.problem
    hub.saved.close()
    hub.open()
    hub.queue.error = None
    hub.step()
    assert [one.reason for one in hub.queue.sent] == ["new"]
    assert hub.routing.problem == ""
    assert hub.saved.notifications() == []


def test_notification_to_a_removed_receiver_is_dropped_after_a_minute(hub: Hub) -> None:
    hub.queue.error = HubError("no receiver default")
    hub.fire("High")
    hub.step()
    hub.step()
    assert len(hub.saved.notifications()) == 1
    hub.step(61)
    hub.step()
    assert hub.saved.notifications() == []


def test_failed_save_repeats_the_step(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise StoreUnavailableError("the disk is full")

    hub.fire("High")
    hub.step()
    with monkeypatch.context() as patch:
        patch.setattr(hub.saved, "save", fail)
        hub.step()
        hub.step()
        assert hub.queue.sent == []
        assert "the disk is full" in hub.routing.problem
    hub.step()
    assert [one.reason for one in hub.queue.sent] == ["new"]


def test_changed_settings_remove_old_groups_from_the_file(hub: Hub) -> None:
    hub.fire("High")
    hub.step()
    hub.routing.configure(plan_of(ROUTE.replace("default", "chat")))
    hub.step()
    assert [receiver for receiver, _ in hub.saved.load().groups] == ["chat"]


def test_events_wait_for_the_history(hub: Hub) -> None:
    hub.log.error = StoreUnavailableError("the disk is full")
    identifier = hub.fire("High", node="a")
    hub.routing.add_silence(Silence("", parse(["node=a"]), hub.now, hub.now + 60_000, "ann"), hub.now)
    hub.step()
    hub.routing.acknowledge(identifier, "ann", hub.now, "on it")
    hub.step()
    hub.log.error = None
    hub.step()
    assert len(hub.log.events) == 2
    hub.routing.unacknowledge(identifier, "bob", hub.now)
    hub.step()
    assert [(one.kind, one.actor) for one in hub.log.events] == [
        ("silenced", ""),
        ("acknowledged", "ann"),
        ("unacknowledged", "bob"),
    ]
    assert hub.log.events[1].details == {"comment": "on it"}
    assert hub.log.events[1].fingerprint == identifier


def test_expired_silence_is_removed_after_its_retention(hub: Hub) -> None:
    created = hub.routing.add_silence(Silence("", parse(["node=a"]), hub.now, hub.now + 1_000, "ann"), hub.now)
    hub.step()
    assert hub.routing.silences() == [created]
    hub.step(KEPT_SILENCES / 1000 + 1)
    assert hub.routing.silences() == []
    assert hub.saved.silences() == []


def test_changes_are_checked(hub: Hub) -> None:
    identifier = hub.fire("High")
    with pytest.raises(UnknownControlError, match="no alert with the fingerprint"):
        hub.routing.acknowledge(identifier, "ann", hub.now)  # before the first step
    hub.step()
    with pytest.raises(ControlError, match="in the past"):
        hub.routing.acknowledge(identifier, "ann", hub.now, expires=hub.now)
    with pytest.raises(UnknownControlError, match="not acknowledged"):
        hub.routing.unacknowledge(identifier, "ann", hub.now)
    silence = hub.routing.add_silence(Silence("", parse(["node=a"]), hub.now, hub.now + 1_000, "ann"), hub.now)
    with pytest.raises(StaleControlError, match="version 1"):
        hub.routing.expire_silence(silence.id, hub.now, 2)
    assert hub.routing.expire_silence(silence.id, hub.now, 1).ends == hub.now
    with pytest.raises(ControlError, match="has expired"):
        hub.routing.change_silence(silence, hub.now, None)


def test_client_that_changes_something_wakes_routing(hub: Hub) -> None:
    woken: list[bool] = []
    hub.routing.changed = lambda: woken.append(True)
    hub.routing.add_silence(Silence("", parse(["node=a"]), hub.now, hub.now + 1_000, "ann"), hub.now)
    assert woken == [True]


def test_damaged_entry_is_counted_and_delays_no_other(tmp_path: Path) -> None:
    hub = Hub(tmp_path)
    hub.queue.error = StoreUnavailableError("the disk is full")
    hub.fire("One")
    hub.fire("Two")
    for _ in range(3):
        hub.step(2000)
    with hub.saved._file.transaction() as db:
        [(first,)] = db.execute("SELECT min(id) FROM outbox WHERE kind = 'notification'")
        db.execute("UPDATE outbox SET body = x'c1' WHERE id = ?", (first,))
    hub.queue.error = None
    hub.step(2000)
    assert len(hub.queue.sent) == 1
    assert hub.saved.damaged == 1
    assert hub.routing.problem == ""


def test_damaged_state_is_refused_with_a_remedy(tmp_path: Path) -> None:
    hub = Hub(tmp_path)
    hub.fire("One")
    hub.step(2000)
    with hub.saved._file.transaction() as db:
        db.execute("UPDATE groups SET body = x'c1'")
    message = r"the table groups is damaged\. Stop the hub\. Restore the file from a backup"
    with pytest.raises(StoreUnavailableError, match=message):
        hub.open()
