"""Forecasts of metrics, and detection of unusual values, with the expressions of the shipped rules.

A PromQL query returns the hourly averages of a metric. Then the shipped recording rules of `metricat_rules.anomaly` are
evaluated over these averages. So the results equal those of the rules, for any metric. See docs/design/0018.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np

from metricat_hub.model.errors import InvalidParameterError
from metricat_hub.model.labels import NAME, from_mapping
from metricat_hub.model.measures import BY_NAME, quote
from metricat_hub.model.ports import Selection, Series
from metricat_hub.promql.engine import Engine
from metricat_hub.promql.limits import Limits
from metricat_hub.promql.matchers import predicate
from metricat_hub.use_cases import metric_names
from metricat_rules.anomaly import BASELINE_MEASURES, DAYS, baseline_rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.ports import Hints, Matcher, Reader
    from metricat_hub.promql.query_engine import QueryEngine
    from metricat_hub.use_cases.cancellation import Cancellation

Method: TypeAlias = Literal["growth", "daily"]
METHODS: tuple[Method, ...] = ("growth", "daily")
HOUR, DAY = 3_600_000, 86_400_000
LONGEST = 30
"""The most days of a forecast."""
MOST_SERIES = 500
WATCHED = (
    *("cpu_usage_percent", "memory_usage_percent", "swap_usage_percent", "load_average_5m", "network_connections"),
    *("disk_utilization_percent", "disk_await_milliseconds", "filesystem_usage_percent"),
    *("network_receive_bytes_per_sec", "network_transmit_bytes_per_sec"),
)
"""The measures that `unusual` checks by default."""
_LEFT = {"filesystem_used_bytes": "node_filesystem_avail_bytes", "filesystem_inodes_used": "node_filesystem_files_free"}
"""The measure of free space or inodes, by the measure of used ones."""
_QUANTILE = 1.96
"""The number of standard deviations around the mean that contain 95 % of normally distributed values."""
_RELATIVE_FLOOR, _PERCENT_FLOOR = 0.1, 5.0
_FLOORS = {one.measure: one.floor for one in BASELINE_MEASURES}
_RECORDED = "metric_value:x"
_ENGINE = Engine(Limits())


@dataclass(frozen=True, slots=True)
class Forecast:
    """The forecast of one series. Times are milliseconds since 1970-01-01 UTC."""

    node: str
    labels: Mapping[str, str]
    value: float
    """The current value; with the method `daily`, the average of the last hour."""
    points: Sequence[tuple[int, float, float, float]]
    """Points: time in milliseconds, value, lower and upper end of the prediction interval."""
    growth_6h: float | None = None
    """Growth in one hour, from the last 6 hours."""
    growth_1d: float | None = None
    """Growth in one hour, from the last day."""
    full_6h: float | None = None
    """Hours until the filesystem is full, computed as in the shipped alerts."""
    full_1d: float | None = None


@dataclass(frozen=True, slots=True)
class Deviation:
    """How unusual a value is for the hour."""

    metric: str
    unit: str
    node: str
    labels: Mapping[str, str]
    value: float
    """Average of the last hour."""
    usual: float
    """Median of the same hour on the days before."""
    spread: float
    """Usual spread around the median, as a standard deviation."""
    week_before: float | None
    daily: float
    """Difference from the usual value, as a multiple of the spread."""
    weekly: float | None
    deviation: float | None
    """The smaller of the daily and the weekly deviation; None: the history is shorter than a week."""

    @property
    def why(self) -> str:
        """The reason as a text for users."""
        unit = "%" if self.unit == "percent" else self.unit
        direction = "above" if self.value > self.usual else "below"
        text = (
            f"the average of the last hour is {self.value:.4g} {unit}, {abs(self.daily):.1f} standard deviations "
            f"{direction} {self.usual:.4g} {unit}, the median of this hour on the {DAYS} days before"
        )
        if self.week_before is None:
            return f"{text}; the value of a week ago is unknown"
        return f"{text}; a week ago it was {self.week_before:.4g} {unit}"


@dataclass(slots=True)
class Unusual:
    """The result of `unusual`: the unusual series, and the number of series that were not checked."""

    rows: list[Deviation] = field(default_factory=list)
    without_history: int = 0
    """Number of series with less than four days of history, which were not checked."""


def usual_method(metric: str) -> Method:
    """Return the default method for a metric: `growth` for filesystems, `daily` for others."""
    return "growth" if metric.startswith(("filesystem_", "node_filesystem_")) else "daily"


def forecast(  # noqa: PLR0913, PLR0917 -- the parameters of a request
    reader: Reader,
    queries: QueryEngine,
    name: str,
    matchers: Sequence[Matcher],
    now: int,
    days: int,
    method: Method,
    interval: int,
    cancellation: Cancellation,
) -> list[Forecast]:
    """Return the forecast of each series of a metric, with one point for each hour.

    `now` and `interval` (the usual time between two samples) are in milliseconds.

    Raises:
        InvalidParameterError: the number of days is not valid.
        UnknownMetricError: no series has the name.
        HubError: as `QueryEngine.instant`.
    """
    if not 1 <= days <= LONGEST:
        raise InvalidParameterError("days", f"{days} is outside of 1 to {LONGEST}; write for example 7")
    metric_names.check_known(reader, [name], now)
    expression = metric_names.metric(name, matchers, interval).expression
    times = [now + hour * HOUR for hour in range(1, 24 * days + 1)]
    run = _Run(queries, now, cancellation)
    found = (
        _growth(run, name, expression, matchers, times) if method == "growth" else _daily(run, name, expression, times)
    )
    return sorted(found, key=lambda one: (one.node, sorted(one.labels.items())))


def unusual(  # noqa: PLR0913, PLR0917 -- the parameters of a request
    reader: Reader,
    queries: QueryEngine,
    names: Sequence[str],
    matchers: Sequence[Matcher],
    now: int,
    threshold: float,
    interval: int,
    cancellation: Cancellation,
) -> Unusual:
    """Return series whose last hour deviates by more than `threshold` standard deviations, the largest first.

    `now` and `interval` (the usual time between two samples) are in milliseconds.

    Raises:
        UnknownMetricError: no series has a name.
        HubError: as `QueryEngine.instant`.
    """
    metric_names.check_known(reader, names, now)
    run, found = _Run(queries, now, cancellation), Unusual()
    for name in names:
        metric = metric_names.metric(name, matchers, interval)
        hours = run.hours(metric.expression, DAY, DAYS + 1)
        for labels, values in hours.items():
            if now not in values:
                continue
            row = _deviation(name, metric.unit, labels, values, now)
            if row is None:
                found.without_history += 1
            elif row.deviation is not None and abs(row.deviation) > threshold:
                found.rows.append(row)
    found.rows.sort(key=lambda row: -abs(row.deviation or 0.0))
    return found


class _Run:
    """Queries of one request at one time."""

    def __init__(self, queries: QueryEngine, now: int, cancellation: Cancellation) -> None:
        self.now = now
        self._queries = queries
        self._cancellation = cancellation

    def vector(self, expression: str, at: int | None = None) -> dict[Labels, float]:
        """Return the values of a result by their labels without the metric name."""
        result = self._queries.instant(expression, self.now if at is None else at, self._cancellation)
        return {_unnamed(labels): value for labels, value in zip(result.labels, result.values.tolist(), strict=True)}

    def hours(self, expression: str, step: int, count: int) -> dict[Labels, dict[int, float]]:
        """Return averages of an hour, by labels and by the end of the hour; the last hour ends now."""
        start = self.now - (count - 1) * step
        result = self._queries.range(f"avg_over_time(({expression})[1h:1m])", start, self.now, step, self._cancellation)
        found: dict[Labels, dict[int, float]] = {}
        for one in result.series:
            values = {
                at: value
                for at, value in zip(one.times.tolist(), one.values.tolist(), strict=True)
                if math.isfinite(value)
            }
            if values:
                found[_unnamed(one.labels)] = values
        if len(found) > MOST_SERIES:
            raise InvalidParameterError(
                "node", f"{len(found)} series match, but the limit is {MOST_SERIES}; select a node or a device"
            )
        return found


def _growth(
    run: _Run, name: str, expression: str, matchers: Sequence[Matcher], times: Sequence[int]
) -> Iterator[Forecast]:
    """Yield forecasts by the two growth rates of the alert NodeFilesystemFillsUp; the interval is between both."""
    values = run.vector(expression)
    six_hours = run.vector(f"3600 * deriv(({expression})[6h:1m])")
    yesterday = run.vector(expression, run.now - DAY)
    day = {labels: (value - yesterday[labels]) / 24 for labels, value in values.items() if labels in yesterday}
    left = run.vector(_left(_LEFT[name], matchers)) if name in _LEFT else {}
    before = run.vector(expression, run.now - 3 * HOUR)
    for labels, value in values.items():
        rates = [rate for found in (six_hours, day) if (rate := found.get(labels)) is not None]
        if not rates:
            continue
        points = []
        for at in times:
            ahead = (at - run.now) / HOUR
            ends = [value + rate * ahead for rate in rates]
            points.append((at, sum(ends) / len(ends), min(ends), max(ends)))
        node, others = metric_names.split_node(labels)
        free = left.get(_filesystem(labels))
        fast, slow = six_hours.get(labels), day.get(labels)
        full_6h = free / fast if free is not None and fast and fast > 0 and labels in before else None
        full_1d = free / slow if free is not None and slow and slow > 0 else None
        yield Forecast(node, others, value, points, fast, slow, full_6h, full_1d)


def _left(metric: str, matchers: Sequence[Matcher]) -> str:
    selector = ",".join(f"{one.name}{one.operator}{quote(one.value)}" for one in matchers)
    return f"max by (node, mountpoint) ({metric}{{{selector}}})"


def _filesystem(labels: Labels) -> Labels:
    return tuple(pair for pair in labels if pair[0] in {"mountpoint", "node"})


def _daily(run: _Run, name: str, expression: str, times: Sequence[int]) -> Iterator[Forecast]:
    """Yield forecasts by the usual value of the hour, and its spread; both are those of the shipped rules."""
    hours = run.hours(expression, HOUR, 24 * DAYS)
    unit = metric_names.unit_of(name)
    for labels, values in hours.items():
        reader, rules = _baseline(name, unit, values)
        starts = (run.now + HOUR, run.now + DAY, HOUR)
        found = {}
        for rule in rules:
            result = _ENGINE.range(cast("Any", reader), rule.expr.replace("<selector>", ""), *starts).series
            for series in result:
                reader.add(rule.name, series.labels, series.times, series.values)
            found[rule.name.rpartition(":")[2]] = {
                at: value for one in result for at, value in zip(one.times.tolist(), one.values.tolist(), strict=True)
            }
        usual, spread = found["usual"], found["spread"]
        points = []
        for at in times:
            same = run.now + HOUR + (at - run.now - HOUR) % DAY
            if same in usual and same in spread:
                width = _QUANTILE * spread[same]
                points.append((at, usual[same], usual[same] - width, usual[same] + width))
        if points and run.now in values:
            yield Forecast(*metric_names.split_node(labels), values[run.now], points)


def _deviation(name: str, unit: str, labels: Labels, values: Mapping[int, float], now: int) -> Deviation | None:
    """Return how unusual the value at a time is; None with too little history."""
    reader, rules = _baseline(name, unit, values)
    found: dict[str, float] = {}
    for rule in rules:
        result = _ENGINE.instant(cast("Any", reader), rule.expr.replace("<selector>", ""), now)
        for own, value in zip(result.labels, result.values.tolist(), strict=True):
            reader.add(rule.name, own, np.array([now]), np.array([value]))
            found[rule.name.rpartition(":")[2]] = value
    if "daily_deviation" not in found:
        return None
    node, others = metric_names.split_node(labels)
    return Deviation(
        name,
        unit,
        node,
        others,
        values[now],
        found["usual"],
        found["spread"],
        values.get(now - DAYS * DAY),
        found["daily_deviation"],
        found.get("weekly_deviation"),
        found.get("deviation"),
    )


def _baseline(name: str, unit: str, values: Mapping[int, float]) -> tuple[_Averages, Sequence[Any]]:
    """Return the hourly averages of one series as stored series, and the recording rules over them."""
    measure = BY_NAME.get(name)
    floor = _FLOORS.get(measure.title if measure else "")
    if floor is None:
        size = float(np.median(np.abs(list(values.values()))))
        floor = _PERCENT_FLOOR if unit == "percent" else max(_RELATIVE_FLOOR * size, 1e-9)
    hour, *rules = baseline_rules(_RECORDED, floor, "series")
    reader = _Averages()
    times = np.array(sorted(values), dtype=np.int64)
    reader.add(hour.name, (("series", "1"),), times, np.array([values[at] for at in times.tolist()]))
    return reader, rules


class _Averages:
    """A reader of a few series in memory."""

    def __init__(self) -> None:
        self._series: list[Series] = []

    def add(self, name: str, labels: Labels, times: Any, values: Any) -> None:
        """Add a series."""
        self._series.append(Series(from_mapping({**dict(labels), NAME: name}), times, values))

    def select(self, matchers: Sequence[Matcher], start: int, end: int, hints: Hints) -> Selection:  # noqa: ARG002 -- a reader
        """Return the samples from start to end of the series that match."""
        matches = [(one.name, predicate(one)) for one in matchers]
        found = []
        for series in self._series:
            own = dict(series.labels)
            if all(match(own.get(name, "")) for name, match in matches):
                low, high = np.searchsorted(series.times, [start, end + 1])
                found.append(Series(series.labels, series.times[low:high], series.values[low:high]))
        return Selection(found)


def _unnamed(labels: Labels) -> Labels:
    return tuple(pair for pair in labels if pair[0] != NAME)
