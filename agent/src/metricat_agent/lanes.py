"""Runs collectors so that one that hangs, or is slow, costs only itself.

Collectors take turns in one thread, a *lane*. When one has not come back for `Limits.patience`, another lane goes on
with the rest, and at `Limits.deadline` the answer is given without those that are still missing. A collector that
hangs keeps its thread, and is left alone until it comes back: there is never more than one thread per collector.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from metricat_agent.collectors import Collector
    from metricat_agent.families import Metrics


@dataclass(frozen=True, slots=True)
class Limits:
    """How long collectors may take, in seconds."""

    patience: float = 0.2
    """For one collector, until the others go on without it."""
    deadline: float = 1.5
    """For all of them."""


class Outcome(NamedTuple):
    """What came of one collector: its metrics, or why there are none, and what it took in seconds, and of a CPU."""

    metrics: Metrics | None
    seconds: float
    why: str = ""
    cpu_seconds: float = 0


class _Turn:
    """The collectors of one scrape: lanes take them from one end, outcomes gather at the other."""

    def __init__(self, collectors: Iterable[Collector]) -> None:
        self.waiting = deque(collectors)
        self.left = len(self.waiting)
        self.running: dict[str, float] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.newest = time.monotonic()
        self.closed = False
        self.over = threading.Event()


class Lanes:
    """Runs one set of collectors at a time, within a deadline."""

    def __init__(self, limits: Limits | None = None, timer: Callable[[], float] = time.perf_counter) -> None:
        self._limits = limits or Limits()
        self._timer = timer
        self._turns: SimpleQueue[_Turn] = SimpleQueue()
        self._lock = threading.Lock()
        self._one_turn = threading.Lock()
        self._idle = 0
        self._busy: dict[str, float] = {}

    def run(self, collectors: Iterable[Collector]) -> dict[str, Outcome]:
        """Return the outcome of every collector by name, in no more than the deadline."""
        with self._one_turn:
            outcomes: dict[str, Outcome] = {}
            free = []
            with self._lock:
                for collector in collectors:
                    since = self._busy.get(collector.name)
                    if since is None:
                        free.append(collector)
                    else:
                        waited = self._timer() - since
                        outcomes[collector.name] = Outcome(None, waited, why="hangs, and is left alone until it ends")
            turn = _Turn(free)
            if free:
                self._start(turn)
                self._watch(turn)
            with self._lock:
                turn.closed = True
                outcomes.update(turn.outcomes)
                now = self._timer()
                for collector in free:
                    if collector.name not in outcomes:
                        waited = now - turn.running.get(collector.name, now)
                        outcomes[collector.name] = Outcome(None, waited, why="did not end in time")
            return outcomes

    def _watch(self, turn: _Turn) -> None:
        """Wait until all is done or time is up; open another lane whenever the newest one is held up."""
        limits = self._limits
        deadline = time.monotonic() + limits.deadline
        while (left := deadline - time.monotonic()) > 0 and not turn.over.wait(min(limits.patience, left)):
            if turn.waiting and time.monotonic() - turn.newest >= limits.patience:
                turn.newest = time.monotonic()
                self._start(turn)

    def _start(self, turn: _Turn) -> None:
        with self._lock:
            if self._idle:
                self._idle -= 1
            else:
                threading.Thread(target=self._lane, name="collectors", daemon=True).start()
        self._turns.put(turn)

    def _lane(self) -> None:
        """Take one turn after another; end when another lane is waiting for them already."""
        while True:
            turn = self._turns.get()
            collector = self._next(turn)
            while collector is not None:
                collector = self._next(turn, collector.name, self._collect(collector))
            del turn
            with self._lock:
                if self._idle:
                    return
                self._idle += 1

    def _next(self, turn: _Turn, done: str = "", outcome: Outcome | None = None) -> Collector | None:
        """Note what came of a collector, and take the next."""
        with self._lock:
            if outcome is not None:
                del self._busy[done]
                turn.outcomes[done] = outcome
                turn.left -= 1
                if not turn.left:
                    turn.over.set()
            if turn.closed or not turn.waiting:
                return None
            collector = turn.waiting.popleft()
            turn.newest = time.monotonic()
            self._busy[collector.name] = turn.running[collector.name] = self._timer()
            return collector

    def _collect(self, collector: Collector) -> Outcome:
        started, used = self._timer(), time.thread_time()
        metrics, why = None, ""
        try:
            metrics = collector.collect()
        except Exception as error:  # noqa: BLE001 -- the boundary: one collector's bug must not cost the others' series
            why = f"{type(error).__name__}: {error}"
        return Outcome(metrics, self._timer() - started, why, time.thread_time() - used)
