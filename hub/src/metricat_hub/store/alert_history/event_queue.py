"""A bounded queue of events for the alert history, which may be unavailable, for example on a full disk."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING

from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.model.self_metrics import Sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.alerts import AlertEvent, AlertLog

_LOG = logging.getLogger(__name__)
MOST = 50_000
_BATCH = 500
_FIRST_DELAY, _LONGEST_DELAY = 0.5, 10.0
"""Seconds between two attempts to store waiting events."""


class EventQueue:
    """An `AlertLog` that accepts all events. Events that cannot be stored now wait in memory.

    If too many events wait, the queue drops and counts the oldest ones.
    """

    def __init__(self, log: AlertLog, *, is_direct: bool, most: int = MOST) -> None:
        """Store events in a history.

        Args:
            log: the history.
            is_direct: whether `record` itself stores events, so that they are stored when it returns. A history whose
                database may respond slowly is not direct: a thread of the queue stores them.
            most: the most waiting events.
        """
        self._log = log
        self._is_direct = is_direct
        self._most = most
        self._waiting: deque[AlertEvent] = deque()
        self._changed = threading.Condition()
        self._storing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self.dropped = 0
        self.problem = ""
        """Why events wait; empty: the last attempt to store succeeded."""

    def record(self, events: Sequence[AlertEvent]) -> None:
        """Store events, or keep them until the history is available. It does not raise errors."""
        if not events:
            return
        if self._is_direct and self._stored_directly(events):
            return
        with self._changed:
            self._waiting.extend(events)
            excess = len(self._waiting) - self._most
            for _ in range(excess):
                self._waiting.popleft()
            self.dropped += max(0, excess)
            if self._thread is None and not self._is_closed:
                self._thread = threading.Thread(target=self._run, name="alert-history", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def _stored_directly(self, events: Sequence[AlertEvent]) -> bool:
        """Store events unless earlier ones wait; return whether they are stored."""
        with self._storing:
            if self._waiting:
                return False
            return self._attempt(events)

    def _attempt(self, events: Sequence[AlertEvent]) -> bool:
        try:
            self._log.record(events)
        except StoreUnavailableError as error:
            if not self.problem:
                _LOG.error("the alert history is not available, so events of alerts wait in memory: %s", error)
            self.problem = str(error)
            return False
        if self.problem:
            _LOG.warning("the alert history is available again")
        self.problem = ""
        return True

    def _run(self) -> None:
        delay = _FIRST_DELAY
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closed)
                if self._is_closed:
                    return
            if self._store_batch():
                delay = _FIRST_DELAY
                continue
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed, delay)
            delay = min(2 * delay, _LONGEST_DELAY)

    def _store_batch(self) -> bool:
        """Store the oldest events that wait; return whether they are stored."""
        with self._storing:
            with self._changed:
                dropped = self.dropped
                batch = [self._waiting[place] for place in range(min(_BATCH, len(self._waiting)))]
            if not self._attempt(batch):
                return False
            with self._changed:
                # Events that were dropped during the attempt are the oldest of the batch.
                for _ in range(min(len(batch) - (self.dropped - dropped), len(self._waiting))):
                    self._waiting.popleft()
                self._changed.notify_all()
            return True

    def wait_until_stored(self, seconds: float) -> bool:
        """Wait until all events are stored; return False after a timeout of `seconds`."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting, seconds)

    def problems(self) -> Sequence[str]:
        """Return why events wait, as a list with at most one message."""
        if not self.problem:
            return ()
        return (f"the alert history is not available, and {len(self._waiting)} events wait in memory: {self.problem}",)

    def samples(self) -> Sequence[Sample]:
        """Return metrics of the queue."""
        prefix = "metricat_hub_alert_history"
        return [
            Sample(
                f"{prefix}_waiting_events",
                "Events of alerts that wait in memory for the alert history.",
                len(self._waiting),
            ),
            Sample(
                f"{prefix}_dropped_events",
                "Lost events of alerts, because too many events waited.",
                self.dropped,
                is_counter=True,
            ),
        ]

    def close(self) -> None:
        """Store the waiting events if the history is available, and stop the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if self._thread:
            self._thread.join()
        while self._waiting and self._store_batch():
            pass
        if self._waiting:
            _LOG.error("the alert history lost %d events at the stop of the hub: %s", len(self._waiting), self.problem)
