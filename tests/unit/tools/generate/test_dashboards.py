"""The dashboards query only existing metrics, with valid PromQL, and keep their names."""

from __future__ import annotations

import json
import re
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

VARIABLES = {"$cluster": ".*", "$target": ".*", "$node": "n1", "$__rate_interval": "5m"}
PROMETHEUS_OWN = {"up", "ALERTS", "scrape_duration_seconds", "scrape_samples_scraped"}
METRIC = re.compile(r"([a-zA-Z_:][\w:]*)\{")


def render(expr: str) -> str:
    for name, value in VARIABLES.items():
        expr = expr.replace(name, value)
    return expr


def expressions(board: Board) -> list[str]:
    return [query.expr for panel in board.panels for query in panel.queries]


def known() -> set[str]:
    agent = {family.name for collector in COLLECTORS.values() for family in collector.families}
    collected = {family.name for family in registry.FAMILIES}
    return agent | collected | {one.name for one in RECORDINGS} | PROMETHEUS_OWN | operator_metrics.names()


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
        assert set(re.findall(r"rate\([^\[]*\[([^\]]*)\]", expr)) <= {"$__rate_interval"}


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
