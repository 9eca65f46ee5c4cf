"""Threads that probe each target at its interval.

Only one thread at a time probes a target. The threads share a heap of due times, so a target that hangs delays the
others only if more targets hang than there are threads. The names of node and target spread the first probes over some
seconds. So the agents of many nodes do not probe at the same time.
"""

from __future__ import annotations

import heapq
import logging
import socket
import threading
import time
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from metricat_agent.probes import tcp
from metricat_agent.probes.connection import Deadline
from metricat_agent.probes.result import ProbeError, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from metricat_agent.probes.target import Target

_LOG = logging.getLogger(__name__)
_MOST_THREADS = 16
_FIRST_SPREAD = 5.0
"""Seconds over which the first probes are spread, if the interval is longer."""


@dataclass(slots=True)
class Record:
    """The state of a target: its last result, its failures and its running probe."""

    target: Target
    result: Result | None = None
    """The last result; None before the first."""
    attempts: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    """Failed probes by reason."""
    deadline: float = 0.0
    """When the running probe must have ended (monotonic clock); 0: no probe runs."""

    def current(self, now: float) -> Result | None:
        """Return the last result, or a failure if a probe still runs at its deadline, for example in the resolver.

        ``now`` is the time of the monotonic clock, in seconds.
        """
        if self.deadline and now > self.deadline:
            return Result(
                duration=self.target.timeout, reason="timeout", message="the probe did not end within its timeout"
            )
        return self.result


def probe(target: Target) -> Result:
    """Probe a target once. Never raise: the result has the reason of a failure."""
    result = Result()
    began = time.monotonic()
    try:
        _function(target.scheme)(target, Deadline(target.timeout), result)
    except ProbeError as error:
        result.reason, result.message = error.reason, str(error)
    except Exception as error:  # noqa: BLE001 -- one target must not end the thread that probes others
        _LOG.exception("probe %s failed", target.name)
        result.reason, result.message = "internal", str(error)
    result.duration = time.monotonic() - began
    return result


def _function(scheme: str) -> Callable[[Target, Deadline, Result], None]:
    """Return the probe of a scheme. Import only the module that is used: http.client needs 2 MiB."""
    if scheme in ("http", "https"):
        from metricat_agent.probes import http  # noqa: PLC0415 -- see above

        return http.probe
    if scheme == "dns":
        from metricat_agent.probes import dns  # noqa: PLC0415 -- as above

        return dns.probe
    if scheme == "icmp":
        from metricat_agent.probes import icmp  # noqa: PLC0415 -- as above

        return icmp.probe
    return tcp.probe


class Runner:
    """Probes targets in threads of its own until `stop`."""

    def __init__(self, targets: Sequence[Target]) -> None:
        self.records = [Record(target) for target in targets]
        now = time.monotonic()
        self._due = [(now + _offset(one.target), number) for number, one in enumerate(self.records)]
        heapq.heapify(self._due)
        self._changed = threading.Condition()
        self._stopped = False
        self.cpu_seconds = 0.0
        """CPU time of all probes so far, in seconds."""
        for _ in range(min(len(targets), _MOST_THREADS)):
            threading.Thread(target=self._run, name="probe", daemon=True).start()

    def stop(self) -> None:
        """End the threads after their current probe."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _run(self) -> None:
        while (number := self._next()) is not None:
            record = self.records[number]
            began, used = time.monotonic(), time.thread_time()
            record.deadline = began + record.target.timeout
            result = probe(record.target)
            self._store(record, result)
            with self._changed:
                self.cpu_seconds += time.thread_time() - used
                interval = record.target.interval
                missed = int((time.monotonic() - began) / interval)
                heapq.heappush(self._due, (began + (missed + 1) * interval, number))
                self._changed.notify()

    def _next(self) -> int | None:
        """Wait for the next due target and return its number; None after `stop`."""
        with self._changed:
            while not self._stopped:
                wait = self._due[0][0] - time.monotonic() if self._due else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._due)[1]
                self._changed.wait(wait)
            return None

    def _store(self, record: Record, result: Result) -> None:
        before = record.result
        record.attempts += 1
        if result.reason:
            record.failures[result.reason] = record.failures.get(result.reason, 0) + 1
        record.result, record.deadline = result, 0.0
        if before is None or before.reason != result.reason:
            if result.reason:
                _LOG.warning("probe %s failed: %s: %s", record.target.name, result.reason, result.message)
            elif before is not None:
                _LOG.info("probe %s succeeded again", record.target.name)


def _offset(target: Target) -> float:
    spread = min(target.interval, _FIRST_SPREAD)
    return zlib.crc32(f"{socket.gethostname()} {target.name}".encode()) % 1000 / 1000 * spread
