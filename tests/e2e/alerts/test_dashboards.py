"""None of the dashboards' panels is empty on a real cluster, but those that show what is wrong."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from metricat_tools.generate.dashboards import BOARDS
from metricat_tools.stack.wait import until

if TYPE_CHECKING:
    from metricat_tools.demo.demo_cluster import DemoCluster

pytestmark = pytest.mark.e2e
VARIABLES = {"$cluster": ".*", "$target": ".*", "$node": "n1", "$__rate_interval": "2m"}
EMPTY_IF_WELL = {
    "Conditions that do not hold",
    "Nodes without a ready agent",
    "Nodes whose agent does not answer",
    "Collectors that fail",
    "Reconciles a second",
}
EMPTY_WHERE_IDLE = {"Await"}
"""Disks without a request have none."""


def test_every_panel_has_data(demo: DemoCluster) -> None:
    def asked() -> list[tuple[str, str, str]]:
        return [
            (board.name, panel.title, query.expr)
            for board in BOARDS
            for panel in board.panels
            for query in panel.queries
        ]

    def empty() -> list[tuple[str, str, str]]:
        found = []
        for name, title, expr in asked():
            for variable, value in VARIABLES.items():
                expr = expr.replace(variable, value)  # noqa: PLW2901
            if title not in EMPTY_IF_WELL | EMPTY_WHERE_IDLE and not demo.prometheus.query(expr):
                found.append((name, title, expr))
        return found

    until("waiting for every panel to show something", lambda: not empty())
    sys.stdout.write(f"{len(asked())} queries of {len(BOARDS)} dashboards\n")
