"""Runs jobs, such as collectors, so that one that hangs, or is slow, costs only itself.

Jobs take turns in one thread, a *lane*. When one has not come back for `Limits.patience`, another lane goes on
with the rest, and at `Limits.deadline` the answer is given without those that are still missing. A job that
hangs keeps its thread, and is left alone until it comes back: there is never more than one thread per job.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Limits:
    """How long jobs may take, in seconds."""

    patience: float = 0.2
    """For one, until the others go on without it."""
    deadline: float = 1.5
    """For all of them."""


class Outcome(NamedTuple, Generic[Result]):
    """What came of one job: its result, or why there is none, and what it took in seconds, and of a CPU."""

    result: Result | None
    seconds: float
    why: str = ""
    cpu_seconds: float = 0


class _Turn(Generic[Result]):
    """The jobs of one scrape: lanes take them from one end, outcomes gather at the other."""

    def __init__(self, jobs: Mapping[str, Callable[[], Result]], now: float) -> None:
        self.waiting = deque(jobs.items())
        self.left = len(self.waiting)
        self.running: dict[str, float] = {}
        self.outcomes: dict[str, Outcome[Result]] = {}
        self.newest = now
        self.closed = False
        self.over = False
        self.unfinished = threading.Lock()
        """Held until all is done: one lock wakes who waits with less ado than an event."""
        self.unfinished.acquire()


class Lanes(Generic[Result]):
    """Runs one set of jobs at a time, within a deadline."""

    def __init__(self, limits: Limits | None = None, timer: Callable[[], float] = time.perf_counter) -> None:
        self._limits = limits or Limits()
        self._timer = timer
        self._turns: SimpleQueue[_Turn[Result]] = SimpleQueue()
        self._lock = threading.Lock()
        self._one_turn = threading.Lock()
        self._idle = 0
        self._busy: dict[str, float] = {}

    def run(self, jobs: Mapping[str, Callable[[], Result]]) -> dict[str, Outcome[Result]]:
        """Return the outcome of every job by name, in no more than the deadline."""
        with self._one_turn:
            outcomes: dict[str, Outcome[Result]] = {}
            with self._lock:
                now = self._timer()
                hanging = {name: now - since for name, since in self._busy.items() if name in jobs}
            for name, waited in hanging.items():
                outcomes[name] = Outcome(None, waited, why="hangs, and is left alone until it ends")
            free = {name: job for name, job in jobs.items() if name not in hanging} if hanging else jobs
            turn = _Turn(free, now)
            if free:
                self._start(turn)
                self._watch(turn, now)
            with self._lock:
                turn.closed = True
                outcomes.update(turn.outcomes)
                now = self._timer()
                for name in free:
                    if name not in outcomes:
                        waited = now - turn.running.get(name, now)
                        outcomes[name] = Outcome(None, waited, why="did not end in time")
            return outcomes

    def _watch(self, turn: _Turn[Result], now: float) -> None:
        """Wait until all is done or time is up; open another lane whenever the newest one is held up."""
        limits = self._limits
        deadline = now + limits.deadline
        while (left := deadline - self._timer()) > 0:
            if turn.unfinished.acquire(timeout=min(limits.patience, left)):
                return
            if turn.waiting and self._timer() - turn.newest >= limits.patience:
                turn.newest = self._timer()
                self._start(turn)

    def _start(self, turn: _Turn[Result]) -> None:
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
            self._do(turn)
            with self._lock:
                superfluous = self._idle > 0
                self._idle += not superfluous
                ends = not turn.left and not turn.over
                turn.over = turn.over or ends
            if ends:
                turn.unfinished.release()  # as late as can be: who waits needs the interpreter, which we have
            if superfluous:
                return
            del turn

    def _do(self, turn: _Turn[Result]) -> None:
        """Do one job after another, until there is none left."""
        timer, cpu = self._timer, time.thread_time
        started, used = timer(), cpu()
        done = self._next(turn, started)
        while done is not None:
            name, job = done
            result, why = None, ""
            try:
                result = job()
            except Exception as error:  # noqa: BLE001 -- the boundary: one job's bug must not cost the others' results
                why = f"{type(error).__name__}: {error}"
            ended, spent = timer(), cpu()
            done = self._next(turn, ended, name, Outcome(result, ended - started, why, spent - used))
            started, used = ended, spent

    def _next(
        self, turn: _Turn[Result], now: float, done: str = "", outcome: Outcome[Result] | None = None
    ) -> tuple[str, Callable[[], Result]] | None:
        """Note what came of a job, and take the next."""
        with self._lock:
            if outcome is not None:
                del self._busy[done]
                turn.outcomes[done] = outcome
                turn.left -= 1
            if turn.closed or not turn.waiting:
                return None
            name, job = turn.waiting.popleft()
            turn.newest = now
            self._busy[name] = turn.running[name] = now
            return name, job
