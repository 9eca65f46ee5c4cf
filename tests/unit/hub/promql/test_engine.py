"""Queries through the engine, at edges that Prometheus' own tests do not cover or that are the hub's own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from metricat_hub.model.errors import InvalidQueryError, LimitError, QueryError, UnsupportedQueryError
from metricat_hub.model.samples import STALE
from metricat_hub.promql.engine import Engine
from metricat_hub.promql.limits import Limits
from support.memory_reader import MemoryReader

if TYPE_CHECKING:
    from collections.abc import Mapping

MINUTE = 60_000


def reader(**series: Mapping[int, float]) -> MemoryReader:
    """Return a reader of one series for each metric; times are minutes."""
    found = MemoryReader()
    for name, samples in series.items():
        found.add({"__name__": name}, [(minute * MINUTE, value) for minute, value in samples.items()])
    return found


def nodes(count: int, length: int = 20) -> MemoryReader:
    found = MemoryReader()
    for node in range(count):
        samples = [(minute * MINUTE, float(minute * (node + 1))) for minute in range(length)]
        found.add({"__name__": "load", "node": f"n{node}"}, samples)
    return found


def instant(source: MemoryReader, query: str, minute: float, limits: Limits | None = None) -> dict[str, float]:
    """Return the value of each series by its labels without the name."""
    result = Engine(limits or Limits()).instant(source, query, int(minute * MINUTE))
    return {
        ",".join(f"{name}={value}" for name, value in labels if name != "__name__"): float(value)
        for labels, value in zip(result.labels, result.values, strict=True)
    }


@pytest.mark.parametrize(("minute", "expected"), [(0, {"": 1.0}), (4.99, {"": 1.0}), (5, {})])
def test_instant_selector_sees_samples_younger_than_five_minutes(minute: float, expected: dict[str, float]) -> None:
    assert instant(reader(x={0: 1.0}), "x", minute) == expected


def test_staleness_marker_ends_a_series_at_once() -> None:
    source = reader(x={0: 1.0, 1: float(STALE), 3: 5.0})
    assert instant(source, "x", 1) == {}
    assert instant(source, "x", 2) == {}
    assert instant(source, "x", 3) == {"": 5.0}


def test_other_nan_does_not_end_a_series() -> None:
    assert math.isnan(instant(reader(x={0: math.nan}), "x", 1)[""])


def test_range_excludes_its_start_and_includes_its_end() -> None:
    assert instant(reader(x=dict.fromkeys(range(6), 1.0)), "count_over_time(x[5m])", 5) == {"": 5.0}


def test_increase_adds_the_value_before_each_reset() -> None:
    source = reader(x_total={0: 0.0, 1: 10.0, 2: 3.0, 3: 7.0, 4: 1.0})
    # 10 + 3 + 4 + 1 over four minutes; extrapolation ends at zero, where the counter starts
    assert instant(source, "increase(x_total[4m1ms])", 4)[""] == pytest.approx(18.0, rel=1e-3)
    assert instant(source, "resets(x_total[5m])", 4) == {"": 2.0}


def test_rate_of_one_sample_is_absent() -> None:
    assert instant(reader(x_total={0: 1.0}), "rate(x_total[5m])", 1) == {}


def test_sum_over_time_keeps_small_terms_between_large_ones() -> None:
    source = reader(x={1: 1.0, 2: 1e100, 3: 1.0, 4: -1e100})
    assert instant(source, "sum_over_time(x[5m])", 4) == {"": 2.0}


def test_sum_keeps_small_terms_between_large_ones() -> None:
    source = MemoryReader()
    for index, value in enumerate([1.0, 1e100, 1.0, -1e100]):
        source.add({"__name__": "x", "i": str(index)}, [(0, value)])
    assert instant(source, "sum(x)", 0) == {"": 2.0}


def test_infinity_affects_only_the_windows_that_contain_it() -> None:
    source = reader(x={1: math.inf, 2: 1.0, 3: 2.0, 4: 3.0})
    result = Engine(Limits()).range(source, "sum_over_time(x[2m])", MINUTE, 4 * MINUTE, MINUTE)
    assert result.series[0].values.tolist() == [math.inf, math.inf, 3.0, 5.0]


def test_mean_is_finite_if_the_sum_overflows() -> None:
    assert instant(reader(x={1: 1.6e308, 2: 1.6e308}), "avg_over_time(x[5m])", 2)[""] == pytest.approx(1.6e308)


def test_topk_sorts_and_puts_nan_last() -> None:
    source = MemoryReader()
    for index, value in enumerate([3.0, math.nan, 7.0]):
        source.add({"__name__": "x", "i": str(index)}, [(0, value)])
    assert list(instant(source, "topk(3, x)", 0)) == ["i=2", "i=0", "i=1"]
    assert list(instant(source, "bottomk(2, x)", 0)) == ["i=0", "i=2"]


def test_limitk_returns_unchanged_series_of_each_group() -> None:
    assert len(instant(nodes(5), "limitk(2, load)", 3)) == 2
    assert len(instant(nodes(5), "limitk by (node) (2, load)", 3)) == 5


def test_scalar_of_several_series_is_nan() -> None:
    result = Engine(Limits()).instant(nodes(2), "scalar(load)", MINUTE)
    assert math.isnan(result.values[0])


def test_subquery_without_step_uses_the_default_step() -> None:
    engine = Engine(Limits(), subquery_step=30_000)
    result = engine.instant(nodes(1), "count_over_time(load[5m:])", 10 * MINUTE)
    assert result.values.tolist() == [10.0]


def test_subquery_times_are_multiples_of_its_step_also_before_1970() -> None:
    source = MemoryReader()
    source.add({"__name__": "x"}, [(second * 1000, float(second)) for second in range(-100, 1)])
    result = Engine(Limits()).instant(source, "x[35s:10s]", -21_000)
    assert (result.series[0].times // 1000).tolist() == [-50, -40, -30]


def test_range_query_returns_series_sorted_by_labels() -> None:
    result = Engine(Limits()).range(nodes(12), "load", 0, 5 * MINUTE, MINUTE)
    labels = [series.labels for series in result.series]
    assert labels == sorted(labels)


def test_at_end_is_the_same_at_every_step() -> None:
    result = Engine(Limits()).range(nodes(1), "load @ end()", 0, 10 * MINUTE, MINUTE)
    assert set(result.series[0].values.tolist()) == {10.0}


def test_names_are_dropped_at_once_by_default() -> None:
    source = reader(a_total={0: 1.0, 1: 2.0}, b_total={0: 1.0, 1: 2.0})
    with pytest.raises(QueryError, match="same labelset"):
        instant(source, 'rate({__name__=~".+_total"}[5m])', 2)
    kept = 'label_replace(rate({__name__=~".+_total"}[5m]), "from", "$1", "__name__", "(.)_.*")'
    result = Engine(Limits(), delayed_name_removal=True).instant(source, kept, 2 * MINUTE)
    assert sorted(dict(labels)["from"] for labels in result.labels) == ["a", "b"]


def test_ambiguous_match_names_both_series() -> None:
    with pytest.raises(QueryError, match=r"duplicate series .* \{\} on the right hand-side.*node=\"n0\".*node=\"n1\""):
        instant(nodes(2), "load * on () load", 1)


def test_store_gets_range_step_and_function() -> None:
    source = nodes(1)
    Engine(Limits()).range(source, "rate(load[5m] offset 1m)", 0, 10 * MINUTE, MINUTE, tier="1m")
    (hints,) = source.hints
    assert (hints.range, hints.step, hints.function, hints.tier) == (5 * MINUTE, MINUTE, "rate", "1m")


def test_equal_selectors_are_read_once() -> None:
    source = nodes(3)
    result = Engine(Limits()).instant(source, "load / load + load", 10 * MINUTE)
    assert len(source.hints) == 1
    assert result.samples == 15


@pytest.mark.parametrize(
    ("limits", "query", "message"),
    [
        (Limits(samples=40), "load", r"reads or computes 50 samples, above the limit of 40\. Use a shorter"),
        (Limits(series=9), "load", r"10 series at once, above the limit of 9\. Add label matchers"),
        (
            Limits(samples=60),
            "max_over_time(vector(1)[2h:1m])",
            r"computes 120 samples, above the limit of 60\.",
        ),
    ],
)
def test_limit_names_value_limit_and_remedy(limits: Limits, query: str, message: str) -> None:
    with pytest.raises(LimitError, match=message):
        instant(nodes(10), query, 10, limits)


def test_count_values_of_many_values_stops_at_the_limit() -> None:
    with pytest.raises(LimitError, match="16 series at once, above the limit of 15"):
        Engine(Limits(series=15)).range(nodes(10), 'count_values("v", load)', 0, 19 * MINUTE, MINUTE)


def test_operands_that_never_meet_have_no_result() -> None:
    source = MemoryReader()
    for index in range(300):
        source.add({"__name__": "a", "i": str(index)}, [(0, 1.0)])
        source.add({"__name__": "b", "i": str(index)}, [(30 * MINUTE, 1.0)])
    assert Engine(Limits()).range(source, "a + on () b", 0, 40 * MINUTE, MINUTE).series == []


def test_range_query_with_too_many_steps_is_refused_before_it_reads() -> None:
    source = nodes(1)
    with pytest.raises(LimitError, match="has 61 steps, above the limit of 60"):
        Engine(Limits(steps=60)).range(source, "load", 0, 60 * MINUTE, MINUTE)
    assert source.hints == []


def test_deadline_stops_a_query() -> None:
    now = iter(range(1000))
    limits = Limits(seconds=3)
    check = limits.deadline(lambda: float(next(now)))
    with pytest.raises(LimitError, match=r"longer than the limit of 3 seconds\. Use a shorter"):
        Engine(limits).instant(nodes(3), "load + load + load + load", MINUTE, check=check)


def test_caller_can_cancel_a_query() -> None:
    class CancelledError(Exception):
        pass

    def check() -> None:
        raise CancelledError

    with pytest.raises(CancelledError):
        Engine(Limits()).instant(nodes(1), "load", 0, check=check)


@pytest.mark.parametrize("name", ["avg", "count", "sum", "stddev", "stdvar"])
def test_functions_of_native_histograms_are_refused_by_name(name: str) -> None:
    with pytest.raises(UnsupportedQueryError, match=f"`histogram_{name}` works on native histograms"):
        instant(nodes(1), f"histogram_{name}(load)", 1)


@pytest.mark.parametrize("query", ["load[5m]", '"text"', "load[5m:1m]"])
def test_range_query_needs_a_vector_or_scalar(query: str) -> None:
    with pytest.raises(InvalidQueryError, match="invalid expression type"):
        Engine(Limits()).range(nodes(1), query, 0, MINUTE, MINUTE)


@pytest.mark.parametrize(("start", "end", "step"), [(0, 10, 0), (0, 10, -1), (10, 0, 1)])
def test_impossible_time_range_is_refused(start: int, end: int, step: int) -> None:
    with pytest.raises(InvalidQueryError):
        Engine(Limits()).range(nodes(1), "load", start, end, step)


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1"), (-0.0, "-0"), (0.5, "0.5"), (1e21, "1" + "0" * 21), (math.inf, "+Inf")]
)
def test_count_values_writes_decimal_numbers(value: float, text: str) -> None:
    assert instant(reader(x={0: value}), 'count_values("v", x)', 0) == {f"v={text}": 1.0}


def test_date_functions_of_values_without_a_date_are_nan() -> None:
    assert math.isnan(instant(reader(x={0: math.nan}), "year(x)", 0)[""])
    assert instant(reader(x={0: 951_782_400.0}), "day_of_month(x)", 0) == {"": 29.0}


def test_histogram_quantile_uses_the_buckets_of_each_step() -> None:
    source = MemoryReader()
    for bound, count, minutes in (("1", 2.0, range(20)), ("2", 4.0, range(10, 20)), ("+Inf", 4.0, range(20))):
        samples = [(minute * MINUTE, count) for minute in minutes]
        source.add({"__name__": "h_bucket", "le": bound}, samples)
    result = Engine(Limits()).range(source, "histogram_quantile(0.75, h_bucket)", 0, 15 * MINUTE, 5 * MINUTE)
    np.testing.assert_allclose(result.series[0].values, [1.0, 1.0, 1.5, 1.5])


def test_warning_has_line_and_column() -> None:
    result = Engine(Limits()).instant(nodes(1), "sum(\n  rate(load[5m]))", 10 * MINUTE)
    assert result.infos == [
        'PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "load" (2:8)'
    ]
