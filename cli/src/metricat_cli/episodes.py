"""When an alert would have fired, from the evaluations at which its expression had a result. Pure.

Prometheus' rules (prometheus.io/docs/prometheus/latest/configuration/alerting_rules): the alert is pending from the
first evaluation with a result. It fires once every evaluation during `for` had a result. An evaluation without a result
ends a pending alert. A firing alert ends only after `keep_firing_for` without a result.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


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
        """The length of the period."""
        return self.end - self.start


def episodes(evaluations: Iterable[float], timing: Timing, until: float) -> Iterator[Episode]:
    """Yield the periods in which the alert of one series fired.

    `evaluations` are the times, in order, of the evaluations at which the expression had a result.
    """
    pending: float | None = None
    firing: float | None = None
    missed = -math.inf  # the evaluation after the last one with a result
    for now in evaluations:
        if firing is None:
            pending = now if pending is None or now > missed + timing.step / 2 else pending
        elif _end(missed, timing) < now - timing.step / 2 and now > missed + timing.step / 2:
            yield Episode(firing, _end(missed, timing))
            pending, firing = now, None
        if firing is None and pending is not None and now - pending >= timing.for_:
            firing = now
        missed = now + timing.step
    if firing is not None:
        yield Episode(firing, min(_end(missed, timing), until))


def _end(missed: float, timing: Timing) -> float:
    """Return the time of the evaluation that ends a firing alert without results from `missed` on."""
    return missed + math.ceil(timing.keep_firing_for / timing.step) * timing.step
