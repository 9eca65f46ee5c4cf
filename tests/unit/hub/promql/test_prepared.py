"""Prepared queries: they equal queries that are evaluated once, also after their series have changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from metricat_hub.promql.engine import Engine
from metricat_hub.promql.limits import Limits
from metricat_hub.promql.prepared.columns import Column
from metricat_hub.promql.prepared.query import Preparation
from support.memory_reader import MemoryReader
from support.prepared_queries import ColumnReader, difference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.ports import Hints, Matcher, Selection

MINUTE = 60_000
QUERIES = (
    "load + on (node) group_left (zone) zone",
    "load / on (node) load * 2 > 3",
    "max by (zone) (load * on (node) group_left (zone) zone)",
    "sum by (node) (rate(cpu_total[5m]))",
    "avg without (node) (cpu_total) or vector(1)",
    "load > 2 and on (node) zone unless on (node) rare",
    'label_replace(load, "host", "$1", "node", "(.*)") or label_replace(zone, "host", "z", "", "")',
    "quantile(0.5, load) - stddev(load) + count(load > 1)",
    "clamp_min(-load, -2) == bool -1",
    "absent(rare) * scalar(rare)",
    "deriv(load[10m]) >= 0",
    'rate(cpu_total{cpu="0"}[5m]) / on (node) rate(cpu_total{cpu="1"}[5m]) or rate({__name__=~"cpu.*"}[5m])',
    "increase(cpu_total[4m]) > bool increase(cpu_total[4m] offset 3m)",
    "min_over_time(load[5m:1m])",
    "topk(1, load)",
    "quantile by (zone) (0.3, load * on (node) group_left (zone) zone)",
    "avg_over_time(load[7m]) + max_over_time(load[7m]) - stddev_over_time(load[7m]) * last_over_time(load[7m])",
    "quantile_over_time(0.7, load[7m]) + on (node) sum by (node) (changes(cpu_total[7m]))",
    "2 * time() - 1",
    "rare > 0 and (load + load)",
    "rate(cpu_total[2m]) * 60 <= increase(cpu_total[9m]) or delta(cpu_total[2m])",
    "sum_over_time(load[3m]) - first_over_time(load[3m]) + min_over_time(load[6m])",
    "predict_linear(load[6m], 60) + deriv(rare[6m])",
    "clamp_min(load, 0) / (-load < 0) <= 1 and load < min_over_time(load[5m:1m] offset 1m)",
    "load > 100 and on (node) (cpu_total / on (node) load)",
    "load > 100 unless sum without (node) (cpu_total) / sum without (node) (cpu_total)",
)


def changing() -> MemoryReader:
    """Return series that begin, end and begin again."""
    found = MemoryReader()
    for node in range(3):
        begin = 4 * node
        for cpu in "01":
            samples = [(at * MINUTE, float(at % 7 * (node + 1))) for at in range(begin, 30)]
            found.add({"__name__": "cpu_total", "node": f"n{node}", "cpu": cpu}, samples)
        found.add(
            {"__name__": "load", "node": f"n{node}"}, [(at * MINUTE, at % 5 + node / 4) for at in range(begin, 30)]
        )
        found.add({"__name__": "zone", "node": f"n{node}", "zone": f"z{node % 2}"}, [(begin * MINUTE, 1.0)])
        found.add({"__name__": "zone", "node": f"n{node}", "zone": f"z{node % 2}"}, [(25 * MINUTE, 1.0)])
    found.add({"__name__": "rare", "node": "n1"}, [(12 * MINUTE, 5.0)])
    return found


@pytest.mark.parametrize("query", QUERIES)
def test_prepared_query_equals_one_that_is_evaluated_once(query: str) -> None:
    assert difference(changing(), query, [at * MINUTE for at in range(0, 32, 2)]) == ""


def test_error_of_one_time_does_not_remain() -> None:
    source = MemoryReader()
    for zone in "ab":
        source.add({"__name__": "zone", "node": "n", "zone": zone}, [(MINUTE, 1.0)])
    source.add({"__name__": "zone", "node": "n", "zone": "a"}, [(8 * MINUTE, 1.0)])
    source.add({"__name__": "load", "node": "n"}, [(at * MINUTE, 1.0) for at in range(10)])
    assert difference(source, "load * on (node) group_left () zone", [0, MINUTE, MINUTE, 8 * MINUTE]) == ""


def test_round_forgets_results_of_recorded_metrics_only() -> None:
    source = MemoryReader()
    preparation = Preparation()
    queries = [preparation.prepare(query) for query in ("sum(x) + 0", "sum(x) + 0", "sum(y) + 0", "sum(y) + 0")]
    x, _, y, _ = queries
    assert x
    assert y
    round_ = Engine(Limits()).begin(ColumnReader(source), 0)

    def values() -> list[list[float]]:
        found = []
        for one in (x, y):
            value = one.evaluate(round_)
            assert isinstance(value, Column)
            found.append(value.values.tolist())
            round_.context.forget()
        return found

    for name in "xy":
        source.add({"__name__": name}, [(0, 1.0)])
    assert values() == [[1.0], [1.0]]
    for name in "xy":
        source.add({"__name__": name, "node": "n"}, [(0, 1.0)])
    assert values() == [[1.0], [1.0]]
    round_.record("x")
    assert values() == [[2.0], [1.0]]


@pytest.mark.parametrize(
    "query", [*QUERIES, "1 / load", "load == load", "load > 0 or zone unless 1 / load < 0", "-load * 2"]
)
def test_results_of_unchanged_series_equal_those_evaluated_once(query: str) -> None:
    source = MemoryReader()
    values = [0.0, 0.0, -0.0, -0.0, float("nan"), float("nan"), 3.0, 3.0, 3.0, 0.0]
    for node in range(3):
        shifted = values[node:] + values[:node]
        load = [(at * MINUTE, shifted[at // 3]) for at in range(30)]
        source.add({"__name__": "load", "node": f"n{node}"}, load)
        source.add({"__name__": "zone", "node": f"n{node}", "zone": "z"}, [(at * MINUTE, 1.0) for at in range(30)])
        for cpu in "01":
            total = [(at * MINUTE, float(at // 10)) for at in range(30)]
            source.add({"__name__": "cpu_total", "node": f"n{node}", "cpu": cpu}, total)
    assert difference(source, query, [at * MINUTE for at in range(30)]) == ""


@pytest.mark.parametrize(
    "query",
    [
        "abs(x)",
        "clamp(x, 0, 5) * -2 + 1",
        "max by (node) (x) / on (node) x",
        "quantile(0.5, x) or sum(x) unless y",
        "vector(-1) or vector(scalar(x)) or x",
        'label_replace(-x, "a", "b", "", "") >= bool 1',
        "increase(x[5m]) > -1",
    ],
)
def test_vector_of_unchanged_series_is_not_computed_again(query: str) -> None:
    source = MemoryReader()
    source.add({"__name__": "x", "node": "n"}, [(at * MINUTE, 1.0 if at < 20 else at) for at in range(30)])
    prepared = Preparation().prepare(query)
    assert prepared
    with np.errstate(all="ignore"):
        before, same, changed = (
            prepared.evaluate(Engine(Limits()).begin(ColumnReader(source), at * MINUTE)) for at in (10, 12, 22)
        )
    assert isinstance(before, Column)
    assert before.labels
    assert same is before
    assert changed is not before


class CountingReader(MemoryReader):
    """Counts selections by metric name."""

    def __init__(self) -> None:
        super().__init__()
        self.selected: list[str] = []

    def select(self, matchers: Sequence[Matcher], start: int, end: int, hints: Hints) -> Selection:
        """Return the samples, and count the selection."""
        self.selected += [one.value for one in matchers if one.name == "__name__"]
        return super().select(matchers, start, end, hints)


@pytest.mark.parametrize(
    ("right", "is_read"),
    [
        ("late / late > 1", False),
        ("abs(late) < min_over_time(late[5m:1m] offset 1m)", False),
        ("clamp_min(-late, 0)", False),
        ("late / on (node) late", True),
        ('-{__name__=~"late|other"}', True),
        ('-(late or on (node) label_replace(late, "node", "x", "", ""))', True),
    ],
)
def test_right_side_that_cannot_fail_is_not_read_for_an_empty_left_side(right: str, *, is_read: bool) -> None:
    source = CountingReader()
    source.add({"__name__": "load", "node": "n"}, [(0, 1.0)])
    source.add({"__name__": "late", "node": "n"}, [(0, 1.0)])
    query = Preparation().prepare(f"load > 2 and {right}")
    assert query
    value = query.evaluate(Engine(Limits()).begin(source, 0))
    assert isinstance(value, Column)
    assert not value.labels
    assert bool({"late", "late|other"} & set(source.selected)) is is_read
