"""`metricat hub`: run the hub alone, manage its users and API keys, and handle its alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_hub.commands import alerts, keys, users
from metricat_hub.commands.running import add_settings, run_hub
from metricat_hub.config.options import HUB

if TYPE_CHECKING:
    import argparse

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 -- argparse has no public name


def add_parser(commands: Subparsers) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "hub", help="run the hub, or manage its users, keys and alerts", description=HUB.description
    )
    parser.set_defaults(run=run)
    add_settings(parser)
    inner = parser.add_subparsers(
        title="commands", metavar="[users|keys|alerts]", help="without a command: run the hub"
    )
    users.add_parser(inner)
    keys.add_parser(inner)
    alerts.add_parser(inner)


def run(chosen: argparse.Namespace) -> str:
    """Run the hub until SIGINT or SIGTERM."""
    return run_hub(chosen, with_agent=False)
