"""Synthetic weeks of memory and filesystems, with known problems at known times. Pure."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

BEGIN = 1_788_220_800
"""Midnight, UTC."""
DAYS = 18
STEP = 300

Shape = Callable[[float], float]
"""A function that returns the used percentage from the hours since the start."""

Hours = tuple[tuple[float, float], ...]

_HORIZON = 168
"""Hours before a filesystem is full from which an alert counts as true."""


@dataclass(frozen=True)
class Scenario:
    """A series with noise. `problems` are the periods, in hours, in which an alert should fire."""

    name: str
    shape: Shape
    problems: Hours = ()
    noise: float = 1.5
    """The standard deviation of the noise, in percent."""
    copies: int = 5
    """The number of nodes with this series, each with different noise."""

    @property
    def nodes(self) -> list[str]:
        """The names of the nodes."""
        return [f"{self.name} {number}" for number in range(self.copies)]

    def percent(self, hour: float, noise: random.Random) -> float:
        """Return the used percentage at an hour after the start, with noise."""
        return min(99.5, max(0.5, noise.gauss(self.shape(hour), self.noise)))


def _season(hour: float) -> float:
    """Return a daily season: low at night, high by day."""
    return 45 + 22 * math.sin(2 * math.pi * (hour - 9) / 24)


def _weekend(hour: float) -> bool:
    return hour // 24 % 7 >= 5


def _working_week(hour: float) -> float:
    return 22 if _weekend(hour) else _season(hour)


def _during(begin: float, end: float, other: float, usual: float | Shape = 40) -> Shape:
    """Return a shape that equals the usual one, except between two hours."""
    return lambda hour: other if begin <= hour < end else usual(hour) if callable(usual) else usual


def _grows(begin: float, per_hour: float, start: float, nightly: float = 0) -> Shape:
    """Return a shape that grows from an hour on, plus data that is written by day and deleted at midnight."""
    return lambda hour: start + max(0, hour - begin) * per_hour + nightly * (hour % 24)


def _fills(name: str, begin: float, per_hour: float, start: float, nightly: float = 0) -> Scenario:
    """Return a filesystem that becomes full. Hours later it is cleaned up and stays at its first level."""
    growth, calm = _grows(begin, per_hour, start, nightly), _grows(0, 0, start, nightly)
    full = next(step / 12 for step in range(12 * 24 * DAYS) if growth(step / 12) >= 99)
    problem = (max(begin, full - _HORIZON), full)
    return Scenario(name, lambda hour: growth(hour) if hour < full + 6 else calm(hour), (problem,), noise=0.2)


MEMORY = (
    Scenario("steady", lambda _: 40),
    Scenario("season of the day", _season),
    Scenario("job of every night", lambda hour: 88 if 2 <= hour % 24 < 4 else 40),
    Scenario("job of every week", lambda hour: 88 if 74 <= hour % 168 < 80 else 40),
    Scenario("nothing to do at weekends", _working_week),
    Scenario("very noisy", lambda _: 50, noise=9),
    Scenario("spike of ten minutes", _during(200, 200.17, 75)),
    Scenario("spike of three hours", _during(200, 203, 75), ((200, 203),)),
    Scenario("step up", _during(200, 240, 65), ((200, 240),)),
    Scenario("busy in the season's trough", _during(219, 222, 62, _season), ((219, 222),)),
    Scenario("the season's peak is missing", _during(200, 212, 24, _season), ((200, 212),)),
    Scenario("very busy on a Saturday", _during(298, 302, 85, _working_week), ((298, 302),)),
    Scenario(
        "on a Saturday as busy as on a Friday",
        lambda hour: _season(hour) if 288 <= hour < 312 else _working_week(hour),
        ((294, 310),),
    ),
    Scenario("a working day as a Saturday", _during(240, 264, 22, _working_week), ((246, 262),)),
    Scenario("suddenly nearly full", _during(200, 240, 96, 45), ((200, 240),), noise=0.8),
    Scenario("slow leak", lambda hour: 30 + 0.15 * hour, ((354, 432),)),
)

FILESYSTEMS = (
    Scenario("steady", lambda _: 55, noise=0.2),
    Scenario("rather full, steady", lambda _: 78, noise=0.2),
    Scenario("log rotation of every night", _grows(0, 0, 40, nightly=1.5), noise=0.2),
    Scenario("log rotation of every six hours", lambda hour: 50 + 4 * (hour % 6), noise=0.2),
    Scenario("log rotation of every week", lambda hour: 20 + 0.3 * (hour % 168), noise=0.2),
    Scenario("a file of two hours", _during(200, 202, 75), noise=0.2),
    Scenario("a copy that ends", lambda hour: 30 + 40 * min(1, max(0, hour - 200) / 4), noise=0.2),
    Scenario("grows 1 % a week", _grows(0, 1 / 168, 60), noise=0.2),
    _fills("full in four days", 150, 0.7, 30),
    _fills("full in a day", 200, 2.5, 35),
    _fills("full in a day, over log rotation", 190, 1.6, 30, nightly=0.5),
    _fills("full in a week, over log rotation", 96, 0.42, 20, nightly=0.8),
)
