"""Sampler of all processes: it reads them in slices, and keeps the few that use most CPU or memory.

A pass over all processes takes `SamplerLimits.period` seconds, regardless of their number. It reads slices of at least
`SamplerLimits.min_slice` processes. A process among the first by CPU or by memory stays for `SamplerLimits.retention`
seconds, so that its series do not flap. The sampling thread ends when no scrape came for `SamplerLimits.idle_timeout`
seconds, and at an error. The next scrape makes a full pass and starts the thread again.
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

    from metricat_agent.host.processes import PodRef, ProcessSource, ProcessStat

_LOG = logging.getLogger(__name__)
Key = tuple[int, float]
"""PID and start time: together they identify a process, even if its PID was used before."""


@dataclass(frozen=True, slots=True)
class SamplerLimits:
    """Limits of time, in seconds, and of the number of processes for a pass over all processes."""

    period: float = 10
    """Seconds for one pass over all processes."""
    step: float = 1
    """Seconds between two slices."""
    min_slice: int = 100
    """Lower bound of processes per slice."""
    retention: float = 300
    """Seconds for which a process stays after it was last among the first."""
    idle_timeout: float = 180
    """Seconds after the last scrape until the sampling thread ends."""
    max_age: float = 60
    """Age in seconds above which the last pass is not exposed."""
    max_multiple: int = 4
    """Upper bound of exposed processes, as a multiple of the requested number."""


class StaleError(Exception):
    """The sampling thread hangs: its last result is out of date."""


@dataclass(frozen=True, slots=True)
class TopProcess:
    """A process that recently was a top user of CPU or memory: its last stat, its share of a CPU, its pod."""

    stat: ProcessStat
    cpu_ratio: float
    pod: PodRef


@dataclass(frozen=True, slots=True)
class ProcessTotals:
    """The number of processes and threads in a pass, in total and by state."""

    processes: int = 0
    threads: int = 0
    states: Mapping[str, int] = field(default_factory=dict)
    thread_states: Mapping[str, int] = field(default_factory=dict)
    """Empty unless each thread is read."""
    denied: int = 0
    """Number of processes that the agent may not read."""


class ProcessSampler:
    """Keeps the top processes and the totals. One thread samples; others read the result."""

    def __init__(
        self,
        source: ProcessSource,
        top: int,
        limits: SamplerLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        each_thread: bool = False,
    ) -> None:
        self._source = source
        self._each_thread = each_thread
        self._threads: Counter[str] = Counter()
        self._denied = 0
        self.totals = ProcessTotals()
        """Totals of the last pass."""
        self._top = top
        self._limits = limits or SamplerLimits()
        self._clock = clock
        self._pending: list[int] = []
        self._previous: dict[Key, tuple[float, float]] = {}
        self._seen: dict[Key, tuple[ProcessStat, float, float]] = {}
        self._retained: dict[Key, float] = {}
        self._pods: dict[Key, PodRef] = {}
        self._top_processes: tuple[TopProcess, ...] = ()
        self._thread: threading.Thread | None = None
        self._last_request = 0.0
        self._last_pass = 0.0
        self.cpu_seconds = 0.0
        """CPU time of the sampling thread so far, without the full passes that scrapes make themselves."""

    def top(self) -> tuple[TopProcess, ...]:
        """Return the top processes of the last pass; start the thread if needed. Raise `StaleError` if it hangs."""
        self._last_request = self._clock()
        if self._thread is None or not self._thread.is_alive():
            self.full_pass()
            self._thread = threading.Thread(target=self._run, name="processes", daemon=True)
            self._thread.start()
        if (age := self._last_request - self._last_pass) > self._limits.max_age:
            raise StaleError(
                f"sampling of processes hangs: the last pass ended {age:.0f} s ago; restart the agent if this persists"
            )
        return self._top_processes

    def stop(self) -> None:
        """End the sampling thread soon; the next call of `top` starts it again."""
        self._last_request = -inf

    def full_pass(self) -> None:
        """Read all processes without a pause between slices."""
        self._pending = []
        while not self.sample(1 << 30):
            pass

    def sample(self, count: int) -> bool:
        """Read the next ``count`` processes; return whether that ended a pass."""
        if not self._pending:
            self._pending = self._source.pids()
            self._seen = {}
            self._threads = Counter()
            self._denied = 0
        now, uptime = self._clock(), self._source.now()
        batch, self._pending = self._pending[:count], self._pending[count:]
        for pid in batch:
            try:
                stat = self._source.read(pid)
            except PermissionError:
                self._denied += 1
                continue
            if stat is not None:
                self._seen[stat.pid, stat.started] = (stat, now, self._ratio(stat, now, uptime))
                if self._each_thread:
                    alone = stat.threads == 1
                    self._threads.update([stat.state] if alone else self._source.thread_states(pid))
        if self._pending:
            return False
        self._end_pass(now)
        self._update_totals()
        return True

    def _ratio(self, stat: ProcessStat, now: float, uptime: float) -> float:
        """Return the share of a CPU since the last pass, or since the start of a process that is new in this pass.

        The CPU time of a new process is divided by at least one period, so that a short-lived one is not a top user.
        """
        before = self._previous.get((stat.pid, stat.started))
        if before is None:
            return stat.cpu_seconds / max(uptime - stat.started, self._limits.period)
        used, since = before
        return max(stat.cpu_seconds - used, 0.0) / (now - since) if now > since else 0.0

    def _end_pass(self, now: float) -> None:
        """End a pass: select the first by CPU and by memory; keep earlier ones that still run."""
        seen = self._seen
        first = nlargest(self._top, seen, key=lambda key: seen[key][2])
        first += nlargest(self._top, seen, key=lambda key: seen[key][0].resident)
        self._retained = {
            key: when for key, when in self._retained.items() if key in seen and now - when < self._limits.retention
        } | dict.fromkeys(first, now)
        if len(self._retained) > self._top * self._limits.max_multiple:
            latest = nlargest(self._top * self._limits.max_multiple, self._retained, key=self._retained.__getitem__)
            self._retained = {key: self._retained[key] for key in latest}
        # a process moves to the control group of its pod after it starts
        self._pods = {
            key: known if (known := self._pods.get(key)) and known.pod_uid else self._source.pod(key[0])
            for key in self._retained
        }
        self._top_processes = tuple(
            TopProcess(seen[key][0], seen[key][2], self._pods[key]) for key in sorted(self._retained)
        )
        self._last_pass = now
        self._previous = {key: (stat.cpu_seconds, when) for key, (stat, when, _) in seen.items()}

    def _update_totals(self) -> None:
        stats = [stat for stat, _, _ in self._seen.values()]
        states = Counter(stat.state for stat in stats if stat.state)
        self.totals = ProcessTotals(
            len(stats), sum(stat.threads for stat in stats), states, self._threads, self._denied
        )

    def _run(self) -> None:
        limits = self._limits
        steps = max(int(limits.period / limits.step) - 1, 1)
        before = self.cpu_seconds
        try:
            while True:
                ends = time.monotonic() + limits.period
                count = max(len(self._previous) // steps + 1, limits.min_slice)
                over = False
                while not over:
                    time.sleep(limits.step)
                    if self._clock() - self._last_request > limits.idle_timeout:
                        return
                    over = self.sample(count)
                    self.cpu_seconds = before + time.thread_time()
                time.sleep(max(ends - time.monotonic(), 0))
        except Exception as error:  # noqa: BLE001 -- the next scrape makes a full pass: a lasting error appears there
            _LOG.warning(
                "sampling of processes failed: %s: %s; the next scrape starts it again", type(error).__name__, error
            )
