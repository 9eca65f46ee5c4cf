"""`metricat up`: run the hub and the agent of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_hub.commands.running import add_settings, run_hub

if TYPE_CHECKING:
    import argparse

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 -- argparse has no public name

_DESCRIPTION = """\
Run Metricat on this machine: the agent measures, the hub scrapes it, stores the samples and serves the API.
The command prints the URL. If the hub has no API key yet, and only this machine can reach the hub, the command also
prints a new API key. Ctrl-C ends the command."""


def add_parser(commands: Subparsers) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("up", help="run agent and hub on this machine", description=_DESCRIPTION)
    parser.set_defaults(run=run)
    add_settings(parser)


def run(chosen: argparse.Namespace) -> str:
    """Run hub and agent until SIGINT or SIGTERM."""
    return run_hub(chosen, with_agent=True)
