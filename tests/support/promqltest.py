"""Reader and runner of Prometheus' own test files of PromQL (`promql/promqltest/testdata/*.test`).

The format is described in `promql/promqltest/README.md` of Prometheus. Like Prometheus, the runner repeats each instant
query with `@` on every selector at other times, and as the middle step of a range query. Cases with native histograms
are reported as such: the store records whether a query selects a series that has any.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from metricat_hub.model.errors import HubError, UnsupportedQueryError
from metricat_hub.model.labels import NAME, from_mapping
from metricat_hub.model.samples import STALE
from metricat_hub.promql import parser, tokens
from metricat_hub.promql.engine import Engine
from metricat_hub.promql.limits import Limits
from metricat_hub.promql.matchers import predicate
from metricat_hub.promql.nodes import Node, RangeSelector, Selector, Subquery
from metricat_hub.promql.printing import mapped, text
from support import prepared_queries
from support.memory_reader import MemoryReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.ports import Hints, Matcher, Selection, Series
    from metricat_hub.promql.engine import Result

Value = float | Literal["omitted", "histogram"]
_EPSILON = 1e-6
_LEAST_NORMAL = 2.2250738585072014e-308
_NUMBER = r"(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[iI]nf|[nN]a[nN])"
_ITEM = re.compile(rf"([+-]?{_NUMBER}|stale)(?:([+-]{_NUMBER}))?(?:x([0-9]+))?")
_LOAD = re.compile(r"load(?:_(with_nhcb))?\s+(\S+)")
_INSTANT = re.compile(r"eval(?:_(fail|warn|ordered|info))?\s+instant\s+(?:at\s+(\S+))?\s+(.+)")
_RANGE = re.compile(r"eval(?:_(fail|warn|info))?\s+range\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)\s+(.+)")
_EXPECT = re.compile(r"expect\s+(ordered|fail|warn|no_warn|info|no_info)(?:\s+(regex|msg):(.+))?")
_RANGE_VECTOR = re.compile(r"expect range vector\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)")
_UNSAFE = re.compile(
    r"\b(days_in_month|day_of_month|day_of_week|day_of_year|end|hour|minute|month|year|predict_linear|range|start|step"
    r"|time|timestamp)\s*\("
)
_QUERY_CONTEXT = re.compile(r"(start|end|range|step)\(\)")


@dataclass(frozen=True)
class Outcome:
    """The result of one `eval` command."""

    line: int
    query: str
    state: Literal["passed", "failed", "native histograms"]
    reason: str = ""


class _MismatchError(Exception):
    pass


@dataclass
class _Eval:
    line: int
    query: str
    start: int
    end: int
    step: int
    is_range: bool
    expected: dict[Labels, list[Value]] = field(default_factory=dict)
    scalar: float | None = None
    string: str = ""
    range_vector: bool = False
    expect_string: bool = False
    annotations: list[tuple[str, str, str]] = field(default_factory=list)

    def expects(self, kind: str) -> bool:
        return any(what == kind for what, _, _ in self.annotations)


class Store(MemoryReader):
    """Samples that `load` adds, and which series have native histograms or start timestamps."""

    def __init__(self) -> None:
        super().__init__()
        self.native: set[Labels] = set()
        self.selects_native = False

    def select(self, matchers: Sequence[Matcher], start: int, end: int, hints: Hints) -> Selection:
        holds = [(matcher.name, predicate(matcher)) for matcher in matchers]
        if any(all(check(dict(labels).get(name, "")) for name, check in holds) for labels in self.native):
            self.selects_native = True
        return super().select(matchers, start, end, hints)


def duration(written: str) -> int:
    """Return a duration in milliseconds."""
    value = 0 if written == "0" else tokens.milliseconds(written.removeprefix("-"))
    if value is None:
        raise ValueError(f"invalid duration {written!r}")
    return -value if written.startswith("-") else value


def series_line(line: str) -> tuple[Labels, list[Value]]:
    """Return labels and values of a series in the expanding notation."""
    labels, rest = _metric(line)
    return labels, [value for item in _items(rest) for value in _expanded(item)]


def _metric(line: str) -> tuple[Labels, str]:
    found = re.match(r'[^\s{]*(?:\{(?:[^}"\']|"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\')*\})?', line)
    assert found is not None
    written = found[0]
    reading = parser._Parser(written, None)
    name = reading.next().text if reading.token.kind == "name" else ""
    selector = reading.selector(name, 0, may_match_all=True)
    return from_mapping({matcher.name: matcher.value for matcher in selector.matchers}), line[found.end() :]


def _items(written: str) -> list[str]:
    return re.findall(r"(?:\{\{.*?\}\}|\S)+", written)


def _expanded(item: str) -> Iterator[Value]:
    if item.startswith("_"):
        for _ in range(int(item[2:] or 1)):
            yield "omitted"
        return
    if item.startswith("{{"):
        repeats = re.search(r"\}\}x(\d+)$", item)
        for _ in range(int(repeats[1]) + 1 if repeats else 1):
            yield "histogram"
        return
    found = _ITEM.fullmatch(item)
    if found is None:
        raise ValueError(f"invalid series item {item!r}")
    value = STALE if found[1] == "stale" else float(found[1])
    yield value
    for _ in range(int(found[3] or 0)):
        if found[2]:
            value += float(found[2])
        yield value


def run(content: str, new_store: Callable[[], Store] | None = None) -> list[Outcome]:
    """Run a test file and return the outcome of each `eval` command. `new_store` creates its stores."""
    lines = ["" if line.strip().startswith("#") else line.strip() for line in content.split("\n")]
    engine = Engine(Limits(), delayed_name_removal=True)
    store = (new_store or Store)()
    outcomes = []
    place = 0
    while place < len(lines):
        first = place
        place += 1
        command = lines[first].split(maxsplit=1)[0].lower() if lines[first] else ""
        if not command:
            continue
        while place < len(lines) and lines[place] and command != "clear":
            place += 1
        if command == "clear":
            store = (new_store or Store)()
        elif command.startswith("load"):
            _load(store, lines[first:place])
        else:
            outcomes.append(_evaluate(engine, store, lines[first:place], first + 1))
    return outcomes


def _load(store: Store, lines: Sequence[str]) -> None:
    found = _LOAD.fullmatch(lines[0])
    assert found is not None
    step = duration(found[2])
    for line in lines[1:]:
        if re.match(r'[^\s"]*(?:\{.*\})?@st\s', line):
            continue
        labels, values = series_line(line)
        pairs = [(index * step, value) for index, value in enumerate(values) if isinstance(value, float)]
        if pairs:
            store.add(labels, pairs)
        if "histogram" in values:
            store.native.add(labels)
        name = dict(labels).get(NAME, "")
        if found[1] and name.endswith("_bucket"):
            base = {key: value for key, value in labels if key != "le"}
            store.native.add(from_mapping({**base, NAME: name.removesuffix("_bucket")}))


def _evaluate(engine: Engine, store: Store, lines: Sequence[str], line: int) -> Outcome:
    case = _parsed(lines, line)
    store.selects_native = False
    native = any("histogram" in values for values in case.expected.values())
    try:
        _run(engine, store, case)
    except UnsupportedQueryError as error:
        return Outcome(line, case.query, "native histograms", str(error))
    except (HubError, _MismatchError, NotImplementedError) as error:
        state: Literal["failed", "native histograms"] = (
            "native histograms" if native or store.selects_native else "failed"
        )
        return Outcome(line, case.query, state, str(error))
    if native or store.selects_native:
        return Outcome(line, case.query, "native histograms")
    return Outcome(line, case.query, "passed")


def _parsed(lines: Sequence[str], line: int) -> _Eval:
    if found := _RANGE.fullmatch(lines[0]):
        modifier, start, end, step, query = found.groups()
        case = _Eval(line, query, duration(start), duration(end), duration(step), is_range=True)
    else:
        found = _INSTANT.fullmatch(lines[0])
        assert found is not None, lines[0]
        modifier, at, query = found.groups()
        case = _Eval(line, query, duration(at or "0"), duration(at or "0"), 1, is_range=False)
    if modifier:
        case.annotations.append((modifier, "", ""))
    for written in lines[1:]:
        _expectation(case, written)
    return case


def _expectation(case: _Eval, written: str) -> None:
    if found := _RANGE_VECTOR.fullmatch(written):
        case.start, case.end, case.step = (duration(found[i]) for i in (1, 2, 3))
        case.range_vector = True
    elif written.startswith("expect string"):
        value = tokens.unquoted(written.removeprefix("expect string").strip())
        assert value is not None
        case.string, case.expect_string = value, True
    elif written.startswith("expect "):
        found = _EXPECT.fullmatch(written)
        assert found is not None, written
        case.annotations.append((found[1], found[2] or "", (found[3] or "").strip()))
    elif written.startswith("expected_fail_message"):
        case.annotations.append(("fail", "msg", written.removeprefix("expected_fail_message").strip()))
    elif written.startswith("expected_fail_regexp"):
        case.annotations.append(("fail", "regex", written.removeprefix("expected_fail_regexp").strip()))
    elif re.fullmatch(rf"[+-]?{_NUMBER}", written):
        case.scalar = float(written)
    else:
        labels, values = series_line(written)
        case.expected[labels] = values


def _run(engine: Engine, store: Store, case: _Eval) -> None:
    if case.is_range:
        _checked(case, case.query, lambda: engine.range(store, case.query, case.start, case.end, case.step))
        return
    if differs := prepared_queries.difference(store, case.query, [case.end, case.end + 60_000, case.end]):
        raise _MismatchError(differs)
    for query, time in [(case.query, case.end), *_at_variants(case)]:
        result = _checked(case, query, partial(engine.instant, store, query, time))
        if result is None or case.range_vector or case.expect_string or _QUERY_CONTEXT.search(query):
            continue
        if case.expects("fail"):
            continue
        around = engine.range(store, query, time - 60_000, time + 60_000, 60_000)
        if case.expects("ordered"):
            continue
        _compare_middle(case, result, around, time)


def _compare_middle(case: _Eval, result: Result, around: Result, time: int) -> None:
    labels, values = [], []
    for series in around.series:
        at = np.flatnonzero(series.times == time)
        if len(at):
            labels.append(series.labels)
            values.append(series.values[at[0]])
    try:
        if result.kind == "scalar":
            _compare(case, replace(result, values=np.array(values)))
        else:
            _compare(case, replace(result, labels=labels, values=np.array(values)))
    except _MismatchError as failure:
        raise _MismatchError(f"in range mode: {failure}") from failure


def _at_variants(case: _Eval) -> list[tuple[str, int]]:
    """Return the query with `@` on each selector, and times to evaluate it at."""
    if _UNSAFE.search(case.query):
        return []
    try:
        node = parser.parse(case.query)
    except HubError:
        return []
    time = case.end
    query = text(mapped(node, lambda inner: _pinned(inner, time)))
    times = [-10 * time, 0, time // 5, time, 10 * time] if time else [-1000, 0, 1000]
    return [(query, other) for other in times]


def _pinned(node: Node, time: int) -> Node | None:
    """Return a selector or subquery with `@`; None for other nodes. Selectors inside subqueries stay as they are."""
    match node:
        case Selector():
            return node if node.at is not None else replace(node, at=time)
        case RangeSelector():
            return node if node.selector.at is not None else replace(node, selector=replace(node.selector, at=time))
        case Subquery():
            return node if node.at is not None else replace(node, at=time)
        case _:
            return None


def _checked(case: _Eval, query: str, evaluate: Callable[[], Result]) -> Result | None:
    fails = [(how, what) for kind, how, what in case.annotations if kind == "fail"]
    try:
        result = evaluate()
    except UnsupportedQueryError:
        raise
    except HubError as error:
        if not fails:
            raise _MismatchError(f"{query}: {error}") from error
        for how, what in fails:
            if not _matches(how, what, str(error), within=True):
                raise _MismatchError(f"expected error {what!r}, got {str(error)!r}") from error
        return None
    if fails:
        raise _MismatchError("expected an error")
    _check_annotations(case, "warn", result.warnings)
    _check_annotations(case, "info", result.infos)
    _compare(case, result)
    return result


def _matches(how: str, what: str, found: str, *, within: bool = False) -> bool:
    if how == "msg":
        return what.strip('"') in found if within else what == found
    return how != "regex" or re.search(what.strip('"') if within else what, found) is not None


def _check_annotations(case: _Eval, kind: str, found: Sequence[str]) -> None:
    wanted = [(how, what) for which, how, what in case.annotations if which == kind]
    if case.expects(f"no_{kind}") and found:
        raise _MismatchError(f"unexpected {kind}: {found}")
    if not wanted:
        return
    if not found:
        raise _MismatchError(f"expected {kind} {wanted}, got none")
    for how, what in wanted:
        if not any(_matches(how, what, one) for one in found):
            raise _MismatchError(f"expected {kind} {what!r}, got {found}")
    for one in found:
        if not any(_matches(how, what, one) for how, what in wanted):
            raise _MismatchError(f"unexpected {kind} {one!r}")


def almost_equal(one: float, other: float, epsilon: float = _EPSILON) -> bool:
    """Compare as Prometheus' tests do."""
    if np.isnan(one) or np.isnan(other):
        return bool(np.isnan(one) and np.isnan(other))
    if one == other:
        return True
    total, difference = abs(one) + abs(other), abs(one - other)
    if one == 0 or other == 0 or total < _LEAST_NORMAL:
        return difference < epsilon * _LEAST_NORMAL
    return difference / min(total, np.finfo(np.float64).max) < epsilon


