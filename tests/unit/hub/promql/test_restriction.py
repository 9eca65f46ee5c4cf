"""Restricted queries read only visible series, and have the results of a store that has only these."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metricat_hub.model.errors import HubError, InvalidQueryError, QueryError, UnsupportedQueryError
from metricat_hub.model.ports import Hints, Matcher
from metricat_hub.promql import parser
from metricat_hub.promql.engine import Engine
from metricat_hub.promql.limits import Limits
from metricat_hub.promql.restriction import with_matchers
from metricat_hub.promql.signatures import AGGREGATIONS, FUNCTIONS
from metricat_hub.use_cases.cancellation import Cancellation
from metricat_hub.use_cases.queries import Queries
from metricat_hub.use_cases.restriction import RestrictedEngine, RestrictedReader
from support.memory_reader import MemoryReader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.ports import Selection
    from metricat_hub.promql.engine import Result

MINUTE, NOW = 60_000, 3_600_000
OURS = Matcher("ns", "=~", "a|a2")


def reader(*namespaces: str) -> MemoryReader:
    found = MemoryReader()
    for namespace in namespaces:
        factor = len(namespace) + (namespace == "b") / 2
        for name in ("x", "y", "sum"):
            for pod in ("1", "2"):
                samples = [(at, at // MINUTE * factor + len(name)) for at in range(0, NOW + 1, 30_000)]
                found.add({"__name__": name, "ns": namespace, "pod": pod}, samples)
    found.add({"__name__": "x", "pod": "none"}, [(NOW, 7.0)] if "" in namespaces else [])
    return found


ALL, VISIBLE = reader("a", "b", "a2", ""), reader("a", "a2")
LIMITS = Limits(samples=2_000_000, series=2_000, steps=1_000)

selectors = st.sampled_from(
    [
        "x",
        "y",
        "sum",
        'x{ns="b"}',
        'x{ns!="a"}',
        '{ns=~".+"}',
        '{__name__=~"x|y"}',
        '{"x", ns=~".*"}',
        "x{pod='none'}",
        "{'x'}",
        "x{ns!~`a`}",
        'y{pod="#"}',
        "x # ns\n",
        '{__name__!="",ns!="a2"}',
    ]
)
modifiers = st.sampled_from(["", "", "", " offset 5m", " @ 1800", " @ end() offset -1m", " @ start()"])
instants = st.builds(lambda selector, modifier: f"{selector}{modifier}", selectors, modifiers)
ranges = st.builds(lambda selector, modifier: f"{selector}[5m]{modifier}", selectors, modifiers)


def larger(vectors: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    matrices = ranges | st.builds(
        lambda vector, length, modifier: f"({vector})[{length}]{modifier}",
        vectors,
        st.sampled_from(["10m:1m", "10m:", "4m:90s"]),
        modifiers,
    )
    scalars = st.builds(lambda vector: f"scalar({vector})", vectors) | st.sampled_from(["1", "0.5", "-2"])
    functions = st.sampled_from(["rate", "max_over_time", "count_over_time"])
    aggregations = st.sampled_from(["sum", "max", "COUNT"])
    groups = st.sampled_from([" by (ns) ", " without (pod) ", " "])
    binary = st.sampled_from(["or", "and", "unless", "+", "> bool", "== on (ns, pod)", "* on (pod) group_left (ns)"])
    return st.one_of(
        st.builds(lambda f, matrix: f"{f}({matrix})", functions, matrices),
        st.builds(lambda scalar, matrix: f"quantile_over_time({scalar}, {matrix})", scalars, matrices),
        st.builds(lambda op, by, v: f"{op}{by}({v})", aggregations, groups, vectors),
        st.builds(lambda scalar, v: f"topk({scalar}, {v})", scalars, vectors),
        st.builds(lambda v: f'count_values("ns", {v})', vectors),
        st.builds(lambda v: f'label_replace({v}, "ns", "a", "", "")', vectors),
        st.builds(lambda left, op, right: f"({left}) {op} ({right})", vectors, binary, vectors),
        st.builds(lambda scalar: f"vector({scalar})", scalars),
        st.builds(lambda v: f"-({v})", vectors),
        st.builds(lambda scalar, v: f"clamp_max({v}, {scalar})", scalars, vectors),
    )


expressions = st.recursive(instants, larger, max_leaves=6)


def outcome(reader: MemoryReader, query: str) -> Result | str:
    try:
        return Engine(LIMITS).range(reader, query, NOW - 4 * MINUTE, NOW, MINUTE)
    except QueryError as error:
        return type(error).__name__


@settings(max_examples=400)
@given(expressions)
def test_restricted_query_has_the_result_of_a_store_with_the_visible_series(query: str) -> None:
    expected = outcome(VISIBLE, query)
    found = outcome(ALL, with_matchers(query, [OURS], step=MINUTE, span=4 * MINUTE))
    if isinstance(expected, str) or isinstance(found, str):
        assert expected == found
        return
    assert [one.labels for one in found.series] == [one.labels for one in expected.series]
    for one, other in zip(found.series, expected.series, strict=True):
        np.testing.assert_array_equal(one.times, other.times)
        np.testing.assert_array_equal(one.values, other.values)


class Recorder(MemoryReader):
    """Requires the matcher in every selection."""

    def select(self, matchers: Sequence[Matcher], start: int, end: int, hints: Hints) -> Selection:
        assert OURS in matchers
        return super().select(matchers, start, end, hints)


def call(name: str) -> str:
    """Return a call of a function with a selector wherever its arguments allow one."""
    signature = FUNCTIONS[name]
    written = {"vector": "QQ", "matrix": "QQ[5m]", "scalar": "scalar(QQ)", "string": '"ns"'}
    count = max(signature.least, min(signature.most, len(signature.arguments)))
    kinds = [signature.arguments[min(at, len(signature.arguments) - 1)] for at in range(count)]
    return f"{name}({', '.join(written[kind] for kind in kinds)})"


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"info"}))
def test_every_function_reads_with_the_matcher(name: str) -> None:
    reader = Recorder()
    query = with_matchers(call(name), [OURS])
    with suppress(QueryError):  # of a value that the function does not accept
        Engine(LIMITS).instant(reader, query, NOW)
    assert query.count("a|a2") == call(name).count("QQ")


@pytest.mark.parametrize("operator", sorted(AGGREGATIONS))
def test_every_aggregation_reads_with_the_matcher(operator: str) -> None:
    parameter = {"scalar": "scalar(x), ", "string": '"ns", '}.get(AGGREGATIONS[operator] or "", "")
    query = f"{operator} by (ns) ({parameter}x)"
    assert with_matchers(query, [OURS]).count("a|a2") == query.count("x)")


@settings(max_examples=300)
@given(st.text(st.characters(codec="utf-8"), max_size=30), st.text(max_size=20))
def test_any_text_is_refused_or_restricted(noise: str, value: str) -> None:
    query = f'x{{pod="1"}} {noise} + y{{pod={value!r}}}'
    with suppress(HubError):
        restricted = with_matchers(query, [OURS])
        Engine(LIMITS).instant(Recorder(), restricted, NOW)
        assert parser.parse(restricted)


@pytest.mark.parametrize("query", ["info(x)", 'info(x, {ns="b"})', "sum(rate(x[5m])) + (info(y))"])
def test_info_is_refused(query: str) -> None:
    with pytest.raises(UnsupportedQueryError, match="`info` reads series beyond its argument"):
        with_matchers(query, [OURS])


def test_or_between_matchers_of_other_dialects_is_refused() -> None:
    with pytest.raises(InvalidQueryError, match="`or` between matchers is not PromQL"):
        with_matchers('x{ns="a" or ns="b"}', [OURS])


def test_step_of_a_range_query_is_written_as_a_duration() -> None:
    assert with_matchers("rate(x[step()])", [Matcher("ns", "=", "a")], step=30_000, span=60_000) == (
        'rate({__name__="x",ns="a"}[30000ms])'
    )


def test_values_of_matchers_are_escaped() -> None:
    hostile = Matcher("ns", "=", 'a"} or x{ns="b')
    assert parser.parse(with_matchers("x", [hostile])) == parser.parse('{__name__="x",ns="a\\"} or x{ns=\\"b"}')


def test_engine_and_reader_show_only_visible_series() -> None:
    engine = RestrictedEngine(Queries(ALL, LIMITS), [OURS])
    assert {dict(labels)["ns"] for labels in engine.instant("x or y", NOW, Cancellation(60)).labels} == {"a", "a2"}
    series = engine.range('x{ns="b"} or x{pod="1"}', 0, NOW, MINUTE, Cancellation(60)).series
    assert {dict(one.labels)["ns"] for one in series} == {"a", "a2"}
    visible = RestrictedReader(ALL, [OURS])
    assert visible.series([[Matcher("ns", "!=", "a")]], 0, NOW) == [
        one for one in VISIBLE.series([[]], 0, NOW) if dict(one)["ns"] == "a2"
    ]
    assert visible.label_values("ns", [], 0, NOW) == ["a", "a2"]
    assert visible.label_values("pod", [[Matcher("__name__", "=", "x")]], 0, NOW) == ["1", "2"]
    assert visible.label_names([], 0, NOW) == ["__name__", "ns", "pod"]
    assert visible.select([Matcher("ns", "=", "b")], 0, NOW, Hints()).series == []
