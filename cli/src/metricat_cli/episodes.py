"""When an alert would have fired, from the instants at which its expression had a result. Pure.

Prometheus' rules (prometheus.io/docs/prometheus/latest/configuration/alerting_rules): the alert is pending from the
first evaluation with a result and firing once that was so for `for`; an evaluation without one ends it, a firing one
only after `keep_firing_for`.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """How a rule is evaluated, in seconds."""

    step: float
    hold: float = 0.0
    """`for`."""
    keep: float = 0.0
    """`keep_firing_for`."""


@dataclass(frozen=True)
class Episode:
    """From when to when an alert fired, in seconds since 1970 (UTC). One that still fires ends where history does."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """For how long."""
        return self.end - self.start


def episodes(instants: Iterable[float], timing: Timing, until: float) -> Iterator[Episode]:
    """When the alert of one series fired; `instants` are the evaluations, in order, at which it had a result."""
    pending: float | None = None
    firing: float | None = None
    missed = -math.inf  # the evaluation after the last one with a result
    for now in instants:
        if firing is None:
            pending = now if pending is None or now > missed + timing.step / 2 else pending
        elif _end(missed, timing) < now - timing.step / 2 and now > missed + timing.step / 2:
            yield Episode(firing, _end(missed, timing))
            pending, firing = now, None
        if firing is None and pending is not None and now - pending >= timing.hold:
            firing = now
        missed = now + timing.step
    if firing is not None:
        yield Episode(firing, min(_end(missed, timing), until))


def _end(missed: float, timing: Timing) -> float:
    """The evaluation that ends a firing alert, if from `missed` on there is no result."""
    return missed + math.ceil(timing.keep / timing.step) * timing.step
