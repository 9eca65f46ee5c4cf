"""CPU limiter: pauses the most expensive optional collectors while the agent exceeds its CPU share.

The limiter measures the CPU time of the whole process over windows. A window ends with the first scrape after a minute.
The limiter needs the CPU time of each collector only when a window has used half of what the limit allows. At the end
of a window above the limit it pauses one collector. It ignores the next window, because work that was already running
may still count there.
After ten consecutive windows below half of the limit it resumes one collector, the last paused first.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_agent.exposition.model import Metrics, gauge, single

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

LIMIT = gauge("metricat_agent_cpu_limit_ratio", "Share of one CPU that the agent may use.")
USED = gauge(
    "metricat_agent_cpu_used_ratio", "Share of one CPU that the agent used in the last window, of at least a minute."
)
PAUSED = gauge(
    "metricat_collector_paused", "1 for a collector paused because the agent used too much CPU.", "collector"
)
FAMILIES = (LIMIT, USED, PAUSED)
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CpuLimits:
    """Settings of the CPU limiter."""

    limit: float = 0.02
    """Share of one CPU."""
    window: float = 60
    """Minimum length of a window, in seconds."""
    calm_windows: int = 10
    """Consecutive windows below half of the limit before a collector resumes."""


class CpuLimiter:
    """Selects the collectors to pause. Not thread-safe: call it from one thread at a time."""

    def __init__(
        self,
        optional: Collection[str],
        limits: CpuLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        """`optional` names the collectors that may be paused; `cpu` returns the process' CPU seconds."""
        self._optional = tuple(optional)
        self._limits = limits or CpuLimits()
        self._clock = clock
        self._cpu = cpu
        self._window_start = (clock(), cpu())
        self._cost = dict.fromkeys(self._optional, 0.0)
        self._calm_windows = 0
        self._skips_window = False
        self._used: float | None = None
        self.paused: tuple[str, ...] = ()

    @property
    def needs_costs(self) -> bool:
        """Whether the current window may end above the limit, because it has used half of its CPU time already."""
        return self._cpu() - self._window_start[1] >= self._limits.limit * self._limits.window / 2

    def record(self, seconds: Mapping[str, float]) -> None:
        """Add the CPU seconds that each collector used since the last scrape; evaluate a window that has ended."""
        for name, took in seconds.items():
            if name in self._cost:
                self._cost[name] += took
        now, used = self._clock(), self._cpu()
        elapsed = now - self._window_start[0]
        if elapsed >= self._limits.window:
            self._used = (used - self._window_start[1]) / elapsed
            self._window_start = (now, used)
            self._evaluate(self._used)
            self._cost = {name: 0.0 for name in self._optional if name not in self.paused}

    def metrics(self) -> Metrics:
        """Return the limit, the use, and the paused collectors."""
        used = [] if self._used is None else [((), self._used)]
        return [single(LIMIT, self._limits.limit), (USED, used), (PAUSED, [((name,), 1) for name in self.paused])]

    def _evaluate(self, used: float) -> None:
        """Pause or resume at most one collector, by the share of a CPU used in the window that has ended."""
        limit = self._limits.limit
        self._calm_windows = self._calm_windows + 1 if used < limit / 2 else 0
        if self._skips_window:
            self._skips_window = False
        elif used > limit and self._cost:
            self._skips_window = True
            most_expensive = max(self._cost, key=self._cost.__getitem__)
            self.paused = (*self.paused, most_expensive)
            _LOG.warning(
                "the agent used %.1f %% of a CPU, more than --agent.cpu-limit=%g: pausing collector %s",
                *(100 * used, 100 * limit, most_expensive),
            )
        elif self.paused and self._calm_windows >= self._limits.calm_windows:
            self._calm_windows = 0
            *rest, resumed = self.paused
            self.paused = tuple(rest)
            _LOG.warning("the agent used %.1f %% of a CPU: resuming collector %s", 100 * used, resumed)
