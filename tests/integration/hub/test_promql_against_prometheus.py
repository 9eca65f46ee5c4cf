"""The hub and a real Prometheus return the same results for the same samples."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from metricat_hub.model.errors import HubError
from metricat_hub.model.labels import NAME, from_mapping
from metricat_hub.model.samples import STALE
from metricat_hub.promql.engine import Engine
from metricat_hub.promql.limits import Limits
from support import real_prometheus
from support.memory_reader import MemoryReader
from support.promtool import rules
from support.recorded_pages import dashboard_queries, recorded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from metricat_hub.model.labels import Labels
    from metricat_hub.promql.engine import Result
    from support.prometheus_api import Answer, PrometheusApi

    Samples = dict[Labels, list[tuple[int, float]]]

START = 1_795_000_000_000 - 1_795_000_000_000 % 3_600_000
MINUTE = 60_000
ENGINE = Engine(Limits())
TOLERANCE = 1e-12


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusApi]:
    with real_prometheus.running(tmp_path_factory.mktemp("prometheus")) as running:
        yield running


def close(one: float, other: float, tolerance: float = TOLERANCE) -> bool:
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return one == other or abs(one - other) <= tolerance * max(abs(one), abs(other))


def ours(result: Result) -> dict[Labels, tuple[list[float], list[float]]]:
    match result.kind:
        case "scalar":
            return {(): ([result.time / 1000], [float(result.values[0])])}
        case "vector":
            return {
                labels: ([result.time / 1000], [float(value)])
                for labels, value in zip(result.labels, result.values, strict=True)
            }
        case _:
            return {one.labels: ((one.times / 1000).tolist(), one.values.tolist()) for one in result.series}


def check(query: str, theirs: Answer, result: Result | HubError, *, tolerance: float = TOLERANCE) -> None:
    """Compare values, series, warnings and infos; or that both are errors."""
    if isinstance(result, HubError):
        assert theirs.error, f"{query}: only the hub has an error: {result}"
        return
    assert not theirs.error, f"{query}: only Prometheus has an error: {theirs.error}"
    found = ours(result)
    assert found.keys() == theirs.series.keys(), query
    for labels, (times, values) in theirs.series.items():
        assert found[labels][0] == pytest.approx(times, abs=1e-6), f"{query} {labels}"
        different = [
            (at, one, other)
            for at, one, other in zip(times, found[labels][1], values, strict=True)
            if not close(one, other, tolerance)
        ]
        assert not different, f"{query} {labels}: (time, hub, Prometheus) {different[:5]}"
    assert sorted(result.warnings) == list(theirs.warnings), query
    assert sorted(result.infos) == list(theirs.infos), query


def both(
    prometheus: PrometheusApi, reader: MemoryReader, query: str, grid: tuple[int, int, int], **options: Any
) -> None:
    """Compare an instant query at the end, and a range query. The grid is start, end and step."""
    start, end, step = grid
    check(query, prometheus.instant(query, end), _outcome(lambda: ENGINE.instant(reader, query, end)), **options)
    in_range = _outcome(lambda: ENGINE.range(reader, query, start, end, step))
    check(query, prometheus.range(query, start, end, step), in_range, **options)


def _outcome(evaluate: Any) -> Result | HubError:
    try:
        result: Result = evaluate()
    except HubError as error:
        return error
    return result


# Series that Hypothesis makes

EXAMPLE = itertools.count()
SPECIAL = np.array([math.nan, math.inf, -math.inf, 0.0, -0.0, STALE, 1e300, -1e300, 1e-300])


@dataclass(frozen=True)
class Shape:
    """The properties from which the samples of a series are computed."""

    kind: str
    interval: int
    jitter: int
    specials: int
    """Percentage of special values."""
    seed: int

    def samples(self, number: int) -> list[tuple[int, float]]:
        """Return half an hour of samples, with gaps and resets. Series with different numbers have different values."""
        random = np.random.default_rng([self.seed, number])
        samples = []
        value = float(random.random() * 1000)
        for index in range(1_800_000 // self.interval):
            dice = random.random()
            if dice < 0.05:
                continue
            if self.kind == "counter":
                value = float(random.random()) if dice > 0.97 else value + float(random.random() * 100)
            elif self.kind == "gauge":
                value = float(random.normal() * 10.0 ** float(random.integers(-3, 9)))
            special = random.integers(100) < self.specials
            time = START + index * self.interval + int(random.integers(0, self.jitter + 1))
            samples.append((time, float(random.choice(SPECIAL)) if special else value))
        return samples


shapes = st.builds(
    Shape,
    kind=st.sampled_from(["counter", "gauge", "constant"]),
    interval=st.sampled_from([5_000, 15_000, 30_000, 61_000]),
    jitter=st.sampled_from([0, 7, 900]),
    specials=st.sampled_from([0, 0, 8]),
    seed=st.integers(0, 2**32),
)


def queries(metric: str) -> Iterator[str]:
    """Queries that use each function, operator and aggregation of a metric with the labels `a` and `b`."""
    for function in (
        *("rate", "increase", "delta", "irate", "idelta", "resets", "changes", "deriv", "count_over_time"),
        *("sum_over_time", "avg_over_time", "min_over_time", "max_over_time", "last_over_time", "first_over_time"),
        *("stddev_over_time", "stdvar_over_time", "present_over_time", "mad_over_time", "absent_over_time"),
        *("ts_of_min_over_time", "ts_of_max_over_time", "ts_of_first_over_time", "ts_of_last_over_time"),
    ):
        yield f"{function}({metric}[5m])"
        yield f"{function}({metric}[61s] offset 30s)"
    for function in ("abs", "ceil", "floor", "sgn", "timestamp", "sqrt", "round", "exp", "ln"):
        yield f"{function}({metric})"
    for function in ("hour", "day_of_week", "days_in_month", "day_of_year", "year", "month", "minute", "day_of_month"):
        yield f"{function}({metric} * 1e5 < 1e14 > -1e14)"  # others have no date
    for operator in ("sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"):
        yield f"{operator} by (a) ({metric})"
        yield f"{operator} without (a) ({metric})"
        yield f"{operator}({metric})"
    for operator in ("+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<=", "> bool", "and", "or", "unless"):
        yield f'{metric}{{a="1"}} {operator} on (b) {metric}{{a="2"}}'
    for operator in ("+", "/", "<", "< bool", "!="):
        yield f"{metric} {operator} 2.5"
        yield f"100 {operator} {metric}"
    yield f"{metric} + on (b) group_left (a) max by (b) ({metric})"
    yield f"sum by (b) ({metric}) * on (b) group_right () {metric}"
    yield f"{metric} * on (b) {metric}"  # several series for a match
    yield from (metric, f"-{metric}", f"{metric} @ {START / 1000 + 900:.0f}", f"{metric} @ end() offset 3m")
    yield f"quantile_over_time(0.9, {metric}[5m])"
    yield f"quantile by (a) (0.3, {metric})"
    yield f"quantile(2, {metric})"
    yield f"predict_linear({metric}[10m], 600)"
    yield f"double_exponential_smoothing({metric}[5m], 0.3, 0.6)"
    yield f"max_over_time(rate({metric}[2m])[10m:1m])"
    yield f"avg_over_time({metric}[7m:45s] offset 1m)"
    yield f"sum_over_time({metric}[5m:30s] @ end())"
    yield f"topk by (a) (1, {metric} > 1e-200 < 1e200)"  # without values that several series have
    yield f"bottomk(2, {metric} > 1e-200 < 1e200)"
    yield f"count(limitk(2, {metric}))"  # the store's order decides which series they are
    yield f"limit_ratio(0.5, {metric})"
    yield f"limit_ratio(-0.5, {metric})"
    yield f'count_values("value", {metric})'
    yield f"scalar({metric}) + 1"
    yield f"clamp({metric}, -5, 50)"
    yield f"clamp_min({metric}, scalar(sum({metric})))"
    yield f'label_replace({metric}, "c", "x-$1", "a", "(.)")'
    yield f'label_join({metric}, "c", "-", "a", "b")'
    yield f"absent({metric})"
    yield f"absent({metric}{{a='none'}})"
    yield f"sum({metric}) or vector(7)"
    yield f"{metric}[3m]"
    yield f"{metric}[3m:30s]"
    yield "time() - 5 * pi()"


UNSTABLE = re.compile(r"deriv|predict_linear|stddev|stdvar|double_exponential")
"""Functions that subtract nearly equal numbers: rounding in another order changes more digits than the last."""


@settings(max_examples=12, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])
@given(st.lists(shapes, min_size=4, max_size=6))
def test_random_series_give_equal_results(prometheus: PrometheusApi, columns: Sequence[Shape]) -> None:
    metric = f"example_{next(EXAMPLE)}_total"
    names = [{NAME: metric, "a": str(i % 3), "b": str(i % 2)} for i in range(len(columns))]
    samples = {
        from_mapping(labels): shape.samples(number)
        for number, (labels, shape) in enumerate(zip(names, columns, strict=True))
    }
    prometheus.write(samples)
    reader = MemoryReader()
    for labels, column in samples.items():
        reader.add(labels, column)
    for query in queries(metric):
        tolerance = 1e-9 if UNSTABLE.search(query) else TOLERANCE
        both(prometheus, reader, query, (START + 137_000, START + 30 * MINUTE, 97_000), tolerance=tolerance)


# Recorded pages


def test_rules_and_panels_give_equal_results_on_recorded_pages(prometheus: PrometheusApi) -> None:
    samples = recorded(START)
    prometheus.write(samples)
    reader = MemoryReader()
    for labels, column in samples.items():
        reader.add(labels, column)
    start, end, step = START + 6 * MINUTE, START + 39 * MINUTE, 30_000
    series_of_rules = alerts = 0
    for group in rules(60)["groups"]:
        for rule in group["rules"]:
            both(prometheus, reader, rule["expr"], (start, end, step))
            if "record" not in rule:
                alerts += 1
                continue
            made = recordings(rule, ENGINE.range(reader, rule["expr"], start, end, step))
            series_of_rules += len(made)
            if made:
                prometheus.write(made)
            for labels, column in made.items():
                reader.add(labels, column)
    assert series_of_rules > 100
    assert alerts > 30
    panels = dashboard_queries()
    results = 0
    for query in panels:
        both(prometheus, reader, query, (start, end, step))
        results += bool(ENGINE.range(reader, query, start, end, step).series)
    assert len(panels) > 50
    assert results > 30


def recordings(rule: Mapping[str, Any], result: Result) -> Samples:
    """Return the samples that a recording rule writes."""
    return {
        from_mapping({**dict(one.labels), NAME: rule["record"], **rule.get("labels", {})}): list(
            zip(one.times.tolist(), one.values.tolist(), strict=True)
        )
        for one in result.series
    }
