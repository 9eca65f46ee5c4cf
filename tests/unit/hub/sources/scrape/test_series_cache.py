"""The three ways to read a page have the same result: that of a cache which sees the page for the first time."""

from __future__ import annotations

import random
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metricat_hub.model.labels import text
from metricat_hub.sources.scrape.config import Job, Limits, TargetGroup
from metricat_hub.sources.scrape.page import PageError, Sample, parse
from metricat_hub.sources.scrape.relabel import Rule
from metricat_hub.sources.scrape.series_cache import Reading, SeriesCache
from metricat_hub.sources.scrape.target import build, discovered_labels
from support.memory_store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = 1_800_000_000_000


def cache(**settings: Any) -> SeriesCache:
    job = Job("j", **settings)
    target = build(job, discovered_labels(job, "h:1", TargetGroup(("h:1",))))
    assert target is not None
    return SeriesCache(target)


class Reader:
    """A cache with a store, as a scrape uses them."""

    def __init__(self, **settings: Any) -> None:
        self.cache = cache(**settings)
        self.store = MemoryStore(NOW)

    def read(self, page: str, *, openmetrics: bool = False) -> tuple[dict[str, str], list[str], Reading]:
        """Return series with values, series that became stale, and the reading."""
        reading = self.cache.read(page.encode(), openmetrics=openmetrics, now=NOW)
        numbers = self.cache.resolve(self.store, reading.slots).tolist()
        stale = self.cache.resolve(self.store, reading.stale).tolist()
        self.cache.clean()
        names = {number: text(labels) for labels, number in self.store._numbers.items()}
        times = [NOW] * len(numbers) if reading.times is None else reading.times.tolist()
        found: dict[str, str] = {}
        for number, value, time in zip(numbers, reading.values.tolist(), times, strict=True):
            found.setdefault(f"{names[number]}@{None if time == NOW else time}", repr(value))
        return found, sorted(names[number] for number in stale), reading


def fresh(page: str, *, openmetrics: bool = False, **settings: Any) -> tuple[dict[str, str], Reading]:
    """Return the reading of a new cache."""
    found, _, reading = Reader(**settings).read(page, openmetrics=openmetrics)
    return found, reading


HISTOGRAM = '# TYPE h histogram\nh{le="1"} 1'
"""Never without its type: as Prometheus, the cache keeps the labels that a text had with the first type."""
LINES = st.sampled_from(
    [
        *("a 1", "a 2", "b 3", 'c{x="1"} 4', 'c{x="2"} 5', 'c{x=" 6"} 6', 'c{x="1",y="2"} 7', 'c{y="2",x="1"} 8'),
        *("# TYPE a gauge", "# HELP a b", HISTOGRAM, "", "#", "a 1 1799999999000", "d NaN"),
        *(" a 1", "a  1", "b\t3", 'e{x="1\n2"} 3', "f 1 1799999999000", "dropped 1", 'dropped{x="1"} 2', "g{ } 1"),
        *("f 2 1799999998000", "far 1 1900000000000", "e +Inf", "a{} 5", "b 3 ", 'i{x="#"} 1', "j{} 1"),
    ]
)
INVALID = st.sampled_from(["a", "a 1_0", "a b", "1a 1", "# TYPE a b", 'a{x="1"', 'k{x="1",x="2"} 1', "a 1 1.5", "{} 1"])
PAGES = st.lists(LINES, max_size=12).map(lambda lines: "\n".join(lines) + "\n")
HOSTILE = st.tuples(st.lists(LINES, max_size=6), INVALID, st.lists(LINES, max_size=3)).map(
    lambda parts: "\n".join([*parts[0], parts[1], *parts[2]])
)
RULES = (Rule(action="drop", source_labels=("__name__",), regex="dropped"),)


@settings(max_examples=60)
@given(pages=st.lists(PAGES | HOSTILE | st.just(""), max_size=6), repeated=st.integers(1, 3))
def test_each_page_is_read_as_by_a_new_cache(pages: list[str], repeated: int) -> None:
    reader = Reader(metric_relabel=RULES)
    live: set[str] = set()
    for page in [page for page in pages for _ in range(repeated)]:
        found, stale, reading = reader.read(page)
        expected, first = fresh(page, metric_relabel=RULES)
        assert found == expected
        assert (reading.error, reading.total, reading.added, reading.too_new) == (
            *(first.error, first.total, first.added),
            first.too_new,
        )
        now_live = {series.rpartition("@")[0] for series in found if series.endswith("@None")}
        assert set(stale) - now_live == live - now_live
        live = now_live


@settings(max_examples=60)
@given(
    lines=st.lists(
        st.sampled_from(
            [
                *(
                    "a 1",
                    'b{x="1"} 2',
                    'b{x="1"} 2 # {t="1"} 3',
                    "# TYPE c counter",
                    "c_total 3",
                    "# HELP c d",
                    "d 1 5",
                ),
                *("d 1 5.5 # {} 1", "", "#", "a  1", "e NaN", "# UNIT c c", "# EOF"),
            ]
        ),
        max_size=8,
        unique=True,
    ),
    end=st.sampled_from(["# EOF\n", "# EOF", "# EOF\n\n", ""]),
)
def test_openmetrics_pages_are_read_as_by_a_new_cache(lines: list[str], end: str) -> None:
    reader = Reader()
    page = "".join(f"{line}\n" for line in lines) + end
    reader.read("# TYPE c counter\na 0\nd 1 4\n" + "# EOF\n", openmetrics=True)
    for _ in range(3):
        found, _, reading = reader.read(page, openmetrics=True)
        expected, first = fresh(page, openmetrics=True)
        assert (found, reading.error, reading.total) == (expected, first.error, first.total)


