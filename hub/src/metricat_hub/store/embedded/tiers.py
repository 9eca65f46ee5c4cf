"""Computes downsampled points from samples or finer points, and the values that queries get from them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from metricat_hub.model.samples import is_stale
from metricat_hub.store.embedded.encoding import COLUMNS, Chunk
from metricat_hub.store.embedded.settings import HOUR, MINUTE
from metricat_hub.store.embedded.windows import BY_HOUR, BY_MINUTE, RAW

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from metricat_hub.model.metadata import Metadata
    from metricat_hub.model.ports import Hints
    from metricat_hub.model.samples import Times, Values
    from metricat_hub.store.embedded.windows import Layout

Kind: TypeAlias = Literal["counter", "gauge", "unknown"]

COUNTER = ("last", "lost")
GAUGE = ("last", "min", "max", "avg", "count")
_COUNTER_FUNCTIONS = {"rate", "irate", "increase"}
_COLUMN_OF = {
    "avg_over_time": "avg",
    "min_over_time": "min",
    "max_over_time": "max",
    "count_over_time": "count",
    "sum_over_time": "sum",
}
_RAW_FUNCTIONS = {"changes", "resets"}
"""Functions that would return wrong, not only less precise, results on downsampled series."""
_FEW = 200_000
"""A selection with fewer points than this does not use a coarser tier."""
_SHORT = 6 * HOUR
_USUAL_INTERVAL = 10_000
_AVERAGE_BITS = 24
"""The precision of a float32."""


def kind_of(name: str, metadata: Mapping[str, Metadata]) -> Kind:
    """Return whether the metric is a counter or a gauge, by its declared type or its name; otherwise `unknown`."""
    declared = metadata.get(name)
    if declared is not None and declared.type in ("counter", "gauge", "info", "stateset"):
        return "counter" if declared.type == "counter" else "gauge"
    family, _, suffix = name.rpartition("_")
    of_family = metadata.get(family)
    if suffix == "total":
        return "counter"
    if of_family is not None and of_family.type in ("histogram", "summary") and suffix in ("bucket", "count", "sum"):
        return "counter"
    if declared is not None and declared.type == "summary":
        return "gauge"
    return "unknown"


@np.errstate(all="ignore")
def downsample(times: Times, values: Values, kind: Kind, previous: float | None, resolution: int = MINUTE) -> Chunk:
    """Return a point at the end of each interval with samples. Staleness markers are ignored.

    Args:
        times: the times of the samples, ascending.
        values: the values of the samples.
        kind: which columns the points have. For `unknown`, the values decide.
        previous: the value before the first sample; None without one.
        resolution: the length of an interval in milliseconds. An interval excludes its start and includes its end.
    """
    real = ~is_stale(values)
    if not bool(real.all()):
        times, values = times[real], values[real]
    if not len(times):
        return Chunk(times, {})
    bucket = (times - 1) // resolution
    starts = np.flatnonzero(np.diff(bucket, prepend=bucket[0] - 1))
    ends = np.append(starts[1:], len(times)) - 1
    columns: dict[str, Values] = {"last": values[ends]}
    before = np.concatenate([[values[0] if previous is None else previous], values[:-1]])
    drops = values < before
    if kind == "counter" or (kind == "unknown" and _is_counter(values, before, drops)):
        columns["lost"] = np.add.reduceat(np.where(drops, before, 0.0), starts)
    if kind != "counter":
        count = (ends - starts + 1).astype(np.float64)
        columns["min"] = np.fmin.reduceat(values, starts)
        columns["max"] = np.fmax.reduceat(values, starts)
        columns["avg"] = rounded(np.add.reduceat(values, starts) / count)
        columns["count"] = count
    return Chunk((bucket[starts] + 1) * resolution, columns)


@np.errstate(all="ignore")
def coarser(points: Chunk, resolution: int = HOUR) -> Chunk:
    """Return one point for each interval of `resolution` milliseconds, computed from points of a finer tier."""
    bucket = (points.times - 1) // resolution
    starts = np.flatnonzero(np.diff(bucket, prepend=bucket[0] - 1))
    ends = np.append(starts[1:], len(bucket)) - 1
    have = points.columns
    columns = {"last": have["last"][ends]}
    if "lost" in have:
        columns["lost"] = np.add.reduceat(have["lost"], starts)
    if "avg" in have:
        count = np.add.reduceat(have["count"], starts)
        columns["min"] = np.fmin.reduceat(have["min"], starts)
        columns["max"] = np.fmax.reduceat(have["max"], starts)
        columns["avg"] = rounded(np.add.reduceat(have["avg"] * have["count"], starts) / count)
        columns["count"] = count
    return Chunk((bucket[starts] + 1) * resolution, columns)


def merge_points(old: Chunk, new: Chunk, start: int, end: int) -> Chunk:
    """Return the old points, with those from start (exclusive) to end (inclusive) replaced by the new points."""
    first = int(np.searchsorted(old.times, start, "right"))
    last = int(np.searchsorted(old.times, end, "right"))
    if not len(new.times):
        keep = np.r_[0:first, last : len(old.times)]
        return Chunk(old.times[keep], {name: one[keep] for name, one in old.columns.items()})
    if first == last == 0 and not len(old.times):
        return new
    names = [name for name in COLUMNS if name in old.columns or name in new.columns]
    parts = (column_part(old, slice(0, first)), new, column_part(old, slice(last, None)))
    return Chunk(
        np.concatenate([part.times for part in parts]),
        {name: np.concatenate([filled(part, name) for part in parts]) for name in names},
    )


def column_part(chunk: Chunk, part: slice) -> Chunk:
    """Return the points of a chunk in a slice of its times."""
    return Chunk(chunk.times[part], {name: one[part] for name, one in chunk.columns.items()})


def filled(points: Chunk, name: str) -> Values:
    """Return a column of points. If the points lack the column, return its values for one sample in each point."""
    if name in points.columns:
        return points.columns[name]
    count = len(points.times)
    if name == "lost":
        return np.zeros(count)
    return np.ones(count) if name == "count" else points.columns["last"]


def wanted_columns(function: str) -> tuple[str, ...]:
    """Return the columns of a downsampled chunk that a function needs."""
    if function in _COUNTER_FUNCTIONS:
        return ("last", "lost")
    column = _COLUMN_OF.get(function, "last")
    return ("last", "avg", "count") if column == "sum" else ("last", column)


@np.errstate(all="ignore")
def values_for(function: str, parts: list[tuple[Layout, Chunk]]) -> Values:
    """Return the values that a function gets. For a counter, they are sums of increases, which never decrease.

    Args:
        function: the function that the query applies to the selector.
        parts: samples and points by ascending time. Parts of the tier `raw` have only the column `last`.
    """
    if function in _COUNTER_FUNCTIONS and any("lost" in chunk.columns for _, chunk in parts):
        return _increasing(parts)
    column = _COLUMN_OF.get(function, "last")
    if column == "sum":
        return np.concatenate([_sums(layout, chunk) for layout, chunk in parts])
    return np.concatenate([filled(chunk, column) for _, chunk in parts])


def choose(hints: Hints, span: int, series: int) -> Layout:
    """Choose the tier for a query: the coarsest one that the query allows, if it saves many points.

    Args:
        hints: how the query uses the samples.
        span: milliseconds from start to end of the selection.
        series: the number of series of the selection.
    """
    if hints.tier is not None:
        return {"raw": RAW, "1m": BY_MINUTE, "1h": BY_HOUR}[hints.tier]
    if hints.function in _RAW_FUNCTIONS or span <= _SHORT or series * span // _USUAL_INTERVAL <= _FEW:
        return RAW
    allowed = hints.step
    if hints.range:
        # Four points in a range are enough for a graph of many steps, a hundred for a single number. Prometheus'
        # documentation recommends four scrapes in the range of a rate.
        allowed = max(min(hints.step, hints.range // 4), hints.range // 100)
    if allowed >= HOUR and series * span // MINUTE > _FEW:
        return BY_HOUR
    return BY_MINUTE if allowed >= MINUTE else RAW


@np.errstate(all="ignore")
def rounded(values: Values) -> Values:
    """Round averages to 24 significant bits, a relative error of 6e-8, which halves their compressed size."""
    mantissa, exponent = np.frexp(values)
    shorter: Values = np.ldexp(np.rint(np.ldexp(mantissa, _AVERAGE_BITS)), exponent - _AVERAGE_BITS)
    return shorter


def _is_counter(values: Values, before: Values, drops: NDArray[np.bool_]) -> bool:
    """Return whether values behave as a counter: they rise, and fall only to less than half."""
    return bool((values > before).any()) and bool((values[drops] * 2 < before[drops]).all() and (values >= 0).all())


def _increasing(parts: list[tuple[Layout, Chunk]]) -> Values:
    last = np.concatenate([chunk.columns["last"] for _, chunk in parts])
    if bool((last[1:] >= last[:-1]).all()) and not any(
        "lost" in one.columns and one.columns["lost"].any() for _, one in parts
    ):
        return last
    lost = np.concatenate([filled(chunk, "lost") for _, chunk in parts])
    before = np.concatenate([last[:1], last[:-1]])
    # A decrease that no point has in `lost`: between two raw samples, or where points are missing.
    lost = np.where((last < before) & (lost == 0), before, lost)
    lost[0] = 0
    increasing: Values = last + np.cumsum(lost)
    return increasing


def _sums(layout: Layout, chunk: Chunk) -> Values:
    if layout is RAW or "avg" not in chunk.columns:
        return chunk.columns["last"]
    return chunk.columns["avg"] * chunk.columns["count"]
