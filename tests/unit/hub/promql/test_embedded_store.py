"""Queries over the embedded store return the same as over samples in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from metricat_hub.model.samples import STALE
from metricat_hub.promql.engine import Engine
from metricat_hub.promql.limits import Limits
from support.hub_store import BEGIN, HOUR, MINUTE, Clock, labels, open_store, write
from support.memory_reader import MemoryReader

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "query",
    [
        "rate(requests_total[5m])",
        "sum by (job) (increase(requests_total[10m]))",
        'topk(2, requests_total{node=~"[ab]"})',
        "max_over_time(requests_total[7m:1m])",
        "requests_total offset 5m unless requests_total > 300",
    ],
)
def test_results_equal_those_of_samples_in_memory(query: str, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    store, reader = open_store(tmp_path, Clock(BEGIN + HOUR)), MemoryReader()
    for index, node in enumerate("abc"):
        values = np.cumsum(random.random(120) * 10)
        values[70:] -= values[69]
        samples = [(BEGIN + at * MINUTE // 4 + index, float(value)) for at, value in enumerate(values) if at % 11]
        samples[90] = (samples[90][0], float(STALE))
        series = labels("requests_total", job=f"job{index % 2}", node=node)
        write(store, {series: samples})
        reader.add(series, samples)
    engine = Engine(Limits())
    start, end = BEGIN + 2 * MINUTE, BEGIN + 28 * MINUTE
    stored, expected = (engine.range(source, query, start, end, 40_000) for source in (store, reader))
    assert [one.labels for one in stored.series] == [one.labels for one in expected.series]
    assert stored.series
    for one, other in zip(stored.series, expected.series, strict=True):
        assert one.times.tolist() == other.times.tolist()
        assert one.values.tolist() == other.values.tolist()
    assert stored.tier == "raw"
    store.close()
