"""Growth of a process in a long run: samples over time, a verdict by the slope of each series, and a chart."""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from support.paths import ROOT
from support.reliability import record

if TYPE_CHECKING:
    from collections.abc import Callable

MEMORY = "memory in MiB"
MOST_RISE = {MEMORY: 4.0, "descriptors": 3.0, "threads": 1.0, "sockets": 3.0, "tasks": 4.0, "watches": 1.0}
"""How much the line through the second half of a run may rise until its end. A leak rises more in a longer run."""
_FEWEST = 20
_WIDTH, _HEIGHT, _MARGIN = 800, 120, 30


@dataclass(frozen=True)
class Sample:
    """The values of all series at one time."""

    seconds: float
    values: dict[str, float]


@dataclass(frozen=True)
class Line:
    """A straight line through the second half of a series.

    The first half is the warm-up: caches fill, and the allocator keeps the memory of the largest burst.
    """

    first: float
    """Begin in seconds."""
    last: float
    begin: float
    """The value at the start."""
    rise: float
    """The difference of the values at the end and at the start."""

    @property
    def hourly(self) -> float:
        return self.rise / (self.last - self.first) * 3600


def line(samples: list[Sample], series: str) -> Line:
    """Return the line of a series by linear regression."""
    later = samples[len(samples) // 2 :]
    times = [one.seconds for one in later]
    slope, intercept = statistics.linear_regression(times, [one.values[series] for one in later])
    return Line(times[0], times[-1], intercept + slope * times[0], slope * (times[-1] - times[0]))


def growing(samples: list[Sample]) -> dict[str, float]:
    """Return the series that grow, each with the rise of its line."""
    assert len(samples) >= _FEWEST, f"{len(samples)} samples are too few for a verdict; use a longer run"
    rises = {series: line(samples, series).rise for series in samples[0].values}
    return {series: rise for series, rise in rises.items() if rise > MOST_RISE[series]}


def read(pid: int) -> dict[str, float]:
    """Return what a process uses now."""
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    folder = f"/proc/{pid}/fd"
    names = [_target(f"{folder}/{name}") for name in os.listdir(folder)]  # noqa: PTH208 -- names only
    return {
        MEMORY: float(status["VmRSS"].split()[0]) / 1024,
        "descriptors": float(len(names)),
        "threads": float(status["Threads"]),
        "sockets": float(sum(name.startswith("socket:") for name in names)),
    }


def _target(path: str) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115 -- the target is not a path
    except OSError:
        return ""


@dataclass
class Soak:
    """A long run of one process."""

    name: str
    minutes: float
    more: Callable[[], dict[str, float]] = dict
    """Returns the values that only the metrics of the process show."""
    samples: list[Sample] = field(default_factory=list)

    def run(self, pid: int, step: Callable[[], None], pause: float) -> None:
        """Repeat the step with pauses (in seconds) until the time is over, and sample the process after each."""
        began = time.monotonic()
        while (elapsed := time.monotonic() - began) < 60 * self.minutes:
            step()
            self.samples.append(Sample(elapsed, {**read(pid), **self.more()}))
            time.sleep(pause)

    def check(self, load: str) -> None:
        """Write the chart and the figures, and fail if a series grows. `load` describes the load."""
        path = ROOT / "dist" / f"soak-{self.name}.svg"
        path.parent.mkdir(exist_ok=True)
        path.write_text(picture(f"{self.name}: {load}", self.samples))
        for series in self.samples[0].values:
            found = line(self.samples, series)
            goal = f"≤ +{MOST_RISE[series]:g}"
            measured = f"{found.begin:.1f} {found.rise:+.1f}"
            record(f"soak, {self.name}: {series}", measured, goal, f"{self.minutes:.0f} min, {load}")
        grown = growing(self.samples)
        assert grown == {}, f"{path.name} shows growth: {grown}"


def picture(title: str, samples: list[Sample]) -> str:
    """Return an SVG with one chart for each series, and with the line of the verdict."""
    series = list(samples[0].values)
    height = (_HEIGHT + _MARGIN) * len(series) + _MARGIN
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" font-family="sans-serif">'
    parts = [head, '<rect width="100%" height="100%" fill="white"/>']
    parts.append(f'<text x="4" y="{_MARGIN - 10}" font-weight="bold">{escape(title)}</text>')
    parts += [_chart(samples, one, _MARGIN + (_HEIGHT + _MARGIN) * (place + 1)) for place, one in enumerate(series)]
    return "\n".join([*parts, "</svg>\n"])


def _chart(samples: list[Sample], series: str, base: int) -> str:
    values = [one.values[series] for one in samples]
    top, last = max(values) or 1.0, samples[-1].seconds or 1.0

    def points(pairs: list[tuple[float, float]]) -> str:
        return " ".join(f"{_WIDTH * at / last:.1f},{base - _HEIGHT * value / top:.1f}" for at, value in pairs)

    found = line(samples, series)
    fitted = [(found.first, found.begin), (found.last, found.begin + found.rise)]
    measured = [(one.seconds, value) for one, value in zip(samples, values, strict=True)]
    title = f"{series}: {min(values):.0f} to {top:.0f} in {last / 60:.0f} min, second half {found.rise:+.2f}"
    return (
        f'<text x="4" y="{base - _HEIGHT - 8}">{title}</text>'
        f'<polyline fill="none" stroke="steelblue" stroke-width="1" points="{points(measured)}"/>'
        f'<polyline fill="none" stroke="firebrick" stroke-width="2" points="{points(fitted)}"/>'
    )
