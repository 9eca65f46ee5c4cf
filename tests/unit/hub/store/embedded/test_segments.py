"""Segments: samples of the newest hours in the file, before they are in chunks."""

import random
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricat_hub.model.labels import Labels
from metricat_hub.model.ports import Hints, SampleBlocks
from metricat_hub.model.samples import STALE, Batch
from metricat_hub.store.embedded import EmbeddedStore, Settings, operations, segment_encoding
from metricat_hub.store.embedded.database import FILE
from metricat_hub.store.embedded.encoding import DamagedError
from metricat_hub.store.embedded.head import Head, Table, run_of
from metricat_hub.store.embedded.segments import divided
from support.hub_store import BEGIN, HOUR, MINUTE, SECOND, Clock, labels, named, open_store, read, write

STEP = 10 * SECOND
SMALL = Settings(head_samples=200)
TARGETS = [[labels("up", node=f"{node}", cpu=f"{cpu}") for cpu in range(10)] for node in range(3)]
VALUES = st.one_of(
    st.floats(width=64),
    st.integers(-(2**54), 2**54).map(float),
    st.integers(-200, 200).map(float),
    st.decimals(-100, 100, places=2).map(float),
    st.sampled_from([float(STALE), -0.0, 0.0, float("inf")]),
)


def count(folder: Path, table: str) -> int:
    connection = sqlite3.connect(folder / FILE)
    number = int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    connection.close()
    return number


