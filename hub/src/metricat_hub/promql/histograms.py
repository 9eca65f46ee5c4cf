"""Classic histograms: quantiles and fractions of series with the label `le`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model.labels import NAME
from metricat_hub.promql.annotations import Annotations, Monotonicity, for_metric
from metricat_hub.promql.vector import Vector, any_series, get

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.samples import Times, Values
    from metricat_hub.promql.vector import Mask

_TOLERANCE = 1e-12
"""Smaller relative differences between buckets are treated as floating-point errors."""
_LEAST_NORMAL = 2.2250738585072014e-308
_NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?|nan)", re.IGNORECASE | re.ASCII)


@dataclass(slots=True)
class Histogram:
    """The buckets of one histogram at each step, by ascending upper bound."""

    labels: Labels
    drop: bool
    bounds: Values
    counts: Values
    present: Mask

    def patterns(self) -> Iterator[tuple[np.ndarray, Values, Values]]:
        """Yield groups of steps with the same buckets: indices of the steps, upper bounds, and counts."""
        if bool(self.present.all()):
            yield np.arange(self.present.shape[1]), *_coalesced(self.bounds, self.counts)
            return
        found, inverse = np.unique(self.present, axis=1, return_inverse=True)
        for number in range(found.shape[1]):
            rows = found[:, number]
            if bool(rows.any()):
                steps = np.flatnonzero(inverse.reshape(-1) == number)
                yield steps, *_coalesced(self.bounds[rows], self.counts[np.ix_(rows, steps)])


def _coalesced(bounds: Values, counts: Values) -> tuple[Values, Values]:
    """Return the buckets, with the counts of equal bounds added."""
    starts = np.flatnonzero(np.append(True, bounds[1:] != bounds[:-1]))
    if len(starts) == len(bounds):
        return bounds, counts.copy()
    return bounds[starts], np.add.reduceat(counts, starts, axis=0)


def histograms(vector: Vector, annotations: Annotations, position: int, *, names: bool) -> list[Histogram]:
    """Return the histograms whose buckets are in a vector. Leave out series without a valid label `le`, with a warning.

    With `names`, warnings contain the metric name.
    """
    rows: dict[Labels, list[tuple[float, int]]] = {}
    for row, labels in enumerate(vector.labels):
        text = get(labels, "le")
        if not _NUMBER.fullmatch(text):
            metric = get(labels, NAME) if names else ""
            annotations.warn(
                f'bucket label "le" is missing or has a malformed value of "{text}"{for_metric(metric)}', position
            )
            continue
        key = tuple(pair for pair in labels if pair[0] != "le")
        rows.setdefault(key, []).append((float(text), row))
    result = []
    for labels, buckets in rows.items():
        buckets.sort()
        index = [row for _, row in buckets]
        result.append(
            Histogram(
                labels,
                vector.drops[index[0]],
                np.array([bound for bound, _ in buckets]),
                vector.values[index],
                vector.present[index],
            )
        )
    return result


def evaluated(histogram: Histogram, compute: Callable[[np.ndarray, Values, Values], Values]) -> tuple[Values, Mask]:
    """Call `compute` once for all steps with the same buckets: with the indices of the steps, bounds and counts.

    Returns:
        The value at each step, and a mask of the steps that have a bucket.
    """
    steps = histogram.present.shape[1]
    result, present = np.full(steps, np.nan), any_series(histogram.present)
    for columns, bounds, counts in histogram.patterns():
        result[columns] = compute(columns, bounds, counts)
    return result, present


def quantile(
    q: Values, bounds: Values, counts: Values, forced: Mask, found: list[tuple[float, float, float]]
) -> Values:
    """Return quantiles of a histogram, linear inside a bucket.

    Args:
        q: the quantile at each step.
        bounds: upper bounds of the buckets, ascending.
        counts: cumulative counts, one column for each step. The function changes them to be monotonic.
        forced: becomes true where counts were not monotonic.
        found: gets the least bound, greatest bound and greatest difference of the changed buckets.
    """
    inside = (q >= 0) & (q <= 1)
    outside = np.where(np.isnan(q), np.nan, np.where(q < 0, -np.inf, np.inf))
    if bounds[-1] != np.inf:
        return np.where(inside, np.nan, outside)
    _make_monotonic(bounds, counts, inside, forced, found)
    if len(bounds) < 2:
        return np.where(inside, np.nan, outside)
    total = counts[-1]
    rank = q * total
    bucket = (counts[:-1] < rank).sum(axis=0)  # counts are ascending
    steps = np.arange(counts.shape[1])
    below = np.maximum(bucket - 1, 0)
    start = np.where(bucket > 0, bounds[below], 0.0)
    before = np.where(bucket > 0, counts[below, steps], 0.0)
    width = bounds[bucket] - start
    result = start + width * ((rank - before) / (counts[bucket, steps] - before))
    result = np.where((bucket == 0) & (bounds[0] <= 0), bounds[0], result)
    result = np.where(bucket == len(bounds) - 1, bounds[-2], result)
    result = np.where(total == 0, np.nan, result)
    return np.where(inside, result, outside)


def _make_monotonic(
    bounds: Values, counts: Values, inside: Mask, forced: Mask, found: list[tuple[float, float, float]]
) -> None:
    """Raise each count that is below the count of a lower bucket. Remove tiny differences in either direction."""
    previous = counts[0].copy()
    for bucket in range(1, len(bounds)):
        current = counts[bucket]
        close = _almost_equal(previous, current)
        lower = (current < previous) & ~close & inside
        if bool(lower.any()):
            forced |= lower
            found.append((bounds[bucket], bounds[bucket], float((previous - current)[lower].max())))
        counts[bucket] = np.where(close | lower, previous, current)
        previous = counts[bucket]


def _almost_equal(one: Values, other: Values) -> Mask:
    total = np.abs(one) + np.abs(other)
    difference = np.abs(one - other)
    tiny = (one == 0) | (other == 0) | (total < _LEAST_NORMAL)
    near = np.where(tiny, difference < _TOLERANCE * _LEAST_NORMAL, difference / total < _TOLERANCE)
    return np.asarray(near | (one == other))


def monotonicity(forced: Mask, found: list[tuple[float, float, float]], times: Times) -> Monotonicity:
    """Return the changes that `quantile` noted in `forced` and `found`. `times` has the time of each step."""
    changed = times[forced]
    return Monotonicity(
        min(low for low, _, _ in found),
        max(high for _, high, _ in found),
        max(difference for _, _, difference in found),
        int(forced.sum()),
        int(changed[0]),
        int(changed[-1]),
    )


def fraction(lower: Values, upper: Values, bounds: Values, counts: Values) -> Values:
    """Return the fraction of observations between two values at each step. For the other arguments, see `quantile`."""
    steps = counts.shape[1]
    if bounds[-1] != np.inf:
        return np.full(steps, np.nan)
    total = counts[-1]
    result = (_rank(upper, bounds, counts) - _rank(lower, bounds, counts)) / total
    result = np.where(lower >= upper, 0.0, result)
    return np.where((total == 0) | np.isnan(lower) | np.isnan(upper), np.nan, result)


def _rank(value: Values, bounds: Values, counts: Values) -> Values:
    """Return how many observations are below a value."""
    total = counts[-1]
    result, known = total.copy(), np.zeros(len(total), dtype=bool)
    rank = np.zeros_like(total)
    start = 0.0 if bounds[0] > 0 else -np.inf
    for bucket, end in enumerate(bounds):
        low = start if bucket == 0 else bounds[bucket - 1]
        at_bound = ~known & (low >= value)
        result, known = np.where(at_bound, rank, result), known | at_bound
        within = ~known & (low < value) & (end > value)
        if bool(within.any()):
            count = counts[bucket]
            inner = count if low == -np.inf else rank + (count - rank) * (value - low) / (end - low)
            result, known = np.where(within, inner, result), known | within
        rank = counts[bucket]
    return np.asarray(np.minimum(result, total))
