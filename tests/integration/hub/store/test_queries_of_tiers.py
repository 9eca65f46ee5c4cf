"""PromQL has the same results over downsampled samples as over the samples as received, as far as the tier allows."""

import numpy as np
import pytest

from metricat_hub.model.metadata import Metadata
from metricat_hub.model.ports import Tier
from metricat_hub.model.samples import Batch
from metricat_hub.promql.engine import Engine
from metricat_hub.promql.limits import Limits
from metricat_hub.store.embedded import EmbeddedStore
from support.hub_store import BEGIN, DAY, HOUR, MINUTE, Clock, labels, open_store

STEP = 15_000


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedStore:
    clock = Clock()
    store = open_store(tmp_path_factory.mktemp("store"), clock)
    store.set_metadata({"gauge": Metadata("gauge")})
    numbers = np.repeat(store.resolve([labels("gauge"), labels("requests_total")]), 480)
    rounds = np.random.default_rng(1)
    total = 0.0
    for _ in range(36):
        times = clock.now + np.arange(1, 481) * STEP
        clock.now = int(times[-1])
        counter = total + np.cumsum(rounds.integers(0, 50, 480)).astype(float)
        counter[300:] -= counter[300]
        total = counter[-1]
        store.append(Batch(numbers, np.tile(times, 2), np.concatenate([rounds.random(480), counter])))
        store.maintain()
    return store


@pytest.mark.parametrize("tier", ["1m", "1h"])
@pytest.mark.parametrize(
    ("query", "tolerance"),
    [
        ("gauge", 0),
        ("max_over_time(gauge[2h])", 0),
        ("min_over_time(gauge[2h])", 0),
        ("count_over_time(gauge[2h])", 0),
        ("avg_over_time(gauge[2h])", 1e-7),
        ("sum_over_time(gauge[2h])", 1e-7),
        # The points of a range see increases inside of it only, and extrapolate the rest.
        ("increase(requests_total[8h])", 0.2),
        ("sum(rate(requests_total[8h]))", 0.2),
    ],
)
def test_downsampled_series_give_the_same_answers(
    store: EmbeddedStore, query: str, tolerance: float, tier: Tier
) -> None:
    engine = Engine(Limits())
    start, end = BEGIN + 10 * HOUR, BEGIN + 2 * DAY
    raw = engine.range(store, query, start, end, HOUR, tier="raw").series[0]
    coarse = engine.range(store, query, start, end, HOUR, tier=tier)
    assert coarse.tier == tier
    assert coarse.series[0].times.tolist() == raw.times.tolist()
    assert coarse.series[0].values.tolist() == pytest.approx(raw.values.tolist(), rel=tolerance, abs=0)


def test_instant_selector_finds_hourly_points_at_any_time(store: EmbeddedStore) -> None:
    engine = Engine(Limits())
    start = BEGIN + 10 * HOUR + 37 * MINUTE
    found = engine.range(store, "gauge", start, start + 10 * HOUR, HOUR, tier="1h")
    exact = engine.range(store, "gauge", BEGIN + 10 * HOUR, BEGIN + 20 * HOUR, HOUR, tier="raw")
    assert found.series[0].values.tolist() == exact.series[0].values.tolist()