def scrape(
    store: EmbeddedStore, clock: Clock, rounds: int, targets: Sequence[Sequence[Labels]] = TARGETS, step: int = STEP
) -> None:
    """Append rounds of samples, with maintenance after each."""
    for _ in range(rounds):
        clock.now += step
        for at, series in enumerate(targets):
            numbers = store.resolve(series)
            values = np.arange(len(series)) * float(clock.now // STEP % 97) / 4
            store.append(Batch(numbers, np.full(len(series), clock.now - at), values))
        store.maintain()


@given(st.data(), st.integers(1, 8), st.integers(1, 5))
def test_tables_keep_every_bit_of_the_series_that_are_read(data: st.DataObject, rows: int, columns: int) -> None:
    values = np.array(
        [data.draw(st.lists(VALUES, min_size=rows, max_size=rows)) for _ in range(columns)], np.float64
    ).T.copy()
    series = np.array(
        sorted(data.draw(st.sets(st.integers(0, 2**31 - 1), min_size=columns, max_size=columns))), np.int32
    )
    times = np.array(sorted(data.draw(st.sets(st.integers(0, 2**45), min_size=rows, max_size=rows))), np.int64)
    encoded = segment_encoding.encode(Table(series, times, values), b"bounds")
    other = data.draw(st.sets(st.integers(0, 2**31 - 1), max_size=5))
    chosen = data.draw(st.sets(st.sampled_from(series.tolist())))
    wanted = np.array(sorted(chosen | other), np.int32)
    for numbers in (None, wanted) if len(wanted) else (None,):
        found = segment_encoding.decode(encoded, b"bounds", numbers)
        places = np.arange(columns) if numbers is None else np.flatnonzero(np.isin(series, numbers))
        if not len(places):
            assert found is None
            continue
        assert isinstance(found, Table)
        assert found.series.tolist() == series[places].tolist()
        assert found.times.tolist() == times.tolist()
        same = np.ascontiguousarray(found.values).view(np.uint64) == np.ascontiguousarray(values[:, places]).view(
            np.uint64
        )
        assert same.all()


@given(st.integers(0, 2**40), st.booleans())
def test_any_changed_byte_of_a_segment_is_detected(at: int, run: bool) -> None:  # noqa: FBT001 -- Hypothesis passes it
    table = Table(np.arange(9, dtype=np.int32), np.array([1, 5, 6]), np.arange(27.0).reshape(3, 9) / 8)
    encoded = segment_encoding.encode(table.as_run() if run else table, b"bounds")
    damaged = bytearray(encoded)
    damaged[at % len(encoded)] ^= 1 + at % 255
    with pytest.raises(DamagedError):
        segment_encoding.decode(bytes(damaged), b"bounds")
    with pytest.raises(DamagedError):
        segment_encoding.decode(encoded, b"other")


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 3 * HOUR // 60_000)), min_size=1, max_size=200))
def test_runs_are_divided_by_window_and_keep_their_samples(rows: list[tuple[int, int]]) -> None:
    head = Head()
    for at, (series, minute) in enumerate(rows):
        # Ten series with the same time, and one alone.
        numbers = np.array([series, *range(100, 110)], np.int32)
        times = np.array([BEGIN + minute * MINUTE + at, *[BEGIN + at * MINUTE + 1] * 10])
        head.add(run_of(numbers, times, np.arange(11.0) + at))
    wanted = sorted(
        (number, time, value)
        for part in head.snapshot()
        for number, time, value in zip(
            part.as_run().series.tolist(), part.as_run().times.tolist(), part.as_run().values.tolist(), strict=True
        )
    )
    parts = [part.as_run() for part in divided(head.snapshot())]
    assert all((part.first - 1) // (2 * HOUR) == (part.last - 1) // (2 * HOUR) for part in parts)
    found = sorted(
        row
        for part in parts
        for row in zip(part.series.tolist(), part.times.tolist(), part.values.tolist(), strict=True)
    )
    assert found == wanted


def test_samples_of_a_window_are_written_into_chunks_once_when_it_is_complete(tmp_path: Path) -> None:
    clock = Clock()
    store = open_store(tmp_path, clock, SMALL)
    scrape(store, clock, 3 * 60 - 1, step=MINUTE)
    assert count(tmp_path, "chunks_raw") == 0
    assert count(tmp_path, "segments") > 40
    wanted = read(store, named("up"))
    assert {len(samples) for samples in wanted.values()} == {3 * 60 - 1}
    store.close()
    store = open_store(tmp_path, clock, SMALL)
    assert read(store, named("up")) == wanted
    scrape(store, clock, 1, step=MINUTE)
    assert count(tmp_path, "chunks_raw") == 30
    assert 0 < count(tmp_path, "segments") < 30
    found = read(store, named("up"), end=clock.now - MINUTE)
    assert found == wanted


def test_blocks_of_segments_equal_the_series_also_if_a_target_changes_its_series(tmp_path: Path) -> None:
    clock = Clock()
    store = open_store(tmp_path, clock, SMALL)
    scrape(store, clock, 100)
    scrape(store, clock, 50, [TARGETS[0][1:], TARGETS[1], TARGETS[2][:5]])
    scrape(store, clock, 40)
    assert count(tmp_path, "segments") > 20
    for start, end in ((clock.now - 25 * MINUTE, clock.now), (clock.now - 20 * MINUTE, clock.now - 8 * MINUTE - 1)):
        found = store.select(named("up"), start, end, Hints(range=end - start, function="rate")).series
        assert isinstance(found, SampleBlocks)
        blocks = {one.labels: list(zip(one.times.tolist(), one.values.tolist(), strict=True)) for one in found}
        assert blocks == read(store, named("up"), start, end)


def test_a_segment_between_the_series_of_a_selector_has_no_block(tmp_path: Path) -> None:
    clock = Clock(BEGIN + HOUR)
    store = open_store(tmp_path, clock, Settings(head_samples=1))
    first, other, last = labels("up", node="a"), labels("other"), labels("up", node="b")
    store.resolve([first, other, last])  # in this order
    samples = [(BEGIN + at * MINUTE, float(at)) for at in range(1, 59)]
    for one in (first, other, last):
        write(store, {one: samples})
        store.maintain()
    assert count(tmp_path, "segments") == 3
    hints = Hints(range=HOUR, function="rate")
    found = store.select(named("up"), BEGIN, clock.now, hints).series
    assert isinstance(found, SampleBlocks)
    assert {one.labels: list(zip(one.times.tolist(), one.values.tolist(), strict=True)) for one in found} == {
        first: samples,
        last: samples,
    }


def test_late_samples_and_duplicates_of_segments(tmp_path: Path) -> None:
    clock = Clock(BEGIN + HOUR)
    store = open_store(tmp_path, clock, Settings(head_samples=1))
    one = TARGETS[0][0]
    write(store, {one: [(BEGIN + at * MINUTE, float(at)) for at in range(1, 59, 2)]})
    store.maintain()
    late = write(store, {one: [(BEGIN + at * MINUTE, float(at)) for at in range(1, 59)]})
    assert (late.accepted, late.duplicates) == (29, 29)
    conflict = write(store, {one: [(BEGIN + 5 * MINUTE, 99.0)]})
    assert (conflict.accepted, conflict.duplicates) == (0, 0)
    store.maintain()
    wanted = {one: [(BEGIN + at * MINUTE, float(at)) for at in range(1, 59)]}
    assert read(store, named("up")) == wanted
    clock.now = BEGIN + 3 * HOUR
    store.maintain()
    assert (count(tmp_path, "segments"), count(tmp_path, "chunks_raw")) == (0, 1)
    assert read(store, named("up")) == wanted


def test_samples_later_than_their_chunks_wait_for_more_of_them(tmp_path: Path) -> None:
    clock = Clock(BEGIN + 2 * HOUR)
    store = open_store(tmp_path, clock)
    write(store, {TARGETS[0][0]: [(BEGIN + HOUR, 1.0)], TARGETS[0][1]: [(BEGIN + HOUR, 1.0)]})
    clock.now += HOUR
    assert store.maintain().packed_samples == 2
    clock.now += MINUTE
    write(store, {TARGETS[0][0]: [(BEGIN + HOUR + 1, 2.0)]})
    assert store.maintain().packed_samples == 0
    clock.now += 5 * MINUTE
    assert store.maintain().packed_samples == 1
    assert read(store, named("up"))[TARGETS[0][0]] == [(BEGIN + HOUR, 1.0), (BEGIN + HOUR + 1, 2.0)]


def test_a_reader_finds_the_samples_of_segments_that_another_process_has_packed_since(tmp_path: Path) -> None:
    clock = Clock()
    store = open_store(tmp_path, clock, SMALL)
    scrape(store, clock, 60)
    reader = EmbeddedStore.open_read_only(tmp_path)
    wanted = read(reader, named("up"))
    store.maintain(pack_all=True)
    assert count(tmp_path, "segments") == 0
    assert read(reader, named("up")) == wanted
    blocks = store_blocks(reader, BEGIN, clock.now)
    assert blocks == wanted
    reader.close()


def store_blocks(store: EmbeddedStore, start: int, end: int) -> dict[Labels, list[tuple[int, float]]]:
    """Return the samples of a range selector."""
    return read(store, named("up"), start, end, Hints(range=end - start, function="rate"))


def test_a_damaged_segment_is_named_and_costs_only_its_samples(tmp_path: Path) -> None:
    clock = Clock()
    store = open_store(tmp_path, clock, SMALL)
    scrape(store, clock, 30)
    wanted = read(store, named("up"))
    store.close()
    connection = sqlite3.connect(tmp_path / FILE)
    number, data = connection.execute("SELECT number, data FROM segments ORDER BY number LIMIT 1").fetchone()
    connection.execute("UPDATE segments SET data = ? WHERE number = ?", (data[:-1] + b"!", number))
    connection.commit()
    connection.close()
    store = open_store(tmp_path, clock, SMALL)
    warning = f"segment {number} of the newest hours is damaged (wrong checksum); its samples are missing"
    assert operations.check(tmp_path).damaged == (warning,)
    for pack in (False, True):
        if pack:
            clock.now += 3 * HOUR
            store.maintain()
        selection = store.select(named("up"), 0, 2**60, Hints(range=HOUR, function="rate"))
        assert selection.warnings == (warning,)
        lost = sum(map(len, wanted.values())) - sum(len(one.times) for one in selection.series)
        assert 0 < lost <= 200
    assert count(tmp_path, "segments") == 1
    store.close()
    operations.compact(tmp_path)
    assert operations.check(tmp_path).damaged == ()
    assert count(tmp_path, "segments") == 0


@pytest.mark.parametrize("seed", range(3))
def test_samples_survive_any_order_of_writes_maintenance_and_restarts(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    clock = Clock(BEGIN + HOUR)
    store = open_store(tmp_path, clock, SMALL)
    wanted: dict[Labels, dict[int, float]] = {}
    for _ in range(60):
        clock.now += chance.randrange(1, 4) * MINUTE
        own = chance.choice(TARGETS)
        rows = {}
        for one in own[: chance.randrange(1, 11)]:
            at = clock.now - (chance.randrange(40) * MINUTE if chance.random() < 0.1 else 0)
            if at not in wanted.setdefault(one, {}):
                rows[one] = [(at, chance.choice([1.0, 2.5, -0.0, 7.0]))]
                wanted[one][at] = rows[one][0][1]
        if rows:
            write(store, rows)
        match chance.choice(("", "", "maintain", "maintain", "restart")):
            case "maintain":
                store.maintain()
            case "restart":
                store.close()
                store = open_store(tmp_path, clock, SMALL)
        assert store_blocks(store, BEGIN, clock.now) == {
            one: sorted(rows.items()) for one, rows in wanted.items() if rows
        }
