from pathlib import Path

import numpy as np
import pytest

from metricat_hub.model.errors import InvalidQueryError, LimitError, StoreUnavailableError
from metricat_hub.model.metadata import Metadata
from metricat_hub.model.ports import Hints, Matcher, Operator
from metricat_hub.model.samples import STALE, Batch, is_stale
from metricat_hub.store.embedded import Settings
from support.hub_store import BEGIN, DAY, HOUR, MINUTE, SECOND, Clock, labels, matcher, named, open_store, read, write

A, B, C = labels("up", node="a"), labels("up", node="b"), labels("up", node="c", zone="1")


def rows(*columns: object) -> list[bool]:
    assert len(columns) == 1
    return [bool(one) for one in np.asarray(columns[0])]


def test_samples_are_returned_after_reopening(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert write(store, {A: [(BEGIN, 1.5), (BEGIN + 5, -0.0)], B: [(BEGIN + 1, float("inf"))]}).accepted == 3
    store.set_metadata({"up": Metadata("gauge", "Whether it is up.")})
    store.close()

    store = open_store(tmp_path)
    assert read(store, named("up")) == {A: [(BEGIN, 1.5), (BEGIN + 5, -0.0)], B: [(BEGIN + 1, float("inf"))]}
    assert store.metadata() == {"up": Metadata("gauge", "Whether it is up.")}
    assert store.resolve([B, A]).tolist() == [2, 1]


def test_selection_includes_both_ends(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    write(store, {A: [(BEGIN + at, float(at)) for at in range(5)]})
    assert read(store, named("up"), BEGIN + 1, BEGIN + 3) == {A: [(BEGIN + at, float(at)) for at in (1, 2, 3)]}
    assert read(store, named("up"), BEGIN + 5, BEGIN + 9) == {}


def test_bits_of_nan_survive(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    write(store, {A: [(BEGIN, STALE), (BEGIN + 1, float("nan"))]})
    store.close()
    values = open_store(tmp_path).select(named("up"), 0, 2**60, Hints()).series[0].values
    assert rows(is_stale(values)) == [True, False]


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
def test_matchers_select_series(tmp_path: Path, matchers: list[tuple[str, Operator, str]], nodes: str) -> None:
    store = open_store(tmp_path)
    write(store, {one: [(BEGIN, 1.0)] for one in (A, B, C)})
    found = read(store, [*named("up"), *(Matcher(*one) for one in matchers)])
    assert "".join(dict(one)["node"] for one in found) == nodes
    alone = read(store, [Matcher(*one) for one in matchers])
    assert list(alone) == list(found)


def test_invalid_regular_expression_is_an_invalid_query(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    write(store, {A: [(BEGIN, 1)]})
    with pytest.raises(InvalidQueryError, match=r"invalid regular expression '\('"):
        read(store, [matcher("node", "=~", "(")])


def test_labels_of_series_are_listed(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    write(store, {A: [(BEGIN, 1)], C: [(BEGIN + 10, 1)]})
    assert store.label_names([], 0, 2**60) == ["__name__", "node", "zone"]
    assert store.label_values("node", [], 0, 2**60) == ["a", "c"]
    assert store.label_values("node", [named("up")], 0, BEGIN) == ["a"]
    assert store.series([named("up"), [matcher("zone", "=", "1")]], 0, 2**60) == [A, C]
    assert store.series([named("down")], 0, 2**60) == []


def test_duplicates_and_conflicts_are_counted_and_not_stored(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    write(store, {A: [(BEGIN, 1), (BEGIN + 1, float("nan"))]})
    again = write(store, {A: [(BEGIN, 1), (BEGIN, 2), (BEGIN + 1, float("nan")), (BEGIN + 2, 3), (BEGIN + 2, 4)]})
    assert (again.accepted, again.duplicates) == (1, 2)
    assert rows(again.conflicting) == [False, True, False, False, True]
    assert str(read(store, named("up"))[A]) == str([(BEGIN, 1.0), (BEGIN + 1, float("nan")), (BEGIN + 2, 3.0)])


def test_samples_out_of_order_are_accepted_in_their_window(tmp_path: Path) -> None:
    store = open_store(tmp_path, Clock(BEGIN + 2 * HOUR))
    write(store, {A: [(BEGIN + HOUR, 1)]})
    late = write(store, {A: [(BEGIN - 1, 0), (BEGIN, 2), (BEGIN + MINUTE, 3)], B: [(BEGIN - DAY, 4)]})
    assert late.accepted == 3
    assert rows(late.too_old) == [True, False, False, False]
    assert read(store, named("up"))[A] == [(BEGIN, 2), (BEGIN + MINUTE, 3), (BEGIN + HOUR, 1)]


def test_future_and_unknown_samples_are_rejected(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    number = store.resolve([A])[0]
    future = BEGIN + 10 * MINUTE + 1
    times = np.array([BEGIN, future - 1, future, BEGIN, BEGIN - 7 * DAY], np.int64)
    result = store.append(Batch(np.array([number, number, number, 99, number]), times, np.ones(5)))
    assert result.accepted == 2
    assert rows(result.too_new) == [False, False, True, False, False]
    assert rows(result.unknown) == [False, False, False, True, False]
    assert rows(result.too_old) == [False, False, False, False, True]
    assert store.append(Batch(np.array([-1]), times[:1], np.ones(1))).accepted == 0


def test_series_above_the_limit_are_refused_and_counted(tmp_path: Path) -> None:
    store = open_store(tmp_path, settings=Settings(series_limit=10))
    many = [labels("up", node=str(at)) for at in range(100)]
    numbers = store.resolve(many)
    assert (numbers >= 0).tolist() == [True] * 10 + [False] * 90
    assert store.statistics().refused_series == 90
    assert store.resolve(many[:10]).tolist() == numbers[:10].tolist()


def test_limits_of_a_selection(tmp_path: Path) -> None:
    store = open_store(tmp_path, settings=Settings(query_samples=3, query_series=2))
    write(store, {A: [(BEGIN, 1), (BEGIN + SECOND, 1)], B: [(BEGIN, 1), (BEGIN + SECOND, 1)]})
    with pytest.raises(LimitError, match="more than 3 samples"):
        read(store, named("up"))
    write(store, {C: [(BEGIN, 1)]})
    with pytest.raises(LimitError, match="matches at least 3 series"):
        read(store, named("up"))


def test_closed_store_is_unavailable(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.close()
    with pytest.raises(StoreUnavailableError, match="is closed"):
        read(store, named("up"))


def test_many_small_batches_are_found(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for at in range(1000):
        write(store, {(A if at % 3 else B): [(BEGIN + at, float(at))]})
    expected = {A: [(BEGIN + at, float(at)) for at in range(1000) if at % 3]}
    assert read(store, [matcher("node", "=", "a")]) == expected
