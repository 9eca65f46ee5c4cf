"""Range selectors read blocks of chunks from a cache: the result is always that of reading each series."""

import random
from pathlib import Path

import numpy as np
import pytest

from metricat_hub.model.labels import Labels
from metricat_hub.model.ports import Hints, SampleBlock, SampleBlocks
from metricat_hub.model.samples import Batch
from metricat_hub.store.embedded import EmbeddedStore
from metricat_hub.store.embedded.window_blocks import BlockCache
from support.hub_store import HOUR, MINUTE, SECOND, Clock, labels, named, open_store, points

STEP = 10 * SECOND
TARGETS = [[labels("up", node=f"{target}", cpu=f"{cpu}") for cpu in range(3)] for target in range(6)]


def scrape(store: EmbeddedStore, clock: Clock, rounds: int, chance: random.Random | None = None) -> None:
    """Append rounds of samples. Targets 0 to 2 have the same times; with `chance`, some miss a round or a series."""
    for _ in range(rounds):
        clock.now += STEP
        for target, series in enumerate(TARGETS):
            chosen = series
            if chance and chance.random() < 0.03:
                chosen = chance.choice(([], series[1:], series[:1]))
            numbers = store.resolve(chosen)
            offset = max(0, target - 2) * SECOND
            values = np.arange(len(chosen), dtype=np.float64) + clock.now % 1_000_003
            if len(chosen):
                store.append(Batch(numbers, np.full(len(chosen), clock.now - offset), values))


def by_block(store: EmbeddedStore, start: int, end: int) -> tuple[dict[Labels, list[tuple[int, float]]], bool]:
    """Return the samples of a range selector, and whether they came as blocks."""
    found = store.select(named("up"), start, end, Hints(range=end - start, function="rate")).series
    return {one.labels: points(one) for one in found if len(one.times)}, isinstance(found, SampleBlocks)


def by_series(store: EmbeddedStore, start: int, end: int) -> dict[Labels, list[tuple[int, float]]]:
    """Return the samples as selectors of single samples read them, without blocks."""
    found = store.select(named("up"), start, end, Hints(tier="raw")).series
    assert not isinstance(found, SampleBlocks)
    return {one.labels: points(one) for one in found if len(one.times)}


@pytest.mark.parametrize("seed", range(4))
def test_blocks_equal_the_series_in_any_order_of_writes_packing_and_restarts(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    clock = Clock()
    store = open_store(tmp_path, clock)
    scrape(store, clock, 60)
    blocks = 0
    for _ in range(25):
        match chance.choice(("scrape", "scrape", "scrape", "pack", "late", "restart", "pause")):
            case "scrape":
                scrape(store, clock, chance.randrange(1, 60), chance)
            case "pack":
                store.maintain(pack_all=True)
            case "late":
                numbers = store.resolve(chance.choice(TARGETS)[: chance.randrange(1, 4)])
                at = clock.now - chance.randrange(1, 55) * MINUTE - 7
                store.append(Batch(numbers, np.full(len(numbers), at), np.full(len(numbers), -1.0)))
            case "restart":
                store.close()
                store = open_store(tmp_path, clock)
            case _:
                clock.now += chance.randrange(10) * MINUTE
        for _ in range(3):
            end = clock.now - chance.choice((0, 0, 5, 40)) * MINUTE - chance.randrange(STEP)
            start = end - chance.choice((MINUTE, 20 * MINUTE, HOUR, 3 * HOUR)) + 1
            found, is_block = by_block(store, start, end)
            assert found == by_series(store, start, end)
            blocks += is_block
    assert blocks > 10


def test_a_selector_of_an_hour_reads_chunks_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    store = open_store(tmp_path, clock)
    scrape(store, clock, 400)
    store.maintain(pack_all=True)
    scrape(store, clock, 3)
    first, is_block = by_block(store, clock.now - HOUR, clock.now)
    assert is_block
    assert {len(samples) for samples in first.values()} == {360, 361}
    with monkeypatch.context() as patched:
        patched.setattr(
            "metricat_hub.store.embedded.chunks.ChunkReader.rows",
            lambda *_: pytest.fail("a chunk was read again"),
        )
        assert by_block(store, clock.now - HOUR, clock.now) == (first, True)
        scrape(store, clock, 1)
        assert by_block(store, clock.now - HOUR, clock.now)[1]
    before = store._core.blocks.bytes
    store.maintain(pack_all=True)
    assert by_block(store, clock.now - HOUR, clock.now)[0] == by_series(store, clock.now - HOUR, clock.now)
    assert store._core.blocks.bytes > before


def test_a_store_that_another_process_writes_keeps_no_blocks(tmp_path: Path) -> None:
    clock = Clock()
    store = open_store(tmp_path, clock)
    scrape(store, clock, 200)
    store.maintain(pack_all=True)
    reader = EmbeddedStore.open_read_only(tmp_path)
    try:
        for _ in range(2):
            assert by_block(reader, clock.now - 30 * MINUTE, clock.now)[0] == by_series(
                store, clock.now - 30 * MINUTE, clock.now
            )
        assert reader._core.blocks.bytes == 0
    finally:
        reader.close()


def test_the_cache_drops_the_least_recently_used_blocks() -> None:
    def block(size: int) -> list[SampleBlock]:
        return [SampleBlock(np.arange(1), np.arange(size), np.zeros((1, size)))]

    cache = BlockCache(10_000)
    for window in range(3):
        cache.put((window, 0, b""), block(100))
    assert cache.get((0, 0, b"")) is not None
    cache.put((3, 0, b""), block(150))
    assert [cache.get((window, 0, b"")) is None for window in range(4)] == [False, True, False, False]
    assert cache.bytes <= 10_000
    cache.put((4, 0, b""), block(400))
    assert cache.get((4, 0, b"")) is None
    assert cache.get((3, 0, b"")) is not None
