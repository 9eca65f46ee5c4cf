"""Walks over all processes a slice at a time, and remembers the few that count.

A round takes `Limits.period` seconds whatever the number of processes, in steps of at least `Limits.slice`. Who was
among the first by CPU or by memory stays for `Limits.held` seconds, so that its series do not come and go. The walk
ends when nobody asks any more, and at an error; who asks next makes a whole round, and starts it again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from heapq import nlargest
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from metricat_agent.host.processes import Place, Reading, Source

_LOG = logging.getLogger(__name__)
Key = tuple[int, float]
"""Number and start: a process, and no other that had its number before."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How the walk is spread, in seconds and processes."""

    period: float = 10
    step: float = 1
    slice: int = 100
    held: float = 300
    interest: float = 180
    """For how long after the last scrape the walk goes on."""
    stale: float = 60
    """How old the last round may be when it is shown."""
    members: int = 4
    """Processes that are shown at most, as a multiple of the number asked for."""


class StaleError(Exception):
    """The walk hangs: what it found last is no longer true."""


@dataclass(frozen=True, slots=True)
class Member:
    """A process that counts: its last reading, its share of a CPU, its place."""

    reading: Reading
    cpu_ratio: float
    place: Place


@dataclass(frozen=True, slots=True)
class Census:
    """All processes of a round and their threads, counted, and by state."""

    processes: int = 0
    threads: int = 0
    states: Mapping[str, int] = field(default_factory=dict)
    thread_states: Mapping[str, int] = field(default_factory=dict)
    """Empty unless each thread is asked."""


class Walker:
    """Keeps the processes that count, and the number of all. One thread steps, others look."""

    def __init__(
        self,
        source: Source,
        top: int,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        each_thread: bool = False,
    ) -> None:
        self._source = source
        self._each_thread = each_thread
        self._threads: Counter[str] = Counter()
        self.census = Census()
        """Of the last round."""
        self._top = top
        self._limits = limits or Limits()
        self._clock = clock
        self._ahead: list[int] = []
        self._before: dict[Key, tuple[float, float]] = {}
        self._seen: dict[Key, tuple[Reading, float, float]] = {}
        self._held: dict[Key, float] = {}
        self._places: dict[Key, Place] = {}
        self._members: tuple[Member, ...] = ()
        self._thread: threading.Thread | None = None
        self._asked = 0.0
        self._ended = 0.0
        self.cpu_seconds = 0.0
        """CPU time of the walk so far; what a scrape itself walks is not in it."""

    def members(self) -> tuple[Member, ...]:
        """Return the processes that count, as the last round found them; the walk starts if there is none."""
        self._asked = self._clock()
        if self._thread is None or not self._thread.is_alive():
            self.round()
            self._thread = threading.Thread(target=self._walk, name="processes", daemon=True)
            self._thread.start()
        if (age := self._asked - self._ended) > self._limits.stale:
            raise StaleError(f"the walk over all processes hangs: its last round ended {age:.0f} s ago")
        return self._members

    def stop(self) -> None:
        """Let the walk end, soon; the next who asks starts it again."""
        self._asked = -inf

    def round(self) -> None:
        """Walk over all of them at once."""
        self._ahead = []
        while not self.step(1 << 30):
            pass

    def step(self, count: int) -> bool:
        """Read the next so many processes; tell whether that ended a round."""
        if not self._ahead:
            self._ahead = self._source.pids()
            self._seen = {}
            self._threads = Counter()
        now, uptime = self._clock(), self._source.now()
        batch, self._ahead = self._ahead[:count], self._ahead[count:]
        for pid in batch:
            reading = self._source.read(pid)
            if reading is not None:
                self._seen[reading.pid, reading.started] = (reading, now, self._ratio(reading, now, uptime))
                if self._each_thread:
                    alone = reading.threads == 1
                    self._threads.update([reading.state] if alone else self._source.thread_states(pid))
        if self._ahead:
            return False
        self._choose(now)
        self._count()
        return True

    def _ratio(self, reading: Reading, now: float, uptime: float) -> float:
        """Return the share of a CPU since the last round, or since it started if this is the first that sees it.

        What started since then used it within that time: a program of a moment is no culprit, however busy the moment.
        """
        before = self._before.get((reading.pid, reading.started))
        if before is None:
            return reading.cpu_seconds / max(uptime - reading.started, self._limits.period)
        used, since = before
        return max(reading.cpu_seconds - used, 0.0) / (now - since) if now > since else 0.0

    def _choose(self, now: float) -> None:
        """End a round: take the first by CPU and by memory, keep earlier ones that are still there."""
        seen = self._seen
        first = nlargest(self._top, seen, key=lambda key: seen[key][2])
        first += nlargest(self._top, seen, key=lambda key: seen[key][0].resident)
        self._held = {
            key: when for key, when in self._held.items() if key in seen and now - when < self._limits.held
        } | dict.fromkeys(first, now)
        if len(self._held) > self._top * self._limits.members:
            latest = nlargest(self._top * self._limits.members, self._held, key=self._held.__getitem__)
            self._held = {key: self._held[key] for key in latest}
        self._places = {key: self._places.get(key) or self._source.place(key[0]) for key in self._held}
        self._members = tuple(Member(seen[key][0], seen[key][2], self._places[key]) for key in sorted(self._held))
        self._ended = now
        self._before = {key: (reading.cpu_seconds, when) for key, (reading, when, _) in seen.items()}

    def _count(self) -> None:
        readings = [reading for reading, _, _ in self._seen.values()]
        states = Counter(reading.state for reading in readings if reading.state)
        self.census = Census(len(readings), sum(reading.threads for reading in readings), states, self._threads)

    def _walk(self) -> None:
        limits = self._limits
        steps = max(int(limits.period / limits.step) - 1, 1)
        before = self.cpu_seconds
        try:
            while True:
                ends = time.monotonic() + limits.period
                count = max(len(self._before) // steps + 1, limits.slice)
                over = False
                while not over:
                    time.sleep(limits.step)
                    if self._clock() - self._asked > limits.interest:
                        return
                    over = self.step(count)
                    self.cpu_seconds = before + time.thread_time()
                time.sleep(max(ends - time.monotonic(), 0))
        except Exception as error:  # noqa: BLE001 -- the next scrape walks itself: if this lasts, it tells
            _LOG.warning("the walk over all processes broke off: %s: %s", type(error).__name__, error)
