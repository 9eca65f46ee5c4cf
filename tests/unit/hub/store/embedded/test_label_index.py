"""The index of series: results that it keeps stay those of a fresh index while series come and go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from metricat_hub.model.ports import Matcher
from metricat_hub.store.embedded.label_index import LabelIndex

NODE_A = Matcher("node", "=", "a")
SELECTORS = (
    (Matcher("__name__", "=", "load"),),
    (Matcher("__name__", "=", "load"), NODE_A),
    (Matcher("__name__", "=", "memory"), Matcher("node", "=~", "a|b")),
    (Matcher("__name__", "=~", "load|memory"),),
    (NODE_A,),
    (Matcher("__name__", "=", "absent"),),
)
SERIES = [(("__name__", name), ("node", node)) for name in ("load", "memory", "disk") for node in "abc"]


@given(st.lists(st.sampled_from(SERIES), max_size=12))
def test_kept_results_equal_those_of_a_fresh_index(toggled: list[tuple[tuple[str, str], ...]]) -> None:
    index = LabelIndex()
    for number, labels in enumerate(toggled):
        if labels in index.numbers:
            index.remove(index.numbers[labels])
        else:
            index.add(labels, number)
        fresh = LabelIndex()
        for own, at in index.numbers.items():
            fresh.add(own, at)
        together = index.match_many(SELECTORS)
        for place, selector in enumerate(SELECTORS):
            expected = {at: fresh.labels[at] for at in fresh.match(selector).tolist()}
            assert index.match_labels(selector)[1] == expected
            found = together.places[place].tolist()
            assert [together.labels[at] for at in found] == list(expected.values())
            assert together.numbers[found].tolist() == list(expected)


def test_a_new_series_keeps_the_places_of_other_metrics() -> None:
    index = LabelIndex()
    for number, labels in enumerate(SERIES[:6]):
        index.add(labels, number)
    before = index.match_many(SELECTORS)
    index.add(SERIES[6], 6)
    other = index.match_many(SELECTORS)
    kept = [one is two for one, two in zip(before.places, other.places, strict=True)]
    assert kept == [True, True, True, False, False, True]
    index.add((("__name__", "load"), ("node", "d")), 7)
    after = index.match_many(SELECTORS)
    kept = [one is two for one, two in zip(other.places, after.places, strict=True)]
    assert kept == [False, False, True, False, False, True]
