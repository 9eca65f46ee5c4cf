"""Windows of long ranges: the samples that the store has, also after late samples, new series and maintenance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from metricat_hub.model.ports import Hints, Matcher, SampleBlocks
from metricat_hub.model.samples import STALE
from metricat_hub.promql.limits import Limits, Usage
from metricat_hub.use_cases.rule_windows import Windows
from support.hub_store import BEGIN, DAY, HOUR, MINUTE, SECOND, Clock, labels, named, open_store, points, read, write

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from pathlib import Path

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.ports import Selection
    from metricat_hub.store.embedded import EmbeddedStore

STEP = 30 * SECOND
LOAD = tuple(named("load"))
SELECTORS = ((*LOAD, Matcher("node", "!=", "a")), (*LOAD, Matcher("node", "=~", "a|x")))


class Counting:
    """A store that counts the samples that selections return."""

    def __init__(self, store: EmbeddedStore) -> None:
        self.store = store
        self.samples = 0

    def select(self, matchers: Sequence[Matcher], start: int, end: int, hints: Hints) -> Selection:
        found = self.store.select(matchers, start, end, hints)
        self.samples += sum(len(one.times) for one in found.series)
        return found

    def past(self, until: int) -> Hashable:
        return self.store.past(until)


def ranged(source: Windows, start: int, end: int, at: int) -> dict[Labels, list[tuple[int, float]]] | None:
    found = source.select(LOAD, start, end, Hints(range=end - start + 1, function="deriv"), at)
    return None if found is None else {one.labels: points(one) for one in found.series}


def together(
    source: Windows, selectors: tuple[tuple[Matcher, ...], ...], start: int, end: int
) -> list[dict[Labels, list[tuple[int, float]]]] | None:
    """Return the samples of each selector; None: they are not read together."""
    found = source.select_many(selectors, start, end, Hints(range=end - start + 1))
    if found is None:
        return None
    assert isinstance(found.series, SampleBlocks)
    rows = {row: (one.times, one.values[at]) for one in found.series.blocks for at, row in enumerate(one.rows.tolist())}
    return [
        {
            found.series.labels[place]: list(zip(*(column.tolist() for column in rows[place]), strict=True))
            for place in places.tolist()
            if place in rows
        }
        for places in found.places
    ]


def newest(source: Windows, end: int, at: int) -> dict[Labels, list[tuple[int, float]]] | None:
    found = source.select(LOAD, end - 5 * MINUTE + 1, end, Hints(newest=True), at)
    return None if found is None else {one.labels: points(one) for one in found.series}


def last(found: dict[Labels, list[tuple[int, float]]]) -> dict[Labels, list[tuple[int, float]]]:
    return {own: samples[-1:] for own, samples in found.items()}


@pytest.mark.parametrize("maintained", [False, True])
def test_windows_have_the_samples_of_the_store(tmp_path: Path, *, maintained: bool) -> None:
    clock = Clock()
    store = open_store(tmp_path, clock)
    windows = Windows(store)
    read_together = 0
    for round_ in range(500):
        now = clock.now = BEGIN + round_ * STEP
        nodes = [node for node in "abcd" if (node != "b" or not 100 < round_ < 300) and (node != "c" or round_ > 200)]
        write(store, {labels("load", node=node): [(now - 1, round_ + ord(node) / 1000)] for node in nodes})
        if round_ % 97 == 96:  # samples that were delayed
            for minutes in (20, 21):
                late = now - minutes * MINUTE + round_
                write(store, {labels("load", node=node): [(late, float(round_))] for node in "ax"})
        if maintained and round_ % 50 == 49:
            store.maintain(pack_all=round_ % 100 == 99)
        if round_ % 3:
            start = now - HOUR + 1
            assert ranged(windows, start, now, now) == read(store, [*LOAD], start, now)
            many = together(windows, SELECTORS, start, now)
            read_together += many is not None
            assert many is None or many == [read(store, [*one], start, now) for one in SELECTORS]
        for ago in (30 * MINUTE, 2 * HOUR):
            end = now - ago
            assert newest(windows, end, now) == last(read(store, [*LOAD], end - 5 * MINUTE + 1, end))
    assert read_together > 200


def test_newest_samples_with_an_offset_change_with_the_next_sample(tmp_path: Path) -> None:
    clock = Clock()
    store = open_store(tmp_path, clock)
    windows = Windows(store)
    kept = 0
    before = None
    for round_ in range(400):
        now = clock.now = BEGIN + round_ * STEP
        for node, period in (("a", 10), ("b", 7), ("c", 4)):
            if round_ % period == 3 and not (node == "c" and 100 < round_ < 200):
                value = STALE if node == "b" and round_ % 4 == 0 else float(round_)
                write(store, {labels("load", node=node): [(now, value)]})
        end = now - 30 * MINUTE
        column = windows.newest(LOAD, end - 5 * MINUTE + 1, end, now, Usage(Limits()))
        assert column is not None
        expected = {own: samples[-1][1] for own, samples in read(store, [*LOAD], end - 5 * MINUTE + 1, end).items()}
        fresh = {own: value for own, value in expected.items() if not np.isnan(value)}
        assert dict(zip(column.labels, column.values.tolist(), strict=True)) == fresh
        kept += column is before and bool(column.labels)
        before = column
    assert kept > 50


def test_round_reads_new_samples_only(tmp_path: Path) -> None:
    clock = Clock(BEGIN + DAY)
    store = open_store(tmp_path, clock)
    times = np.arange(BEGIN, BEGIN + 6 * HOUR, STEP).tolist()
    write(store, {labels("load"): [(at, 1.0) for at in times]})
    clock.now = times[-1]
    store.maintain(pack_all=True)
    counting = Counting(store)
    windows = Windows(counting)
    for round_ in range(10):
        now = clock.now = times[-1] + (round_ + 1) * STEP
        write(store, {labels("load"): [(now, 1.0)]})
        ranged(windows, now - 4 * HOUR + 1, now, now)
        newest(windows, now - 3 * HOUR, now)
    assert counting.samples < 4 * HOUR / STEP + 15 * MINUTE / STEP + 10 * 4
