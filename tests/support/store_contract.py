"""The behavior of every store of the hub: one suite, which a subclass runs over its store.

A test module defines a subclass with a fixture `backend`. Pytest collects the tests of the class for it.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest

from metricat_hub.model.errors import InvalidQueryError, LimitError, StoreUnavailableError
from metricat_hub.model.labels import from_mapping
from metricat_hub.model.metadata import Metadata
from metricat_hub.model.ports import Hints, Matcher, Operator
from metricat_hub.model.samples import STALE, Batch, is_stale
from metricat_hub.store.embedded import Settings
from support.hub_store import BEGIN, DAY, HOUR, MINUTE, SECOND, Clock, labels, matcher, named, points, read, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.ports import ManagedStore, Tier

A, B, C = labels("up", node="a"), labels("up", node="b"), labels("up", node="c", zone="1")
EVER = 2**52
COUNTER, GAUGE = labels("requests_total", node="a"), labels("temperature", node="a")
STEP = 15 * SECOND
RESETS = {1000, 1001, 480, 2400, 5760}


@dataclass
class Backend:
    """Where a store is, for one test. Opening twice opens the same samples."""

    opener: Callable[[Settings, Clock], ManagedStore]
    clock: Clock = field(default_factory=Clock)
    opened: list[ManagedStore] = field(default_factory=list)

    def open(self, settings: Settings | None = None) -> ManagedStore:
        store = self.opener(settings or Settings(), self.clock)
        self.opened.append(store)
        return store

    def close(self) -> None:
        """Close the stores that a test left open."""
        for store in self.opened:
            store.close()


def flags(column: object) -> list[bool]:
    return [bool(one) for one in np.asarray(column)]


def bits(values: object) -> list[int]:
    return [int(one) for one in np.asarray(values, np.float64).view(np.uint64)]


class StoreContract:
    """The suite. Subclasses define `backend`."""

    @pytest.fixture
    def backend(self) -> Iterator[Backend]:
        raise NotImplementedError

    @pytest.fixture
    def store(self, backend: Backend) -> ManagedStore:
        return backend.open()

    def test_samples_series_and_metadata_are_returned_after_reopening(self, backend: Backend) -> None:
        store = backend.open()
        assert write(store, {A: [(BEGIN, 1.5), (BEGIN + 5, -0.0)], B: [(BEGIN + 1, float("inf"))]}).accepted == 3
        store.set_metadata({"up": Metadata("gauge", "Whether it is up.")})
        numbers = store.resolve([B, A]).tolist()
        store.close()
        store = backend.open()
        assert read(store, named("up"), end=EVER) == {
            A: [(BEGIN, 1.5), (BEGIN + 5, -0.0)],
            B: [(BEGIN + 1, float("inf"))],
        }
        assert store.metadata() == {"up": Metadata("gauge", "Whether it is up.")}
        assert store.resolve([B, A]).tolist() == numbers

    def test_duplicates_are_recognized_after_reopening(self, backend: Backend) -> None:
        store = backend.open()
        write(store, {A: [(BEGIN, 1), (BEGIN + 5, 2)]})
        store.close()
        again = write(backend.open(), {A: [(BEGIN, 1), (BEGIN + 5, 3), (BEGIN + 6, 4)]})
        assert (again.accepted, again.duplicates, flags(again.conflicting)) == (1, 1, [False, True, False])

    def test_selection_includes_both_ends(self, store: ManagedStore) -> None:
        write(store, {A: [(BEGIN + at, float(at)) for at in range(5)]})
        found = read(store, named("up"), BEGIN + 1, BEGIN + 3)
        assert found == {A: [(BEGIN + at, float(at)) for at in (1, 2, 3)]}
        assert read(store, named("up"), BEGIN + 5, BEGIN + 9) == {}

    def test_every_bit_of_a_value_survives(self, backend: Backend) -> None:
        values = [
            float(STALE),
            float("nan"),
            float("inf"),
            float("-inf"),
            -0.0,
            0.0,
            5e-324,
            1.7976931348623157e308,
            0.1,
            2.0**53 + 2,
        ]
        store = backend.open()
        assert write(store, {A: [(BEGIN + at, value) for at, value in enumerate(values)]}).accepted == len(values)
        backend.clock.now = BEGIN + 4 * HOUR
        for _ in range(2):
            found = store.select(named("up"), 0, BEGIN + HOUR, Hints(tier="raw")).series[0].values
            assert bits(found) == bits(values)
            assert flags(is_stale(found)) == [True] + [False] * 9
            store.maintain()
        store.close()
        found = backend.open().select(named("up"), 0, BEGIN + HOUR, Hints(tier="raw")).series[0].values
        assert bits(found) == bits(values)

    @pytest.mark.parametrize(
        ("matchers", "nodes"),
        [
            ([("node", "=", "a")], "a"),
            ([("node", "!=", "a")], "bc"),
            ([("node", "=~", "a|c")], "ac"),
            ([("node", "=~", "[ab]")], "ab"),
            ([("node", "=~", "")], ""),
            ([("node", "!~", "a|b")], "c"),
            ([("node", "!~", "[^a]")], "a"),
            ([("zone", "=", "")], "ab"),
            ([("zone", "!=", "")], "c"),
            ([("zone", "=~", ".*")], "abc"),
            ([("zone", "=~", ".+")], "c"),
            ([("zone", "!~", ".+")], "ab"),
            ([("zone", "!=", "2"), ("node", "!=", "b")], "ac"),
            ([("absent", "=", "x")], ""),
            ([("absent", "=~", "x|")], "abc"),
        ],
    )
    def test_matchers_select_series(
        self, store: ManagedStore, matchers: list[tuple[str, Operator, str]], nodes: str
    ) -> None:
        write(store, {one: [(BEGIN, 1.0)] for one in (A, B, C)})
        found = read(store, [*named("up"), *(Matcher(*one) for one in matchers)], end=EVER)
        assert "".join(sorted(dict(one)["node"] for one in found)) == nodes
        alone = read(store, [Matcher(*one) for one in matchers], end=EVER)
        assert set(alone) == set(found)

    def test_invalid_regular_expression_is_an_invalid_query(self, store: ManagedStore) -> None:
        write(store, {A: [(BEGIN, 1)]})
        with pytest.raises(InvalidQueryError, match=r"invalid regular expression '\('"):
            read(store, [matcher("node", "=~", "(")], end=EVER)

    @pytest.mark.parametrize(
        "value",
        ["Zürich", "日本", "🐈", 'a"b', "a\\b", "a\nb", "a\x00b", "\u2028", "%s %(x)s ${y} '; --", " ", "x" * 5000],
    )
    def test_label_values_are_any_text(self, backend: Backend, value: str) -> None:
        store = backend.open()
        series, other = labels("up", node=value), labels("up", node=f"{value}'")
        write(store, {series: [(BEGIN, 1.0)], other: [(BEGIN, 2.0)]})
        store.close()
        store = backend.open()
        assert read(store, [matcher("node", "=", value)], end=EVER) == {series: [(BEGIN, 1.0)]}
        assert store.label_values("node", [], 0, EVER) == sorted([value, f"{value}'"])

    def test_empty_label_value_is_a_missing_label(self, store: ManagedStore) -> None:
        series = from_mapping({"__name__": "up", "node": "a", "zone": ""})
        assert store.resolve([series, A]).tolist() == [store.resolve([A])[0]] * 2
        write(store, {A: [(BEGIN, 1.0)]})
        assert read(store, [matcher("zone", "=", "")], end=EVER) == {A: [(BEGIN, 1.0)]}

    def test_labels_of_series_are_listed(self, store: ManagedStore) -> None:
        write(store, {A: [(BEGIN, 1)], C: [(BEGIN + 10, 1)]})
        assert store.label_names([], 0, EVER) == ["__name__", "node", "zone"]
        assert store.label_values("node", [], 0, EVER) == ["a", "c"]
        assert store.label_values("node", [named("up")], 0, BEGIN) == ["a"]
        assert sorted(store.series([named("up"), [matcher("zone", "=", "1")]], 0, EVER)) == [A, C]
        assert list(store.series([named("down")], 0, EVER)) == []

    def test_duplicates_and_conflicts_are_counted_and_not_stored(self, store: ManagedStore) -> None:
        write(store, {A: [(BEGIN, 1), (BEGIN + 1, float("nan"))]})
        again = write(store, {A: [(BEGIN, 1), (BEGIN, 2), (BEGIN + 1, float("nan")), (BEGIN + 2, 3), (BEGIN + 2, 4)]})
        assert (again.accepted, again.duplicates) == (1, 2)
        assert flags(again.conflicting) == [False, True, False, False, True]
        found = read(store, named("up"), end=EVER)[A]
        assert str(found) == str([(BEGIN, 1.0), (BEGIN + 1, float("nan")), (BEGIN + 2, 3.0)])

    def test_samples_out_of_order_are_accepted_in_their_window(self, backend: Backend) -> None:
        store = backend.open()
        backend.clock.now = BEGIN + 2 * HOUR
        write(store, {A: [(BEGIN + HOUR, 1)]})
        late = write(store, {A: [(BEGIN - 1, 0), (BEGIN, 2), (BEGIN + MINUTE, 3)], B: [(BEGIN - DAY, 4)]})
        assert late.accepted == 3
        assert flags(late.too_old) == [True, False, False, False]
        assert read(store, named("up"), end=EVER)[A] == [(BEGIN, 2), (BEGIN + MINUTE, 3), (BEGIN + HOUR, 1)]

    def test_late_samples_join_packed_ones(self, backend: Backend) -> None:
        store = backend.open()
        backend.clock.now = BEGIN + HOUR
        write(store, {A: [(BEGIN + at * MINUTE, float(at)) for at in range(0, 60, 2)], B: [(BEGIN + 1, 1.0)]})
        backend.clock.now = BEGIN + 5 * HOUR
        store.maintain()
        late = write(store, {A: [(BEGIN + at * MINUTE, float(at)) for at in range(1, 62)]})
        assert (late.accepted, late.duplicates) == (32, 29)
        expected = [(BEGIN + at * MINUTE, float(at)) for at in range(62)]
        for _ in range(2):
            assert read(store, named("up"), end=EVER, hints=Hints(tier="raw"))[A] == expected
            assert write(store, {A: [(BEGIN + 8 * MINUTE, 9.0)]}).conflicting is not None
            store.maintain()

    def test_future_unknown_and_expired_samples_are_rejected(self, store: ManagedStore) -> None:
        number = store.resolve([A])[0]
        future = BEGIN + 10 * MINUTE + 1
        times = np.array([BEGIN, future - 1, future, BEGIN, BEGIN - 7 * DAY], np.int64)
        result = store.append(Batch(np.array([number, number, number, 99_999, number]), times, np.ones(5)))
        assert result.accepted == 2
        assert flags(result.too_new) == [False, False, True, False, False]
        assert flags(result.unknown) == [False, False, False, True, False]
        assert flags(result.too_old) == [False, False, False, False, True]
        assert store.append(Batch(np.array([-1]), times[:1], np.ones(1))).accepted == 0

    def test_empty_batch_stores_nothing(self, store: ManagedStore) -> None:
        nothing = np.zeros(0, np.int64)
        assert store.append(Batch(nothing, nothing, np.zeros(0))).accepted == 0
        assert store.resolve([]).tolist() == []

    def test_series_above_the_limit_are_refused(self, backend: Backend) -> None:
        store = backend.open(Settings(series_limit=10))
        many = [labels("up", node=str(at)) for at in range(100)]
        numbers = store.resolve(many)
        assert (numbers >= 0).tolist() == [True] * 10 + [False] * 90
        assert store.resolve(many[:10]).tolist() == numbers[:10].tolist()
        refused = {one.name: one.value for one in store.metrics()}["metricat_hub_store_refused_series"]
        assert refused == 90

    def test_limits_of_a_selection(self, backend: Backend) -> None:
        store = backend.open(Settings(query_samples=3, query_series=2))
        write(store, {A: [(BEGIN, 1), (BEGIN + SECOND, 1)], B: [(BEGIN, 1), (BEGIN + SECOND, 1)]})
        with pytest.raises(LimitError, match="more than 3 samples"):
            read(store, named("up"), end=EVER)
        write(store, {C: [(BEGIN, 1)]})
        with pytest.raises(LimitError, match=r"matches (at least )?3 series"):
            read(store, named("up"), end=EVER)

    def test_closed_store_is_unavailable(self, store: ManagedStore) -> None:
        write(store, {A: [(BEGIN, 1)]})
        store.close()
        with pytest.raises(StoreUnavailableError, match="is closed"):
            read(store, named("up"), end=EVER)

    def test_many_small_batches_are_found(self, store: ManagedStore) -> None:
        for at in range(200):
            write(store, {(A if at % 3 else B): [(BEGIN + at, float(at))]})
        expected = {A: [(BEGIN + at, float(at)) for at in range(200) if at % 3]}
        assert read(store, [matcher("node", "=", "a")], end=EVER) == expected

    def test_concurrent_writers_get_one_number_for_each_series(self, store: ManagedStore) -> None:
        many = [labels("up", node=str(at)) for at in range(50)]
        found: dict[int, list[int]] = {}
        accepted: list[int] = []

        def run(at: int) -> None:
            numbers = store.resolve(many[at:] + many[:at])
            found[at] = np.roll(numbers, at).tolist()
            batch = Batch(numbers, np.full(50, BEGIN, np.int64), np.ones(50))
            accepted.append(store.append(batch).accepted)

        threads = [threading.Thread(target=run, args=(at,)) for at in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert found[0] == found[1] == found[2] == found[3]
        assert len(set(found[0])) == 50
        assert sum(accepted) == 50
        assert read(store, named("up"), end=EVER) == {one: [(BEGIN, 1.0)] for one in many}

    def test_metadata_is_replaced(self, backend: Backend) -> None:
        store = backend.open()
        store.set_metadata({"a": Metadata("gauge", "old"), "b": Metadata("counter", "a 'text'\n", "bytes")})
        store.set_metadata({"a": Metadata("counter", "new")})
        expected = {"a": Metadata("counter", "new"), "b": Metadata("counter", "a 'text'\n", "bytes")}
        assert store.metadata() == expected
        store.close()
        assert backend.open().metadata() == expected

    def test_series_without_samples_leave_the_index_and_stay_readable(self, backend: Backend) -> None:
        store = backend.open(Settings(series_limit=3))
        old = [labels("pod", uid=str(at)) for at in range(3)]
        write(store, {one: [(BEGIN, 1.0)] for one in old})
        numbers, generation = store.resolve(old), store.generation
        new = labels("pod", uid="new")
        assert store.resolve([new]).tolist() == [-1]
        backend.clock.now += DAY + 3 * HOUR
        store.maintain()
        assert store.generation != generation
        unknown = store.append(Batch(numbers, np.full(3, backend.clock.now), np.ones(3))).unknown
        assert flags(unknown) == [True] * 3
        assert write(store, {new: [(backend.clock.now, 2.0)]}).accepted == 1
        raw = Hints(tier="raw")
        for _ in range(2):
            assert read(store, [matcher("uid", "=~", "[01]")], end=EVER, hints=raw) == {
                one: [(BEGIN, 1.0)] for one in old[:2]
            }
            assert set(read(store, named("pod"), backend.clock.now - HOUR, EVER)) == {new}
            assert store.label_values("uid", [], 0, EVER) == ["0", "1", "2", "new"]
            store.close()
            store = backend.open(Settings(series_limit=3))
        assert store.resolve([old[1]]).tolist() == [numbers[1]]
        assert write(store, {old[1]: [(BEGIN, 1.0), (backend.clock.now, 3.0)]}).accepted == 1
        found = read(store, [matcher("uid", "=", "1")], end=EVER, hints=raw)
        assert found == {old[1]: [(BEGIN, 1.0), (backend.clock.now, 3.0)]}

    def test_tiers_have_the_aggregates_of_each_interval(self, backend: Backend) -> None:
        store = backend.open()
        written = fill(store, backend.clock)
        backend.clock.now += 2 * HOUR
        store.maintain()
        cases: list[tuple[str, Callable[[list[float]], float]]] = [
            ("", lambda values: values[-1]),
            ("last_over_time", lambda values: values[-1]),
            ("min_over_time", min),
            ("max_over_time", max),
            ("count_over_time", len),
            ("avg_over_time", lambda values: sum(values) / len(values)),
            ("sum_over_time", sum),
        ]
        tiers: list[tuple[Tier, int]] = [("1m", MINUTE), ("1h", HOUR)]
        for tier, resolution in tiers:
            buckets: dict[int, list[float]] = {}
            for time, value in written[GAUGE]:
                buckets.setdefault(-(-time // resolution) * resolution, []).append(value)
            for function, aggregate in cases:
                selection = store.select(named("temperature"), 0, EVER, hints(tier, function))
                assert selection.tier == tier
                found = points(selection.series[0])
                assert [time for time, _ in found] == list(buckets)
                expected = [aggregate(values) for values in buckets.values()]
                assert [value for _, value in found] == pytest.approx(expected, rel=1e-7)
            found = points(store.select(named("requests_total"), 0, EVER, hints(tier, "increase")).series[0])
            times, values = [time for time, _ in found], [value for _, value in found]
            assert values == sorted(values)
            for first, last in ((0, -1), (0, 1), (3, 9), (5, 40)):
                expected_increase = true_increase(written[COUNTER], times[first], times[last])
                assert values[last] - values[first] == expected_increase

    def test_staleness_markers_give_no_points(self, backend: Backend) -> None:
        store = backend.open()
        backend.clock.now = BEGIN + 4 * HOUR
        rows = [(BEGIN + 1, 1.0), (BEGIN + 2, float(STALE)), (BEGIN + HOUR, float(STALE))]
        write(store, {GAUGE: rows, labels("ended"): rows[1:]})
        store.maintain()
        found = store.select(named("temperature"), 0, EVER, hints("1m", "")).series
        assert [points(one) for one in found] == [[(BEGIN + MINUTE, 1.0)]]
        assert list(store.select(named("ended"), 0, EVER, hints("1m", "")).series) == []

    def test_each_tier_has_its_retention(self, backend: Backend) -> None:
        clock = backend.clock
        store = backend.open(Settings(raw_retention=DAY, minute_retention=3 * DAY, hour_retention=90 * DAY))
        for _ in range(75):
            times = clock.now + np.arange(1, 25) * HOUR
            clock.now = int(times[-1])
            assert write(store, {A: [(time, float(time)) for time in times.tolist()]}).accepted == 24
            store.maintain()
        raw = store.select(named("up"), 0, EVER, Hints(step=HOUR))
        assert raw.tier == "1h"
        assert len(raw.series[0].times) == 75 * 24
        assert store.select(named("up"), clock.now - 2 * DAY - HOUR, clock.now, Hints()).tier == "1m"
        assert store.select(named("up"), clock.now - 20 * HOUR, clock.now, Hints()).tier == "raw"
        for _ in range(150):
            clock.now += DAY
            store.maintain()
        assert list(store.select(named("up"), 0, EVER, Hints()).series) == []


def hints(tier: Tier, function: str) -> Hints:
    return Hints(step=HOUR, range=HOUR, function=function, tier=tier)


def fill(store: ManagedStore, clock: Clock, days: float = 2) -> dict[Labels, list[tuple[int, float]]]:
    """Write samples of a counter with resets and of a gauge every 15 s, with maintenance, and return them."""
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


def true_increase(rows: list[tuple[int, float]], start: int, end: int) -> float:
    """Return the increase of a counter from the last sample until start to the last sample until end."""
    total = 0.0
    previous = None
    for time, value in rows:
        if time <= end and previous is not None and time > start:
            total += value - previous if value >= previous else value
        previous = value
    return total
