"""Growth of a process: samples over time, their slope, and a picture of them."""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass
from pathlib import Path

_WIDTH, _HEIGHT, _MARGIN = 800, 160, 30


@dataclass(frozen=True)
class Sample:
    """What a process uses at one time."""

    seconds: float
    memory: float
    """Resident memory in MiB."""
    descriptors: float
    threads: float
    sockets: float
    """Mostly connections to the API server: each watch has one."""


SERIES = ("memory", "descriptors", "threads", "sockets")


def read(pid: int, seconds: float) -> Sample:
    """Return the sample of a process."""
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    folder = f"/proc/{pid}/fd"
    names = [_target(f"{folder}/{name}") for name in os.listdir(folder)]  # noqa: PTH208 -- names only
    memory = float(status["VmRSS"].split()[0]) / 1024
    sockets = sum(name.startswith("socket:") for name in names)
    return Sample(seconds, memory, len(names), float(status["Threads"]), sockets)


def _target(path: str) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115 -- the target is not a path
    except OSError:
        return ""


def growth(samples: list[Sample], series: str) -> float:
    """Return how much the series grows in an hour, by a line through the second half of the samples.

    The first half is the warm-up: caches fill, and the allocator keeps the memory of the largest burst.
    """
    later = samples[len(samples) // 2 :]
    line = statistics.linear_regression([one.seconds for one in later], [getattr(one, series) for one in later])
    return line.slope * 3600


def picture(samples: list[Sample]) -> str:
    """Return an SVG with one chart for each series."""
    charts = [_chart(samples, series, place) for place, series in enumerate(SERIES)]
    height = (_HEIGHT + _MARGIN) * len(SERIES)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" font-family="sans-serif">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *charts, "</svg>\n"])


def _chart(samples: list[Sample], series: str, place: int) -> str:
    values = [getattr(one, series) for one in samples]
    top, last = max(values) or 1.0, samples[-1].seconds or 1.0
    base = (_HEIGHT + _MARGIN) * (place + 1)
    points = " ".join(
        f"{_WIDTH * one.seconds / last:.1f},{base - _HEIGHT * value / top:.1f}"
        for one, value in zip(samples, values, strict=True)
    )
    title = f"{series}: {min(values):.0f} to {top:.0f} in {last / 60:.0f} min"
    return (
        f'<text x="4" y="{base - _HEIGHT - 8}">{title}</text>'
        f'<polyline fill="none" stroke="steelblue" stroke-width="2" points="{points}"/>'
    )
