import threading
from pathlib import Path

import numpy as np
import pytest

from metricat_hub.model.errors import LimitError
from metricat_hub.model.ports import Hints
from metricat_hub.model.samples import Batch
from metricat_hub.store.embedded import EmbeddedStore, Settings
from metricat_hub.store.embedded.database import FILE
from support.hub_store import BEGIN, DAY, HOUR, MINUTE, Clock, labels, matcher, named, open_store, points, read, write

A = labels("m_total", node="a")


def run_days(store: EmbeddedStore, clock: Clock, days: int, names: list[tuple[tuple[str, str], ...]]) -> None:
    """Write a sample every 5 minutes, a batch every day, and maintain."""
    numbers = np.repeat(store.resolve(names), 288)
    start = clock.now
    for day in range(days):
        times = start + day * DAY + np.arange(1, 289) * 5 * MINUTE
        clock.now = int(times[-1])
        values = (times - BEGIN) / 1000.0
        store.append(Batch(numbers, np.tile(times, len(names)), np.tile(values, len(names))))
        store.maintain()


def test_year_keeps_each_tier_for_its_retention(tmp_path: Path) -> None:
    clock = Clock()
    store = open_store(tmp_path, clock)
    run_days(store, clock, 410, [A])
    kept = store.statistics().tiers
    oldest = {tier: one.oldest for tier, one in kept.items()}
    # A window is dropped when its last sample is too old: 2 hours, 1 day, 30 days.
    assert clock.now - 7 * DAY - 2 * HOUR <= (oldest["raw"] or 0) <= clock.now - 7 * DAY
    assert clock.now - 31 * DAY <= (oldest["1m"] or 0) <= clock.now - 30 * DAY
    assert clock.now - 395 * DAY <= (oldest["1h"] or 0) <= clock.now - 365 * DAY

    found = store.select(named("m_total"), 0, clock.now, Hints(function="increase"))
    times, values = found.series[0].times, found.series[0].values
    assert found.tier == "1h"
    assert set(np.diff(times).tolist()) == {HOUR, 5 * MINUTE}
    assert bool((values == (times - BEGIN) / 1000).all())
    assert store.select(named("m_total"), clock.now - 8 * DAY, clock.now, Hints()).tier == "1m"
    assert store.select(named("m_total"), clock.now - 6 * DAY, clock.now, Hints()).tier == "raw"
    store.close()
    assert (tmp_path / FILE).stat().st_size < 3_000_000


def test_size_limit_drops_the_oldest_raw_windows_first(tmp_path: Path) -> None:
    clock = Clock()
    limit = 4_000_000
    store = open_store(tmp_path, clock, Settings(max_bytes=limit))
    generator = np.random.default_rng(1)
    names = [labels("noise", at=str(at)) for at in range(20)]
    numbers = store.resolve(names)
    for hour in range(72):
        times = clock.now + np.arange(1, 241) * 15_000
        clock.now = int(times[-1])
        store.append(Batch(np.repeat(numbers, 240), np.tile(times, 20), generator.random(4800)))
        store.maintain()
        assert (tmp_path / FILE).stat().st_size < limit * 2, hour
    kept = store.statistics().tiers
    assert kept["raw"].oldest is not None
    assert kept["raw"].oldest > BEGIN + DAY
    assert kept["1m"].oldest == BEGIN
    found = store.select(named("noise"), 0, clock.now, Hints())
    assert found.tier in ("1m", "1h")
    assert len(found.series) == 20
    assert found.series[0].times[0] <= BEGIN + HOUR


