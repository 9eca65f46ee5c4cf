"""Functions of range vectors, such as `rate` and `avg_over_time`, over blocks of series.

Each function returns values with one row for each series of the block and one column for each window, and a mask of the
values that exist. The formulas are those of Prometheus 3.15 (`promql/functions.go`), in the same order of operations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np

from metricat_hub.promql import sums
from metricat_hub.promql.windows import Block, MergedBlocks, merge_blocks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from metricat_hub.model.samples import Times, Values
    from metricat_hub.promql.vector import Indices, Mask

Rolled: TypeAlias = "tuple[Values, Mask]"
EXTRAPOLATED: Final = frozenset({"delta", "increase", "rate"})
"""The functions that `extrapolated` computes. `ROLLUPS` has the others."""
_AT_ONCE = 1 << 16
"""The most values of the blocks that `extrapolated` computes at once."""
Rollup: TypeAlias = Callable[["Block", "Sequence[Values]"], Rolled]
"""A function of a block and of the scalar arguments, which have one value for each window."""


def _present(block: Block, least: int = 1) -> Mask:
    """Return a row for each series: whether the windows have enough samples."""
    return np.broadcast_to(block.counts >= least, (len(block.values), len(block.low)))


def _seconds(milliseconds: Values | Indices) -> Values:
    return milliseconds.astype(np.float64) / 1000


def _at(block: Block, index: Indices) -> Values:
    """Return the samples at these indices, one column each; any sample for an index outside."""
    return block.values[:, np.clip(index, 0, block.values.shape[1] - 1)]


# Counters


def _reset_correction(block: Block, first: Indices, last: Indices, result: Values) -> None:
    """Add the value before each reset from sample `first` to sample `last` of each window, one after the other."""
    before, after = block.values[:, :-1], block.values[:, 1:]
    resets = after < before
    for row in np.flatnonzero(resets.any(axis=1)):
        places = np.flatnonzero(resets[row])
        lost = before[row, places]
        low = np.searchsorted(places, first)
        high = np.searchsorted(places, last)
        for step in range(int((high - low).max(initial=0))):
            chosen = np.flatnonzero(low + step < high)
            result[row, chosen] += lost[low[chosen] + step]


class _Change(NamedTuple):
    """The change in each window, and its first and last sample. Times and counts have one row, or one for each row."""

    change: Values
    start_value: Values
    first_time: Times
    last_time: Times
    counts: Indices


def _change(block: Block, *, counter: bool) -> _Change:
    """Return the change in each window, of a counter without its resets."""
    first = np.clip(block.low, 0, len(block.times) - 1)
    last = np.clip(block.high - 1, 0, len(block.times) - 1)
    start_value = block.values[:, first]
    result = block.values[:, last] - start_value
    if counter:
        _reset_correction(block, first, np.maximum(first, last), result)
    return _Change(result, start_value, block.times[first], block.times[last], block.counts)


def _extrapolated(found: _Change, starts: Times, ends: Times, *, counter: bool, per_second: bool) -> Rolled:
    """Return the changes, extrapolated to the bounds of the windows."""
    result, start_value = found.change, found.start_value
    to_start, to_end = _seconds(found.first_time - starts), _seconds(ends - found.last_time)
    interval = _seconds(found.last_time - found.first_time)
    average = interval / np.maximum(found.counts - 1, 1)
    threshold = average * 1.1
    to_start = np.where(to_start >= threshold, average / 2, to_start)
    to_end = np.where(to_end >= threshold, average / 2, to_end)
    start = np.broadcast_to(to_start, result.shape)
    if counter:  # do not extrapolate below zero
        to_zero = interval * (start_value / result)
        start = np.where((result > 0) & (start_value >= 0) & (to_zero < start), to_zero, start)
    factor = (interval + start + to_end) / interval
    if per_second:
        factor = factor / _seconds(ends - starts)
    return result * factor, np.broadcast_to(found.counts >= 2, result.shape)


def extrapolated(name: str, blocks: Iterable[Block]) -> Iterator[tuple[Indices, Rolled]]:
    """Compute `rate`, `increase` or `delta`; yield the indices of some series with the results of these series.

    Each scrape target has its own timestamps, so there are many small blocks. The code computes several blocks at once.
    """
    counter, per_second = name != "delta", name == "rate"
    blocks = iter(blocks)
    first = next(blocks, None)
    if first is None:
        return
    blocks = chain([first], blocks)
    if len(first.low) == 1:
        for one in merge_blocks(blocks):
            yield one.rows, _of_one_window(one, counter=counter, per_second=per_second)
        return
    waiting: list[tuple[Block, _Change]] = []
    size = 0
    for block in blocks:
        waiting.append((block, _change(block, counter=counter)))
        size += len(block.rows) * len(block.low)
        if size >= _AT_ONCE:
            yield _merged(waiting, counter=counter, per_second=per_second)
            waiting, size = [], 0
    if waiting:
        yield _merged(waiting, counter=counter, per_second=per_second)


def _of_one_window(window: MergedBlocks, *, counter: bool, per_second: bool) -> Rolled:
    """Return `rate`, `increase` or `delta` of each series, with the formulas of `_extrapolated`."""
    values, width = window.values, window.values.shape[1]
    if width < 2:
        return np.zeros((len(values), 1)), np.zeros((len(values), 1), dtype=bool)
    start_value = values[:, 0]
    change = values[:, -1] - start_value
    if counter:
        before, after = values[:, :-1], values[:, 1:]
        resets = after < before
        if resets.any():
            for row in np.flatnonzero(resets.any(axis=1)).tolist():
                for lost in before[row, resets[row]].tolist():
                    change[row] += lost
    exists = np.ones((len(values), 1), dtype=bool)
    if not change.any():
        return change[:, None], exists
    start, end = int(window.starts[0]), int(window.ends[0])
    bounds = [
        _bounds(first - start, last - first, end - last, width)
        for first, last in zip(window.times[:, 0].tolist(), window.times[:, -1].tolist(), strict=True)
    ]
    to_start, interval, to_end = bounds[0] if len(bounds) == 1 else np.array(bounds).T[:, window.blocks]
    if counter:  # do not extrapolate below zero
        to_zero = interval * (start_value / change)
        to_start = np.where((change > 0) & (start_value >= 0) & (to_zero < to_start), to_zero, to_start)
    factor = (interval + to_start + to_end) / interval
    if per_second:
        factor = factor / ((end - start) / 1000)
    return (change * factor)[:, None], exists


def _bounds(before: int, between: int, after: int, samples: int) -> tuple[float, float, float]:
    """Return the seconds to extrapolate before the first sample, between first and last sample, and those after.

    The arguments are milliseconds from the start of the window to the first sample, and so on.
    """
    to_start, interval, to_end = before / 1000, between / 1000, after / 1000
    average = interval / (samples - 1)
    threshold, half = average * 1.1, average / 2
    return half if to_start >= threshold else to_start, interval, half if to_end >= threshold else to_end


def _merged(waiting: Sequence[tuple[Block, _Change]], *, counter: bool, per_second: bool) -> tuple[Indices, Rolled]:
    """Return the rows of some blocks, and their results. All blocks have the same windows."""
    block, changes = waiting[0]
    rows = block.rows
    if len(waiting) > 1:
        rows = np.concatenate([one.rows for one, _ in waiting])
        sizes = [len(one.rows) for one, _ in waiting]
        changes = _Change(
            np.concatenate([one.change for _, one in waiting]),
            np.concatenate([one.start_value for _, one in waiting]),
            np.repeat([one.first_time for _, one in waiting], sizes, axis=0),
            np.repeat([one.last_time for _, one in waiting], sizes, axis=0),
            np.repeat([one.counts for _, one in waiting], sizes, axis=0),
        )
    return rows, _extrapolated(changes, block.starts, block.ends, counter=counter, per_second=per_second)


def _instant(block: Block, *, counter: bool) -> Rolled:
    last, previous = _at(block, block.high - 1), _at(block, block.high - 2)
    change = last - previous
    if counter:
        change = np.where(last < previous, last, change)
        index = np.clip(block.high - 1, 1, None) if len(block.times) > 1 else np.zeros_like(block.high)
        index = np.minimum(index, len(block.times) - 1)
        change = change / _seconds(block.times[index] - block.times[np.maximum(index - 1, 0)])
    return change, _present(block, 2)


def _irate(block: Block, _: Sequence[Values]) -> Rolled:
    return _instant(block, counter=True)


def _idelta(block: Block, _: Sequence[Values]) -> Rolled:
    return _instant(block, counter=False)


def _count_pairs(block: Block, found: Mask) -> Rolled:
    """Return how many pairs of neighbours in each window are marked. Pair i is the samples i and i + 1."""
    before = np.zeros((len(found), found.shape[1] + 1), dtype=np.int64)
    np.cumsum(found, axis=1, out=before[:, 1:])
    last = np.clip(block.high - 1, 0, found.shape[1])
    first = np.minimum(block.low, last)
    return (before[:, last] - before[:, first]).astype(np.float64), _present(block)


def _resets(block: Block, _: Sequence[Values]) -> Rolled:
    return _count_pairs(block, block.values[:, 1:] < block.values[:, :-1])


def _changes(block: Block, _: Sequence[Values]) -> Rolled:
    before, after = block.values[:, :-1], block.values[:, 1:]
    return _count_pairs(block, (before != after) & ~(np.isnan(before) & np.isnan(after)))


# Aggregations over time


def _sum(block: Block, _: Sequence[Values]) -> Rolled:
    total = sums.windows(block.values, block.low, block.high)
    result = total.total()
    for row, column in zip(*np.nonzero(total.overflowed()), strict=True):
        result[row, column] = running_sum(block.values[row, block.low[column] : block.high[column]])
    return result, _present(block)


def _avg(block: Block, _: Sequence[Values]) -> Rolled:
    count = np.maximum(block.counts, 1).astype(np.float64)
    total = sums.windows(block.values, block.low, block.high)
    mean = total.mean(count)
    for row, column in zip(*np.nonzero(total.overflowed()), strict=True):
        mean[row, column] = running_mean(block.values[row, block.low[column] : block.high[column]])
    return mean, _present(block)


def running_sum(values: Values) -> float:
    """Return the sum of finite values, added in their order. An infinite partial sum makes the result infinite."""
    return float(np.add.accumulate(values)[-1])


def running_mean(values: Values) -> float:
    """Return the mean of finite values whose sum may overflow."""
    scale = float(np.abs(values).max())
    return math.fsum(values / scale) / len(values) * scale if scale else 0.0


def _count(block: Block, _: Sequence[Values]) -> Rolled:
    count = np.broadcast_to(block.counts.astype(np.float64), (len(block.values), len(block.low)))
    return count, _present(block)


def _one(block: Block, _: Sequence[Values]) -> Rolled:
    return np.ones((len(block.values), len(block.low))), _present(block)


def _extreme(block: Block, choose: np.ufunc) -> Rolled:
    """Return the least or greatest value in each window; NaN only if all are NaN."""
    counts = block.counts
    longest = int(counts.max(initial=0))
    result = np.full((len(block.values), len(block.low)), np.nan)
    level, size = block.values, 1
    while size <= longest:
        chosen = np.flatnonzero((counts >= size) & (counts < 2 * size))
        if len(chosen):
            result[:, chosen] = choose(level[:, block.low[chosen]], level[:, block.high[chosen] - size])
        if 2 * size <= longest:
            level = choose(level[:, :-size], level[:, size:])
        size *= 2
    return result, _present(block)


def _max(block: Block, _: Sequence[Values]) -> Rolled:
    return _extreme(block, np.fmax)


def _min(block: Block, _: Sequence[Values]) -> Rolled:
    return _extreme(block, np.fmin)


def _last(block: Block, _: Sequence[Values]) -> Rolled:
    return _at(block, block.high - 1), _present(block)


def _first(block: Block, _: Sequence[Values]) -> Rolled:
    return _at(block, block.low), _present(block)


def _time_at(block: Block, index: Indices) -> Rolled:
    times = _seconds(block.times[np.clip(index, 0, len(block.times) - 1)])
    return np.broadcast_to(times, (len(block.values), len(block.low))), _present(block)


def _time_of_first(block: Block, _: Sequence[Values]) -> Rolled:
    return _time_at(block, block.low)


def _time_of_last(block: Block, _: Sequence[Values]) -> Rolled:
    return _time_at(block, block.high - 1)


def _time_of_extreme(block: Block, sign: int) -> Rolled:
    """Return the time of the last of the greatest values (sign 1) or least values (sign -1) in each window."""
    result = np.zeros((len(block.values), len(block.low)))
    for part, values, valid, index in block.padded():
        if index.shape[1] == 0:
            continue
        keys = np.where(np.isnan(values), -np.inf, sign * values)
        # NaN counts less than any number. If all samples are NaN, the result is the time of the last sample.
        greatest = keys.max(axis=-1, where=valid, initial=-np.inf, keepdims=True)
        rank = np.where(np.isnan(values), 0, 1) + np.where(keys == greatest, 2, 0)
        best = np.where(valid, rank, -1)
        place = best.shape[-1] - 1 - np.argmax(best[..., ::-1], axis=-1)
        result[:, part] = _seconds(block.times[np.take_along_axis(index[None], place[..., None], axis=-1)[..., 0]])
    return result, _present(block)


def _time_of_max(block: Block, _: Sequence[Values]) -> Rolled:
    return _time_of_extreme(block, 1)


def _time_of_min(block: Block, _: Sequence[Values]) -> Rolled:
    return _time_of_extreme(block, -1)


def quantile(q: Values, ascending: Values, count: Values | Indices, nans: Values | Indices) -> Values:
    """Return quantiles over the last axis of values sorted by numpy, which puts NaN behind all numbers.

    Prometheus sorts NaN before all numbers. The first `count` values of the sorted axis are numbers; the next `nans`
    values are NaN.
    """
    if ascending.ndim == 2 and q.size == 1 and 0 <= (only := float(q.reshape(-1)[0])) <= 1:
        whole = ascending.shape[1]
        if whole and (count == whole).all():
            rank = only * (whole - 1)
            low = int(rank)
            weight = rank - low
            between: Values = ascending[:, low] * (1 - weight) + ascending[:, min(whole - 1, low + 1)] * weight
            return between
    total = count + nans
    rank = q * (total - 1)
    lower = np.maximum(0, np.floor(np.where(np.isnan(rank), 0, rank)))
    upper = np.minimum(total - 1, lower + 1)
    weight = rank - np.floor(rank)

    def value(place: Values) -> Values:
        index = np.clip(place - nans, 0, ascending.shape[-1] - 1).astype(np.intp)
        index = np.broadcast_to(index, ascending.shape[:-1])
        found = np.take_along_axis(ascending, index[..., None], axis=-1)[..., 0]
        return np.where(place < nans, np.nan, found)

    result = value(lower) * (1 - weight) + value(upper) * weight
    result = np.where(q < 0, -np.inf, np.where(q > 1, np.inf, result))
    return np.where(np.isnan(q), np.nan, result)


def _quantile(block: Block, scalars: Sequence[Values]) -> Rolled:
    result = np.full((len(block.values), len(block.low)), np.nan)
    for part, values, valid, index in block.padded():
        if index.shape[1] == 0:
            continue
        nans = (np.isnan(values) & valid).sum(axis=-1)
        ascending = np.sort(np.where(valid, values, np.nan), axis=-1)
        result[:, part] = quantile(scalars[0][part], ascending, valid.sum(axis=-1) - nans, nans)
    return result, _present(block)


def _mad(block: Block, _: Sequence[Values]) -> Rolled:
    result = np.full((len(block.values), len(block.low)), np.nan)
    half = np.array(0.5)
    for part, values, valid, index in block.padded():
        if index.shape[1] == 0:
            continue
        count = valid.sum(axis=-1)
        none = np.zeros_like(count)
        inside = np.where(valid, values, np.nan)
        median = quantile(half, np.sort(inside, axis=-1), count, none)
        deviation = np.sort(np.abs(inside - median[..., None]), axis=-1)
        found = quantile(half, deviation, count, none)
        result[:, part] = np.where((np.isnan(values) & valid).any(axis=-1), np.nan, found)
    return result, _present(block)


def _variance(block: Block, _: Sequence[Values]) -> Rolled:
    result = np.zeros((len(block.values), len(block.low)))
    for part, values, valid, index in block.padded():
        if index.shape[1] == 0:
            continue
        count = np.maximum(valid.sum(axis=-1), 1).astype(np.float64)
        mean = sums.last_axis(np.where(valid, values, 0.0)).mean(count)
        deviation = np.where(valid, values - mean[..., None], 0.0)
        result[:, part] = sums.last_axis(deviation * deviation).mean(count)
    return result, _present(block)


def _deviation(block: Block, scalars: Sequence[Values]) -> Rolled:
    variance, present = _variance(block, scalars)
    return np.sqrt(variance), present


# Trends


def _regression(values: Values, valid: Mask, seconds: Values) -> tuple[Values, Values]:
    """Return slope and intercept of a line for each window. `seconds` is relative to the time of the intercept."""
    count = valid.sum(axis=-1).astype(np.float64)
    y = np.where(valid, values, 0.0)
    x = np.where(valid, seconds, 0.0)
    sum_x, sum_xx = sums.last_axis(np.stack([x, x * x])).total()
    sum_y, sum_xy = sums.last_axis(np.stack([y, x * y])).total()
    covariance = sum_xy - sum_x * sum_y / count
    slope = covariance / (sum_xx - sum_x * sum_x / count)
    intercept = sum_y / count - slope * sum_x / count
    first = values[..., :1]
    constant = ((values == first) | ~valid).all(axis=-1)
    level = np.where(np.isinf(first[..., 0]), np.nan, first[..., 0])
    slope = np.where(constant, np.where(np.isnan(level), np.nan, 0.0), slope)
    return slope, np.where(constant, level, intercept)


def _deriv(block: Block, _: Sequence[Values]) -> Rolled:
    result = np.zeros((len(block.values), len(block.low)))
    for part, values, valid, index in block.padded():
        if index.shape[1] == 0:
            continue
        times = block.times[index]
        result[:, part] = _regression(values, valid, (times - times[:, :1]).astype(np.float64) / 1e3)[0]
    return result, _present(block, 2)


def predict_linear(block: Block, scalars: Sequence[Values], times: Indices) -> Rolled:
    """Evaluate `predict_linear`: the value of a regression line `scalars[0]` seconds after each of `times`.

    `times` are the evaluation times in milliseconds.
    """
    result = np.zeros((len(block.values), len(block.low)))
    for part, values, valid, index in block.padded():
        if index.shape[1] == 0:
            continue
        seconds = (block.times[index] - times[part, None]).astype(np.float64) / 1e3
        slope, intercept = _regression(values, valid, seconds)
        result[:, part] = slope * scalars[0][part] + intercept
    return result, _present(block, 2)


def _smoothing(block: Block, scalars: Sequence[Values]) -> Rolled:
    result = np.zeros((len(block.values), len(block.low)))
    for part, values, valid, index in block.padded():
        if index.shape[1] < 2:
            continue
        factor, trend_factor = scalars[0][part], scalars[1][part]
        before = np.zeros(values.shape[:-1])
        smoothed = values[..., 0]
        trend = values[..., 1] - values[..., 0]
        for place in range(1, values.shape[-1]):
            x = factor * values[..., place]
            new_trend = trend
            if place > 1:
                new_trend = trend_factor * (smoothed - before) + (1 - trend_factor) * trend
            new = x + (1 - factor) * (smoothed + new_trend)
            inside = valid[:, place]
            before = np.where(inside, smoothed, before)
            smoothed = np.where(inside, new, smoothed)
            trend = np.where(inside, new_trend, trend)
        result[:, part] = smoothed
    return result, _present(block, 2)


ROLLUPS: Final[dict[str, Rollup]] = {
    "absent_over_time": _one,
    "avg_over_time": _avg,
    "changes": _changes,
    "count_over_time": _count,
    "deriv": _deriv,
    "double_exponential_smoothing": _smoothing,
    "first_over_time": _first,
    "idelta": _idelta,
    "irate": _irate,
    "last_over_time": _last,
    "mad_over_time": _mad,
    "max_over_time": _max,
    "min_over_time": _min,
    "present_over_time": _one,
    "quantile_over_time": _quantile,
    "resets": _resets,
    "stddev_over_time": _deviation,
    "stdvar_over_time": _variance,
    "sum_over_time": _sum,
    "ts_of_first_over_time": _time_of_first,
    "ts_of_last_over_time": _time_of_last,
    "ts_of_max_over_time": _time_of_max,
    "ts_of_min_over_time": _time_of_min,
}
_TRENDS: Final = frozenset({"deriv", "predict_linear"})
_TIMELESS: Final = frozenset(
    name for name in ROLLUPS if name.endswith("_over_time") and not name.startswith("ts_of_")
) - {"absent_over_time", "count_over_time"}
"""The functions that do not depend on the times of the samples within the range."""
OF_ONE_WINDOW: Final = EXTRAPOLATED | _TRENDS | _TIMELESS
"""The functions that `of_one_window` computes."""


def of_one_window(name: str, window: MergedBlocks, scalars: Sequence[Values], now: Values | Indices) -> Rolled:
    """Return the values of a function at one time, and a mask of the values that exist, both as one column.

    `now` is the time of the evaluation in milliseconds, which only `predict_linear` uses.
    """
    if name in EXTRAPOLATED:
        return _of_one_window(window, counter=name != "delta", per_second=name == "rate")
    values, width = window.values, window.values.shape[1]
    if name in _TRENDS:
        slope, intercept = _trend(window, now if name == "predict_linear" else window.times[:, :1])
        value = slope if name == "deriv" else slope * scalars[0] + intercept
        return value[:, None], np.full((len(values), 1), width >= 2)
    if name in _REDUCTIONS:
        return _REDUCTIONS[name](values)[:, None], np.ones((len(values), 1), dtype=bool)
    low, high = np.zeros(1, np.intp), np.full(1, width)
    block = Block(window.rows, np.arange(width), values, low, high, window.starts, window.ends)
    return ROLLUPS[name](block, scalars)


_REDUCTIONS: Final[dict[str, Callable[[Values], Values]]] = {
    "first_over_time": lambda values: values[:, 0],
    "last_over_time": lambda values: values[:, -1],
    "max_over_time": lambda values: np.fmax.reduce(values, axis=1),
    "min_over_time": lambda values: np.fmin.reduce(values, axis=1),
}
"""Functions of windows that have the same samples."""


def _trend(window: MergedBlocks, since: Values | Times | Indices) -> tuple[Values, Values]:
    """Return slope and intercept of a line for each series, with the formulas of `_regression`."""
    count, first = float(window.values.shape[1]), window.values[:, 0]
    constant = (window.values == first[:, None]).all(axis=1)
    intercept = np.where(np.isinf(first), np.nan, first)
    slope = np.where(np.isnan(intercept), np.nan, 0.0)
    if constant.all():
        return slope, intercept
    others = ~constant
    y, blocks = window.values[others], window.blocks[others]
    x = (window.times - since) / 1e3
    total = sums.last_axis(np.concatenate([x, x * x, y, x[blocks] * y])).total()
    sum_x, sum_xx = total[: len(x)], total[len(x) : 2 * len(x)]
    sum_y, sum_xy = total[2 * len(x) : -len(y)], total[-len(y) :]
    sum_x, sum_xx = sum_x[blocks], sum_xx[blocks]
    found = (sum_xy - sum_x * sum_y / count) / (sum_xx - sum_x * sum_x / count)
    slope[others] = found
    intercept[others] = sum_y / count - found * sum_x / count
    return slope, intercept
