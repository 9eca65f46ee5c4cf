"""The state of one alert, from evaluation to evaluation: pending, firing, resolved.

The rules are Prometheus' (prometheus.io/docs/prometheus/latest/configuration/alerting_rules): an alert is pending from
the first evaluation whose expression has a result. It fires once every evaluation during `for` had a result. An
evaluation without a result ends a pending alert. A firing alert ends only after `keep_firing_for` without a result.
Times and durations have one unit, which the caller chooses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

Phase: TypeAlias = Literal["pending", "firing", "resolved"]


@dataclass(frozen=True, slots=True)
class Timing:
    """The durations of an alerting rule: `for`, `keep_firing_for`, and the time for which a resolved alert is kept."""

    hold: float = 0
    keep_firing: float = 0
    remember: float = 0


@dataclass(frozen=True, slots=True)
class AlertState:
    """The state of an alert. A time is None if the event has not happened."""

    active: float
    """The first evaluation with a result."""
    fired: float | None = None
    missing: float | None = None
    """The first evaluation without a result, of an alert that still fires because of `keep_firing_for`."""
    resolved: float | None = None

    @property
    def phase(self) -> Phase:
        """Whether the alert is pending, firing or resolved."""
        if self.resolved is not None:
            return "resolved"
        return "pending" if self.fired is None else "firing"


def step(state: AlertState | None, now: float, timing: Timing, *, has_result: bool) -> AlertState | None:
    """Return the state after an evaluation; None if the alert is not active, and has not resolved recently.

    `timing.remember` is the time for which a resolved alert is kept.
    """
    if has_result:
        if state is None or state.resolved is not None:
            state = AlertState(now)
        return _held(replace(state, missing=None), now, timing)
    if state is None or state.phase == "pending":
        return None
    if state.resolved is not None:
        return None if now - state.resolved > timing.remember else state
    missing = now if state.missing is None else state.missing
    if now - missing < timing.keep_firing:
        return _held(replace(state, missing=missing), now, timing)
    return replace(state, missing=missing, resolved=now)


def _held(state: AlertState, now: float, timing: Timing) -> AlertState:
    """Return an active alert as firing or pending, by the time for which it is active. `hold` may have changed."""
    is_due = now - state.active >= timing.hold
    if is_due and state.fired is None:
        return replace(state, fired=now)
    if not is_due and state.fired is not None:
        return AlertState(state.active)
    return state
