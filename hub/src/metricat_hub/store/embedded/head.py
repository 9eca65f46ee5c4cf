"""The newest samples in memory, in the order of their arrival: those that are in the file's head and not yet packed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from metricat_hub.model.samples import Times, Values

_MERGED = 64
"""The number of small runs that become one."""
_LARGE = 20_000
"""The number of samples from which a run is not merged."""


@dataclass(frozen=True, slots=True)
class Run:
    """Samples sorted by series, then by time."""

    series: NDArray[np.int32]
    times: Times
    values: Values
    first: int
    """The earliest time."""
    last: int

    @property
    def lowest(self) -> int:
        """The lowest number of a series."""
        return int(self.series[0])

    @property
    def highest(self) -> int:
        """The highest number of a series."""
        return int(self.series[-1])


def run_of(series: NDArray[np.int32], times: Times, values: Values) -> Run:
    """Return a run of samples that are already sorted."""
    return Run(series, times, values, int(times.min()), int(times.max()))


def sort(series: NDArray[np.int32], times: Times, values: Values) -> tuple[NDArray[np.int32], Times, Values]:
    """Return the samples sorted by series, then by time. Equal ones keep their order."""
    order = np.lexsort((times, series))
    return series[order], times[order], values[order]


def merge(runs: Sequence[Run]) -> Run:
    """Return one run with the samples of several."""
    columns = sort(
        np.concatenate([run.series for run in runs]),
        np.concatenate([run.times for run in runs]),
        np.concatenate([run.values for run in runs]),
    )
    return run_of(*columns)


class Head:
    """Runs of samples. Its owner has a lock for changes; a snapshot needs none after it was taken."""

    def __init__(self) -> None:
        self._large: list[Run] = []
        self._small: list[Run] = []
        self.samples = 0

    def add(self, series: NDArray[np.int32], times: Times, values: Values) -> None:
        """Add sorted samples."""
        run = run_of(series, times, values)
        self.samples += len(series)
        if len(series) >= _LARGE:
            self._large.append(run)
            return
        self._small.append(run)
        if len(self._small) >= _MERGED:
            merged = merge(self._small)
            self._small = []
            if len(merged.series) >= _LARGE:
                self._large.append(merged)
            else:
                self._small.append(merged)

    def snapshot(self) -> tuple[Run, ...]:
        """Return the runs."""
        return (*self._large, *self._small)

    def replace(self, runs: Sequence[Run]) -> None:
        """Replace all runs by these."""
        self._large = list(runs)
        self._small = []
        self.samples = sum(len(run.series) for run in runs)


def pick(
    runs: Sequence[Run], numbers: NDArray[np.int32], start: int, end: int
) -> tuple[NDArray[np.int32], Times, Values] | None:
    """Return the samples of some series from start to end, sorted; None without samples.

    Args:
        runs: where to search.
        numbers: the series, in ascending order.
        start: the earliest time.
        end: the latest time.
    """
    lowest, highest = int(numbers[0]), int(numbers[-1])
    found = []
    for run in runs:
        if run.first > end or run.last < start or run.lowest > highest or run.highest < lowest:
            continue
        begins = np.searchsorted(run.series, numbers, "left")
        sizes = np.searchsorted(run.series, numbers, "right") - begins
        total = int(sizes.sum())
        if not total:
            continue
        at = np.repeat(begins - np.cumsum(sizes) + sizes, sizes) + np.arange(total)
        times = run.times[at]
        if run.first < start or run.last > end:
            at = at[(times >= start) & (times <= end)]
            times = run.times[at]
        if len(at):
            found.append((run.series[at], times, run.values[at]))
    if not found:
        return None
    if len(found) == 1:
        return found[0]
    series, times, values = (np.concatenate(columns) for columns in zip(*found, strict=True))
    return sort(series, times, values)
