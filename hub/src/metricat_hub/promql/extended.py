"""The modifiers `anchored` and `smoothed` of selectors (experimental in Prometheus 3.15).

Both use samples up to one lookback period outside of the range. `anchored` uses the last sample before the range as
the value at its start. `smoothed` interpolates the values at both ends. The code computes windows one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from metricat_hub.model.errors import QueryError
from metricat_hub.model.ports import Series
from metricat_hub.promql.vector import Vector
from metricat_hub.promql.windows import without_stale

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from metricat_hub.model.samples import Times, Values
    from metricat_hub.promql.nodes import Modifier
    from metricat_hub.promql.vector import Mask

_ALLOWED: Final = {
    "anchored": ("changes", "delta", "increase", "rate", "resets"),
    "smoothed": ("delta", "increase", "rate"),
}


def check(modifier: Modifier, function: str) -> None:
    """Raise an error if a function does not support the modifier."""
    if modifier and function not in _ALLOWED[modifier]:
        allowed = ", ".join(_ALLOWED[modifier])
        raise QueryError(
            f"{modifier} modifier can only be used with: {allowed} - not with {function}. Remove `{modifier}`."
        )


def smoothed(series: Sequence[Series], references: Times, lookback: int) -> Vector:
    """Return the values of series at the times `references`, interpolated between neighboring samples."""
    values = np.zeros((len(series), len(references)))
    present = np.zeros((len(series), len(references)), dtype=bool)
    for row, (times, samples) in enumerate(without_stale(series)):
        if not len(times):
            continue
        after = np.searchsorted(times, references, side="left")
        before = np.maximum(after - 1, 0)
        following = np.minimum(after, len(times) - 1)
        exact = times[following] == references
        has_before = (after > 0) & (times[before] > references - lookback)
        has_after = (after < len(times)) & (times[following] <= references + lookback)
        share = (references - times[before]) / np.maximum(times[following] - times[before], 1)
        between = samples[before] + (samples[following] - samples[before]) * share
        values[row] = np.where(exact, samples[following], np.where(has_after, between, samples[before]))
        present[row] = exact | has_before
    return Vector.of([one.labels for one in series], values, present).without_absent()


@dataclass(frozen=True, slots=True)
class _Window:
    """The samples of one window, with those up to one lookback period outside."""

    times: Times
    values: Values
    start: int
    end: int
    smoothed: bool

    def bounds(self) -> tuple[int, int] | None:
        """Return the first and the last sample to use; None if there is nothing to measure."""
        last = len(self.times) - 1
        first = max(0, int(np.searchsorted(self.times[:last], self.start, side="right")) - 1)
        if self.smoothed:
            last = int(np.searchsorted(self.times[:last], self.end, side="left"))
        if self.times[last] <= self.start or (self.smoothed and self.times[first] > self.end):
            return None
        return first, last

    def left(self, first: int, *, counter: bool) -> float:
        """Return the value at the start."""
        if self.smoothed and self.times[first] < self.start:
            return self.interpolated(first, self.start, counter=counter)
        return float(self.values[first])

    def right(self, last: int, *, counter: bool) -> float:
        """Return the value at the end."""
        if self.smoothed and last > 0 and self.times[last] > self.end:
            return self.interpolated(last - 1, self.end, counter=counter)
        return float(self.values[last])

    def interpolated(self, index: int, time: int, *, counter: bool) -> float:
        """Return the value between a sample and the next one. A counter starts from 0 after a reset."""
        one, other = float(self.values[index]), float(self.values[index + 1])
        if counter and other < one:
            one = 0.0
        span = float(self.times[index + 1] - self.times[index])
        return one + (other - one) * float(time - self.times[index]) / span

    def inner(self, first: int, last: int) -> slice:
        """Return the samples strictly between start and end."""
        return slice(first + int(self.times[first] <= self.start), last + int(self.times[last] < self.end))


def _change(window: _Window, *, counter: bool, per_second: bool) -> float | None:
    bounds = window.bounds()
    if bounds is None:
        return None
    left, right = window.left(bounds[0], counter=counter), window.right(bounds[1], counter=counter)
    result = right - left
    if counter:
        previous, correction = left, 0.0
        for value in [*window.values[window.inner(*bounds)].tolist(), right]:
            correction += previous if value < previous else 0.0
            previous = value
        result += correction
    return result / ((window.end - window.start) / 1000) if per_second else result


def _pairs(window: _Window, found: Callable[[Values, Values], Mask]) -> float | None:
    """Return how many pairs of neighbouring samples `found` marks. The first pair starts before the range."""
    before = int(np.searchsorted(window.times, window.start, side="right")) - 1
    if before + 1 >= len(window.times):
        return None
    values = window.values[max(0, before) :]
    return float(found(values[:-1], values[1:]).sum())


_FUNCTIONS: Final[dict[str, Callable[[_Window], float | None]]] = {
    "changes": lambda window: _pairs(window, lambda a, b: (a != b) & ~(np.isnan(a) & np.isnan(b))),
    "delta": lambda window: _change(window, counter=False, per_second=False),
    "increase": lambda window: _change(window, counter=True, per_second=False),
    "rate": lambda window: _change(window, counter=True, per_second=True),
    "resets": lambda window: _pairs(window, lambda a, b: b < a),
}


@dataclass(frozen=True, slots=True)
class Extent:
    """The windows of a range selector with a modifier, one for each step."""

    modifier: Modifier
    starts: Times
    ends: Times
    lookback: int

    def windows(self, times: Times, values: Values) -> list[_Window | None]:
        """Return the window at each step; None without samples."""
        ahead = self.lookback if self.modifier == "smoothed" else 0
        low = np.searchsorted(times, self.starts - self.lookback, side="right")
        high = np.searchsorted(times, self.ends + ahead, side="right")
        return [
            _Window(times[a:b], values[a:b], int(start), int(end), self.modifier == "smoothed") if a < b else None
            for a, b, start, end in zip(low, high, self.starts, self.ends, strict=True)
        ]


def rolled(function: str, extent: Extent, times: Times, values: Values) -> tuple[Values, Mask]:
    """Return the value of a function for each window of one series, and a mask of the windows with a value."""
    compute = _FUNCTIONS[function]
    found = [None if window is None else compute(window) for window in extent.windows(times, values)]
    result = np.array([0.0 if value is None else value for value in found])
    return result, np.array([value is not None for value in found], dtype=bool)


def range_vector(series: Sequence[Series], extent: Extent) -> list[Series]:
    """Return the samples of a range selector at one time, with added samples at the start and the end of the range."""
    result = []
    for one, (times, values) in zip(series, without_stale(series), strict=True):
        window = extent.windows(times, values)[0]
        bounds = None if window is None else window.bounds()
        if window is None or bounds is None:
            continue
        inner = window.inner(*bounds)
        result.append(
            Series(
                one.labels,
                np.array([window.start, *window.times[inner], window.end], dtype=np.int64),
                np.array(
                    [
                        window.left(bounds[0], counter=False),
                        *window.values[inner],
                        window.right(bounds[1], counter=False),
                    ]
                ),
            )
        )
    return result
