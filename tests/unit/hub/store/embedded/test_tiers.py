"""Downsampling, and which tier serves which query."""

import random
from pathlib import Path

import numpy as np
import pytest

from metricat_hub.model.labels import Labels
from metricat_hub.model.metadata import Metadata
from metricat_hub.model.ports import Hints, Selection, Tier
from metricat_hub.model.samples import STALE
from metricat_hub.store.embedded import EmbeddedStore, Settings, tiers
from metricat_hub.store.embedded.core import Progress
from metricat_hub.store.embedded.selection import Segment, plan
from metricat_hub.store.embedded.windows import BY_HOUR, BY_MINUTE, RAW
from support.hub_store import (
    BEGIN,
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    Clock,
    labels,
    named,
    open_store,
    points,
    write,
)

COUNTER = labels("requests_total", node="a")
GAUGE = labels("temperature", node="a")
STEP = 15 * SECOND
RESETS = {1000, 1001, 480, 2400, 5760}


def fill(store: EmbeddedStore, clock: Clock, days: float = 2) -> dict[Labels, list[tuple[int, float]]]:
    """Write samples every 15 s, with maintenance, and return them."""
    source = random.Random(1)
    written: dict[Labels, list[tuple[int, float]]] = {COUNTER: [], GAUGE: []}
    store.set_metadata({"temperature": Metadata("gauge")})
    counter = 0.0
    for at in range(int(days * DAY) // STEP):
        clock.now = BEGIN + (at + 1) * STEP
        counter = 0.0 if at in RESETS else counter + source.randrange(100)
        written[COUNTER].append((clock.now, counter))
        written[GAUGE].append((clock.now, source.randrange(1000) / 8))
        if at % 480 == 479:
            write(store, {one: rows[-480:] for one, rows in written.items()})
            store.maintain()
    return written


def select(store: EmbeddedStore, name: str, tier: Tier, function: str) -> Selection:
    return store.select(named(name), 0, 2**60, Hints(step=HOUR, range=HOUR, function=function, tier=tier))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[EmbeddedStore, dict[Labels, list[tuple[int, float]]]]:
    clock = Clock()
    store = open_store(tmp_path_factory.mktemp("store"), clock)
    written = fill(store, clock)
    clock.now += 2 * HOUR
    store.maintain()
    return store, written


@pytest.mark.parametrize(("tier", "resolution"), [("1m", MINUTE), ("1h", HOUR)])
@pytest.mark.parametrize(
    ("function", "aggregate"),
    [
        ("", lambda values: values[-1]),
        ("last_over_time", lambda values: values[-1]),
        ("min_over_time", min),
        ("max_over_time", max),
        ("count_over_time", len),
        ("avg_over_time", lambda values: sum(values) / len(values)),
        ("sum_over_time", sum),
    ],
)
def test_gauge_has_the_aggregates_of_each_interval(
    filled: tuple[EmbeddedStore, dict[Labels, list[tuple[int, float]]]],
    tier: Tier,
    resolution: int,
    function: str,
    aggregate: object,
) -> None:
    store, written = filled
    assert callable(aggregate)
    selection = select(store, "temperature", tier, function)
    assert selection.tier == tier
    buckets: dict[int, list[float]] = {}
    for time, value in written[GAUGE]:
        buckets.setdefault(-(-time // resolution) * resolution, []).append(value)
    found = points(selection.series[0])
    assert [time for time, _ in found] == list(buckets)
    assert [value for _, value in found] == pytest.approx([aggregate(values) for values in buckets.values()], rel=1e-7)


def true_increase(rows: list[tuple[int, float]], start: int, end: int) -> float:
    """Return the increase of a counter from the last sample until start to the last sample until end."""
    total = 0.0
    previous = None
    for time, value in rows:
        if time <= end and previous is not None and time > start:
            total += value - previous if value >= previous else value
        previous = value
    return total


@pytest.mark.parametrize("tier", ["1m", "1h"])
def test_increase_of_a_counter_is_exact_across_resets_and_borders(
    filled: tuple[EmbeddedStore, dict[Labels, list[tuple[int, float]]]], tier: Tier
) -> None:
    store, written = filled
    found = points(select(store, "requests_total", tier, "increase").series[0])
    times = [time for time, _ in found]
    values = [value for _, value in found]
    assert values == sorted(values)
    for first, last in ((0, -1), (0, 1), (3, 9), (5, 40)):
        expected = true_increase(written[COUNTER], times[first], times[last])
        assert values[last] - values[first] == expected


def test_counter_continues_from_a_tier_to_raw_samples(tmp_path: Path) -> None:
    clock = Clock()
    store = open_store(tmp_path, clock)
    written = fill(store, clock, 1.4)
    selection = select(store, "requests_total", "1h", "rate")
    found = points(selection.series[0])
    assert selection.tier == "1h"
    assert {time % HOUR for time, _ in found[:24]} == {0}
    steps = np.diff([time for time, _ in found])
    assert set(steps.tolist()) == {HOUR, MINUTE, STEP}
    assert found[-1][1] - found[0][1] == true_increase(written[COUNTER], found[0][0], found[-1][0])


def test_gauge_without_declared_type_keeps_the_columns_of_both(tmp_path: Path) -> None:
    clock = Clock(BEGIN + 4 * HOUR)
    store = open_store(tmp_path, clock)
    rises, falls = labels("rises"), labels("falls")
    times = [BEGIN + at * STEP for at in range(1, 400)]
    write(
        store,
        {rises: [(time, float(at)) for at, time in enumerate(times)], falls: [(time, -float(time)) for time in times]},
    )
    store.maintain()
    found = points(select(store, "rises", "1m", "min_over_time").series[0])
    assert found[1] == (BEGIN + 2 * MINUTE, 4.0)
    assert points(select(store, "falls", "1m", "rate").series[0]) == points(select(store, "falls", "1m", "").series[0])


def test_kind_follows_the_declared_type() -> None:
    declared = {
        "a": Metadata("counter"),
        "b": Metadata("gauge"),
        "h": Metadata("histogram"),
        "s": Metadata("summary"),
        "odd_total": Metadata("gauge"),
    }
    kinds = {
        "a": "counter",
        "b": "gauge",
        "h_bucket": "counter",
        "h_sum": "counter",
        "s_count": "counter",
        "s": "gauge",
        "odd_total": "gauge",
        "new_total": "counter",
        "b_count": "unknown",
        "c": "unknown",
    }
    assert {name: tiers.kind_of(name, declared) for name in kinds} == kinds


def test_staleness_markers_give_no_points(tmp_path: Path) -> None:
    clock = Clock(BEGIN + 4 * HOUR)
    store = open_store(tmp_path, clock)
    rows = [(BEGIN + 1, 1.0), (BEGIN + 2, float(STALE)), (BEGIN + HOUR, float(STALE))]
    write(store, {GAUGE: rows, labels("ended"): rows[1:]})
    store.maintain()
    assert points(select(store, "temperature", "1m", "").series[0]) == [(BEGIN + MINUTE, 1.0)]
    assert select(store, "ended", "1m", "").series == []


def test_late_samples_change_downsampled_points(tmp_path: Path) -> None:
    clock = Clock()
    store = open_store(tmp_path, clock)
    fill(store, clock, 1.25)
    late = labels("late_total")
    write(store, {late: [(BEGIN + HOUR, 10.0)]})
    store.maintain(pack_all=True)
    write(store, {late: [(BEGIN + HOUR + MINUTE, 4.0)]})
    store.maintain(pack_all=True)
    for tier in ("1m", "1h"):
        found = points(store.select(named("late_total"), 0, 2**60, Hints(function="rate", tier=tier)).series[0])
        assert found[-1][1] == 14.0
        assert found[-1][0] == BEGIN + (HOUR + MINUTE if tier == "1m" else 2 * HOUR)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (RAW, [(BY_HOUR, 0, 10), (BY_MINUTE, 11, 30), (RAW, 31, 100)]),
        (BY_MINUTE, [(BY_HOUR, 0, 10), (BY_MINUTE, 11, 90), (RAW, 91, 100)]),
        (BY_HOUR, [(BY_HOUR, 0, 70), (BY_MINUTE, 71, 90), (RAW, 91, 100)]),
    ],
)
def test_each_part_of_a_query_uses_a_tier_with_its_samples(
    wanted: object, expected: list[tuple[object, int, int]]
) -> None:
    progress = Progress(by_minute=90, by_hour=70, dropped_raw=30, dropped_1m=10)
    layout = next(one for one in (RAW, BY_MINUTE, BY_HOUR) if one is wanted)
    found = plan(progress, layout, 0, 100)
    assert [(one.layout, one.start, one.end) for one in found] == expected
    assert plan(progress, layout, 95, 100) == [Segment(RAW, 95, 100)]


@pytest.mark.parametrize(
    ("hints", "span", "series", "tier"),
    [
        (Hints(), 5 * MINUTE, 10_000, "raw"),
        (Hints(step=5 * MINUTE), DAY, 10, "raw"),
        (Hints(step=5 * MINUTE), DAY, 6400, "1m"),
        (Hints(step=HOUR), 365 * DAY, 10, "1h"),
        (Hints(step=30 * SECOND), 30 * DAY, 100, "raw"),
        (Hints(step=HOUR, range=5 * MINUTE, function="rate"), 30 * DAY, 100, "1m"),
        (Hints(step=HOUR, range=2 * MINUTE, function="rate"), 30 * DAY, 100, "raw"),
        (Hints(range=7 * DAY, function="avg_over_time"), 7 * DAY, 100, "1h"),
        (Hints(step=HOUR, range=DAY, function="changes"), 30 * DAY, 1000, "raw"),
        (Hints(tier="1h"), MINUTE, 1, "1h"),
    ],
)
def test_tier_follows_step_range_function_and_size(hints: Hints, span: int, series: int, tier: str) -> None:
    assert tiers.choose(hints, span, series).tier == tier


def test_settings_name_retention() -> None:
    assert (Settings().raw_retention, Settings().minute_retention, Settings().hour_retention) == (
        7 * DAY,
        30 * DAY,
        365 * DAY,
    )
