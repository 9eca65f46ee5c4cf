"""Samples in memory: each quick way to read them returns what the store returned without it."""

from pathlib import Path

import numpy as np
import pytest

from metricat_hub.model.labels import Labels
from metricat_hub.model.ports import Hints, NewestSamples, SampleBlocks, Selection
from metricat_hub.model.samples import STALE, Batch
from metricat_hub.promql.engine import Engine
from metricat_hub.promql.limits import Limits
from metricat_hub.store.embedded import EmbeddedStore, Settings
from metricat_hub.store.embedded.chunk_cache import ChunkCache
from metricat_hub.store.embedded.encoding import Chunk
from metricat_hub.store.embedded.head import Head, Run, Table, run_of
from support.hub_store import BEGIN, MINUTE, SECOND, Clock, labels, matcher, named, open_store

ENGINE = Engine(Limits())
STEP = 10 * SECOND
TARGETS = [[labels("up", node=f"{target}", cpu=f"{cpu}") for cpu in range(3)] for target in range(4)]


def scrape(store: EmbeddedStore, clock: Clock, rounds: int, *, value: float = 1.0) -> None:
    """Append rounds of samples of each target, each with its own place in the interval."""
    for _ in range(rounds):
        clock.now += STEP
        for target, series in enumerate(TARGETS):
            numbers = store.resolve(series)
            values = np.array([value * (clock.now - BEGIN) / SECOND * (1 + at) for at in range(len(series))])
            store.append(Batch(numbers, np.full(len(series), clock.now - target * SECOND), values))


def plain(selection: Selection) -> dict[Labels, list[tuple[int, float]]]:
    return {one.labels: list(zip(one.times.tolist(), one.values.tolist(), strict=True)) for one in selection.series}


def values_of(store: EmbeddedStore, query: str, at: int) -> dict[Labels, float]:
    result = ENGINE.instant(store, query, at)
    return dict(zip(result.labels, result.values.tolist(), strict=True))


def test_series_of_a_target_become_a_table_and_others_runs() -> None:
    head = Head()
    series = np.array([1, 5], np.int32)
    for time in range(3):
        head.add(run_of(series, np.array([time, time]), np.array([time, 10.0 + time])))
    head.add(run_of(series, np.array([1, 9]), np.array([7.0, 8.0])))
    head.add(run_of(series, np.array([0, 0]), np.array([7.0, 8.0])))
    parts = head.snapshot()
    tables = [part for part in parts if isinstance(part, Table)]
    assert [(one.times.tolist(), one.values.tolist()) for one in tables] == [([1, 2], [[1.0, 11.0], [2.0, 12.0]])]
    assert [one.times.tolist() for one in parts if isinstance(one, Run)] == [[0, 0], [1, 9], [0, 0]]
    assert head.samples == sum(map(len, parts)) == 10


def test_a_table_that_was_returned_does_not_change() -> None:
    head = Head()
    series = np.array([1, 2], np.int32)
    for time in range(5):
        head.add(run_of(series, np.array([time, time]), np.array([time, time])))
    before = head.overlapping(1, 2)[-1]
    for time in range(5, 50):
        head.add(run_of(series, np.array([time, time]), np.array([time, time])))
    assert isinstance(before, Table)
    assert before.times.tolist() == [1, 2, 3, 4]
    assert len(head.overlapping(2, 9)[-1]) == 2 * 49
    assert head.overlapping(3, 9) == []


@pytest.mark.parametrize("packed", [False, True])
def test_newest_samples_equal_the_last_ones_of_the_selection(tmp_path: Path, *, packed: bool) -> None:
    clock = Clock()
    store = open_store(tmp_path, clock)
    scrape(store, clock, 30)
    if packed:
        store.maintain(pack_all=True)
        scrape(store, clock, 3)
    for end in (clock.now, clock.now - 2 * SECOND, clock.now - 5 * MINUTE, clock.now + MINUTE):
        whole = plain(store.select(named("up"), end - 5 * MINUTE, end, Hints()))
        found = store.select(named("up"), end - 5 * MINUTE, end, Hints(newest=True))
        assert isinstance(found.series, NewestSamples)
        assert plain(found) == {one: samples[-1:] for one, samples in whole.items()}


def test_newest_samples_are_right_after_late_samples_and_a_restart(tmp_path: Path) -> None:
    clock = Clock()
    store = open_store(tmp_path, clock)
    scrape(store, clock, 3)
    numbers = store.resolve(TARGETS[0])
    store.append(Batch(numbers, np.full(3, clock.now - 5 * SECOND), np.full(3, -1.0)))
    store.append(Batch(np.repeat(numbers, 2), np.tile([clock.now + 1, clock.now + 2], 3), np.arange(6.0)))

    newest = Hints(newest=True)

    def read_newest() -> dict[Labels, list[tuple[int, float]]]:
        return plain(
            store.select([*named("up"), matcher("node", "=", "0")], clock.now - MINUTE, clock.now + MINUTE, newest)
        )

    expected = {one: [(clock.now + 2, 1.0 + 2 * at)] for at, one in enumerate(TARGETS[0])}
    assert read_newest() == expected
    for pack in (False, True):
        if pack:
            store.maintain(pack_all=True)
        store.close()
        store = open_store(tmp_path, clock)
        assert read_newest() == expected