def _compare(case: _Eval, result: Result) -> None:
    match result.kind:
        case "string":
            if result.text != case.string:
                raise _MismatchError(f"expected {case.string!r}, got {result.text!r}")
        case "scalar":
            if case.scalar is None or not almost_equal(case.scalar, float(result.values[0])):
                raise _MismatchError(f"expected {case.scalar}, got {result.values[0]}")
        case "vector":
            _compare_vector(case, result)
        case "matrix":
            _compare_matrix(case, result.series)


def _compare_vector(case: _Eval, result: Result) -> None:
    if case.scalar is not None:
        raise _MismatchError("expected a scalar, got a vector")
    order = list(case.expected)
    if case.expects("ordered") and list(result.labels) != order:
        raise _MismatchError(f"expected the order {order}, got {list(result.labels)}")
    for labels, value in zip(result.labels, result.values, strict=True):
        if labels not in case.expected:
            raise _MismatchError(f"unexpected {labels} {value}")
        wanted = case.expected[labels][0]
        if not isinstance(wanted, float) or not almost_equal(wanted, float(value)):
            raise _MismatchError(f"expected {wanted} for {labels}, got {value}")
    _check_missing(case.expected, set(result.labels))


def _check_missing(expected: Mapping[Labels, object], found: set[Labels]) -> None:
    for labels in expected:
        if labels not in found:
            raise _MismatchError(f"missing {labels}")


def _compare_matrix(case: _Eval, series: Sequence[Series]) -> None:
    if [one.labels for one in series] != sorted(one.labels for one in series):
        raise _MismatchError("the series are not sorted")
    for one in series:
        if one.labels not in case.expected:
            raise _MismatchError(f"unexpected {one.labels} {one.values[:5]}")
        wanted = [
            (case.start + index * case.step, value)
            for index, value in enumerate(case.expected[one.labels])
            if value != "omitted"
        ]
        found = list(zip(one.times.tolist(), one.values.tolist(), strict=True))
        same = len(wanted) == len(found) and all(
            a[0] == b[0] and isinstance(a[1], float) and almost_equal(a[1], b[1])
            for a, b in zip(wanted, found, strict=True)
        )
        if not same:
            raise _MismatchError(f"expected {wanted[:12]} for {one.labels}, got {found[:12]}")
    _check_missing(case.expected, {one.labels for one in series})
