"""Keeps the agent within its share of a CPU: above it, the dearest collectors that one can do without are left out.

The share is measured over windows of a minute, whatever the collectors say of themselves. One collector goes at the end
of a window above the budget; what was under way then may still cost the next window, which is not judged. One comes
back, the last first, when ten windows in a row used less than half of it.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_agent.exposition.model import Metrics, gauge, single

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

BUDGET = gauge("metricat_agent_cpu_budget_ratio", "Share of one CPU that the agent may use.")
USED = gauge("metricat_agent_cpu_used_ratio", "Share of one CPU that the agent used in the last full minute.")
SHED = gauge("metricat_collector_shed", "1 for a collector left out because the agent used too much CPU.", "collector")
FAMILIES = (BUDGET, USED, SHED)
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """When collectors go and come back."""

    budget: float = 0.02
    """Share of one CPU."""
    window: float = 60
    """Seconds over which it is measured."""
    calm: int = 10
    """Windows below half of it before a collector comes back."""


class Thrift:
    """Decides which collectors are left out. For one thread at a time."""

    def __init__(
        self,
        optional: Collection[str],
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        self._optional = frozenset(optional)
        self._limits = limits or Limits()
        self._clock = clock
        self._cpu = cpu
        self._since = (clock(), cpu())
        self._cost: dict[str, float] = {}
        self._calm = 0
        self._settling = False
        self._used: float | None = None
        self.shed: tuple[str, ...] = ()

    def note(self, seconds: Mapping[str, float]) -> None:
        """Take the CPU seconds that each collector used since the last scrape; at the end of a window, judge."""
        for name, took in seconds.items():
            if name in self._optional:
                self._cost[name] = self._cost.get(name, 0) + took
        now, used = self._clock(), self._cpu()
        elapsed = now - self._since[0]
        if elapsed >= self._limits.window:
            self._used = (used - self._since[1]) / elapsed
            self._since = (now, used)
            self._judge(self._used)
            self._cost = {}

    def metrics(self) -> Metrics:
        """Return budget, use, and what is left out."""
        used = [] if self._used is None else [((), self._used)]
        return [single(BUDGET, self._limits.budget), (USED, used), (SHED, [((name,), 1) for name in self.shed])]

    def _judge(self, used: float) -> None:
        budget = self._limits.budget
        self._calm = self._calm + 1 if used < budget / 2 else 0
        if self._settling:
            self._settling = False
        elif used > budget and self._cost:
            self._settling = True
            dearest = max(self._cost, key=self._cost.__getitem__)
            self.shed = (*self.shed, dearest)
            _LOG.warning(
                "used %.1f %% of a CPU, more than --self.cpu-budget=%g: leaving out collector %s",
                *(100 * used, 100 * budget, dearest),
            )
        elif self.shed and self._calm >= self._limits.calm:
            self._calm = 0
            *rest, back = self.shed
            self.shed = tuple(rest)
            _LOG.warning("used %.1f %% of a CPU: collector %s is back", 100 * used, back)