@pytest.mark.parametrize("late", [False, True])
def test_blocks_equal_the_samples_of_the_file(tmp_path: Path, *, late: bool) -> None:
    clock = Clock()
    store = open_store(tmp_path, clock)
    scrape(store, clock, 40)
    store.maintain(pack_all=True)
    scrape(store, clock, 4)
    if late:
        store.append(Batch(store.resolve(TARGETS[1]), np.full(3, clock.now - 15 * SECOND), np.full(3, 0.5)))
    start = clock.now - 2 * MINUTE
    found = store.select(named("up"), start, clock.now, Hints(range=2 * MINUTE, function="rate"))
    assert isinstance(found.series, SampleBlocks) is not late
    reopened = open_store(tmp_path / "copy", clock)
    for one in store.select(named("up"), 0, clock.now, Hints()).series:
        reopened.append_any_age(Batch(np.repeat(reopened.resolve([one.labels]), len(one.times)), one.times, one.values))
    reopened.maintain(pack_all=True)
    reopened.close()
    reopened = open_store(tmp_path / "copy", clock)
    assert plain(found) == plain(reopened.select(named("up"), start, clock.now, Hints()))
    for query in ("rate(up[2m])", "increase(up[90s])", "max_over_time(up[1m])", "sum by (node) (delta(up[1m]))", "up"):
        for offset in (0, 7 * SECOND, MINUTE):
            found_values, expected = (values_of(each, query, clock.now - offset) for each in (store, reopened))
            assert found_values == expected


def test_rates_of_one_window_correct_resets_and_leave_markers_out(tmp_path: Path) -> None:
    clock = Clock()
    store = open_store(tmp_path, clock)
    numbers = store.resolve(TARGETS[0])
    for first in (1.0, 5.0, 2.0, 4.0, 1.0):
        clock.now += STEP
        store.append(Batch(numbers, np.full(3, clock.now), np.array([first, 10 * first, STALE])))
    result = ENGINE.instant(store, "increase(up[1m])", clock.now)
    increases = dict(zip([dict(one)["cpu"] for one in result.labels], result.values.tolist(), strict=True))
    # 4 + 2 + 2 + 1 in 40 seconds; the rest to the bounds of the window is extrapolated.
    assert set(increases) == {"0", "1"}
    assert increases["0"] == pytest.approx(9 * 50 / 40, rel=0.2)
    assert increases["1"] == pytest.approx(10 * increases["0"], rel=0.2)


def test_packed_samples_stay_in_memory_for_some_minutes(tmp_path: Path) -> None:
    clock = Clock()
    store = open_store(tmp_path, clock, Settings())
    scrape(store, clock, 60)
    store.maintain(pack_all=True)
    core = store._core
    assert clock.now - 7 * MINUTE < core.memory_from <= clock.now - 5 * MINUTE
    assert min(part.first for part in core.packed) > core.memory_from
    scrape(store, clock, 60)
    store.maintain(pack_all=True)
    assert sum(map(len, core.packed)) <= 12 * 7 * 6


def test_samples_after_a_restart_are_read_from_memory_if_they_were_not_packed(tmp_path: Path) -> None:
    clock = Clock()
    store = open_store(tmp_path, clock)
    scrape(store, clock, 10)
    store.maintain(pack_all=True)
    packed_until = clock.now
    scrape(store, clock, 10)
    store.close()
    store = open_store(tmp_path, clock)
    whole = store.select(named("up"), packed_until - MINUTE, clock.now, Hints(range=2 * MINUTE, function="rate"))
    assert {len(one.times) for one in whole.series} == {16, 17}
    recent = store.select(named("up"), packed_until + 1, clock.now, Hints(range=MINUTE, function="rate"))
    assert {len(one.times) for one in recent.series} == {10}
    assert isinstance(recent.series, SampleBlocks)


def test_a_chunk_that_changed_is_decoded_again(tmp_path: Path) -> None:
    clock = Clock()
    store = open_store(tmp_path, clock)
    scrape(store, clock, 60)
    store.maintain(pack_all=True)
    start, hints = clock.now - 20 * MINUTE, Hints(range=20 * MINUTE, function="rate")
    before = plain(store.select(named("up"), start, clock.now, hints))
    assert plain(store.select(named("up"), start, clock.now, hints)) == before
    late = clock.now - 3 * STEP - 500
    for series in TARGETS:
        numbers = store.resolve(series)
        store.append(Batch(numbers, np.full(len(numbers), late), np.full(len(numbers), 0.25)))
    store.maintain(pack_all=True)
    after = plain(store.select(named("up"), start, clock.now, hints))
    assert after == {one: sorted([*samples, (late, 0.25)]) for one, samples in before.items()}


def test_the_cache_of_chunks_forgets_the_chunk_that_was_not_read_for_longest() -> None:
    cache = ChunkCache(most_bytes=3 * 700)
    chunk = Chunk(np.arange(10), {"last": np.arange(10.0)})
    for identity in (1, 2, 3):
        cache.put("raw", identity, b"data", None, chunk)
    assert cache.get("raw", 1, b"data", None) is chunk
    cache.put("raw", 4, b"data", None, chunk)
    assert [cache.get("raw", identity, b"data", None) is None for identity in (1, 2, 3, 4)] == [
        False,
        True,
        False,
        False,
    ]
    assert cache.get("raw", 4, b"other", None) is None
    assert cache.get("raw", 4, b"data", ["last"]) is None
    assert cache.bytes <= 3 * 700
