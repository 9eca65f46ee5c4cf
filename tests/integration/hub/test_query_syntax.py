"""`format_query` and `parse_query`: the same text and the same tree as a real Prometheus, for queries of all kinds."""

from __future__ import annotations

import json
import re
import urllib.parse
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from metricat_hub.model.errors import HubError, UnsupportedQueryError
from metricat_hub.promql import parser, source_parser
from metricat_hub.promql.formatting import formatted
from metricat_hub.promql.signatures import FUNCTIONS
from metricat_hub.promql.syntax_json import syntax_json
from metricat_tools.binaries import module_dir
from support import hub_process
from support.hub_process import send
from support.prometheus_server import prometheus
from support.recorded_pages import dashboard_queries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.prometheus_server import Prometheus

FEATURES = (
    "promql-experimental-functions,promql-extended-range-selectors,promql-duration-expr,promql-binop-fill-modifiers"
)
ARGUMENTS = {"vector": "x", "matrix": "x[5m]", "scalar": "1", "string": '"a"'}
OWN = (
    'foo{a="",a!="b", "b.c"=~"x|y" , d!~""}',
    '{"foo"} + {__name__="foo", a="b"} - {"a.b", __name__!="x"}',
    '"a\\"b\\n\\u00e9\\x00\\u200b\\U0001F600"',
    "+foo + - - foo + +(5m) + -5m + (+5)",
    "0x1F + 1e3 + 1e30 + Inf - -inf + NaN + 0.1e-7 + -0",
    "foo[(5m)] offset -(5m)",
    "foo[5m*2+(step()-1)^2] offset -step()",
    "foo[-(-5m)] offset +(5m)",
    "foo[1h:2*step()] @ 5 offset 5m",
    "foo[1h30m:] @ start() offset -1w",
    "foo[min_of(5m, max_of(10, step()))] @ end()",
    "foo offset 1.5 + foo offset 90d + rate(foo[1y]) + foo offset 400d",
    'sum by () (x) + sum without () (x) + topk((5), x) + count_values without(a)("v", x)',
    'sum without("a.b",c)(foo) + on() bar + ignoring(a, "b.c") group_left(d) baz',
    "a + fill(1) b + on(x) fill_left(1e-7) fill_right(2) c + fill_left(1e22) d",
    "a and on(x) b or c unless d > bool 1 atan2 e",
    "rate(foo[5m] anchored) + foo smoothed",
    "-(-foo) ^ 2 % -1",
    "label_join(x, 'a', 'b')",
)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    with prometheus(folder, "scrape_configs: []\n", f"--enable-feature={FEATURES}", "--log.level=error") as running:
        yield running


def queries() -> list[str]:
    """Return the queries of Prometheus' own tests, of the dashboards, of each function, and others."""
    source = module_dir("prometheus", "github.com/prometheus/prometheus")
    found = set(OWN) | set(dashboard_queries())
    for path in sorted((source / "promql/promqltest/testdata").glob("*.test")):
        found |= set(re.findall(r"^eval\S* instant (?:at \S+ )?(.+)$", path.read_text(), re.MULTILINE))
        found |= set(re.findall(r"^eval\S* range from \S+ to \S+ step \S+ (.+)$", path.read_text(), re.MULTILINE))
    for name in ("prettier_test.go", "printer_test.go"):
        text = (source / "promql/parser" / name).read_text()
        found |= {one for pair in re.findall(r"(?:in|input):\s+(?:`([^`]+)`|\"([^\"\\]+)\")", text) for one in pair}
    for name, signature in FUNCTIONS.items():
        found.add(f"{name}({', '.join(ARGUMENTS[kind] for kind in signature.arguments)})")
    return sorted(found)


def ask(real: Prometheus, path: str, query: str) -> Any:
    body = urllib.parse.urlencode({"query": query}).encode()
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    status, found = real.request("POST", f"/api/v1/{path}", body, **form)
    if b"unsupported value" in found:  # Prometheus has no JSON for an infinite value of `fill`
        return None
    assert status in {200, 400}, (query, found)
    return json.loads(found)


def test_text_and_tree_are_those_of_prometheus(real: Prometheus) -> None:
    compared, refused = 0, []
    for query in queries():
        theirs = ask(real, "format_query", query)
        try:
            node = source_parser.parse(query)
        except UnsupportedQueryError:
            continue
        except HubError:
            if theirs["status"] == "success":
                refused.append(query)
            continue
        if theirs["status"] == "error":
            continue
        compared += 1
        assert formatted(node) == theirs["data"], query
        tree = json.loads(msgspec.json.encode(syntax_json(node)))
        if expected := ask(real, "parse_query", query):
            assert tree == expected["data"], query
    assert compared > 900
    assert refused == ["a anchored"]  # Prometheus refuses it when it evaluates the query


def test_formatted_query_means_the_same() -> None:
    for query in queries():
        try:
            before = parser.parse(query)
        except HubError:
            continue
        text = formatted(source_parser.parse(query))
        assert formatted(source_parser.parse(text)) == text
        assert without_positions(parser.parse(text)) == without_positions(before), query


def without_positions(node: object) -> list[str]:
    """Return the parts of a tree; the order of matchers has no meaning."""
    return sorted(re.sub(r"position=\d+|[()\[\],]", " ", str(node)).split())


def test_hub_responds_as_prometheus(real: Prometheus, tmp_path: Path) -> None:
    with hub_process.running(tmp_path) as hub:
        for path in ("format_query", "parse_query"):
            for query in OWN:
                found = hub.get(f"/api/v1/{path}", query=query)
                assert (found.status, found.json) == (200, ask(real, path, query))
            for wrong in ("", "sum(", "foo{"):
                found = hub.get(f"/api/v1/{path}", query=wrong)
                assert (found.status, found.json["errorType"]) == (400, "bad_data")
                assert found.json["error"].startswith('invalid parameter "query": ')
                assert ask(real, path, wrong)["errorType"] == "bad_data"
            assert send(f"{hub.url}/api/v1/{path}?query=up").status == 401
