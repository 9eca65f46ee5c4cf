"""Forecasts and unusual values agree with the shipped rules over the same samples."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from metricat_hub.model.errors import InvalidParameterError, UnknownMetricError
from metricat_hub.promql.engine import Engine
from metricat_hub.promql.limits import Limits
from metricat_hub.use_cases import forecast as forecasts
from metricat_hub.use_cases.cancellation import Cancellation
from metricat_hub.use_cases.queries import Queries
from metricat_rules.anomaly import BASELINE
from metricat_rules.recording import RECORDINGS
from support.memory_reader import MemoryReader

if TYPE_CHECKING:
    from metricat_hub.use_cases.forecast import Method, Unusual

HOUR, DAY, MINUTE = 3_600_000, 86_400_000, 60_000
NOW = 20 * DAY
LABELS = {"namespace": "local", "service": "metricat", "node": "a", "pool": "default"}
FILESYSTEM = {**LABELS, "device": "sda", "mountpoint": "/", "fstype": "ext4"}
ENGINE = Engine(Limits(steps=20_000))


def queries(reader: MemoryReader) -> Queries:
    return Queries(cast("Any", reader), Limits())


def memory(seed: int, last_hour: float | None = None, days: int = 8) -> MemoryReader:
    """Return 8 days of memory usage that follows the hour of the day, with noise."""
    source, reader = random.Random(seed), MemoryReader()
    times = range(NOW - days * DAY, NOW + 1, MINUTE)
    used = [
        last_hour
        if last_hour is not None and at > NOW - HOUR
        else 40 + 20 * np.sin(at % DAY / DAY * 2 * np.pi) + source.uniform(-4, 4)
        for at in times
    ]
    reader.add({**LABELS, "__name__": "node_memory_MemTotal_bytes"}, [(at, 100.0) for at in times])
    reader.add(
        {**LABELS, "__name__": "node_memory_MemAvailable_bytes"},
        [(at, 100.0 - value) for at, value in zip(times, used, strict=True)],
    )
    return reader


def record(reader: MemoryReader, name: str, expr: str, *times: int) -> None:
    """Evaluate a recording rule at some times, and store its result."""
    for at in times:
        result = ENGINE.instant(cast("Any", reader), expr.replace("<selector>", ""), at)
        for labels, value in zip(result.labels, result.values.tolist(), strict=True):
            reader.add({**dict(labels), "__name__": name}, [(at, value)])


def shipped(reader: MemoryReader, at: int, *series_names: str) -> list[float]:
    """Return series of the shipped baseline of memory usage, which the rules record until a time."""
    own = [
        rule
        for rule in RECORDINGS
        if rule.name in {"metricat:node_memory_used:bytes", "metricat:node_memory_usage:percent"}
    ]
    for rule in own:
        result = ENGINE.range(cast("Any", reader), rule.expr.replace("<selector>", ""), NOW - 8 * DAY, NOW, MINUTE)
        for series in result.series:
            reader.add(
                {**dict(series.labels), "__name__": rule.name},
                list(zip(series.times.tolist(), series.values.tolist(), strict=True)),
            )
    hour, *rules = [rule for rule in BASELINE if rule.name.startswith("metricat:node_memory_usage:")]
    record(reader, hour.name, hour.expr, *(one for day in range(8) if (one := at - day * DAY) <= NOW))
    for rule in rules:
        record(reader, rule.name, rule.expr, at)
    found = [ENGINE.instant(cast("Any", reader), f"metricat:node_memory_usage:{one}", at) for one in series_names]
    return [float(result.values[0]) for result in found]


def unusual(reader: MemoryReader, *names: str, threshold: float = 0.0) -> Unusual:
    return forecasts.unusual(cast("Any", reader), queries(reader), names, [], NOW, threshold, 15_000, Cancellation(120))


@pytest.mark.parametrize(("seed", "last_hour"), [(1, 90.0), (2, None), (3, 5.0)])
def test_deviation_is_that_of_the_shipped_rules(seed: int, last_hour: float | None) -> None:
    reader = memory(seed, last_hour)
    [row] = unusual(reader, "memory_usage_percent").rows
    names = ("hour", "usual", "spread", "daily_deviation", "weekly_deviation", "deviation")
    values = (row.value, row.usual, row.spread, row.daily, row.weekly, row.deviation)
    assert values == pytest.approx(shipped(reader, NOW, *names), rel=1e-9)
    assert row.node == "a"


def test_unusual_value_has_a_reason_and_a_usual_one_is_left_out() -> None:
    [row] = unusual(memory(1, 90.0), "memory_usage_percent", threshold=3).rows
    assert row.deviation is not None
    assert row.deviation > 3
    assert "the average of the last hour is 90 %" in row.why
    assert "standard deviations above" in row.why
    assert "a week ago it was" in row.why
    assert unusual(memory(1), "memory_usage_percent", threshold=3).rows == []


def test_series_without_history_are_counted() -> None:
    found = unusual(memory(1, 90.0, days=2), "memory_usage_percent")
    assert (found.rows, found.without_history) == ([], 1)


def forecast(reader: MemoryReader, name: str, days: int = 7, method: Method = "daily") -> forecasts.Forecast:
    [found] = forecasts.forecast(
        cast("Any", reader), queries(reader), name, [], NOW, days, method, 15_000, Cancellation(120)
    )
    return found


@pytest.mark.parametrize("hours", [1, 13, 24])
def test_daily_forecast_is_the_usual_value_of_the_shipped_rules(hours: int) -> None:
    reader = memory(4)
    found = forecast(reader, "memory_usage_percent")
    assert [at for at, *_ in found.points] == [NOW + hour * HOUR for hour in range(1, 169)]
    at, value, low, high = found.points[hours - 1]
    usual, spread = shipped(reader, at, "usual", "spread")
    assert (value, low, high) == pytest.approx((usual, usual - 1.96 * spread, usual + 1.96 * spread), rel=1e-9)
    assert found.points[hours - 1 + 24][1:] == (value, low, high)


def test_growth_forecast_has_the_rates_and_hours_of_the_alert_about_filesystems() -> None:
    reader = MemoryReader()
    times = range(NOW - 2 * DAY, NOW + 1, MINUTE)
    used = {at: 500.0 + (at - NOW) / HOUR * (1.0 if at < NOW - 6 * HOUR else 4.0) for at in times}
    for name, values in (
        ("node_filesystem_size_bytes", dict.fromkeys(times, 1_000.0)),
        ("node_filesystem_free_bytes", {at: 1_000.0 - value for at, value in used.items()}),
        ("node_filesystem_avail_bytes", {at: 1_000.0 - value for at, value in used.items()}),
        ("node_filesystem_readonly", dict.fromkeys(times, 0.0)),
    ):
        reader.add({**FILESYSTEM, "__name__": name}, list(values.items()))
    found = forecast(reader, "filesystem_used_bytes", 2, "growth")
    assert found.growth_6h == pytest.approx(4.0, rel=0.02)
    assert found.growth_1d == pytest.approx((500.0 - used[NOW - DAY]) / 24)
    at, value, low, high = found.points[-1]
    assert at == NOW + 2 * DAY
    ends = sorted(500.0 + 48 * (rate or 0.0) for rate in (found.growth_6h, found.growth_1d))
    assert (low, high) == pytest.approx(tuple(ends))
    assert value == pytest.approx(sum(ends) / 2)
    assert found.full_6h == pytest.approx(500.0 / (found.growth_6h or 1.0), rel=0.01)
    assert found.full_1d == pytest.approx(500.0 / (found.growth_1d or 1.0))


def test_wrong_requests_are_refused() -> None:
    reader = memory(1, days=1)
    with pytest.raises(InvalidParameterError, match="0 is outside of 1 to 30"):
        forecast(reader, "memory_usage_percent", 0)
    with pytest.raises(UnknownMetricError):
        forecast(reader, "memory_usage_percnt")
