"""Several selectors in one call: the same samples as one call for each."""

from pathlib import Path

import numpy as np
import pytest

from metricat_hub.model.ports import BatchReader, Hints, NewestSamples, SampleBlocks
from metricat_hub.model.samples import STALE, is_stale
from metricat_hub.store.embedded import EmbeddedStore
from support.hub_store import BEGIN, MINUTE, SECOND, Clock, labels, matcher, named, open_store, points, write

SELECTORS = (
    tuple(named("load")),
    (*named("load"), matcher("node", "!=", "b")),
    tuple(named("used")),
    tuple(named("none")),
)


def filled(folder: Path) -> tuple[EmbeddedStore, Clock]:
    """Return a store in which series have ended, begun late, or have newer samples than the evaluation reads."""
    clock = Clock()
    store = open_store(folder, clock)
    for at in range(60):
        clock.now = BEGIN + at * 10 * SECOND
        scraped = [node for node in "abcd" if not (node == "b" and at > 20) and not (node == "c" and at < 55)]
        write(store, {labels("load", node=node): [(clock.now, at + ord(node) / 1000)] for node in scraped})
        if at < 40:
            write(store, {labels("used"): [(clock.now + 1, STALE if at == 39 else at)]})
    write(store, {labels("load", node="d"): [(clock.now + 5 * SECOND, 99.0)]})
    return store, clock


@pytest.mark.parametrize("state", ["in memory", "packed"])
@pytest.mark.parametrize("ago", [0, 100, 250, 400])
def test_newest_samples_of_several_selectors(tmp_path: Path, ago: int, state: str) -> None:
    store, clock = filled(tmp_path)
    assert isinstance(store, BatchReader)
    if state == "packed":
        store.maintain(pack_all=True)
    end = clock.now - ago * SECOND
    start, hints = end - 5 * MINUTE + 1, Hints(newest=True)
    found = store.select_many(SELECTORS, start, end, hints)
    assert found
    assert isinstance(found.series, NewestSamples)
    for selector, places in zip(SELECTORS, found.places, strict=True):
        stale = is_stale(found.series.values)
        several = {
            found.series.labels[at]: (int(found.series.times[at]), float(found.series.values[at]))
            for at in places.tolist()
            if not stale[at]
        }
        one = {one.labels: points(one)[-1] for one in store.select(selector, start, end, hints).series}
        assert several == {own: point for own, point in one.items() if not is_stale(np.array([point[1]]))[0]}
    again = store.select_many(SELECTORS, start, end, hints)
    assert again
    assert all(one is other for one, other in zip(found.places, again.places, strict=True))


def test_ranges_of_several_selectors(tmp_path: Path) -> None:
    clock = Clock()
    store = open_store(tmp_path, clock)
    for at in range(60):
        clock.now = BEGIN + at * 10 * SECOND
        write(store, {labels("load", node=node): [(clock.now, at + ord(node) / 1000)] for node in "abc"})
        write(store, {labels("used", node="c"): [(clock.now + 1, at)]})
    start, end, hints = clock.now - MINUTE, clock.now, Hints(range=MINUTE, function="rate")
    found = store.select_many(SELECTORS, start, end, hints)
    assert found
    assert isinstance(found.series, SampleBlocks)
    rows = {int(row): (block, at) for block in found.series.blocks for at, row in enumerate(block.rows)}
    for selector, places in zip(SELECTORS, found.places, strict=True):
        several = {
            found.series.labels[place]: list(zip(block.times.tolist(), block.values[at].tolist(), strict=True))
            for place in places.tolist()
            if place in rows
            for block, at in [rows[place]]
        }
        assert several == {one.labels: points(one) for one in store.select(selector, start, end, hints).series}


def test_new_series_are_found(tmp_path: Path) -> None:
    store, clock = filled(tmp_path)
    hints = Hints(newest=True)
    store.select_many(SELECTORS, clock.now - MINUTE, clock.now, hints)
    write(store, {labels("none", node="x"): [(clock.now, 1.0)]})
    found = store.select_many(SELECTORS, clock.now - MINUTE, clock.now, hints)
    assert found
    assert [found.series.labels[at] for at in found.places[3].tolist()] == [labels("none", node="x")]
