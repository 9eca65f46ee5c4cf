"""Runs jobs, such as collectors, in worker threads with a timeout; a job that hangs or is slow delays no other job.

One worker thread runs the jobs of a scrape, one after another. When a job exceeds `ExecutorLimits.soft_timeout`, a
second worker continues with the remaining jobs, and so on. At `ExecutorLimits.timeout` the executor returns the
outcomes that exist, and a failed outcome for every other job. Python cannot end a thread, so a job that hangs keeps its
worker; the executor does not start that job again until it returns. There is at most one worker for each job.

States of a run (one scrape), all changed under `CollectorExecutor._lock`::

    open ── the last job returns ──▶ finished    `finished` is set, and `unfinished` is released once
    open ── the timeout passes ────▶ closed      `closed` is set, and workers take none of its waiting jobs

States of a worker::

    new thread ──▶ running a job ──▶ no job is left ──▶ another worker is idle: the thread ends
                      ▲    │                      └───▶ otherwise: idle, counted in `_idle` ──┐
                      │    └── its run is closed first: hanging, until the job returns        │
                      └──────────────── the next run is put on the queue ────────────────────┘

A job that is running or hanging is in `_busy`, with its start time. `_one_run` admits one scrape at a time; `_lock`
guards the state above. docs/design/0015-what-a-scrape-costs.md has the measurements behind this design.
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
class ExecutorLimits:
    """Time limits of jobs, in seconds."""

    soft_timeout: float = 0.2
    """Time limit of one job: after it, another worker continues with the remaining jobs."""
    timeout: float = 1.5
    """Time limit of all jobs of a run together."""


class Outcome(NamedTuple, Generic[Result]):
    """The result of one job, or the reason of its failure, with its duration and CPU time in seconds."""

    result: Result | None
    seconds: float
    why: str = ""
    cpu_seconds: float = 0


def _unmeasured() -> float:
    return 0


class _Run(Generic[Result]):
    """The jobs of one scrape, and their outcomes. The module's docstring shows its states."""

    def __init__(self, jobs: Mapping[str, Callable[[], Result]], now: float, *, measures_cpu: bool) -> None:
        self.measures_cpu = measures_cpu
        self.waiting = deque(jobs.items())
        self.left = len(self.waiting)
        """Number of jobs without an outcome."""
        self.running: dict[str, float] = {}
        """Start times of the jobs that a worker has taken."""
        self.outcomes: dict[str, Outcome[Result]] = {}
        self.last_start = now
        self.closed = False
        self.finished = False
        self.unfinished = threading.Lock()
        """Held until the run is finished: a lock wakes the waiting thread with less work than an event."""
        self.unfinished.acquire()


class CollectorExecutor(Generic[Result]):
    """Runs one set of jobs at a time, within a timeout."""

    def __init__(self, limits: ExecutorLimits | None = None, timer: Callable[[], float] = time.perf_counter) -> None:
        self._limits = limits or ExecutorLimits()
        self._timer = timer
        self._runs: SimpleQueue[_Run[Result]] = SimpleQueue()
        self._lock = threading.Lock()
        self._one_run = threading.Lock()
        self._idle = 0
        self._busy: dict[str, float] = {}

    def run(self, jobs: Mapping[str, Callable[[], Result]], *, measures_cpu: bool = True) -> dict[str, Outcome[Result]]:
        """Run the jobs and return the outcome of each by name, within the timeout after an earlier run has ended.

        Without ``measures_cpu``, the CPU time in every outcome is 0: the system calls that measure it cost 5 % of a
        scrape.
        """
        with self._one_run:
            outcomes: dict[str, Outcome[Result]] = {}
            with self._lock:
                now = self._timer()
                hanging = {name: now - since for name, since in self._busy.items() if name in jobs}
            for name, waited in hanging.items():
                outcomes[name] = Outcome(
                    None, waited, why="still hangs from an earlier scrape; the agent starts it again after it returns"
                )
            free = {name: job for name, job in jobs.items() if name not in hanging} if hanging else jobs
            run = _Run(free, now, measures_cpu=measures_cpu)
            if free:
                self._assign_worker(run)
                self._wait(run, now)
            with self._lock:
                run.closed = True
                outcomes.update(run.outcomes)
                now = self._timer()
                for name in free:
                    if name not in outcomes:
                        waited = now - run.running.get(name, now)
                        outcomes[name] = Outcome(None, waited, why="timed out")
            return outcomes

    def _wait(self, run: _Run[Result], now: float) -> None:
        """Wait until the run is finished or the timeout passes; add a worker when the current job is slow."""
        limits = self._limits
        deadline = now + limits.timeout
        while (left := deadline - self._timer()) > 0:
            if run.unfinished.acquire(timeout=min(limits.soft_timeout, left)):
                return
            if run.waiting and self._timer() - run.last_start >= limits.soft_timeout:
                run.last_start = self._timer()
                self._assign_worker(run)

    def _assign_worker(self, run: _Run[Result]) -> None:
        """Give the run an idle worker, or a new one."""
        with self._lock:
            if self._idle:
                self._idle -= 1
            else:
                threading.Thread(target=self._worker, name="collectors", daemon=True).start()
        self._runs.put(run)

    def _worker(self) -> None:
        """Process one run after another; return when another worker is idle already."""
        while True:
            run = self._runs.get()
            self._process(run)
            with self._lock:
                is_superfluous = self._idle > 0
                self._idle += not is_superfluous
                finishes = not run.left and not run.finished
                run.finished = run.finished or finishes
            if finishes:
                run.unfinished.release()  # as late as possible: the waiting thread needs the interpreter lock
            if is_superfluous:
                return
            del run

    def _process(self, run: _Run[Result]) -> None:
        """Run one job after another until none is waiting."""
        timer, cpu = self._timer, time.thread_time if run.measures_cpu else _unmeasured
        started, used = timer(), cpu()
        current = self._next_job(run, started)
        while current is not None:
            name, job = current
            result, why = None, ""
            try:
                result = job()
            except Exception as error:  # noqa: BLE001 -- the boundary: one job's bug must not cost the others' results
                why = f"{type(error).__name__}: {error}"
            ended, spent = timer(), cpu()
            current = self._next_job(run, ended, name, Outcome(result, ended - started, why, spent - used))
            started, used = ended, spent

    def _next_job(
        self, run: _Run[Result], now: float, done: str = "", outcome: Outcome[Result] | None = None
    ) -> tuple[str, Callable[[], Result]] | None:
        """Record the outcome of a job; return the next job, or None if the worker has none left."""
        with self._lock:
            if outcome is not None:
                del self._busy[done]
                run.outcomes[done] = outcome
                run.left -= 1
            if run.closed or not run.waiting:
                return None
            name, job = run.waiting.popleft()
            run.last_start = now
            self._busy[name] = run.running[name] = now
            return name, job
