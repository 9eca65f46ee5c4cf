"""The dashboards query only existing metrics, with valid PromQL, and keep their names."""

from __future__ import annotations

import json
import re
import urllib.parse
from typing import TYPE_CHECKING

import promql_parser
import pytest

from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.scrape import registry
from metricat_rules.catalogue import RECORDINGS
from metricat_tools.generate.dashboards import BOARDS, text
from support import operator_metrics

if TYPE_CHECKING:
    from metricat_tools.generate.dashboards import Board

VARIABLES = {"$cluster": ".*", "$target": ".*", "$node": "n1", "$__rate_interval": "5m", "$__range": "1h"}
KUBE_STATE_METRICS = {"kube_pod_info"}
PROMETHEUS_OWN = {"up", "ALERTS", "scrape_duration_seconds", "scrape_samples_scraped"}
METRIC = re.compile(r"([a-zA-Z_:][\w:]*)\{")


def render(expr: str) -> str:
    for name, value in VARIABLES.items():
        expr = expr.replace(name, value)
    return expr


def expressions(board: Board) -> list[str]:
    return [
        *(query.expr for panel in board.panels for query in panel.queries),
        *(one.expr for one in board.annotations),
    ]


def known() -> set[str]:
    agent = {family.name for collector in COLLECTORS.values() for family in collector.families}
    collected = {family.name for family in registry.FAMILIES}
    return (
        agent
        | collected
        | {one.name for one in RECORDINGS}
        | PROMETHEUS_OWN
        | operator_metrics.names()
        | KUBE_STATE_METRICS
    )


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_every_expression_is_promql_on_existing_metrics(board: Board) -> None:
    for expr in expressions(board):
        promql_parser.parse(render(expr))
        assert "$" not in render(expr)
        queried = set(METRIC.findall(expr))
        assert queried, expr
        assert queried <= known(), expr


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_rates_follow_the_width_of_the_panel(board: Board) -> None:
    for expr in expressions(board):
        widths = set(re.findall(r"rate\([^\[]*\[([^\]]*)\]", expr))
        assert widths <= {"$__rate_interval", "$__range"}
        assert "$__rate_interval" in widths or not widths


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_highest_series_are_those_of_the_whole_time_range(board: Board) -> None:
    """`topk` at each step of a range returns other series at each step: hundreds in an hour."""
    for panel in board.panels:
        for query in panel.queries:
            if panel.kind == "timeseries" and "topk" in query.expr:
                assert "[$__range] @ end()" in query.expr.partition("topk")[2], panel.title


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_every_panel_has_a_description_and_a_text_without_data(board: Board) -> None:
    panels = [panel for panel in board.json()["panels"] if panel["type"] != "row"]
    assert [panel["title"] for panel in panels if not panel["description"].endswith(".")] == []
    assert [panel["title"] for panel in panels if not panel["fieldConfig"]["defaults"]["noValue"]] == []


def links(part: object) -> list[str]:
    """Return the addresses of all links from data."""
    if isinstance(part, list):
        return [url for one in part for url in links(one)]
    if not isinstance(part, dict):
        return []
    own = [part["url"]] if "targetBlank" in part else []
    return own + links(list(part.values()))


def test_links_lead_to_existing_boards_and_to_queries_of_existing_metrics() -> None:
    uids = {f"metricat-{board.name}" for board in BOARDS}
    found = {board.name: links(board.json()["panels"]) for board in BOARDS}
    for url in (url for urls in found.values() for url in urls):
        parts = urllib.parse.urlsplit(url)
        if parts.path == "/explore":
            panes = json.loads(urllib.parse.parse_qs(parts.query)["panes"][0])
            [query] = panes["a"]["queries"]
            assert set(METRIC.findall(query["expr"])) <= known()
        else:
            assert parts.path.removeprefix("/d/") in uids, url
            assert "var-node=" in url
    assert any("/d/metricat-node" in url for url in found["fleet"])
    assert any("/d/metricat-processes" in url for url in found["node"])
    assert any("/explore" in url for url in found["processes"])


def test_boards_of_nodes_show_alerts_reboots_and_rollouts() -> None:
    for board in BOARDS[:4]:
        names = [one["name"] for one in board.json()["annotations"]["list"]]
        assert names == ["Alerts", "Reboots", "Rollouts of agents"]


def test_uids_and_files_never_change() -> None:
    assert [board.json()["uid"] for board in BOARDS] == [
        "metricat-fleet",
        "metricat-node",
        "metricat-processes",
        "metricat-coverage",
        "metricat-operator",
    ]


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_panels_fit_the_width_and_do_not_overlap(board: Board) -> None:
    made = json.loads(text(board))
    assert made["templating"]["list"][0]["type"] == "datasource"
    taken: set[tuple[int, int]] = set()
    for panel in made["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    numbers = [panel["id"] for panel in made["panels"]]
    assert len(numbers) == len(set(numbers))
