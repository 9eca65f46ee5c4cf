"""Grafana's dashboards, made from code: no panel asks for what nobody gives."""

from metricat_tools.generate.dashboards import coverage, fleet, node, processes
from metricat_tools.generate.dashboards.grafana import Board, text

BOARDS = (fleet.BOARD, node.BOARD, processes.BOARD, coverage.BOARD)

__all__ = ["BOARDS", "Board", "text"]
