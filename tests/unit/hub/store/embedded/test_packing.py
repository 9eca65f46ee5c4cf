import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.model.ports import Hints
from metricat_hub.model.samples import STALE, Batch
from metricat_hub.store.embedded import Settings, encoding
from metricat_hub.store.embedded.database import FILE
from metricat_hub.store.embedded.head import run_of
from support.hub_store import (
    BEGIN,
    HOUR,
    MINUTE,
    SECOND,
    Clock,
    labels,
    matcher,
    named,
    open_store,
    points,
    read,
    write,
)

NODES = [labels("m", node=str(at)) for at in range(5)]
NEVER = Settings(out_of_order=10 * HOUR)


def table(folder: Path, name: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(folder / FILE)
    rows: list[tuple[object, ...]] = connection.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall()
    connection.close()
    return rows


def chunk_rows(folder: Path, name: str) -> list[tuple[int, bytes]]:
    rows = []
    for number, data in table(folder, name):
        assert isinstance(number, int)
        assert isinstance(data, bytes)
        rows.append((number, data))
    return rows


def samples(begin: int, count: int) -> dict[tuple[tuple[str, str], ...], list[tuple[int, float]]]:
    """Return samples with irregular times, which the first three series share."""
    jitter = np.random.default_rng(1).integers(-400, 400, count)
    return {
        one: [
            (begin + at * 10 * SECOND + int(jitter[at]) * (1 + node // 3), float(at * node % 7)) for at in range(count)
        ]
        for node, one in enumerate(NODES)
    }


def test_packed_samples_are_the_same_and_one_chunk_per_series_and_window(tmp_path: Path) -> None:
    clock = Clock(BEGIN + 5 * HOUR)
    store = open_store(tmp_path, clock, NEVER)
    wanted = samples(BEGIN + SECOND, 1500)
    write(store, wanted)
    assert read(store, named("m")) == wanted
    assert store.maintain(pack_all=True).packed_samples == 7500
    assert read(store, named("m")) == wanted
    assert store.statistics().head_samples == 0
    assert len(chunk_rows(tmp_path, "chunks_raw")) == 5 * 3
    assert chunk_rows(tmp_path, "head") == []
    store.close()
    assert read(open_store(tmp_path), named("m")) == wanted


def test_packing_again_merges_late_samples_into_packed_windows(tmp_path: Path) -> None:
    store = open_store(tmp_path, Clock(BEGIN + HOUR))
    one = NODES[0]
    write(store, {one: [(BEGIN + at * MINUTE, float(at)) for at in range(1, 59, 2)]})
    store.maintain(pack_all=True)
    late = write(store, {one: [(BEGIN + at * MINUTE, float(at)) for at in range(1, 59)]})
    assert (late.accepted, late.duplicates) == (29, 29)
    wanted = {one: [(BEGIN + at * MINUTE, float(at)) for at in range(1, 59)]}
    assert read(store, named("m")) == wanted
    store.maintain(pack_all=True)
    assert read(store, named("m")) == wanted
    conflict = write(store, {one: [(BEGIN + 5 * MINUTE, 99.0)]})
    assert conflict.conflicting is not None
    assert (conflict.accepted, conflict.duplicates, conflict.conflicting.tolist()) == (0, 0, [True])


def test_duplicates_are_detected_after_packing_and_reopening(tmp_path: Path) -> None:
    clock = Clock(BEGIN + HOUR)
    store = open_store(tmp_path, clock)
    write(store, {NODES[0]: [(BEGIN + HOUR, 1.0)]})
    store.maintain(pack_all=True)
    store.close()
    store = open_store(tmp_path, clock)
    assert write(store, {NODES[0]: [(BEGIN + HOUR, 1.0)]}).duplicates == 1
    too_old = write(store, {NODES[0]: [(BEGIN - 1, 1.0)]}).too_old
    assert too_old is not None
    assert too_old.tolist() == [True]


def test_full_head_and_complete_windows_are_packed_when_due(tmp_path: Path) -> None:
    clock = Clock(BEGIN + HOUR)
    store = open_store(tmp_path, clock, Settings(head_samples=10))
    write(store, {NODES[0]: [(BEGIN + at, 1.0) for at in range(1, 10)]})
    assert store.maintain().packed_samples == 0
    write(store, {NODES[0]: [(BEGIN + 10, 1.0)]})
    assert store.maintain().packed_samples == 10
    write(store, {NODES[0]: [(BEGIN + 11, 1.0)]})
    clock.now = BEGIN + 3 * HOUR - 1
    assert store.maintain().packed_samples == 0
    clock.now += 1
    assert store.maintain().packed_samples == 1


def test_samples_are_refused_while_too_many_wait_for_packing(tmp_path: Path) -> None:
    clock = Clock(BEGIN + HOUR)
    store = open_store(tmp_path, clock, Settings(head_samples=10))
    number = store.resolve([NODES[0]])[0]
    batch = Batch(np.full(2_000_001, number), BEGIN + np.arange(1, 2_000_002), np.ones(2_000_001))
    assert store.append(batch).accepted == 2_000_001
    with pytest.raises(
        StoreUnavailableError, match="2000001 samples wait in memory to be packed, above the limit of 2000000"
    ):
        write(store, {NODES[0]: [(BEGIN + HOUR, 1.0)]})
    assert store.statistics().rejected_samples["unavailable"] == 1
    store.maintain()
    assert write(store, {NODES[0]: [(BEGIN + HOUR, 1.0)]}).accepted == 1


def test_times_that_chunks_share_are_stored_once_and_removed_when_unused(tmp_path: Path) -> None:
    clock = Clock(BEGIN + HOUR)
    store = open_store(tmp_path, clock)
    wanted = samples(BEGIN + MINUTE, 300)
    half = BEGIN + 30 * MINUTE
    write(store, {one: [sample for sample in rows if sample[0] < half] for one, rows in wanted.items()})
    store.maintain(pack_all=True)
    write(store, wanted)
    store.maintain(pack_all=True)
    assert len(chunk_rows(tmp_path, "times")) == 4
    clock.now += 2 * HOUR
    store.maintain()
    assert len(chunk_rows(tmp_path, "times")) == 2
    assert read(store, named("m")) == wanted


@pytest.mark.parametrize("codec", ["pcodec", "zstd"])
def test_codecs_read_chunks_of_each_other(tmp_path: Path, codec: str) -> None:
    wanted = samples(BEGIN + MINUTE, 100)
    first = Settings(codec="zstd" if codec == "zstd" else "pcodec")
    store = open_store(tmp_path, Clock(BEGIN + HOUR), first)
    write(store, wanted)
    store.maintain(pack_all=True)
    store.close()
    store = open_store(tmp_path, Clock(BEGIN + HOUR), Settings(codec="pcodec" if codec == "zstd" else "zstd"))
    assert read(store, named("m")) == wanted


def test_damaged_chunk_is_named_and_others_stay_readable(tmp_path: Path) -> None:
    store = open_store(tmp_path, Clock(BEGIN + HOUR))
    wanted = samples(BEGIN + MINUTE, 100)
    write(store, wanted)
    store.maintain(pack_all=True)
    store.close()
    damaged, data = chunk_rows(tmp_path, "chunks_raw")[1]
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("UPDATE chunks_raw SET data = ? WHERE id = ?", (data[:-9] + b"!" + data[-8:], damaged))
    connection.commit()
    connection.close()
    store = open_store(tmp_path, Clock(BEGIN + HOUR))
    found = store.select(named("m"), 0, 2**60, Hints())
    assert {one.labels: points(one) for one in found.series} == {
        one: rows for one, rows in wanted.items() if one != NODES[1]
    }
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith(
        'the raw chunk of m{node="1"} from 2024-10-04T00:00Z to 2024-10-04T02:00Z is damaged'
    )
    # New samples of the window do not hide the damage.
    write(store, {NODES[1]: [(BEGIN + HOUR, 1.0)]})
    store.maintain(pack_all=True)
    assert [row[0] for row in table(tmp_path, "damaged")] == ["raw"]
    assert read(store, [matcher("node", "=", "1")]) == {NODES[1]: [(BEGIN + HOUR, 1.0)]}


def test_damaged_batch_of_the_head_is_named_and_others_stay_readable(tmp_path: Path) -> None:
    store = open_store(tmp_path, Clock(BEGIN + HOUR))
    for at in range(3):
        write(store, {NODES[0]: [(BEGIN + at, float(at))]})
    store.close()
    row, data = chunk_rows(tmp_path, "head")[1]
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("UPDATE head SET data = ? WHERE number = ?", (data[:-1] + b"!", row))
    connection.commit()
    connection.close()
    store = open_store(tmp_path, Clock(BEGIN + HOUR))
    found = store.select(named("m"), 0, 2**60, Hints())
    assert points(found.series[0]) == [(BEGIN, 0.0), (BEGIN + 2, 2.0)]
    assert found.warnings == ("batch 2 of the newest samples is damaged (wrong checksum)",)
    store.maintain(pack_all=True)
    assert [number for number, _ in chunk_rows(tmp_path, "head")] == [row]


FLOATS = st.one_of(
    st.floats(width=64),
    st.integers(-(2**54), 2**54).map(float),
    st.decimals(-100, 100, places=2).map(float),
    st.sampled_from([float(STALE), -0.0, 0.0, float("inf")]),
)


@given(st.lists(FLOATS, min_size=1, max_size=300), st.sampled_from(["pcodec", "zstd"]), st.sampled_from([4, 8]))
def test_values_keep_every_bit(values: list[float], codec: encoding.Codec, level: int) -> None:
    column = np.array(values, np.float64)
    back = encoding.decode_values(encoding.encode_values(column, codec, level), len(column))
    assert back.view(np.uint64).tolist() == column.view(np.uint64).tolist()


@given(st.sets(st.integers(1, 7_200_000), min_size=1, max_size=100), st.integers(0, 2**40))
def test_chunks_keep_their_times_and_detect_any_changed_byte(offsets: set[int], at: int) -> None:
    times = np.array(sorted(offsets), np.int64) + BEGIN
    chunk = encoding.encode_chunk(7, encoding.encode_times(times, BEGIN), {"last": times.astype(np.float64)})

    def none(_: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        raise AssertionError

    assert encoding.decode_chunk(7, chunk, BEGIN, none).times.tolist() == times.tolist()
    damaged = bytearray(chunk)
    damaged[at % len(chunk)] ^= 1 + at % 255
    with pytest.raises(encoding.DamagedError):
        encoding.decode_chunk(7, bytes(damaged), BEGIN, none)
    with pytest.raises(encoding.DamagedError):
        encoding.decode_chunk(8, chunk, BEGIN, none)


@given(st.lists(st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 2**50), FLOATS), min_size=1, max_size=50))
def test_batches_keep_every_sample(rows: list[tuple[int, int, float]]) -> None:
    series = np.array([row[0] for row in rows], np.int32)
    times = np.array([row[1] for row in rows], np.int64)
    values = np.array([row[2] for row in rows], np.float64)
    back = encoding.decode_batch(encoding.encode_batch(run_of(series, times, values)))
    assert back[0].tolist() == series.tolist()
    assert back[1].tolist() == times.tolist()
    assert back[2].view(np.uint64).tolist() == values.view(np.uint64).tolist()


def test_round_writes_some_chunks_and_the_next_rounds_continue(tmp_path: Path) -> None:
    """Each round has one transaction with at most 256 chunks, so appending waits for no more than that."""
    clock = Clock(BEGIN + 2 * HOUR)
    settings = Settings(round_seconds=0, head_samples=3000)
    store = open_store(tmp_path, clock, settings)
    series = [labels("m", at=str(at)) for at in range(1300)]
    wanted = {one: [(BEGIN + minute * MINUTE, float(at)) for minute in (1, 2, 90)] for at, one in enumerate(series)}
    write(store, wanted)
    clock.now = BEGIN + 3 * HOUR
    tables = ("chunks_raw", "chunks_1m")
    sizes = dict.fromkeys(tables, 0)
    rounds = 0
    while not store.maintain().is_complete:
        rounds += 1
        before, sizes = sizes, {name: len(chunk_rows(tmp_path, name)) for name in tables}
        added = [sizes[name] - before[name] for name in tables]
        assert max(added) <= 256
        assert 0 in added
        clock.now += 10 * SECOND
        new = {series[rounds]: [(clock.now, 7.0)]}
        assert write(store, new).accepted == 1
        wanted[series[rounds]] = [*wanted[series[rounds]], *new[series[rounds]]]
        assert read(store, named("m")) == wanted
        if rounds == 3:
            store.close()
            store = open_store(tmp_path, clock, settings)
    assert rounds < 20
    assert sizes == {"chunks_raw": 1300, "chunks_1m": 1300}
    assert table(tmp_path, "segments") == []
    assert read(store, named("m")) == wanted
    assert store.maintain().is_complete
