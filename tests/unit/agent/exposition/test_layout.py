"""A page has each series and each name once, whatever collectors return."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metricat_agent.exposition.model import Family, counter, gauge, single, untyped
from metricat_agent.exposition.writer import TRAILERS, Writer
from support.exposition import FORMATS, check, parsed, samples

if TYPE_CHECKING:
    from metricat_agent.exposition.layout import Format, Layout
    from metricat_agent.exposition.model import Metrics, Sample

RECEIVED = counter("node_received_total", "Received.", "device")
NONE: frozenset[str] = frozenset()


def page(metrics: Metrics, fmt: Format = "text", taken: frozenset[str] = NONE) -> tuple[str, Layout]:
    text, layout = Writer().write(metrics, fmt, taken)
    return text + TRAILERS[fmt], layout


def both(metrics: Metrics, taken: frozenset[str] = NONE) -> dict[str, float]:
    """Return the values by name of a page that is valid in both formats."""
    text, openmetrics = (page(metrics, fmt, taken)[0] for fmt in FORMATS)
    return {name: value for (name, _), value in check(text, openmetrics).items()}


@pytest.mark.parametrize("fmt", FORMATS)
def test_last_of_equal_series_is_kept_and_the_rest_is_counted(fmt: Format) -> None:
    rows: list[Sample] = [(("lo",), 1), (("eth0",), 10), (("eth0",), 11), (("eth1",), 5), (("lo",), 2)]
    text, layout = page([(RECEIVED, rows)], fmt)
    assert {dict(labels)["device"]: value for (_, labels), value in samples(text, fmt).items()} == {
        "lo": 2,
        "eth0": 11,
        "eth1": 5,
    }
    assert (layout.series, layout.duplicates) == (3, {"node_received_total": 2})


def test_numbers_follow_the_kept_series_from_scrape_to_scrape() -> None:
    writer = Writer()
    for first, last in ((1, 2), (3, 4), (5.5, math.inf), (math.nan, 6)):
        text = writer.text([(RECEIVED, [(("a",), first), (("a",), last), (("b",), 7)])])
        assert [float(line.rpartition(" ")[2]) for line in text.split("\n")[2:4]] == [last, 7]


def test_series_that_differ_only_by_an_empty_label_or_the_order_of_labels_are_equal() -> None:
    metrics: Metrics = [
        (gauge("a", "A.", "x", "y"), [(("1", ""), 1), (("1", "2"), 2)]),
        (gauge("a", "A.", "x"), [(("1",), 3)]),
        (gauge("a", "A.", "y", "x"), [(("2", "1"), 4)]),
    ]
    text, layout = page(metrics)
    assert sorted(samples(text, "text").values()) == [3, 4]
    assert sum(layout.duplicates.values()) == 2


def test_values_whose_escapes_are_equal_are_equal_series() -> None:
    text, layout = page([(RECEIVED, [(("\udcff",), 1), (("\\xff",), 2), (("\0",), 3), (("\\x00",), 4)])])
    assert sorted(samples(text, "text").values()) == [2, 4]
    assert sum(layout.duplicates.values()) == 2


def test_interleaved_families_are_written_as_one_group_with_the_first_help_and_type() -> None:
    metrics: Metrics = [
        (gauge("a", "First.", "x"), [(("1",), 1)]),
        single(gauge("b", "B."), 2),
        (counter("a", "Second.", "x"), [(("2",), 3)]),
    ]
    for fmt in FORMATS:
        text, _ = page(metrics, fmt)
        [a, b] = parsed(text, fmt)
        assert (a.name, a.type, a.documentation, len(a.samples)) == ("a", "gauge", "First.", 2)
        assert b.name == "b"


def test_counter_has_the_type_unknown_in_openmetrics_if_another_family_has_its_short_name() -> None:
    for order in (1, -1):
        metrics = [single(counter("a_total", "A."), 1), single(gauge("a", "A."), 2)][::order]
        assert both(metrics) == {"a_total": 1, "a": 2}
        created = [single(counter("a_total", "A."), 1), single(gauge("a_created", "A."), 2)][::order]
        assert both(created) == {"a_total": 1, "a_created": 2}
    assert {family.type for family in parsed(page(metrics, "openmetrics")[0], "openmetrics")} == {"unknown", "gauge"}


def test_counter_below_zero_or_without_a_number_has_the_type_unknown_in_openmetrics() -> None:
    writer = Writer()
    for value, kind in ((1, "counter"), (-1, "unknown"), (math.nan, "unknown"), (-math.inf, "unknown"), (2, "counter")):
        text = writer.text([single(counter("a_total", "A."), value), single(gauge("b", "B."), -5)], "openmetrics")
        a, b = parsed(text + TRAILERS["openmetrics"], "openmetrics")
        assert (a.type, b.type) == (kind, "gauge")


@pytest.mark.parametrize("part", ["", "_bucket", "_sum", "_count", "_created"])
@pytest.mark.parametrize("kind", ["histogram", "summary"])
def test_family_with_the_name_of_a_part_is_left_out(kind: str, part: str) -> None:
    bound = "le" if kind == "histogram" else "quantile"
    whole: Metrics = [
        (
            Family("up", kind, "Up.", (bound,)),  # type: ignore[arg-type] # one of the kinds
            [
                (("+Inf", "_bucket") if kind == "histogram" else ("0.5", ""), 1),
                (("", "_sum"), 1),
                (("", "_count"), 1),
            ],
        )
    ]
    metrics: Metrics = [*whole, single(gauge(f"up{part}", "Part."), 7)]
    is_free = kind == "summary" and part == "_bucket"
    assert (7 in both(metrics).values()) == is_free
    assert bool(page(metrics)[1].duplicates) != is_free


def test_taken_names_are_left_out_and_counted() -> None:
    metrics: Metrics = [
        single(gauge("a", "A."), 1),
        single(counter("b_total", "B."), 2),
        single(gauge("c", "C."), 3),
    ]
    taken = frozenset(("a", "b", "other"))
    assert both(metrics, taken) == {"b_total": 2, "c": 3}
    text, layout = page(metrics, "openmetrics", taken)
    assert layout.duplicates == {"a": 1}
    assert "# TYPE b_total unknown" in text
    assert not layout.names & taken


def test_layout_follows_the_taken_names() -> None:
    writer = Writer()
    metrics: Metrics = [single(gauge("a", "A."), 1)]
    assert [bool(writer.text(metrics, "text", frozenset(taken))) for taken in ((), ("a",), ())] == [True, False, True]


@pytest.mark.parametrize("labels", [("a", "a"), ("__name__",), ("__x",), ("é",), ("a b",), ("",)])
def test_invalid_label_names_are_rejected(labels: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="label"):
        gauge("a", "A.", *labels)


NAMES = ["a", "a_total", "a_created", "a_sum", "a_count", "a_bucket", "a_info", "_total", "b"]
TEXTS = st.sampled_from(["", "1", "\0", "\n", '"', "\\", "\udcff", "\\xff", "\u2028", "\x85", "\r", "\ud800"])
NUMBERS = st.one_of(st.integers(-3, 3), st.sampled_from([math.nan, math.inf, -math.inf, 0.5, -0.0, 1e300, True]))


@pytest.mark.parametrize("value", [-1, math.nan])
def test_counter_with_an_invalid_value_from_a_family_of_another_type_is_unknown_in_openmetrics(value: float) -> None:
    metrics: Metrics = [(counter("a_total", "A."), [((), 1)]), (gauge("a_total", "A.", "x"), [(("y",), value)])]
    text, openmetrics = (page(metrics, fmt)[0] for fmt in FORMATS)
    assert len(check(text, openmetrics)) == 2


@st.composite
def some_metrics(draw: st.DrawFn) -> Metrics:
    found: Metrics = []
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=8)):
        labels = draw(st.lists(st.sampled_from(["x", "y", "le", "quantile"]), unique=True, max_size=2))
        family = draw(st.sampled_from([counter, gauge, untyped]))(name, draw(TEXTS) + draw(TEXTS), *labels)
        values = st.tuples(st.tuples(*[TEXTS] * len(labels)), NUMBERS)
        found.append((family, draw(st.lists(values, max_size=4))))
    return found


@given(some_metrics(), some_metrics())
@settings(max_examples=300)
def test_any_metrics_of_two_sources_give_a_valid_page(first: Metrics, second: Metrics) -> None:
    pages = []
    for fmt in FORMATS:
        text, layout = Writer().write(first, fmt)
        other, reduced = Writer().write(second, fmt, layout.names)
        pages.append(text + other + TRAILERS[fmt])
        assert layout.series + sum(layout.duplicates.values()) == sum(len(rows) for _, rows in first)
        assert reduced.series + sum(reduced.duplicates.values()) == sum(len(rows) for _, rows in second)
    check(*pages)
