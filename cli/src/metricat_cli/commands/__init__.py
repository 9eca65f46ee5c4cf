"""The subcommands: one module each, with `add_parser`, which adds its parser and sets `run` as its default."""

from metricat_cli.commands import backtest

COMMANDS = (backtest,)
"""In the order of the help."""
