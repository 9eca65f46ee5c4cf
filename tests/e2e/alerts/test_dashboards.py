"""Every panel of the dashboards has data on a real cluster, except those that only show problems."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from metricat_tools.generate.dashboards import BOARDS
from metricat_tools.stack.wait import until

if TYPE_CHECKING:
    from metricat_tools.demo.demo_cluster import DemoCluster

pytestmark = pytest.mark.e2e
VARIABLES = {"$cluster": ".*", "$target": ".*", "$node": "n1", "$__rate_interval": "2m", "$__range": "10m"}


def test_every_panel_has_data(demo: DemoCluster) -> None:
    panels = [(board.name, panel) for board in BOARDS for panel in board.panels]

    def empty() -> list[tuple[str, str, str]]:
        found = []
        for name, panel in panels:
            for expr in (query.expr for query in panel.queries if not panel.may_be_empty):
                for variable, value in VARIABLES.items():
                    expr = expr.replace(variable, value)  # noqa: PLW2901
                if not demo.prometheus.query(expr):
                    found.append((name, panel.title, expr))
        return found

    until("every panel has data", lambda: not empty(), why=lambda: f"empty: {empty()}")
    sys.stdout.write(f"{len(panels)} panels of {len(BOARDS)} dashboards\n")