def test_idle_series_leave_the_index_and_stay_readable(tmp_path: Path) -> None:
    clock = Clock()
    store = open_store(tmp_path, clock, Settings(series_limit=3))
    old = [labels("pod", uid=str(at)) for at in range(3)]
    write(store, {one: [(BEGIN, 1.0)] for one in old})
    numbers = store.resolve(old)
    generation = store.generation
    new = labels("pod", uid="new")
    assert store.resolve([new]).tolist() == [-1]
    clock.now += DAY + 3 * HOUR
    store.maintain()
    assert store.generation != generation
    statistics = store.statistics()
    assert (statistics.active_series, statistics.idle_series) == (0, 3)
    unknown = store.append(Batch(numbers, np.full(3, clock.now), np.ones(3))).unknown
    assert unknown is not None
    assert unknown.all()

    assert write(store, {new: [(clock.now, 2.0)]}).accepted == 1
    assert read(store, [matcher("uid", "=~", "[01]")]) == {one: [(BEGIN, 1.0)] for one in old[:2]}
    assert set(read(store, named("pod"))) == {*old, new}
    assert set(read(store, named("pod"), clock.now - HOUR)) == {new}
    assert store.label_values("uid", [], 0, 2**60) == ["0", "1", "2", "new"]
    # A series that returns has its number again.
    assert store.resolve([old[1]]).tolist() == [numbers[1]]
    assert write(store, {old[1]: [(BEGIN, 1.0), (clock.now, 3.0)]}).accepted == 1
    assert read(store, [matcher("uid", "=", "1")]) == {old[1]: [(BEGIN, 1.0), (clock.now, 3.0)]}
    store.close()
    store = open_store(tmp_path, clock)
    assert set(read(store, named("pod"))) == {*old, new}
    assert store.statistics().active_series == 2


def test_series_without_samples_in_any_tier_are_deleted(tmp_path: Path) -> None:
    clock = Clock()
    settings = Settings(raw_retention=DAY, minute_retention=DAY, hour_retention=DAY)
    store = open_store(tmp_path, clock, settings)
    write(store, {A: [(BEGIN, 1.0)]})
    store.resolve([labels("never")])
    clock.now += 2 * DAY
    store.maintain()
    clock.now += 60 * DAY
    store.maintain()
    statistics = store.statistics()
    assert (statistics.active_series, statistics.idle_series) == (0, 0)
    assert [one.oldest for one in statistics.tiers.values()] == [None] * 3


def test_ten_times_the_series_are_refused_and_idle_queries_have_a_limit(tmp_path: Path) -> None:
    clock = Clock()
    store = open_store(tmp_path, clock, Settings(series_limit=100, query_series=150))
    for _ in range(10):
        write_many(store, clock)
    statistics = store.statistics()
    assert statistics.active_series <= 100
    assert statistics.refused_series == 9 * 100
    clock.now += 2 * DAY
    store.maintain()
    write_many(store, clock)
    with pytest.raises(LimitError, match=r"matches at least \d+ series"):
        read(store, named("churn"))


def write_many(store: EmbeddedStore, clock: Clock) -> None:
    clock.now += 1
    numbers = store.resolve([labels("churn", at=f"{clock.now}-{at}") for at in range(100)])
    store.append(Batch(numbers, np.full(100, clock.now), np.ones(100)))


def test_wal_stays_bounded_while_readers_read(tmp_path: Path) -> None:
    clock = Clock()
    store = open_store(tmp_path, clock, Settings(head_samples=50_000))
    numbers = store.resolve([labels("m", at=str(at)) for at in range(500)])
    generator = np.random.default_rng(1)
    stop = threading.Event()
    failures: list[BaseException] = []

    def query() -> None:
        try:
            while not stop.is_set():
                store.select(named("m"), 0, 2**60, Hints())
        except BaseException as error:  # noqa: BLE001 -- the test reports it
            failures.append(error)

    threads = [threading.Thread(target=query) for _ in range(2)]
    for one in threads:
        one.start()
    largest = 0
    for _ in range(600):
        clock.now += 10_000
        assert store.append(Batch(numbers, np.full(500, clock.now), generator.random(500))).accepted == 500
        store.maintain()
        largest = max(largest, (tmp_path / f"{FILE}-wal").stat().st_size)
    stop.set()
    for one in threads:
        one.join()
    assert failures == []
    assert largest < 64 << 20
    assert sum(len(points(one)) for one in store.select(named("m"), 0, 2**60, Hints()).series) == 300_000
