"""Ten days of memory and file systems, of which it is known what is wrong with them and when. Pure."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

BEGIN = 1_788_220_800
"""Midnight, UTC."""
DAYS = 10
STEP = 300

Shape = Callable[[float], float]
"""How much is used, in percent, at so many hours after the beginning."""

Hours = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Scene:
    """A course of things, with noise on it. `wrong` are the hours from which to which somebody should be told."""

    name: str
    shape: Shape
    wrong: Hours = ()
    noise: float = 1.5
    """The standard deviation of the noise, in percent."""

    def nodes(self, count: int) -> list[str]:
        """The nodes that it happens on."""
        return [f"{self.name} {number}" for number in range(count)]

    def percent(self, hour: float, noise: random.Random) -> float:
        """How much is used, noise included."""
        return min(99.5, max(0.5, noise.gauss(self.shape(hour), self.noise)))


def _season(hour: float) -> float:
    """Little by night, much by day."""
    return 45 + 22 * math.sin(2 * math.pi * (hour - 9) / 24)


def _working_week(hour: float) -> float:
    return _season(hour) if hour // 24 % 7 < 5 else 22


def _during(begin: float, end: float, other: float, usual: float | Shape = 40) -> Shape:
    """What is usual, and something else between two hours."""
    return lambda hour: other if begin <= hour < end else usual(hour) if callable(usual) else usual


def _grows(begin: float, per_hour: float, start: float, nightly: float = 0) -> Shape:
    """From an hour on; what is written by day and cleaned up at midnight comes on top."""
    return lambda hour: start + max(0, hour - begin) * per_hour + nightly * (hour % 24)


MEMORY = (
    Scene("steady", lambda _: 40),
    Scene("season of the day", _season),
    Scene("job of every night", lambda hour: 88 if 2 <= hour % 24 < 4 else 40),
    Scene("nothing to do at weekends", _working_week),
    Scene("very noisy", lambda _: 50, noise=9),
    Scene("spike of ten minutes", _during(200, 200.17, 75)),
    Scene("spike of three hours", _during(200, 203, 75), ((200, 203),)),
    Scene("step up", _during(200, 240, 65), ((200, 240),)),
    Scene("busy in the season's trough", _during(219, 222, 62, _season), ((219, 222),)),
    Scene("the season's peak is missing", _during(200, 212, 24, _season), ((200, 212),)),
    Scene("suddenly nearly full", _during(200, 240, 96, 45), ((200, 240),), noise=0.8),
    Scene("slow leak", lambda hour: 30 + 0.25 * hour, ((216, 240),)),
)

FILE_SYSTEMS = (
    Scene("steady", lambda _: 55, noise=0.2),
    Scene("rather full, steady", lambda _: 78, noise=0.2),
    Scene("log rotation of every night", _grows(0, 0, 40, nightly=1.5), noise=0.2),
    Scene("log rotation of every six hours", lambda hour: 50 + 4 * (hour % 6), noise=0.2),
    Scene("a file of two hours", _during(200, 202, 75), noise=0.2),
    Scene("a copy that ends", lambda hour: 30 + 40 * min(1, max(0, hour - 200) / 4), noise=0.2),
    Scene("grows 1 % a week", _grows(0, 1 / 168, 60), noise=0.2),
    Scene("full in four days", _grows(150, 0.7, 30), ((174, 240),), noise=0.2),
    Scene("full in a day", _grows(200, 2.5, 35), ((204, 225),), noise=0.2),
    Scene("full in a day, over log rotation", _grows(190, 1.6, 30, nightly=0.5), ((196, 226),), noise=0.2),
    Scene("full in six days, over log rotation", _grows(96, 0.42, 20, nightly=0.8), ((144, 240),), noise=0.2),
)