def agent_like_page(value: int, series: Sequence[int]) -> str:
    return "# HELP m Metric\n# TYPE m gauge\n" + "".join(f'm{{n="{number}"}} {value + number}\n' for number in series)


def test_a_page_with_the_same_lines_is_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader()
    for value in range(2):
        reader.read(agent_like_page(value, range(100)))

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr("metricat_hub.sources.scrape.page.parse", fail)
    monkeypatch.setattr(SeriesCache, "_read_known_lines", fail)
    resolved = reader.store.resolved
    found, stale, reading = reader.read(agent_like_page(7, range(100)))
    assert len(found) == reading.total == reading.added == 100
    assert reading.values.tolist() == [7.0 + number for number in range(100)]
    assert (stale, reading.new, reading.metas, reader.store.resolved) == ([], 0, (), resolved)


def test_only_new_lines_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader()
    for value in range(2):
        reader.read(agent_like_page(value, range(100)))
    seen: list[bytes] = []

    def spy(page: bytes, *, openmetrics: bool) -> Any:
        seen.append(page)
        return parse(page, openmetrics=openmetrics)

    monkeypatch.setattr("metricat_hub.sources.scrape.page.parse", spy)
    found, stale, reading = reader.read(agent_like_page(3, range(1, 101)))
    assert seen == [b'm{n="100"} 103\n']
    assert (len(found), stale, reading.new) == (100, ['m{instance="h:1",job="j",n="0"}'], 1)


def test_series_that_vanish_leave_the_cache() -> None:
    reader = Reader()
    generator = random.Random(1)
    for value in range(30):
        numbers = generator.sample(range(10_000), 50)
        found, _, _ = reader.read(agent_like_page(value, numbers))
        assert len(found) == 50
        assert len(reader.cache) == 50
        assert len(reader.cache._numbers) < 200


def test_failing_pages_do_not_grow_the_cache_without_limit() -> None:
    reader = Reader()
    for value in range(100):
        reader.read(agent_like_page(0, range(value * 100, value * 100 + 100)) + "bad\n")
    assert len(reader.cache) <= 1100


def test_numbers_are_resolved_again_after_the_store_removed_series() -> None:
    reader = Reader()
    page = 'h 1\n# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\n'
    for _ in range(3):
        before, _, _ = reader.read(page)
    reader.store.forget()
    after, _, _ = reader.read(page)
    assert after == before
    assert 'h_bucket{instance="h:1",job="j",le="1.0"}@None' in after


def test_series_that_vanish_when_the_store_removed_series_are_stale() -> None:
    reader = Reader()
    for _ in range(3):
        reader.read("a 1\nb 1\n")
    reader.store.forget()
    assert reader.read("a 1\n")[1] == ['b{instance="h:1",job="j"}']


def test_stale_markers_that_were_not_stored_are_returned_again() -> None:
    reader = Reader()
    reader.read("a 1\nb 1\nc 1\n")
    reading = reader.cache.read(b"a 1\nc 1\n", openmetrics=False, now=NOW)
    reader.cache.retry_stale(reading.stale)
    assert reader.read("c 1\n")[1] == ['a{instance="h:1",job="j"}', 'b{instance="h:1",job="j"}']
    assert reader.read("c 1\n")[1] == []


_REMEDY = "remove labels with metric_relabel_configs, or raise the limit"


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        (Limits(samples=1), "the response has more samples than sample_limit, which is 1; raise sample_limit"),
        (Limits(labels=3), f"b has 4 labels, but label_limit is 3; {_REMEDY}"),
        (
            Limits(label_name_length=7),
            f"the label __name__ of a is longer than label_name_length_limit, which is 7 bytes; {_REMEDY}",
        ),
        (
            Limits(label_value_length=2),
            f"the value of the label instance of a exceeds label_value_length_limit, which is 2 bytes; {_REMEDY}",
        ),
    ],
)
def test_pages_beyond_limits_fail(limits: Limits, error: str) -> None:
    reader = Reader(limits=limits)
    for _ in range(3):
        found, _, reading = reader.read('a 1\nb{x="1"} 2\n')
        assert reading.error == error
        assert not found


def test_values_stay_exact() -> None:
    reader = Reader()
    for value in ("1", "0.1", "1e-7", "12345678901234567890", "-0", "NaN", "+Inf"):
        found, _, _ = reader.read(f"a {value}\n")
        assert found == {'a{instance="h:1",job="j"}@None': repr(float(value))}


def test_nan_of_a_page_is_not_a_staleness_marker() -> None:
    reading = cache().read(b"a NaN\n", openmetrics=False, now=NOW)
    assert np.isnan(reading.values[0])
    assert reading.values.view(np.uint64)[0] != 0x7FF0000000000002


def test_sample_of_a_line_is_what_the_parser_finds() -> None:
    with pytest.raises(PageError):
        list(parse(b"a\n", openmetrics=False))
    assert list(parse(b"a 1\n", openmetrics=False)) == [Sample(b"a", 1.0, None, b"")]


def test_a_page_with_far_more_lines_than_series_is_not_split() -> None:
    reader = Reader(limits=Limits())
    reader.read("a 1\n")
    tracemalloc.start()
    page = "a 1\n" * 20_000
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    _, _, reading = reader.read(page)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert (reading.total, reading.added, len(reading.slots)) == (20_000, 20_000, 1)
    assert peak < 40 * 20_000  # a list of the lines needs 44 bytes for each
