"""The queue before the history."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.store.alert_history import EventQueue
from support.alert_history_contract import event
from support.hub_store import BEGIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.alerts import AlertEvent

EVENTS = [event("silenced", BEGIN + place) for place in range(10)]


class Log:
    """A log that is available or not."""

    def __init__(self, *, is_available: bool = True) -> None:
        self.is_available = is_available
        self.stored: list[AlertEvent] = []
        self.threads: set[str] = set()
        self.attempted = threading.Event()

    def record(self, events: Sequence[AlertEvent]) -> None:
        self.threads.add(threading.current_thread().name)
        self.attempted.set()
        if not self.is_available:
            raise StoreUnavailableError("the disk is full. Free space.")
        self.stored += events


def test_direct_queue_stores_before_it_returns() -> None:
    log = Log()
    queue = EventQueue(log, is_direct=True)
    queue.record(EVENTS[:3])
    assert log.stored == EVENTS[:3]
    queue.close()


def test_other_queue_stores_in_its_own_thread() -> None:
    log = Log()
    queue = EventQueue(log, is_direct=False)
    queue.record(EVENTS)
    assert queue.wait_until_stored(60)
    assert (log.stored, log.threads) == (EVENTS, {"alert-history"})
    queue.close()


def test_events_wait_in_order_until_the_history_is_available() -> None:
    log = Log(is_available=False)
    queue = EventQueue(log, is_direct=True)
    for one in EVENTS[:5]:
        queue.record([one])
    [problem] = queue.problems()
    assert problem.startswith("the alert history is not available, and 5 events wait in memory: the disk is full")
    log.is_available = True
    queue.record(EVENTS[5:])
    assert queue.wait_until_stored(60)
    assert (log.stored, queue.problems(), queue.dropped) == (EVENTS, (), 0)
    queue.close()


def test_oldest_events_are_dropped_and_counted_above_the_limit() -> None:
    log = Log(is_available=False)
    queue = EventQueue(log, is_direct=False, most=4)
    for one in EVENTS:
        queue.record([one])
    assert queue.dropped == 6
    assert {one.name: one.value for one in queue.samples()} == {
        "metricat_hub_alert_history_waiting_events": 4,
        "metricat_hub_alert_history_dropped_events": 6,
    }
    log.is_available = True
    assert queue.wait_until_stored(60)
    assert log.stored == EVENTS[6:]
    queue.close()


def test_close_stores_what_waits() -> None:
    log = Log(is_available=False)
    queue = EventQueue(log, is_direct=False)
    queue.record(EVENTS)
    assert log.attempted.wait(60)
    log.is_available = True
    queue.close()
    assert log.stored == EVENTS
