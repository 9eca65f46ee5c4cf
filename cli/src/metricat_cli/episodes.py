"""Periods in which an alert would have fired, computed from the evaluations with a result. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from metricat_rules import alert_state


@dataclass(frozen=True)
class Timing:
    """A rule's evaluation interval and durations, in seconds."""

    step: float
    for_: float = 0.0
    keep_firing_for: float = 0.0


@dataclass(frozen=True)
class Episode:
    """A period in which an alert fired, in seconds since 1970 (UTC). An unfinished one ends with the history."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """The length of the period, in seconds."""
        return self.end - self.start


def episodes(evaluations: Iterable[float], timing: Timing, until: float) -> Iterator[Episode]:
    """Yield the periods in which the alert of one series fired.

    `evaluations` are the times, in order, of the evaluations at which the expression had a result.
    """
    rule = alert_state.Timing(timing.for_, timing.keep_firing_for)
    state: alert_state.AlertState | None = None
    missed = until
    for now in evaluations:
        state, ended = _without_result(state, missed, now - timing.step / 2, timing)
        if ended:
            yield ended
        state = alert_state.step(state, now, rule, has_result=True)
        missed = now + timing.step
    state, ended = _without_result(state, missed, until, timing)
    if ended:
        yield ended
    elif state and state.fired is not None:
        yield Episode(state.fired, until)


def _without_result(
    state: alert_state.AlertState | None, start: float, end: float, timing: Timing
) -> tuple[alert_state.AlertState | None, Episode | None]:
    """Return the state after the evaluations without a result from start to end, and the episode that they end."""
    rule = alert_state.Timing(timing.for_, timing.keep_firing_for)
    now = start
    while state and now <= end:
        state = alert_state.step(state, now, rule, has_result=False)
        if state and state.fired is not None and state.resolved is not None:
            return None, Episode(state.fired, state.resolved)
        now += timing.step
    return state, None
