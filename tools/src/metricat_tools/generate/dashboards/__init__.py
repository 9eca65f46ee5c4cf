"""Grafana dashboards as code. Every panel queries only existing metrics."""

from metricat_tools.generate.dashboards import coverage, fleet, node, operator, processes
from metricat_tools.generate.dashboards.grafana import Board, text

BOARDS = (fleet.BOARD, node.BOARD, processes.BOARD, coverage.BOARD, operator.BOARD)

__all__ = ["BOARDS", "Board", "text"]
